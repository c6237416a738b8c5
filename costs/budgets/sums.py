"""What scopes cost, from the ledger's daily and hourly sums.

Every amount is exact. A call without a price counts no dollars and is counted beside them: `unpriced_calls`.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.ranges import DAY, Bin, floor
from costs.budgets.scopes import Slot
from costs.selectors.source import fetch
from costs.selectors.sums import ZERO


@dataclass(frozen=True)
class Amount:
    """What some calls cost together."""

    cost_usd: Decimal = ZERO
    calls: int = 0
    unpriced_calls: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.cost_usd + other.cost_usd,
            self.calls + other.calls,
            self.unpriced_calls + other.unpriced_calls,
        )


@dataclass(frozen=True)
class Part:
    """One sum that is wanted: a scope of an organisation from `start` to before `end` (hour borders)."""

    organization_id: UUID
    project_id: UUID | None
    slot: Slot
    start: dt.datetime
    end: dt.datetime


# Day by day and hour by hour through the primary keys: a sum inside each LATERAL keeps the planner from reading a
# dimension's whole history instead.
_ONE = """
  SELECT one.* FROM generate_series(q.start, q.finish - interval '1 {size}', interval '1 {size}') AS at
  CROSS JOIN LATERAL (
    SELECT sum(a.cost_usd) AS cost_usd, sum(a.calls) AS calls, sum(a.unpriced_calls) AS unpriced_calls
    FROM {table} a WHERE a.project_id = p.project_id AND a.dimension = q.dimension AND a.hour = at
      AND a.value = q.value AND (q.model IS NULL OR a.model = q.model) AND (q.agent IS NULL OR a.agent = q.agent)
  ) one WHERE q.kind = '{size}'
"""
_SUM = f"""
SELECT q.place, coalesce(sum(a.cost_usd), 0), coalesce(sum(a.calls), 0)::bigint,
  coalesce(sum(a.unpriced_calls), 0)::bigint
FROM unnest(%s::int[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
    %s::timestamptz[], %s::text[])
  AS q(place, organization_id, only_id, dimension, value, model, agent, start, finish, kind)
JOIN (SELECT id AS project_id, organization_id FROM projects_project) p
  ON p.organization_id = q.organization_id AND (q.only_id IS NULL OR p.project_id = q.only_id)
CROSS JOIN LATERAL (
  {_ONE.format(size="day", table="costs_costdailyaggregate")} UNION ALL
  {_ONE.format(size="hour", table="costs_costaggregate")}
) a
GROUP BY q.place
"""  # noqa: S608
# One value of many is looked up bin by bin; what every call is in is read in one stretch.
_NAMED_BINS = """
SELECT at, sum(a.cost_usd), sum(a.calls)::bigint, sum(a.unpriced_calls)::bigint
FROM (SELECT id AS project_id FROM projects_project WHERE organization_id = %s AND (%s::uuid IS NULL OR id = %s)) p
CROSS JOIN generate_series(%s, %s::timestamptz - interval '1 {size}', interval '1 {size}') AS at
CROSS JOIN LATERAL (
  SELECT sum(a.cost_usd) AS cost_usd, sum(a.calls) AS calls, sum(a.unpriced_calls) AS unpriced_calls
  FROM {table} a
  WHERE a.project_id = p.project_id AND a.hour = at AND a.dimension = %s AND a.value = %s
) a
GROUP BY at HAVING sum(a.calls) > 0 ORDER BY at
"""
_BINS = """
SELECT a.hour, sum(a.cost_usd), sum(a.calls)::bigint, sum(a.unpriced_calls)::bigint
FROM (SELECT id AS project_id FROM projects_project WHERE organization_id = %s AND (%s::uuid IS NULL OR id = %s)) p
JOIN {table} a ON a.project_id = p.project_id
WHERE a.hour >= %s AND a.hour < %s AND a.dimension = %s AND a.value = %s
  AND (%s::text IS NULL OR a.model = %s) AND (%s::text IS NULL OR a.agent = %s)
GROUP BY a.hour HAVING sum(a.calls) > 0 ORDER BY a.hour
"""
_TABLES = {"day": "costs_costdailyaggregate", "hour": "costs_costaggregate"}


def summed(parts: Sequence[Part]) -> list[Amount]:
    """The sum of each part, in their order: whole UTC days from the daily sums, their ends from the hourly ones. One
    query, none without parts."""
    # Budgets that count the same calls are one sum.
    places = {part: place for place, part in enumerate(dict.fromkeys(parts))}
    rows = [row for part, place in places.items() for row in _rows(place, part)]
    found = [Amount()] * len(places)
    if rows:
        for place, cost, calls, unpriced in fetch(_SUM, [list(c) for c in zip(*rows, strict=True)]):
            found[place] = Amount(cost, calls, unpriced)
    return [found[places[part]] for part in parts]


def _rows(place: int, part: Part) -> Iterable[tuple[Any, ...]]:
    slot = part.slot
    what = (
        place,
        part.organization_id,
        part.project_id,
        slot.dimension,
        slot.value,
        slot.model,
        slot.agent,
    )
    first, last = (
        floor(part.start + DAY - dt.timedelta(microseconds=1), "day"),
        floor(part.end, "day"),
    )
    if first >= last:
        spans = [(part.start, part.end, "hour")]
    else:
        spans = [(part.start, first, "hour"), (first, last, "day"), (last, part.end, "hour")]
    return [(*what, *span) for span in spans if span[0] < span[1]]


def bins(part: Part, size: Bin) -> list[tuple[dt.datetime, Amount]]:
    """A part per UTC hour or day, oldest first; those without calls are absent. One query."""
    slot = part.slot
    params = [
        part.organization_id,
        part.project_id,
        part.project_id,
        part.start,
        part.end,
        slot.dimension,
        slot.value,
    ]
    if slot.value:
        sql = _NAMED_BINS
    else:
        sql, params = _BINS, [*params, slot.model, slot.model, slot.agent, slot.agent]
    rows = fetch(sql.format(table=_TABLES[size], size=size), params)
    return [(at, Amount(*values)) for at, *values in rows]
