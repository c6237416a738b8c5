"""Cost answers kept in Redis for up to an hour, never stale: the key names the usage version they were computed at.

The version is read from PostgreSQL before each answer and is raised in the transaction of every ledger write, so a
committed call changes the key. What is found under a key was computed at that version or later. Redis may be away:
the answer then comes from PostgreSQL, and Redis is not asked again for a few seconds, so nobody waits twice.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError

from costs.selectors.usage import UsageMark

logger = logging.getLogger(__name__)

KEEP_SECONDS = 3600
AWAY_SECONDS = 5.0
# Raise it when the shape of cached answers changes, so that an upgrade never reads the old shape.
SHAPE = 1

T = TypeVar("T")
_away_until = 0.0  # monotonic; a race between threads costs one more try, nothing else


def cached(
    project_id: UUID, mark: UsageMark, question: tuple[object, ...], compute: Callable[[], T]
) -> T:
    """The answer to `question` at this usage version: from Redis, else computed and kept.

    `question` must name everything the answer depends on besides the project's data. No query by itself.
    """
    if time.monotonic() < _away_until:
        return compute()
    key = cache_key(project_id, mark, question)
    try:
        kept = cache.get(key)
    except (RedisError, OSError) as error:
        _note_away(error)
        return compute()
    if kept is not None:
        found: T = kept[0]
        return found
    answer = compute()
    try:
        cache.set(key, (answer,), KEEP_SECONDS)
    except (RedisError, OSError) as error:
        _note_away(error)
    return answer


def _note_away(error: Exception) -> None:
    global _away_until
    _away_until = time.monotonic() + AWAY_SECONDS
    logger.warning("costs.cache.redis_away: %s", type(error).__name__)


def cache_key(project_id: UUID, mark: UsageMark, question: tuple[object, ...]) -> str:
    """Readable up to the version, then the SHA-256 of the question."""
    digest = hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()
    return f"costs:{SHAPE}:{project_id.hex}:{mark.version}:{digest}"
