"""Which processes that reserve are alive: each says so in Redis while it reserves."""

import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

EVERY_S = 5.0
# As long without a sign: dead.
SILENT_S = 30
TIMEOUT_S = 0.5
# After Redis did not answer it is not asked for so long.
PAUSE_S = 10.0


class Signs:
    """The signs of life of one process, given as a by-product of its work."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._due_at = 0.0
        self._client: Redis | None = None

    def give(self) -> None:
        """Every few seconds; never fails."""
        if time.monotonic() < self._due_at:
            return
        try:
            self._client = self._client or client()
            self._client.set(_key(self._owner), b"1", ex=SILENT_S)
            self._due_at = time.monotonic() + EVERY_S
        except RedisError:
            self._due_at = time.monotonic() + PAUSE_S

    def end(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def client() -> Redis:
    """A client that gives up soon."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )


def silent(redis: Redis, owners: Iterable[str]) -> set[str]:
    """Those that gave no sign lately. Raises RedisError."""
    asked = sorted(set(owners))
    if not asked:
        return set()
    found: Any = redis.mget([_key(one) for one in asked])
    return {one for one, sign in zip(asked, found, strict=True) if sign is None}


def _key(owner: str) -> str:
    return f"llmlab:quotas:owner:{owner}"
