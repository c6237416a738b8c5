"""Keeps a demo project alive: a pretend support agent that works all day.

Settings come from the environment: LLMLAB_URL (else LLMLAB_BASE_URL), LLMLAB_API_KEY_FILE (a file
that holds the key; else demo/api_key in LLMLAB_DATA_DIR), LLMLAB_PROJECT, SIMULATOR_URL,
DEMO_INTERVAL (seconds between runs). Without the latter it is busy for the first ten minutes, when
somebody is looking, and then slows down, so that today stays like the days before. Servers that
restart are waited for; nothing here ends the process but a signal.
"""

import logging
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from examples.demo.gateway import KINDS, ROUTES, Gateway, GatewayRun
from examples.demo.live import LiveRun
from examples.demo.providers import Providers
from examples.demo.sender import RefusedError, Sender

logger = logging.getLogger("demo_traffic")
MOST_AT_ONCE = 3
OTLP_SHARE = 0.2
LONGEST_PAUSE = 30.0
PARTING_SECONDS = 6.0
# Of the runs, once each kind of call through the gateway was made; until then every other one.
GATEWAY_SHARE = 0.3
BUSY_SECONDS, BUSY_INTERVAL, CALM_INTERVAL = 600.0, 4.0, 90.0


class Traffic:
    """Starts a run every few seconds while both servers answer."""

    def __init__(self, environ: "os._Environ[str] | dict[str, str]") -> None:
        local = f"http://127.0.0.1:{environ.get('PORT') or 8000}"
        self.url = environ.get("LLMLAB_URL") or environ.get("LLMLAB_BASE_URL") or local
        self.project = environ.get("LLMLAB_PROJECT", "support-copilot")
        folder = Path(environ.get("LLMLAB_DATA_DIR", "var")) / "demo"
        self.key_file = Path(environ.get("LLMLAB_API_KEY_FILE") or folder / "api_key")
        self.interval = float(environ.get("DEMO_INTERVAL") or 0)
        self.started = time.monotonic()
        self.providers = Providers(environ.get("SIMULATOR_URL", "http://127.0.0.1:8900"))
        self.stop = threading.Event()
        self.chance = random.Random()
        self._slots = threading.Semaphore(MOST_AT_ONCE)
        self._sender: tuple[str, Sender] | None = None
        self._gateway: tuple[str, Gateway] | None = None
        self._kinds = list(KINDS)
        self._turns = 0
        self._has_routes = False
        self._pause = 0.0

    def forever(self) -> None:
        """Runs until `stop` is set."""
        while not self.stop.is_set():
            if self._is_ready() and self._slots.acquire(blocking=False):
                threading.Thread(target=self._run, daemon=True).start()
            self.stop.wait(self._pause or self._interval() * self.chance.uniform(0.75, 1.25))
        for _ in range(MOST_AT_ONCE):  # runs that have begun may end, so that none stays "running"
            self._slots.acquire(timeout=PARTING_SECONDS / MOST_AT_ONCE)

    def _interval(self) -> float:
        is_new = time.monotonic() - self.started < BUSY_SECONDS
        return self.interval or (BUSY_INTERVAL if is_new else CALM_INTERVAL)

    def _is_ready(self) -> bool:
        """Whether there is a key and a provider; says once what is missing and waits longer each
        time.
        """
        missing = ""
        if not self.key_file.exists():
            missing = f"the API key in {self.key_file} (made by `manage.py seed_demo`)"
        elif not self.providers.are_up():
            missing = "the simulator (`python -m examples.simulator`)"
        if missing:
            self._back_off(f"Waiting for {missing}.")
        return not missing

    def _back_off(self, reason: str) -> None:
        if not self._pause and not self.stop.is_set():
            logger.warning("%s", reason)
        self._pause = min(max(self._pause * 1.6, 1.0), LONGEST_PAUSE)

    def _run(self) -> None:
        try:
            self._play(self._connect())
            self._pause = 0.0
        except RefusedError as error:
            self._back_off(f"{error} Trying again with the key in {self.key_file}.")
        except Exception:
            logger.exception("demo.run.failed")
            self._pause = max(self._pause, 5.0)
        finally:
            self._slots.release()

    def _play(self, sender: Sender) -> None:
        self._turns += 1
        is_wanted = self._turns % 2 if self._kinds else self.chance.random() < GATEWAY_SHARE
        if is_wanted and self._may_call():
            kind = self._kinds.pop(0) if self._kinds else self.chance.choice(KINDS)
            GatewayRun(sender, self._door(), self.chance, kind=kind).run()
            return
        is_live = self.chance.random() >= OTLP_SHARE
        LiveRun(sender, self.providers, self.chance, is_live=is_live).run()

    def _may_call(self) -> bool:
        """Whether the demo's routes are there: `seed_demo` makes them last, and people may delete them."""
        if not self._has_routes or not self._kinds:
            self._has_routes = self._door().routes() >= ROUTES
        return self._has_routes

    def _door(self) -> Gateway:
        key = self.key_file.read_text().strip()
        if self._gateway is None or self._gateway[0] != key:
            self._gateway = (key, Gateway(self.url, key))
        return self._gateway[1]

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise RefusedError("Stopping.")

    def _connect(self) -> Sender:
        key = self.key_file.read_text().strip()
        if self._sender is None or self._sender[0] != key:
            self._sender = (
                key,
                Sender(self.url, self.project, key, patience=60.0, sleep=self._sleep),
            )
        return self._sender[1]


def main() -> int:
    """Runs until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    traffic = Traffic(os.environ)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: traffic.stop.set())
    traffic.forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
