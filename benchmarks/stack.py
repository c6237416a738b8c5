"""A throw-away but durable LLMLab: PostgreSQL with fsync, Redis appendonly, two web processes, one project.

Everything lives under a temporary directory and on free ports, so it disturbs neither `make run` nor the tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

from config import children, embedded
from config.embedded import Postgres, Redis
from config.embedded.state import free_port, read_json

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60
WORKER = ["-m", "celery", "-A", "config", "worker", "-c", "1", "-l", "WARNING"]
QUEUES = "ingest,llm.high,llm.normal,llm.low,sync,analysis,notify"


@dataclass(frozen=True)
class Cpu:
    """CPU seconds used so far, by part."""

    web: float
    postgres: float
    redis: float
    worker: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(*(getattr(self, n) - getattr(other, n) for n in self.__dataclass_fields__))

    @property
    def server(self) -> float:
        """Everything but the client."""
        return self.web + self.postgres + self.redis + self.worker


class Stack:
    """Use as a context manager. `kill(name)` and `start_*` let a benchmark be rude to single parts."""

    def __init__(
        self,
        *,
        processes: int = 2,
        worker: bool = False,
        sessions: int = 1,
        environ: dict[str, str] | None = None,
        keep: Path | None = None,
    ) -> None:
        """`keep`: the directory of the data, which then stays; one that was kept is opened again as it is."""
        self.keep = keep.absolute() if keep else None
        self.data_dir = self.keep or Path(tempfile.mkdtemp(prefix="llmlab-bench-"))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o755)
        self.with_worker, self.sessions_wanted = worker, sessions
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.postgres, self.redis = Postgres(self.data_dir), Redis(self.data_dir)
        self.ports = {name: free_port() for name in ("postgres", "redis", "web")}
        self.url = f"http://127.0.0.1:{self.ports['web']}"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LLMLAB_")},
            "LLMLAB_DATA_DIR": str(self.data_dir),
            "LLMLAB_PG_PORT": str(self.ports["postgres"]),
            "LLMLAB_REDIS_PORT": str(self.ports["redis"]),
            "LLMLAB_WEB_PROCESSES": str(processes),
            "PORT": str(self.ports["web"]),
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "PYTHONUNBUFFERED": "1",
            **(environ or {}),
        }
        for name in ("DATABASE_URL", "REDIS_URL", "PROMETHEUS_MULTIPROC_DIR"):
            self.environ.pop(name, None)
        self.project_id = self.slug = self.key = ""
        self.session_keys: list[str] = []

    def __enter__(self) -> Self:
        try:
            self.start_postgres()
            self.start_redis()
            self._run("manage.py", "migrate", "--verbosity", "0")
            seeded = self._seeded()
            self.project_id, self.slug, self.key = (
                seeded["project_id"],
                seeded["slug"],
                seeded["key"],
            )
            self.session_keys = seeded["sessions"]
            self.start_web()
            if self.with_worker:
                self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _seeded(self) -> dict[str, Any]:
        """The owner's sessions, project and key: new ones, or those of the kept directory."""
        notes = self.data_dir / "benchmark.json"
        if self.keep and notes.exists():
            return read_json(notes)
        seeded: dict[str, Any] = json.loads(
            self._run("-m", "benchmarks.seed", str(self.sessions_wanted))
        )
        if self.keep:
            notes.write_text(json.dumps(seeded))
        return seeded

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_postgres(self) -> None:
        self.processes["postgres"] = embedded.start(self.postgres, self.ports["postgres"])

    def start_redis(self) -> None:
        self.processes["redis"] = embedded.start(self.redis, self.ports["redis"])

    def start_web(self) -> None:
        """Start the launcher and wait until it answers; the port of a killed parent may take a moment to come free."""
        deadline = time.monotonic() + START_SECONDS
        process = self._spawn("web", ["-m", "config.server"])
        while not self.answers():
            if process.poll() is not None:
                time.sleep(0.1)
                process = self._spawn("web", ["-m", "config.server"])
            if time.monotonic() > deadline:
                raise RuntimeError(f"The web server did not start:\n{self.log('web')[-3000:]}")
            time.sleep(0.05)

    def start_worker(self) -> None:
        self._spawn("worker", [*WORKER, "-Q", QUEUES])

    def _spawn(self, name: str, arguments: list[str]) -> "subprocess.Popen[bytes]":
        log = (self.data_dir / f"{name}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=children.die_with_parent(signal.SIGTERM),
            )
        self.processes[name] = process
        return process

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def log(self, name: str) -> str:
        path = self.data_dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self, name: str) -> None:
        """SIGKILL one part (web and worker: only the parent process)."""
        self.processes[name].kill()
        self.processes[name].wait()

    def web_children(self) -> list[int]:
        return _children_of(self.processes["web"].pid)

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection of the benchmark's own, as the database's owner."""
        password = read_json(self.data_dir / "secrets.json")["database_password"]
        return psycopg.connect(
            host="127.0.0.1",
            port=self.ports["postgres"],
            user="llmlab",
            password=password,
            dbname="llmlab",
            autocommit=True,
        )

    def redis_url(self) -> str:
        password = read_json(self.data_dir / "secrets.json")["redis_password"]
        return f"redis://:{password}@127.0.0.1:{self.ports['redis']}/0"

    def cpu(self) -> Cpu:
        return Cpu(
            **{
                name: cpu_seconds(self.processes[name].pid) if name in self.processes else 0.0
                for name in Cpu.__dataclass_fields__
            }
        )

    def web_rss(self) -> int:
        """Resident bytes of the web parent and its children."""
        return resident_bytes(self.processes["web"].pid)

    def stop(self) -> None:
        """End everything in order and remove the data, unless they are to be kept."""
        last = ("worker", "web", "redis", "postgres")
        for name in (*(one for one in self.processes if one not in last), *last):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.keep is None:
            shutil.rmtree(self.data_dir, ignore_errors=True)


def _children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(part) for part in text.split()]


def _rss(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children; pages they share are counted for each."""
    return _rss(pid) + sum(_rss(child) for child in _children_of(pid))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its living children and those it has reaped."""
    total = 0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = sum(int(fields[place]) for place in (11, 12, 13, 14))
    except OSError:
        return 0.0
    return total / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(child) for child in _children_of(pid))


def machine() -> str:
    """One line about where a figure was measured."""
    model = "unknown CPU"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Python {version}, load before {load:.1f}"
