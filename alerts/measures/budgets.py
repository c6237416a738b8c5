"""How much of a budget is spent, in percent of its amount: judged with every committed batch."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse

from alerts.measures.base import Cause, Evidence, History, Point, Reading
from alerts.models import Alert, AlertKind
from core import formats
from core.ranges import DAY, HOUR, floor
from costs.budgets.crossings import reading_start
from costs.budgets.periods import day_of, is_within, period_at, period_of_day
from costs.budgets.selectors import Standing, daily_spend, hourly_amounts, standing, standings
from costs.budgets.spenders import spenders_of, splits_of, team_spenders
from costs.budgets.teams import rules_for
from costs.models import Budget, BudgetPeriod
from projects.models import Project

HUNDRED = Decimal(100)
TOP = 3
_NOBODY = {
    "model": "an unknown model",
    "agent": "no agent",
    "user": "no user",
    "project": "a project",
}
_PAUSED, _ENDED = "The budget was paused.", "The budget has ended."


class BudgetMeasure:
    """Rules of the kind BUDGET. Their limits are percents of the budget."""

    kind: str = AlertKind.BUDGET
    label = "Budget threshold"
    unit = "percent"
    help = "Tells when so much of a budget is spent. It is checked within two seconds of each call."
    fields = frozenset({"budget"})
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each budget of each rule. Two queries (teams by rules as costs.budgets.selectors.amounts)."""
        return readings_of(list(budgets_by_rule(alerts)), now)

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """Hour by hour, of the rule's budget or the one that is nearest its limit. At most three queries."""
        budget = chosen_budget(alert, end)
        if budget is None:
            return History((), HOUR, note="There is no budget to draw yet.")
        hours = hourly_amounts(budget, reading_start(budget, start), end)
        costs = {at: one.cost_usd for at, one in hours.items()}
        note = "" if alert.budget_id else f"Drawn is {budget.name}, the budget nearest its limit."
        return History(list(_course(budget, costs, start, end)), HOUR, note=note)

    def period_of(self, alert: Alert, now: dt.datetime) -> Callable[[dt.datetime], str] | None:
        """For alerts.evaluate.replayed: the period an instant of `history` lies in. At most two queries."""
        budget = chosen_budget(alert, now)
        return None if budget is None else lambda at: period_name(budget, period_at(budget, at))

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """The budget's days, and who spends it. Six queries at most (teams by rules some more)."""
        budget = Budget.objects.select_related("project__organization", "organization").get(
            pk=reading.key
        )
        found = standing(budget, now)
        url = reverse("costs:budget_detail", args=[budget.organization.slug, budget.pk])
        return Evidence(
            rows=_rows(found), points=_days(found), causes=_causes(found), url=url,
            url_label="Open the budget",
        )  # fmt: skip


def standings_of(alerts: Sequence[Alert], now: dt.datetime) -> list[tuple[Alert, Standing]]:
    """Each rule with each of its budgets as it stands. Two queries."""
    return _standing(list(budgets_by_rule(alerts)), now)


def readings_of(pairs: Sequence[tuple[Alert, Budget]], now: dt.datetime) -> list[Reading]:
    """A reading for each rule with a budget. One query, none without."""
    return [
        reading_of(alert, found) for alert, found in _standing(pairs, now) if not is_planned(found)
    ]


def _standing(
    pairs: Sequence[tuple[Alert, Budget]], now: dt.datetime
) -> list[tuple[Alert, Standing]]:
    budgets = {one.pk: one for _, one in pairs}
    found = {one.budget.pk: one for one in standings(list(budgets.values()), now)}
    return [(alert, found[budget.pk]) for alert, budget in pairs]


def budgets_by_rule(alerts: Sequence[Alert]) -> Iterable[tuple[Alert, Budget]]:
    """The budgets each rule watches, of its own organisation only. One query."""
    organizations = {one.organization_id for one in alerts}
    own: dict[UUID, list[Budget]] = defaultdict(list)
    rows = Budget.objects.filter(organization_id__in=organizations).select_related("project")
    for budget in rows.order_by("name", "pk") if organizations else ():
        own[budget.organization_id].append(budget)
    for alert in alerts:
        for budget in own[alert.organization_id]:
            if _is_watched(alert, budget):
                yield alert, budget


def _is_watched(alert: Alert, budget: Budget) -> bool:
    if alert.budget_id is not None:
        return bool(alert.budget_id == budget.pk)
    return alert.project_id is None or bool(alert.project_id == budget.project_id)


def is_planned(found: Standing) -> bool:
    """It has not begun: there is nothing to say, not even that it is over."""
    return found.state == "planned"


def gone_words(found: Standing) -> str:
    """Why a budget is not watched any more; empty while it is."""
    return {"paused": _PAUSED, "ended": _ENDED}.get(found.state, "")


