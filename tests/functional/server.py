"""Our real server, `python -m config.server`, on the test run's database and Redis, on a free port."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from benchmarks.stack import resident_bytes
from config import children
from config.embedded.state import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """Where it answers and who it is."""

    url: str
    pid: int
    log: Path

    def rss(self) -> int:
        """Resident bytes of the parent and its web processes."""
        return resident_bytes(self.pid)


def _environ(port: int, processes: int) -> dict[str, str]:
    """The settings of this test run, with the test database in place of the one it was made from."""
    address = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(address._replace(path=f"/{connection.settings_dict['NAME']}"))
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "LLMLAB_WEB_PROCESSES": str(processes),
        "LLMLAB_HOST": "127.0.0.1",
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def running_server(directory: Path, *, processes: int = 2) -> Iterator[Server]:
    """Lives as long as the block; its log is in `directory`."""
    port, log = free_port(), directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.server"],
            cwd=ROOT,
            env=_environ(port, processes),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=children.die_with_parent(signal.SIGTERM),
        )
    server = Server(url=f"http://127.0.0.1:{port}", pid=process.pid, log=log)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Server, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                text = server.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"The server did not start:\n{text}") from None
            time.sleep(0.05)
