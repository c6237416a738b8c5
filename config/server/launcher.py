"""The parent of the web processes: one socket, Django loaded once and shared by fork, crashed children replaced."""

import errno
import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from config import children
from config.server.limits import Limits

logger = logging.getLogger("config.server")
QUICK_DEATH = 5.0
LONGEST_PAUSE = 10.0


def open_socket(host: str, port: int) -> socket.socket:
    """Listen, or end the program with the way out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(
                f"Port {port} is taken by another program. Choose another one: PORT={port + 1}"
            )
        sys.exit(
            f"Cannot listen on {host} port {port}: {error.strerror}. Check LLMLAB_HOST and PORT."
        )
    listening.listen(1024)
    return listening


class Launcher:
    """Forks `count` web processes and keeps that many until it is told to end."""

    def __init__(
        self, listening: socket.socket, count: int, limits: Limits, application: str
    ) -> None:
        self.listening = listening
        self.count = count
        self.limits = limits
        self.application = application
        self.born: dict[int, float] = {}
        self.pause = 0.0
        self.next_start = 0.0
        self.stopping = 0
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; a second one does not wait for open requests."""
        application = load_application(self.application)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        threads = [
            thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
        ]
        if threads:
            logger.warning("server.fork.threads alive while forking: %s", ", ".join(threads))
        gc.collect()
        gc.freeze()  # the children share these pages as long as nobody writes to them
        # An upload makes tens of thousands of objects and no circles: looking for them each 700 found nothing.
        gc.set_threshold(20_000, 20, 20)
        host, port = self.listening.getsockname()[:2]
        logger.info("server.ready http://%s:%s in %d processes", host, port, self.count)
        while not self.stopping:
            self._reap()
            while (
                len(self.born) < self.count
                and time.monotonic() >= self.next_start
                and not self.stopping
            ):
                self._fork(application)
            self._sleep(
                max(0.05, self.next_start - time.monotonic()) if len(self.born) < self.count else 60
            )
        return self._stop()

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping += 1

    def _sleep(self, seconds: float) -> None:
        """Until a signal arrives or time is over."""
        with suppress(InterruptedError):
            select.select([self._wake_reader], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)

    def _fork(self, application: object) -> None:
        bind_to_parent = children.die_with_parent(signal.SIGTERM)
        pid = os.fork()
        if pid:
            self.born[pid] = time.monotonic()
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(signum, signal.SIG_DFL)
            bind_to_parent()
            child = importlib.import_module("config.server.child")
            child.serve(application, self.listening, self.limits)
            code = 0
        except BaseException:
            logger.exception("server.child.failed")
        finally:
            logging.shutdown()
            os._exit(code)

    def _reap(self) -> None:
        while self.born:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.born.clear()
                return
            if pid == 0:
                return
            born = self.born.pop(pid, None)
            if born is None or self.stopping:
                continue
            mark_dead(pid)
            if time.monotonic() - born < QUICK_DEATH:
                self.pause = min(LONGEST_PAUSE, max(0.5, self.pause * 2))
            else:
                self.pause = 0.0
            self.next_start = time.monotonic() + self.pause
            code = os.waitstatus_to_exitcode(status)
            logger.error(
                "server.child.ended pid %d with %d; a new one starts in %.1f s",
                pid,
                code,
                self.pause,
            )

    def _stop(self) -> int:
        self.listening.close()
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self.limits.drain_seconds + 3
        asked = self.stopping
        while self.born and time.monotonic() < deadline and self.stopping == asked:
            self._reap()
            if self.born:
                self._sleep(0.2)
        self._signal(signal.SIGKILL)
        while self.born:
            self._reap()
            time.sleep(0.01)
        return 0

    def _signal(self, signum: int) -> None:
        for pid in self.born:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)


def load_application(path: str) -> object:
    """Import the ASGI application before the fork: errors show now, and the memory is shared."""
    module, _, name = path.partition(":")
    application: object = getattr(importlib.import_module(module), name)
    return application


def mark_dead(pid: int) -> None:
    """A dead process no longer counts in the live gauges; its counters stay."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def metrics_directory() -> None:
    """Where the processes share their counters; must exist before prometheus_client is imported."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="llmlab-metrics-")
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)


def main() -> int:
    """`python -m config.server [module:application]`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
    os.environ["LLMLAB_DB_POOL"] = "1"
    metrics_directory()
    from config.env import env_int, env_str

    listening = open_socket(
        env_str("LLMLAB_HOST", "127.0.0.1"), env_int("PORT", 8000, minimum=0, maximum=65535)
    )
    from django.conf import settings

    limits = Limits(
        max_body=settings.LLMLAB_INGEST_MAX_BODY,
        gateway_body=settings.LLMLAB_GATEWAY_MAX_BODY,
        file_body=settings.LLMLAB_GATEWAY_MAX_FILE,
        concurrency=env_int("LLMLAB_WEB_CONCURRENCY", 8, minimum=1, maximum=200),
    )
    count = env_int("LLMLAB_WEB_PROCESSES", 2, minimum=1, maximum=64)
    application = sys.argv[1] if len(sys.argv) > 1 else "config.asgi:application"
    return Launcher(listening, count, limits, application).run()