def reading_of(alert: Alert, found: Standing) -> Reading:
    """How much is spent, exactly."""
    return Reading(
        alert,
        found.spent_usd * HUNDRED / found.limit_usd,
        key=str(found.budget.pk),
        subject=found.budget.name,
        sample=found.spent.calls,
        period=period_name(found.budget, found.period),
        period_ends_at=found.period.ends_at,
        facts=facts_of(found),
    )


def facts_of(found: Standing) -> dict[str, Any]:
    """The dollars behind the percents; a changed amount is an edit (`basis`)."""
    facts = {
        "spent_usd": formats.plain_decimal(found.spent_usd),
        "limit_usd": formats.plain_decimal(found.limit_usd),
        "unpriced_calls": found.unpriced_calls,
        "basis": formats.plain_decimal(found.limit_usd),
    }
    return facts | ({"gone": words} if (words := gone_words(found)) else {})


def period_name(budget: Budget, period: Any) -> str:
    """Which period incidents belong to; a rolling window has none: it goes on and recovers by its days."""
    return "" if budget.period == BudgetPeriod.ROLLING else str(period.label)


def chosen_budget(alert: Alert, now: dt.datetime) -> Budget | None:
    """The one to draw: the rule's own, else the running one with the largest share. At most two queries."""
    if alert.budget_id is not None:
        return alert.budget
    found = [one for _, one in standings_of([alert], now) if one.is_running]
    return max(found, key=lambda one: one.share).budget if found else None


def _course(
    budget: Budget, costs: Mapping[dt.datetime, Decimal], start: dt.datetime, end: dt.datetime
) -> Iterable[Point]:
    """What stood at the end of each hour, in percent."""
    if budget.period == BudgetPeriod.ROLLING:
        yield from _rolling_course(budget, costs, start, end)
        return
    at = period_at(budget, start).starts_at
    period, spent = period_at(budget, at), Decimal(0)
    while at < end:
        if at >= period.ends_at:
            period, spent = period_at(budget, at), Decimal(0)
        if period.counts_from <= at < period.counts_until:
            spent += costs.get(at, Decimal(0))
        if at >= floor(start, "hour"):
            yield Point(at, spent * HUNDRED / budget.amount_usd)
        at += HOUR


def _rolling_course(
    budget: Budget, costs: Mapping[dt.datetime, Decimal], start: dt.datetime, end: dt.datetime
) -> Iterable[Point]:
    days: dict[dt.date, Decimal] = defaultdict(Decimal)
    at = period_at(budget, start).starts_at
    while at < end:
        day = day_of(at, budget.time_zone)
        if is_within(budget, day):
            days[day] += costs.get(at, Decimal(0))
        if at >= floor(start, "hour"):
            first = period_of_day(budget, day).first
            spent = sum((cost for one, cost in days.items() if one >= first), Decimal(0))
            yield Point(at, spent * HUNDRED / budget.amount_usd)
        at += HOUR


def _rows(found: Standing) -> list[tuple[str, str]]:
    rows = [
        ("Spent", formats.money(found.spent_usd)),
        ("Limit", formats.money(found.limit_usd)),
        ("Used", formats.percent(found.share)),
        ("Left", formats.money(found.remaining_usd)),
        ("Calls", formats.count(found.spent.calls)),
    ]
    if found.unpriced_calls:
        rows.append(("Calls without a price, not in the sum", formats.count(found.unpriced_calls)))
    return rows


def _days(found: Standing) -> list[Point]:
    """What was spent at the end of each day of the period, up to today. One query."""
    budget, period = found.budget, found.period
    end = min(period.end, day_of(found.at, budget.time_zone) + DAY)
    days = daily_spend(budget, period.first, end)
    spent, points, day = Decimal(0), [], period.first
    while day < end:
        spent += days.get(day, Decimal(0)) if is_within(budget, day) else Decimal(0)
        points.append(Point(dt.datetime.combine(day, dt.time(), dt.UTC), spent))
        day += DAY
    return points


def _causes(found: Standing) -> list[Cause]:
    """The dearest of each split: project, model, agent, user."""
    budget, period = found.budget, found.period
    by_rule = rules_for(budget.organization_id, [budget]) is not None
    spent = team_spenders if by_rule else spenders_of
    names = {
        one.pk: one.name for one in Project.objects.filter(organization_id=budget.organization_id)
    }
    causes = []
    for by in splits_of(budget):
        if by == "project" and len(names) < 2:
            continue
        for one in spent(budget, by, period.counts_from, period.counts_until).rows[:TOP]:
            name = names.get(one.project_id, "") if by == "project" else one.value
            share = one.amount.cost_usd / found.spent_usd if found.spent_usd else None
            words = formats.money(one.amount.cost_usd)
            if share is not None:
                words += f", {formats.percent(share)}"
            causes.append(Cause(by, name or _NOBODY[by], words, share))
    return sorted(causes, key=lambda one: -(one.share or Decimal(0)))


MEASURES = (BudgetMeasure(),)
