"""A call's tries as its row keeps them: what providers' health and the ways of fallbacks are counted from (pure)."""

from typing import Any

import msgspec

from gateway.structs import Attempt, Finished
from traces.ingest.sanitize import short_text

# A route has at most 20 targets with 10 tries each; more says nothing new.
MOST = 50


def tries_of(finished: Finished) -> str | None:
    """JSON, in order. None where one try answered: the row says all of it."""
    tries = finished.attempts
    if not tries or (len(tries) == 1 and not tries[0].error):
        return None
    return msgspec.json.encode([_told(one) for one in tries[:MOST]]).decode()


def _told(one: Attempt) -> dict[str, Any]:
    ended = one.ended_at or one.began_at
    facts = {
        "connection": one.target.connection,
        "model": short_text(one.target.model),
        "status": one.status,
        "ms": round(max(0.0, (ended - one.began_at) * 1000), 3),
        "error": one.error or None,
        "is_hedge": one.is_hedge or None,
        # When the provider said that it takes calls again.
        "until": None if one.retry_after_s is None else round(ended + one.retry_after_s, 3),
    }
    return {name: value for name, value in facts.items() if value is not None}
