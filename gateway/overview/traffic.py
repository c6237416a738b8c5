"""What a project's calls of a time came to: sums per bar and of all, and how long they waited."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connection

from core.ranges import TimeRange
from gateway.overview.frame import step_of
from gateway.structs import PRIORITIES

# Bars of weeks begin on Mondays, all others divide a day.
_ORIGIN = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
_SUMS = """
SELECT date_bin(make_interval(secs => %s), accepted_at, %s) AS bar, count(*),
  count(*) FILTER (WHERE state IN ('failed', 'expired', 'lost')), count(*) FILTER (WHERE state = 'refused'),
  count(*) FILTER (WHERE state = 'cancelled'), count(*) FILTER (WHERE state = 'cached'),
  sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost_usd),
  count(*) FILTER (WHERE state = 'done' AND cost_usd IS NULL),
  count(*) FILTER (WHERE cache IN ('exact', 'semantic', 'miss')),
  count(*) FILTER (WHERE cache IN ('exact', 'semantic')),
  sum(saved_usd), count(*) FILTER (WHERE fallbacks > 0)
FROM gateway_llmrequest WHERE project_id = %s AND accepted_at >= %s AND accepted_at < %s
GROUP BY 1
"""
_WAITS = """
SELECT priority, count(*), percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY queue_ms)
FROM gateway_llmrequest
WHERE project_id = %s AND accepted_at >= %s AND accepted_at < %s AND queue_ms IS NOT NULL
GROUP BY GROUPING SETS ((priority), ())
"""
ZERO = Decimal(0)


@dataclass(frozen=True)
class Sums:
    """Some calls together. `failed`: no answer came; `looked`: those that looked into a cache."""

    calls: int = 0
    failed: int = 0
    refused: int = 0
    cancelled: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = ZERO
    unpriced: int = 0
    looked: int = 0
    hits: int = 0
    saved_usd: Decimal = ZERO
    fell: int = 0

    @property
    def answered(self) -> int:
        """By a provider."""
        return self.calls - self.failed - self.refused - self.cancelled - self.cached

    @property
    def wrong(self) -> int:
        """As the request list's state `failing` has it."""
        return self.failed + self.refused

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def wrong_share(self) -> float | None:
        return self.wrong / self.calls if self.calls else None

    @property
    def failed_share(self) -> float | None:
        return self.failed / self.calls if self.calls else None

    @property
    def hit_rate(self) -> float | None:
        """None when nobody looked."""
        return self.hits / self.looked if self.looked else None


@dataclass(frozen=True)
class Traffic:
    """A range's calls: by bar, of those that have any, and all together."""

    by_bar: dict[dt.datetime, Sums] = field(default_factory=dict)

    @property
    def total(self) -> Sums:
        rows = list(self.by_bar.values())
        return Sums(
            **{name: sum(map(attrgetter(name), rows)) for name in Sums.__dataclass_fields__}
        )


@dataclass(frozen=True)
class Waits:
    """How long calls that had to wait for a worker waited, in milliseconds; None: nobody did."""

    calls: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


def traffic_of(project_id: UUID, period: TimeRange) -> Traffic:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SUMS, [step_of(period).total_seconds(), _ORIGIN, project_id, period.start, period.end]
        )
        return Traffic({row[0].astimezone(dt.UTC): _sums(row[1:]) for row in cursor.fetchall()})


def _sums(values: Sequence[Any]) -> Sums:
    """The columns of the query are in the order of the fields; sums of nothing are null there."""
    known = zip(Sums.__dataclass_fields__, values, strict=True)
    return Sums(**{name: value for name, value in known if value is not None})


def waits_of(project_id: UUID, period: TimeRange) -> dict[str, Waits]:
    """By priority, and of all under the empty name. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, [project_id, period.start, period.end])
        found = {"": Waits()} | {name: Waits() for name in PRIORITIES}
        for priority, calls, both in cursor.fetchall():
            name = "" if priority is None else PRIORITIES[min(priority, len(PRIORITIES) - 1)]
            if both:
                found[name] = Waits(calls, both[0], both[1])
        return found
