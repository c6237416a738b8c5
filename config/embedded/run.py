"""Starting, awaiting and ending the embedded services. What they print goes to `<data_dir>/logs/<name>.log`."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from config import children
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.embedded.state import EmbeddedError

START_TIMEOUT = 60.0
LOG_LIMIT = 10 * 1024 * 1024

Service = Postgres | Redis


def log_path(service: Service) -> Path:
    return service.data_dir / "logs" / f"{service.name}.log"


def open_log(service: Service) -> IO[bytes]:
    """The service's log for appending; one that grew large is set aside first (one generation is kept)."""
    path = log_path(service)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def wait_ready(
    service: Service, port: int, *, is_alive: Callable[[], bool], timeout: float = START_TIMEOUT
) -> None:
    """Wait until the service answers; raises EmbeddedError when it ends or time runs out."""
    deadline = time.monotonic() + timeout
    while not service.is_ready(port):
        if not is_alive():
            lines = (
                log_path(service).read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            )
            raise EmbeddedError(
                f"The embedded {service.name} ended while starting. Its last lines:\n"
                + "\n".join(lines)
            )
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"The embedded {service.name} is silent on port {port} after {timeout:.0f} s; see {log_path(service)}."
            )
        time.sleep(0.05)


def spawn(service: Service, port: int) -> "subprocess.Popen[bytes]":
    """Start a service as a child that ends with us."""
    service.prepare()
    with open_log(service) as log:
        return subprocess.Popen(
            service.command(port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, in order
            preexec_fn=children.die_with_parent(service.stop_signal),
            **service.popen_options(),
        )


def start(service: Service, port: int) -> "subprocess.Popen[bytes]":
    """`spawn`, then wait until the service answers."""
    process = spawn(service, port)
    try:
        wait_ready(service, port, is_alive=lambda: process.poll() is None)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def stop_orphan(service: Service) -> None:
    """End a server of this data directory that a killed `make run` left behind."""
    pid = service.running_pid()
    if pid is not None:
        children.stop(pid, signum=service.stop_signal, timeout=30)
