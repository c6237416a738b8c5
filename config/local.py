"""`make run`: everything on this machine from one command (`python manage.py dev` becomes this program)."""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO

from config import children, embedded
from config.embedded.run import open_log
from config.env import data_dir, env_bool, env_int, env_str
from config.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parents[1]
QUEUES = "ingest,sync,analysis"
LLM_QUEUES = "llm.high,llm.normal,llm.low"
SIMULATOR_PORT = 8900
STOP_SECONDS = 8.0
START_SECONDS = 600.0  # the migrations of an upgrade may take minutes


def main() -> int:
    """Check, start, supervise, stop; returns the exit code."""
    if os.environ.get("MAKELEVEL"):
        # Also end when `make` is killed, not only when it passes a signal on.
        children.die_with_parent_now(signal.SIGTERM)
    directory = data_dir(ROOT / "var")
    port = env_int("PORT", 8000, minimum=1, maximum=65535)
    host = env_str("LLMLAB_HOST", "127.0.0.1")
    started = time.monotonic()
    try:
        lock = claim(directory)
        check_port(host, port)
        services = local_services(directory)
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    supervisor = Supervisor(
        stages(directory, host, port, services),
        stop_seconds=STOP_SECONDS,
        start_seconds=START_SECONDS,
    )

    def on_ready() -> None:
        url = os.environ["LLMLAB_BASE_URL"]
        supervisor.say(
            f"LLMLab is ready at {url} after {time.monotonic() - started:.1f} s. Ctrl-C stops everything."
        )
        if not {"LLMLAB_EMAIL_BACKEND", "LLMLAB_EMAIL_HOST"} & set(os.environ):
            supervisor.say(
                f"E-mails are written to {directory / 'mails'} until LLMLAB_EMAIL_HOST names a server."
            )

    code = supervisor.run(on_ready, wait_for=3)
    lock.close()
    return code


