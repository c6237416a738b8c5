"""How budgets stand, from the ledger's sums: the same number of queries for one budget and for a thousand.

Every amount is exact. A call without a price counts no dollars and is counted beside them: `unpriced_calls`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.errors import NotFoundError
from core.ranges import Bin, ceil_hour, floor
from costs.budgets.periods import Period, day_of, day_start, is_within, period_now
from costs.budgets.scopes import slot_of
from costs.budgets.sums import Amount, Part, bins, summed
from costs.budgets.teams import team_bins
from costs.models import Budget

LIMIT = 100


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
    """How one budget stands. Queries as `amounts`."""
    return standings([budget], now)[0]


def standings(budgets: Sequence[Budget], now: dt.datetime) -> list[Standing]:
    """How budgets stand now, in their order. Queries as `amounts`."""
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


def amounts(parts: Sequence[Part]) -> list[Amount]:
    """The sum of each part, in their order. One query, none without parts; where rules decide about teams, those of
    `costs.budgets.teams.team_bins` for all of them."""
    by_rule = team_bins(parts)
    rest = [one for one in parts if one not in by_rule]
    found = dict(zip(rest, summed(rest), strict=True))
    found |= {part: sum((one for _, one in line), Amount()) for part, line in by_rule.items()}
    return [found[part] for part in parts]


def _is_running(budget: Budget, now: dt.datetime) -> bool:
    return not budget.is_paused and is_within(budget, day_of(now, budget.time_zone))


def daily_spend(budget: Budget, first_day: dt.date, end_day: dt.date) -> dict[dt.date, Decimal]:
    """What the budget's calls cost per day of its zone, `end_day` excluded; days without calls are absent.

    One query, more for a team by rules (as `amounts`).
    """
    return daily_spends([budget], first_day, end_day)[0]


def daily_spends(
    budgets: Sequence[Budget], first_day: dt.date, end_day: dt.date
) -> list[dict[dt.date, Decimal]]:
    """`daily_spend` of each. A query for each; teams by rules are found together."""
    return [
        {day: amount.cost_usd for day, amount in found.items()}
        for found in _daily(budgets, first_day, end_day)
    ]


def daily_amounts(budget: Any, first_day: dt.date, end_day: dt.date) -> dict[dt.date, Amount]:
    """As `daily_spend`, with calls."""
    return _daily([budget], first_day, end_day)[0]


def _daily(
    budgets: Sequence[Any], first_day: dt.date, end_day: dt.date
) -> list[dict[dt.date, Amount]]:
    """Of days for budgets in UTC, of hours for the others."""
    parts = []
    for one in budgets:
        start, end = (day_start(day, one.time_zone) for day in (first_day, end_day))
        parts.append(part_of(one, start, end))
    is_utc = all(one.time_zone == "UTC" for one in budgets)
    by_rule = team_bins(parts, "day" if is_utc else "hour")
    found = []
    for one, part in zip(budgets, parts, strict=True):
        days: dict[dt.date, Amount] = {}
        size: Bin = "day" if one.time_zone == "UTC" else "hour"
        for at, amount in by_rule[part] if part in by_rule else bins(part, size):
            day = day_of(at, one.time_zone)
            days[day] = days.get(day, Amount()) + amount
        found.append(days)
    return found


def hourly_amounts(budget: Any, start: dt.datetime, end: dt.datetime) -> dict[dt.datetime, Amount]:
    """What the budget's calls cost per UTC hour, oldest first, those that the ends cut included; hours without calls
    are absent. One query, more for a team by rules (as `amounts`)."""
    part = part_of(budget, floor(start, "hour"), ceil_hour(end))
    by_rule = team_bins([part], "hour")
    return dict(by_rule[part] if part in by_rule else bins(part, "hour"))
