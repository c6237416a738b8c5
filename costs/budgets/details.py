"""What the page of one budget shows beyond its standing: days, spenders, past periods, crossings, earlier terms."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from core.ranges import DAY, floor, instant
from costs.budgets.charts import Drawing, burn_down
from costs.budgets.crossings import Crossing, Terms, crossings, reading_start, terms_of
from costs.budgets.outlook import PACE_DAYS, Outlook, Pace, outlook_of, pace_of
from costs.budgets.overview import Row, forecasts_of, key_names
from costs.budgets.periods import Period, day_of, is_within, period_of_day
from costs.budgets.scopes import filters_of, scope_words
from costs.budgets.selectors import Standing, daily_amounts, hourly_amounts, standing
from costs.budgets.spenders import Spenders, spenders_of, splits_of, team_spenders
from costs.budgets.sums import Amount
from costs.budgets.teams import rules_for
from costs.models import Budget, BudgetChange, BudgetPeriod

PAST_PERIODS = 12
CROSSING_DAYS = 90
ZERO = Decimal(0)


@dataclass(frozen=True)
class Past:
    """One period of a budget: what was spent, and the limit that held at its end."""

    period: Period
    spent: Amount
    terms: Terms
    is_running: bool

    @property
    def share(self) -> Decimal:
        return self.spent.cost_usd / self.terms.amount_usd

    @property
    def is_over(self) -> bool:
        return self.terms.reached(100, self.spent.cost_usd)


@dataclass(frozen=True)
class Detail:
    """All of it."""

    row: Row
    drawing: Drawing
    past: list[Past]
    crossings: list[Crossing]
    changes: list[BudgetChange]

    @property
    def standing(self) -> Standing:
        return self.row.standing


def detail_of(budget: Budget, now: dt.datetime) -> Detail:
    """Six queries, one more for an API key's name; more for a team by rules (as `selectors.amounts`)."""
    found = standing(budget, now)
    today = day_of(now, budget.time_zone)
    changes = list(budget.changes.select_related("author").order_by("valid_from"))
    terms_at = terms_of(changes) if changes else _as_now(budget)
    first = min(_first_day(budget, found.period.first), today - PACE_DAYS * DAY)
    days = daily_amounts(budget, first, max(today, found.period.last) + DAY)
    since = now - CROSSING_DAYS * DAY
    hours = hourly_amounts(budget, reading_start(budget, since), found.period.ends_at)
    changed = {floor(one.valid_from, "hour"): ZERO for one in changes if one.valid_from >= since}
    judged = changed | {at: one.cost_usd for at, one in hours.items()}
    reached = crossings(budget, dict(sorted(judged.items())), terms_at, since=since)
    costs = {day: one.cost_usd for day, one in days.items()}
    outlook = _outlook(found, costs, reached, today)
    names = key_names([budget])
    row = Row(found, outlook, scope_words(budget, key_name=names.get(budget.value, "")))
    is_daily = budget.period == BudgetPeriod.DAILY
    spent_by: Mapping[Any, Decimal] = (
        {at: one.cost_usd for at, one in hours.items() if at >= found.period.starts_at}
        if is_daily
        else _counted(found.period, budget, costs)
    )
    return Detail(
        row,
        burn_down(found, outlook, spent_by),
        _past(budget, found, days, terms_at),
        reached[::-1],
        changes[::-1],
    )


def _as_now(budget: Budget) -> Any:
    terms = Terms(budget.amount_usd, tuple(budget.thresholds), budget.is_hard, budget.is_paused)
    return lambda _: terms


def _outlook(
    found: Standing, costs: Mapping[dt.date, Decimal], reached: Sequence[Crossing], today: dt.date
) -> Outlook:
    budget = found.budget
    recent = [costs.get(today - back * DAY, ZERO) for back in range(PACE_DAYS, 0, -1)]
    pace = pace_of(recent)
    path = forecasts_of([budget], found.at).get(str(budget.pk), {})
    limits = [one for one in reached if one.is_limit and one.at >= found.period.starts_at]
    return outlook_of(
        found,
        Pace(pace.daily_usd, pace.days, path),
        days=_counted(found.period, budget, costs),
        gone_at=limits[-1].at if limits else None,
    )