def claim(directory: Path) -> IO[str]:
    """The only LLMLab on this data directory, for as long as the returned file is open."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = (directory / "dev.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        raise embedded.EmbeddedError(
            f"LLMLab already runs with the data in {directory} (process {handle.read().strip() or 'unknown'}).\n"
            "Stop it there, or start another one beside it: LLMLAB_DATA_DIR=/other/place PORT=8001 make run"
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def check_port(host: str, port: int) -> None:
    """Refuse a taken port before anything starts, and say who has it when it is LLMLab."""
    if embedded.is_port_free(port, host):
        return
    owner = "another program"
    with (
        suppress(OSError, ValueError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer,
    ):
        if json.load(answer).get("service") == "llmlab":
            owner = f"another LLMLab: http://localhost:{port}/"
    raise embedded.EmbeddedError(
        f"Port {port} is taken by {owner}.\nChoose another one: PORT={port + 1} make run"
    )


def local_services(directory: Path) -> list[tuple[embedded.Service, int]]:
    """The services the environment does not name, with their ports; what a killed run left is ended first."""
    services: list[tuple[embedded.Service, int]] = []
    for key, kind in (("DATABASE_URL", embedded.Postgres), ("REDIS_URL", embedded.Redis)):
        if os.environ.get(key) or os.environ.get(f"{key}_FILE"):
            continue
        service = kind(directory)
        embedded.stop_orphan(service)
        service.prepare()
        services.append((service, embedded.choose_port(directory, service.name)))
    return services


def stages(
    directory: Path, host: str, port: int, services: list[tuple[embedded.Service, int]]
) -> list[list[Program]]:
    """What runs, in the order it starts: services, preparation, LLMLab itself, the demo."""
    metrics = directory / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    os.environ.setdefault("LLMLAB_BASE_URL", f"http://localhost:{port}")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings.dev"),
        "LLMLAB_DATA_DIR": str(directory),
        "LLMLAB_HOST": host,
        "PORT": str(port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONUNBUFFERED": "1",
        "CELERY_SKIP_CHECKS": "1",  # they import every view; `make ci` runs them
        # glibc keeps a heap per thread otherwise; fewer heaps, less idle memory.
        "MALLOC_ARENA_MAX": "2",
    }
    # Ctrl-C is obeyed at once; calls under way have what is left of STOP_SECONDS.
    environment.setdefault("LLMLAB_GATEWAY_DRAIN_SECONDS", "5")
    simulator = simulator_port() if env_bool("DEMO", True) else None
    if simulator:
        # The demo's own provider is on this machine: the one private address that is called without being listed.
        listed = [os.environ.get("LLMLAB_OUTBOUND_ALLOW", ""), f"127.0.0.1:{simulator}"]
        environment["LLMLAB_OUTBOUND_ALLOW"] = ",".join(filter(None, listed))
        environment["SIMULATOR_URL"] = f"http://127.0.0.1:{simulator}"
    python = sys.executable

    def program(name: str, *arguments: str, **options: object) -> Program:
        return Program(name, [python, *arguments], dict(environment), **options)  # type: ignore[arg-type]

    # Root in a container is normal here: the broker is ours, and only JSON is accepted.
    quiet = ["-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet"]
    worker = [*quiet, "-A", "config", "worker", "--pool", "threads", "--include", "core.metrics"]
    worker += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    # Messages to receivers that may be slow have threads of their own, and hold up nobody else's.
    notify = [*worker, "--concurrency", "12", "--queues", "notify", "--hostname", "notify@%h"]
    # The gateway's calls: an event loop beside four threads for what the calls leave to do (gateway.engine).
    llm = [*worker, "--concurrency", "4", "--queues", LLM_QUEUES, "--hostname", "llm@%h"]
    worker += ["--concurrency", "8", "--queues", QUEUES]
    beat = [*quiet, "-A", "config", "beat", "--loglevel", "WARNING", "--pidfile="]
    probe_host = "127.0.0.1" if host in {"0.0.0.0", "::", "localhost"} else host  # noqa: S104
    return [
        [service_program(service, number) for service, number in services],
        [program("prepare", "manage.py", "dev", "--prepare", kind="step")],
        [
            program("web", "-m", "config.server", is_ready=lambda: answers(probe_host, port)),
            program("worker", *worker),
            program("llm", *llm),
            program("notify", *notify),
            program("beat", *beat),
        ],
        demo(program, simulator) if simulator else [],
    ]


def service_program(service: embedded.Service, port: int) -> Program:
    """An embedded service; its output goes to its own log file."""
    options = service.popen_options()
    environment = options.pop("env", dict(os.environ))
    return Program(
        service.name,
        service.command(port),
        environment,
        prepare=service.prepare,
        is_ready=lambda: service.is_ready(port),
        stop_signal=service.stop_signal,
        popen=options | {"stdout": open_log(service)},
    )


def simulator_port() -> int:
    """The port wanted for the simulator, or a free one."""
    wanted = env_int("SIMULATOR_PORT", SIMULATOR_PORT, minimum=1, maximum=65_535)
    return wanted if embedded.is_port_free(wanted) else embedded.free_port()


def demo(program: Callable[..., Program], port: int) -> list[Program]:
    """History through the real door, then a provider simulator and traffic that never ends."""
    traffic = program("traffic", "-m", "examples.demo_traffic")
    bill = Path(traffic.environment["LLMLAB_DATA_DIR"]) / "demo" / "bill.json"
    traffic.environment["LLMLAB_URL"] = f"http://127.0.0.1:{traffic.environment['PORT']}"
    return [
        program("seed", "manage.py", "seed_demo", kind="job"),
        program("simulator", "-m", "examples.simulator", "--port", str(port), "--bill", str(bill)),
        traffic,
    ]


def answers(host: str, port: int) -> bool:
    """Whether the web processes serve requests."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
