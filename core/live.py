"""Hints to open pages: "this trace is now at seq 7". Sent by a background thread, coalesced, never waited for.

A hint may be lost (Redis down, buffer full): pages re-read PostgreSQL by sequence number, so nothing depends on it.
The caller's request is never slowed: `notify` only puts the newest message of each group into a dictionary.
"""

import asyncio
import hashlib
import logging
import os
import threading
from typing import Any
from uuid import UUID

from channels.layers import channel_layers
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
SEND_TIMEOUT = 1.0
MAX_PENDING = 10_000


def trace_group(project_id: UUID, trace_id: str) -> str:
    """The channel group of one trace's open pages."""
    return f"trace.{project_id.hex}.{hashlib.sha256(trace_id.encode()).hexdigest()[:24]}"


def project_group(project_id: UUID) -> str:
    """The channel group of one project's open lists and dashboards."""
    return f"project.{project_id.hex}"


class _Sender:
    """One per process, made again after a fork."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.wake = asyncio.Event()
        self.pending: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._run, name="live-hints", daemon=True).start()

    def put(self, group: str, message: dict[str, Any]) -> None:
        with self.lock:
            is_first = not self.pending
            if len(self.pending) < MAX_PENDING or group in self.pending:
                self.pending[group] = message
        if (
            is_first
        ):  # the sender takes all that is pending: one call is enough for what came after it
            self.loop.call_soon_threadsafe(self.wake.set)

    def _run(self) -> None:
        # No executor: a thread waiting in one would keep the process from ever ending.
        self.loop.run_until_complete(self._send())

    async def _send(self) -> None:
        layer = channel_layers.make_backend("default")
        redis: Redis = Redis.from_url(settings.REDIS_URL, socket_timeout=SEND_TIMEOUT)
        while True:
            await self.wake.wait()
            self.wake.clear()
            with self.lock:
                batch, self.pending = self.pending, {}
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    for group in await _watched(layer, redis, list(batch)):
                        await layer.group_send(group, batch[group])
            except (RedisError, OSError, TimeoutError) as error:
                logger.info("core.live.hints_lost: %s", type(error).__name__)
            await asyncio.sleep(FLUSH_SECONDS)


async def _watched(layer: Any, redis: Redis, groups: list[str]) -> list[str]:
    """Those of `groups` that a page listens to: one question instead of a message for each of them.

    A page that comes between the question and the message misses nothing: it reads PostgreSQL after it has joined.
    """
    if not isinstance(layer, RedisPubSubChannelLayer):
        return groups
    names = {f"{layer.prefix}__group__{group}".encode(): group for group in groups}
    counted = await redis.pubsub_numsub(*names)
    return [names[name] for name, listeners in counted if listeners]


_sender: _Sender | None = None
_sender_lock = threading.Lock()


def notify(group: str, message: dict[str, Any]) -> None:
    """Tell the pages of `group`; the newest message replaces one not sent yet. Never blocks, never raises."""
    global _sender
    if _sender is None or _sender.pid != os.getpid():
        with _sender_lock:
            if _sender is None or _sender.pid != os.getpid():
                _sender = _Sender()
    _sender.put(group, message)
