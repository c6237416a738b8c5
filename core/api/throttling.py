"""Rate limits: GCRA in Redis through throttled-py, one atomic script per request, exact under
concurrency (F7).

Redis may go away at any moment and ingestion must go on: a call waits at most 100 ms, and after a
failure the limiter admits everything for two seconds before it tries again.
"""

import logging
import time
from functools import lru_cache

from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from throttled.exceptions import BaseThrottledError
from throttled.rate_limiter import BaseRateLimiter, RateLimiterRegistry, per_min
from throttled.store import RedisStore

logger = logging.getLogger(__name__)

SOCKET_TIMEOUT_SECONDS = 0.1
OPEN_SECONDS = 2.0

_open_until = 0.0  # monotonic; a stale read between threads costs one extra attempt, nothing else


def take(key: str, *, cost: int, per_minute: int) -> float | None:
    """Spend `cost` of the `per_minute` allowance of `key`: None when allowed, else the seconds to
    wait.

    A whole minute's allowance may be spent in one burst; a cost above it is counted as the whole
    allowance, because it could otherwise never pass.
    """
    global _open_until
    if time.monotonic() < _open_until:
        return None
    try:
        limiter = _limiter(settings.REDIS_URL, per_minute)
        result = limiter.limit(key, cost=min(max(cost, 0), per_minute))
    except (RedisError, BaseThrottledError, OSError) as error:
        _open_until = time.monotonic() + OPEN_SECONDS
        logger.warning("core.throttling.redis_away: %s", type(error).__name__)
        return None
    return max(result.state.retry_after, 0.001) if result.limited else None


@lru_cache(maxsize=64)
def _limiter(url: str, per_minute: int) -> BaseRateLimiter:
    limiter_class = RateLimiterRegistry.get("gcra")
    return limiter_class(per_min(per_minute, burst=per_minute), _store(url))


@lru_cache(maxsize=4)
def _store(url: str) -> RedisStore:
    return RedisStore(
        server=url,
        options={
            "CONNECTION_POOL_KWARGS": {
                "socket_timeout": SOCKET_TIMEOUT_SECONDS,
                "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
                "retry": Retry(NoBackoff(), 0),
                "max_connections": 64,
            }
        },
    )
