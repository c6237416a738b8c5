"""Cost answers kept in Redis for up to an hour, never stale: the key names the usage version they were computed at.

The version is read from PostgreSQL before each answer and is raised in the transaction of every ledger write, so a
committed call changes the key. What is found under a key was computed at that version or later. Redis may be away
(core.cache).
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.core.cache import cache

from costs.selectors.usage import UsageMark

KEEP_SECONDS = 3600
# Raise it when the shape of cached answers changes, so that an upgrade never reads the old shape.
SHAPE = 2

T = TypeVar("T")


def cached(
    project_id: UUID, mark: UsageMark, question: tuple[object, ...], compute: Callable[[], T]
) -> T:
    """The answer to `question` at this usage version: from Redis, else computed and kept.

    `question` must name everything the answer depends on besides the project's data. No query by itself.
    """
    key = cache_key(project_id, mark, question)
    kept = cache.get(key)
    if kept is not None:
        found: T = kept[0]
        return found
    answer = compute()
    cache.set(key, (answer,), KEEP_SECONDS)
    return answer


def cache_key(project_id: UUID, mark: UsageMark, question: tuple[object, ...]) -> str:
    """Readable up to the version, then the SHA-256 of the question."""
    digest = hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()
    return f"costs:{SHAPE}:{project_id.hex}:{mark.version}:{digest}"
