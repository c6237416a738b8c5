"""Django's cache in Redis, with this process's own memory behind it while Redis is away.

What is kept here is cost answers and allauth's counters of login attempts: a page must neither fail nor wait because
they cannot be read, and guessing passwords must not become unlimited. Each process then counts for itself.
"""

import logging
import time
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
_away_until = 0.0  # monotonic; a race between threads costs one more try, nothing else


class FallbackCache(RedisCache):
    """get, set, add, delete never fail. After a failure Redis is left alone for some seconds: nobody waits twice."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        # Same name, same memory: Django makes one backend object per thread.
        self._own = LocMemCache("core.cache", {"OPTIONS": {"MAX_ENTRIES": 10_000}})

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """See Django's cache API."""
        return self._ask("get", args, kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        """See Django's cache API."""
        self._ask("set", args, kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """See Django's cache API; allauth's lock is made of it."""
        return bool(self._ask("add", args, kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        """See Django's cache API."""
        return bool(self._ask("delete", args, kwargs))

    def _ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        global _away_until
        if time.monotonic() >= _away_until:
            try:
                return getattr(super(), method)(*args, **kwargs)
            except (RedisError, OSError) as error:
                _away_until = time.monotonic() + AWAY_SECONDS
                logger.warning("core.cache.redis_away: %s", type(error).__name__)
        return getattr(self._own, method)(*args, **kwargs)


def forget() -> None:
    """Believe in Redis again and drop the process's own entries (tests)."""
    global _away_until
    _away_until = 0.0
    LocMemCache("core.cache", {}).clear()
