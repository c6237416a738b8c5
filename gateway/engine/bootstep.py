"""The engine inside a Celery worker: every worker that serves the `llm.*` queues runs one, in a thread with a loop."""

import asyncio
import logging
import resource
import threading
import time
from typing import Any

from celery import bootsteps

logger = logging.getLogger(__name__)

QUEUE = "llm.normal"
AGAIN_S = 1.0
# Beyond the engine's own limits for finishing: then the process ends all the same.
SLACK_S = 15.0


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker, and drains it before the pool ends."""

    requires = {"celery.worker.components:Pool"}
    name = "Engine"

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._thread: EngineThread | None = None

    def include_if(self, parent: Any) -> bool:
        return QUEUE in parent.app.amqp.queues.consume_from

    def start(self, parent: Any) -> None:
        self._thread = EngineThread()
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Called for a warm shutdown: returns when what runs has ended."""
        if self._thread is not None:
            self._thread.drain()
            self._thread = None

    def terminate(self, parent: Any) -> None:
        """A cold one: nothing is waited for; others find this worker dead."""


class EngineThread(threading.Thread):
    """A loop with an engine; a broken one is started again."""

    def __init__(self) -> None:
        super().__init__(name="gateway-engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Any = None
        self._is_stopping = threading.Event()
        self._drain_s = 0.0

    def run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                asyncio.run(self._serve())
            except Exception:
                logger.exception("gateway.engine.broken")
                time.sleep(AGAIN_S)

    async def _serve(self) -> None:
        from django.conf import settings

        from gateway.engine.loop import Engine
        from gateway.engine.wiring import production_parts

        _allow_open_files(settings.LLMLAB_GATEWAY_CALLS)
        self._drain_s = settings.LLMLAB_GATEWAY_DRAIN_SECONDS
        engine = Engine(
            settings.REDIS_URL,
            production_parts(settings.REDIS_URL),
            calls=settings.LLMLAB_GATEWAY_CALLS,
            drain_s=self._drain_s,
        )
        self._loop, self._engine = asyncio.get_running_loop(), engine
        if self._is_stopping.is_set():
            engine.stop()
        await engine.run()

    def drain(self) -> None:
        """Stop taking calls; returns when those under way have ended."""
        self._is_stopping.set()
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._engine.stop)
        self.join(self._drain_s + SLACK_S)


def _allow_open_files(calls: int) -> None:
    """Each call under way is a socket; a shell's usual limit of 1024 would end it there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * calls + 1_024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
