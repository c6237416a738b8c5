"""How budgets stand, from the ledger's sums only: the same number of queries for one budget and for a thousand.

Every amount is exact. A call without a price counts no dollars and is counted beside them: `unpriced_calls`.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.errors import NotFoundError
from core.ranges import DAY, ceil_hour, floor
from costs.budgets.periods import Period, day_of, day_start, is_within, period_now
from costs.budgets.scopes import Slot, slot_of
from costs.models import Budget
from costs.selectors.source import fetch
from costs.selectors.sums import ZERO

LIMIT = 100


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


@dataclass(frozen=True)
class Standing:
    """One budget now. `crossed` are the percents reached, the limit as 100."""

    budget: Budget
    period: Period
    spent: Amount
    at: dt.datetime
    is_running: bool

    @property
    def limit_usd(self) -> Decimal:
        limit: Decimal = self.budget.amount_usd
        return limit

    @property
    def spent_usd(self) -> Decimal:
        return self.spent.cost_usd

    @property
    def unpriced_calls(self) -> int:
        return self.spent.unpriced_calls

    @property
    def remaining_usd(self) -> Decimal:
        """Below zero when more was spent than allowed."""
        return self.limit_usd - self.spent_usd

    @property
    def share(self) -> Decimal:
        return self.spent_usd / self.limit_usd

    @property
    def crossed(self) -> tuple[int, ...]:
        marks = sorted({*self.budget.thresholds, LIMIT})
        return tuple(mark for mark in marks if self.spent_usd * 100 >= self.limit_usd * mark)

    @property
    def is_over(self) -> bool:
        """The money is gone."""
        return self.spent_usd >= self.limit_usd

    @property
    def is_blocking(self) -> bool:
        """A hard limit that is reached and holds now."""
        return self.budget.is_hard and self.is_running and self.is_over

    @property
    def resets_at(self) -> dt.datetime:
        """When the period ends; of a rolling one, when its oldest day leaves."""
        return self.period.ends_at

    @property
    def state(self) -> str:
        """paused, ended, planned, over, warning or ok."""
        today = day_of(self.at, self.budget.time_zone)
        if self.budget.ends_on and today > self.budget.ends_on:
            return "ended"
        if self.budget.starts_on and today < self.budget.starts_on:
            return "planned"
        if self.budget.is_paused:
            return "paused"
        return "over" if self.is_over else "warning" if self.crossed else "ok"


def budgets_of(organization_id: UUID) -> "QuerySet[Budget]":
    """Every budget of an organisation with its project, by name."""
    return (
        Budget.objects.filter(organization_id=organization_id)
        .select_related("project", "author")
        .order_by("name", "id")
    )


def budget_of(organization_id: UUID, budget_id: UUID) -> Budget:
    """One budget with its project. One query. Raises NotFoundError."""
    found = budgets_of(organization_id).filter(pk=budget_id).first()
    if found is None:
        raise NotFoundError("There is no such budget, or it was deleted.")
    return found


def open_budgets(organization_id: UUID, *, now: dt.datetime | None = None) -> list[Budget]:
    """Budgets that are not paused and, with `now`, hold on that day of their zones. One query."""
    found = list(budgets_of(organization_id).filter(is_paused=False))
    if now is None:
        return found
    return [one for one in found if is_within(one, day_of(now, one.time_zone))]


def budgets_for_project(organization_id: UUID, project_id: UUID) -> list[Budget]:
    """Budgets, paused ones left out, that calls of a project may count towards. One query."""
    return list(
        budgets_of(organization_id).filter(
            Q(project=None) | Q(project_id=project_id), is_paused=False
        )
    )


def standing(budget: Budget, now: dt.datetime) -> Standing:
    """How one budget stands. One query."""
    return standings([budget], now)[0]


def standings(budgets: Sequence[Budget], now: dt.datetime) -> list[Standing]:
    """How budgets stand now, in their order. One query, none without budgets."""
    periods = [period_now(one, now) for one in budgets]
    end = ceil_hour(now + dt.timedelta(microseconds=1))
    spent = amounts(
        [
            part_of(one, period.counts_from, min(end, period.counts_until))
            for one, period in zip(budgets, periods, strict=True)
        ]
    )
    return [
        Standing(one, period, amount, now, _is_running(one, now))
        for one, period, amount in zip(budgets, periods, spent, strict=True)
    ]


def part_of(budget: Any, start: dt.datetime, end: dt.datetime) -> Part:
    """What a budget (or a draft with its organisation) counts between two hour borders."""
    return Part(budget.organization_id, budget.project_id, slot_of(budget), start, end)


def _is_running(budget: Budget, now: dt.datetime) -> bool:
    return not budget.is_paused and is_within(budget, day_of(now, budget.time_zone))


def daily_spend(budget: Budget, first_day: dt.date, end_day: dt.date) -> dict[dt.date, Decimal]:
    """What the budget's calls cost per day of its zone, `end_day` excluded; days without calls are absent.

    One query.
    """
    found = daily_amounts(budget, first_day, end_day)
    return {day: amount.cost_usd for day, amount in found.items()}


def daily_amounts(budget: Any, first_day: dt.date, end_day: dt.date) -> dict[dt.date, Amount]:
    """As `daily_spend`, with calls. One query: of days for a budget in UTC, of hours for the others."""
    zone = budget.time_zone
    part = part_of(budget, day_start(first_day, zone), day_start(end_day, zone))
    days: dict[dt.date, Amount] = {}
    for at, amount in _bins(part, "day" if zone == "UTC" else "hour"):
        day = day_of(at, zone)
        days[day] = days.get(day, Amount()) + amount
    return days


def hourly_amounts(budget: Any, start: dt.datetime, end: dt.datetime) -> dict[dt.datetime, Amount]:
    """What the budget's calls cost per UTC hour, oldest first, those that the ends cut included; hours without calls
    are absent. One query."""
    return dict(_bins(part_of(budget, floor(start, "hour"), ceil_hour(end)), "hour"))


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


def amounts(parts: Sequence[Part]) -> list[Amount]:
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


def _bins(part: Part, size: str) -> list[tuple[dt.datetime, Amount]]:
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
