"""Which workers are alive and what they serve, without asking them: each one says so in Redis, every few seconds.

A worker that hangs so badly that its timer stands still says nothing, which is what one wants to know of it.
"""

import datetime as dt
import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from celery import current_app
from celery.signals import heartbeat_sent
from django.conf import settings
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

KEY = "llmlab:workers"
EVERY_S = 10.0
# A worker that has been silent for so long is not alive.
SILENCE = dt.timedelta(seconds=60)
# Then it is forgotten: each start of a worker has a name of its own.
KEEP = dt.timedelta(hours=1)
TIMEOUT_S = 1.0
_last = 0.0


@dataclass(frozen=True)
class Heartbeat:
    """One worker: when it was last heard, and the queues it serves."""

    name: str
    at: dt.datetime
    queues: tuple[str, ...]


def redis_client() -> Redis:
    """A client that gives up soon."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )


@heartbeat_sent.connect(weak=False)  # type: ignore[untyped-decorator]
def _on_heartbeat(sender: Any = None, **_: Any) -> None:
    """Celery's own heartbeat, every two seconds in each worker."""
    global _last
    if time.monotonic() - _last < EVERY_S:
        return
    _last = time.monotonic()
    name = f"{getattr(sender.eventer, 'hostname', 'worker')}/{os.getpid()}"
    try:
        beat(name, sorted(current_app.amqp.queues.consume_from), now=timezone.now())
    except (RedisError, OSError) as error:
        logger.warning("core.heartbeats.lost: %s", type(error).__name__)


def beat(name: str, queues: list[str], *, now: dt.datetime) -> None:
    """Say that a worker is alive, and forget those that have long been silent. Raises RedisError."""
    said = json.dumps({"at": now.isoformat(), "queues": queues})
    with closing(redis_client()) as client, client.pipeline(transaction=False) as pipe:
        pipe.hset(KEY, name, said)
        pipe.expire(KEY, KEEP)
        pipe.hgetall(KEY)
        *_, heard = pipe.execute()
        known = {one.name for one in read(heard, now=now, silence=KEEP)}
        if gone := [one for one in heard if one.decode(errors="replace") not in known]:
            client.hdel(KEY, *gone)


def read(
    said: Mapping[bytes, bytes], *, now: dt.datetime, silence: dt.timedelta = SILENCE
) -> list[Heartbeat]:
    """The workers that are alive, of what Redis holds under KEY: heard less than `silence` ago."""
    found = []
    for name, value in sorted(said.items()):
        try:
            data = json.loads(value)
            at, queues = dt.datetime.fromisoformat(data["at"]), tuple(map(str, data["queues"]))
        except (ValueError, KeyError, TypeError):
            continue
        if now - at < silence:
            found.append(Heartbeat(name.decode(errors="replace"), at, queues))
    return found
