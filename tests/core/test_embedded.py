"""The embedded services on directories of their own: secrets, ports, crashes, orphans."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
import redis
from django.db import connection

from config import embedded
from config.embedded import testing

ROOT = Path(__file__).resolve().parents[2]
SERVER = "SELECT current_setting('server_version_num')::int / 10000"
EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's tmp_path: PostgreSQL's own user must reach it when the tests run as root.
    with TemporaryDirectory(prefix="llmlab-embedded-") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def _no_given_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LLMLAB_PG_PORT", "LLMLAB_REDIS_PORT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.django_db
def test_database_is_postgresql_18_with_pgvector() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SERVER)
        assert cursor.fetchone() == (18,)
        cursor.execute(EXTENSION)
        assert cursor.fetchone() == ("0.8.5",)


@pytest.mark.django_db
def test_sorting_does_not_depend_on_the_host() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(v, '' ORDER BY v) FROM unnest(ARRAY['b','B','a','ä','Z']) v"
        )
        assert cursor.fetchone() == ("BZabä",)


def test_secrets_are_made_once_and_only_for_the_owner(directory: Path) -> None:
    program = "import sys; from pathlib import Path; from config.embedded import local_secrets;"
    program += "print(local_secrets(Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(directory)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: (
                    subprocess.run(
                        command, cwd=ROOT, capture_output=True, text=True, check=True
                    ).stdout
                ),
                range(4),
            )
        )
    assert len(set(answers)) == 1
    assert stat.S_IMODE((directory / "secrets.json").stat().st_mode) == 0o600


def test_unreadable_secrets_are_an_error_not_new_secrets(directory: Path) -> None:
    (directory / "secrets.json").write_text("{not json", encoding="utf-8")
    with pytest.raises(embedded.EmbeddedError, match=r"secrets\.json cannot be read"):
        embedded.local_secrets(directory)
    assert (directory / "secrets.json").read_text(encoding="utf-8") == "{not json"


def test_address_follows_a_taken_port_and_is_remembered(directory: Path) -> None:
    port = embedded.choose_port(directory, "postgres")
    with socket.socket() as other:
        other.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # an old connection's port is free
        with contextlib.suppress(OSError):  # somebody else took it first
            other.bind(("127.0.0.1", port))
            other.listen()
        moved = embedded.choose_port(directory, "postgres")
        assert moved != port
    assert f"@127.0.0.1:{moved}/llmlab" in embedded.database_url(directory)


def test_named_port_that_is_taken_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("LLMLAB_REDIS_PORT", str(port))
        with pytest.raises(
            embedded.EmbeddedError, match=f"Port {port} \\(LLMLAB_REDIS_PORT\\) is taken"
        ):
            embedded.choose_port(directory, "redis")


@contextlib.contextmanager
def running(service: embedded.Service) -> Iterator["subprocess.Popen[bytes]"]:
    process = embedded.start(service, embedded.choose_port(service.data_dir, service.name))
    try:
        yield process
    finally:
        testing.stop([(service, process)])


def test_postgres_survives_kill_9_with_a_lock_file_naming_another_process(directory: Path) -> None:
    postgres = embedded.Postgres(directory)
    with running(postgres) as process:
        with psycopg.connect(embedded.database_url(directory)) as client:
            client.execute("CREATE TABLE kept AS SELECT 42 AS value")
        process.kill()
        process.wait()
    lock = postgres.cluster / "postmaster.pid"
    lines = lock.read_text(encoding="utf-8").splitlines()
    sleeper = subprocess.Popen(
        ["sleep", "60"], **({"user": postgres.user[1]} if postgres.user else {})
    )
    try:
        lock.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n", encoding="utf-8")
        with running(postgres), psycopg.connect(embedded.database_url(directory)) as client:
            assert client.execute("SELECT value FROM kept").fetchone() == (42,)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_application_role_is_no_superuser_and_a_password_is_needed(directory: Path) -> None:
    with running(embedded.Postgres(directory)):
        url = embedded.database_url(directory)
        with psycopg.connect(url) as client:
            row = client.execute(
                "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
            )
            assert row.fetchone() == (False, True)
        wrong = url.replace(url.split(":")[2].split("@")[0], "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_redis_keeps_its_data_over_kill_9_and_wants_its_password(directory: Path) -> None:
    service = embedded.Redis(directory)
    with running(service) as process:
        with redis.Redis.from_url(embedded.redis_url(directory)) as client:
            client.set("kept", "42")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            time.sleep(1.2)  # appendfsync everysec
        process.kill()
        process.wait()
    with running(service):
        with redis.Redis.from_url(embedded.redis_url(directory)) as client:
            assert client.get("kept") == b"42"
        bare = embedded.redis_url(directory).split("@")[1]
        with (
            redis.Redis.from_url(f"redis://{bare}") as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.get("kept")


def test_services_end_with_a_killed_parent_and_orphans_are_ended(directory: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from config import embedded;"
        "d = Path(sys.argv[1]);"
        "both = [embedded.Postgres(d), embedded.Redis(d)];"
        "made = [embedded.start(s, embedded.choose_port(d, s.name)) for s in both];"
        "print(*[p.pid for p in made], flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as lines:
        pids = [int(word) for word in lines.readline().split()]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(
        [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10
    )
    assert alive == []
    # And one whose parent-death signal got lost:
    service = embedded.Redis(directory)
    orphan = embedded.spawn(service, embedded.choose_port(directory, "redis"))
    deadline = time.monotonic() + 5
    while service.running_pid() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert service.running_pid() == orphan.pid
    embedded.stop_orphan(service)
    assert orphan.wait(5) in (0, -signal.SIGTERM)


def test_redis_server_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from config.embedded.redis import redis_server

    monkeypatch.setenv("LLMLAB_REDIS_SERVER", "sh")
    assert os.access(redis_server(), os.X_OK)
    monkeypatch.setenv("LLMLAB_REDIS_SERVER", "no-such-program")
    with pytest.raises(embedded.EmbeddedError, match="LLMLAB_REDIS_SERVER='no-such-program'"):
        redis_server()
