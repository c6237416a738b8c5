"""Calls that ended, added to the sums of their minute and hour, in the transaction that writes their rows."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.histogram import bucket_of, to_text
from gateway.models import RequestState
from gateway.recording import spans
from gateway.recording.timing import timing_of
from gateway.structs import Finished
from traces.ingest.sanitize import short_text

MINUTE, HOUR = 1, 60
LIMITED = frozenset({"rate_limit_exceeded", "budget_exceeded", "model_unpriced", "queue_full"})
_FAILED = frozenset({RequestState.FAILED.value, RequestState.EXPIRED.value})
COUNTS = (
    "calls", "failed", "tried", "fell_back", "limited", "exact", "semantic", "missed", "unpriced_hits",
)  # fmt: skip
MONEY = ("exact_usd", "semantic_usd")
_SUMS = (*COUNTS, *MONEY)
_ADD = f"""
INSERT INTO gateway_callsum AS s (project_id, step, at, model, {", ".join(_SUMS)}, waits)
SELECT %s, k.step, k.at, k.model, {", ".join(f"k.{one}" for one in _SUMS)}, k.waits::sparsevec::vector
FROM unnest(%s::int[], %s::timestamptz[], %s::text[], {", ".join("%s::bigint[]" for _ in COUNTS)},
  {", ".join("%s::numeric[]" for _ in MONEY)}, %s::text[]) AS k(step, at, model, {", ".join(_SUMS)}, waits)
ON CONFLICT (project_id, step, at, model) DO UPDATE SET
  {", ".join(f"{one} = s.{one} + excluded.{one}" for one in _SUMS)},
  waits = CASE WHEN s.waits IS NULL THEN excluded.waits WHEN excluded.waits IS NULL THEN s.waits
    ELSE s.waits + excluded.waits END
"""  # noqa: S608


@dataclass
class _Sum:
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    money: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(MONEY, Decimal(0)))
    waits: dict[int, int] = field(default_factory=dict)

    def take(self, one: Finished) -> None:
        counts = self.counts
        counts["calls"] += 1
        counts["failed"] += one.state in _FAILED
        counts["tried"] += bool(one.attempts)
        counts["fell_back"] += spans.fallbacks_of(one) > 0
        counts["limited"] += one.state == RequestState.REFUSED.value and one.error in LIMITED
        if one.cache in ("exact", "semantic"):
            counts[one.cache] += 1
            counts["unpriced_hits"] += one.saved_usd is None
            self.money[f"{one.cache}_usd"] += one.saved_usd or 0
        elif one.cache == "miss":
            counts["missed"] += 1
        wait = timing_of(one).queue
        if wait is not None:
            bucket = bucket_of(wait)
            self.waits[bucket] = self.waits.get(bucket, 0) + 1


def add(cursor: Any, project_id: UUID, finished: Iterable[Finished]) -> None:
    """Count calls that are new in the request list. One query, or none.

    The rows are locked in key order until the transaction ends; whoever else writes them does so here.
    """
    sums: dict[tuple[int, dt.datetime, str], _Sum] = {}
    for one in finished:
        if one.state == RequestState.LOST.value:
            continue  # it may turn out to have ended
        minute = spans.moment(one.ended_at).replace(second=0, microsecond=0)
        for step, at in ((MINUTE, minute), (HOUR, minute.replace(minute=0))):
            sums.setdefault((step, at, model_of(one)), _Sum()).take(one)
    if not sums:
        return
    places = sorted(sums)
    found = [sums[place] for place in places]
    cursor.execute(
        _ADD,
        [
            project_id,
            *([place[part] for place in places] for part in range(3)),
            *([one.counts[name] for one in found] for name in COUNTS),
            *([one.money[name] for one in found] for name in MONEY),
            [to_text(one.waits) for one in found],
        ],
    )


def model_of(finished: Finished) -> str:
    """The name that was asked for; none for one that nobody serves: callers may make up as many as they like."""
    decision = finished.call.decision
    return short_text(finished.call.model) if decision.route or decision.targets else ""