def _counted(
    period: Period, budget: Budget, costs: Mapping[dt.date, Decimal]
) -> dict[dt.date, Decimal]:
    """The days of a period that count."""
    return {
        day: cost
        for day, cost in costs.items()
        if period.first <= day < period.end and is_within(budget, day)
    }


def _first_day(budget: Budget, first: dt.date) -> dt.date:
    """The first day of the oldest period that is listed."""
    if budget.period == BudgetPeriod.ROLLING:
        return first - (PAST_PERIODS - 1) * DAY
    for _ in range(PAST_PERIODS - 1):
        first = period_of_day(budget, first - DAY).first
    return first


def _past(
    budget: Budget, found: Standing, days: Mapping[dt.date, Amount], terms_at: Any
) -> list[Past]:
    """The listed periods, newest first; of a rolling budget its windows day by day. None before the first call."""
    rows, day = [], found.period.last
    first = min(days, default=day)
    for _ in range(PAST_PERIODS):
        period = period_of_day(budget, day)
        if period.end <= first or (budget.starts_on and period.last < budget.starts_on):
            break
        inside = (period.first + n * DAY for n in range(period.days))
        spent = sum((days.get(one, Amount()) for one in inside if is_within(budget, one)), Amount())
        is_running = period.end == found.period.end
        rows.append(
            Past(period, spent, terms_at(min(period.ends_at - DAY / 1440, found.at)), is_running)
        )
        day = day - DAY if budget.period == BudgetPeriod.ROLLING else period.first - DAY
    return rows


@dataclass(frozen=True)
class SpenderRow:
    """One line of "what spends it", with its way to the calls."""

    label: str
    project: str
    amount: Amount
    share: Decimal | None
    href: str


@dataclass(frozen=True)
class SpenderTable:
    """One of the tables."""

    by: str
    title: str
    rows: list[SpenderRow]
    count: int


_TITLES = {"project": "Projects", "model": "Models", "agent": "Agents", "user": "Users"}
_NOBODY = {"model": "Unknown model", "agent": "No agent", "user": "No user"}


def spender_tables(
    budget: Budget, found: Standing, projects: Mapping[Any, Any], names: Mapping[Any, str]
) -> list[SpenderTable]:
    """What spends the running period, by up to four things. A query each, more for a team by rules. `projects` are
    the reader's, by id."""
    period = found.period
    by_rule = rules_for(budget.organization_id, [budget]) is not None
    spent = team_spenders if by_rule else spenders_of
    tables = []
    # With one project there is nothing to tell apart.
    is_one = budget.project_id is not None or len(names) < 2
    for by in splits_of(budget):
        if by == "project" and is_one:
            continue
        spenders: Spenders = spent(budget, by, period.counts_from, period.counts_until)
        rows = [
            SpenderRow(
                names.get(one.project_id, "A project") if by == "project" else one.value or _NOBODY[by],
                "" if by == "project" or is_one else names.get(one.project_id, ""),
                one.amount,
                one.amount.cost_usd / found.spent_usd if found.spent_usd else None,
                _behind(budget, period, by, one.value, projects.get(one.project_id), by_rule=by_rule),
            )
            for one in spenders.rows
        ]  # fmt: skip
        tables.append(SpenderTable(by, _TITLES[by], rows, spenders.count))
    return tables


def _behind(
    budget: Budget, period: Period, by: str, value: str, project: Any, *, by_rule: bool
) -> str:
    """The dashboard of the project with the budget's filter and this value, over the period. Of a team by rules the
    explorer: the dashboard does not know them."""
    if project is None:
        return ""
    named = {by: value} if by != "project" and value else {}
    query = {"range": f"{instant(period.starts_at)}..{instant(period.ends_at)}"}
    if by_rule:
        query |= {"by": by, "project": str(project.pk), "team": budget.value, **named}
        return f"{reverse('costs:explorer', args=[project.organization.slug])}?{urlencode(query)}"
    query |= filters_of(budget) | named
    return f"{reverse('costs:dashboard', kwargs={'slug': project.ref})}?{urlencode(query)}"
