"""Services of one test run: throw-away, not durable, in a directory of the system's temporary place.

`reserve` runs when `config.settings.test` is read: it only chooses directory and ports and puts
the addresses into the environment, where xdist workers and servers started by tests find them.
`tests/conftest.py` then calls `start_reserved`.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config import children
from config.embedded import run, state
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis

PREFIX = "llmlab-test-"
WANTED = "LLMLAB_TEST_SERVICES"


def reserve() -> None:
    """Address what DATABASE_URL and REDIS_URL do not name, and give every xdist worker its own Redis database."""
    missing = [
        name
        for name, key in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL"))
        if not os.environ.get(key)
    ]
    if missing:
        directory = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getpid()}"
        directory.mkdir(exist_ok=True)
        atexit.register(_remove, directory, os.getpid())
        os.environ["LLMLAB_DATA_DIR"] = str(directory)
        os.environ[WANTED] = ",".join(missing)
        for service in missing:
            os.environ[state.PORT_VARIABLES[service]] = str(state.free_port())
        os.environ["DATABASE_URL"] = os.environ.get("DATABASE_URL") or state.database_url(directory)
        os.environ["REDIS_URL"] = os.environ.get("REDIS_URL") or state.redis_url(directory)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker.isdigit():
        os.environ["REDIS_URL"] = urlunsplit(
            urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{int(worker) + 1}")
        )


def start_reserved() -> list[tuple[run.Service, "subprocess.Popen[bytes]"]]:
    """Start what `reserve` promised; nothing when the environment named both services or this is an xdist worker."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return []
    _remove_left_behind()
    directory = Path(os.environ.get("LLMLAB_DATA_DIR", ""))
    kinds: dict[str, type[Postgres] | type[Redis]] = {"postgres": Postgres, "redis": Redis}
    started: list[tuple[run.Service, subprocess.Popen[bytes]]] = []
    for name in filter(None, os.environ.get(WANTED, "").split(",")):
        service: run.Service = kinds[name](directory, durable=False)
        started.append((service, run.start(service, state.port_of(directory, name))))
    return started


def stop(started: list[tuple[run.Service, "subprocess.Popen[bytes]"]]) -> None:
    """End the services of the run."""
    for service, process in reversed(started):
        process.send_signal(service.stop_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _remove(directory: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


def _remove_left_behind() -> None:
    """Directories of runs that were killed: their number is no living process."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = directory.name.removeprefix(PREFIX)
        if number.isdigit() and not children.is_alive(int(number)):
            shutil.rmtree(directory, ignore_errors=True)
