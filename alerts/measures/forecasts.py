"""What costs.forecasting worked out: where budgets will end, and days that left what was to be expected."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from alerts.measures import budgets
from alerts.measures.base import Cause, Evidence, History, Point, Reading
from alerts.models import Alert, AlertKind, AlertState, StateStatus
from core import formats
from core.ranges import DAY
from costs.budgets.outlook import PACE_DAYS, Outlook, outlook_of, pace_of
from costs.budgets.overview import paces_of
from costs.budgets.periods import day_of, day_start, is_within, period_at, period_of_day
from costs.budgets.selectors import Standing, daily_spend, standing
from costs.forecasting.selectors import days_of
from costs.forecasting.words import causes_of, name_of, title_of
from costs.models import AnomalyState, Budget, BudgetPeriod, SeriesKind, SpendAnomaly
from projects.models import Project

HUNDRED, ZERO = Decimal(100), Decimal(0)
# Anomalies of the last two days are news; one that fired goes on for a week.
NEWS_DAYS, LONGEST = 1, 7
SHOWN_DAYS = 30
_EXPECTED = "Somebody marked the day as expected."
_CLEARED = "Late calls or new prices took the anomaly away."
_OLD = "The day is a week past."
_PART = "The day's total is strange as well; see that alert."


class ForecastMeasure:
    """Rules of the kind FORECAST: what a budget's period will have cost, in percent of the budget."""

    kind: str = AlertKind.FORECAST
    label = "Forecast over budget"
    unit = "percent"
    help = "Tells when a budget is expected to end so far: by its forecast, else by the pace of the last days."
    fields = frozenset({"budget", "pending", "recover"})
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each budget of each rule. Two queries, and two more for each organisation."""
        found = [
            (alert, one)
            for alert, one in budgets.standings_of(alerts, now)
            if not budgets.is_planned(one)
        ]
        outlooks = _outlooks([one for _, one in found])
        return [_forecast(alert, one, outlooks[one.budget.pk]) for alert, one in found]

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """Day by day by the pace of the days before: what was forecast then is not kept. At most three queries."""
        budget = budgets.chosen_budget(alert, end)
        if budget is None:
            return History((), DAY, note="There is no budget to draw yet.")
        if budget.period == BudgetPeriod.ROLLING:
            return History((), DAY, note="Where a rolling budget was headed is not kept.")
        note = "Drawn by the pace of the seven days before each day; the forecasts of then are not kept."
        if not alert.budget_id:
            note = f"Drawn is {budget.name}, the budget nearest its limit. {note}"
        return History(list(_paced(budget, start, end)), DAY, is_coarse=True, note=note)

    def period_of(self, alert: Alert, now: dt.datetime) -> Callable[[dt.datetime], str] | None:
        """For alerts.evaluate.replayed. At most two queries."""
        budget = budgets.chosen_budget(alert, now)
        if budget is None:
            return None
        return lambda at: budgets.period_name(budget, period_at(budget, at))

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """As a budget's, with where it leads. Eight queries at most."""
        found = budgets.BudgetMeasure().evidence(reading, now)
        budget = Budget.objects.select_related("project").get(pk=reading.key)
        outlook = _outlooks([standing(budget, now)])[budget.pk]
        ends = formats.money(outlook.ends_usd) if outlook.ends_usd is not None else "unknown"
        rows = [("Expected at the end", ends), ("Outlook", outlook.words), *found.rows]
        return Evidence(rows, found.points, found.causes, found.url, found.url_label)


def _outlooks(found: Sequence[Standing]) -> dict[UUID, Outlook]:
    """Where budgets lead, by id. Two queries for each organisation."""
    own: dict[UUID, dict[UUID, Standing]] = defaultdict(dict)
    for one in found:
        own[one.budget.organization_id][one.budget.pk] = one
    return {
        one.budget.pk: outlook_of(one, pace)
        for rows in own.values()
        for one, pace in zip(rows.values(), paces_of(list(rows.values())), strict=True)
    }


def _forecast(alert: Alert, found: Standing, outlook: Outlook) -> Reading:
    """Of a budget that is spent already: what is spent, at least that much it will be."""
    ends = found.spent_usd if found.is_over else outlook.ends_usd
    facts = budgets.facts_of(found)
    if ends is not None:
        ends = max(ends, found.spent_usd)
        facts["forecast_usd"] = formats.plain_decimal(ends)
    return Reading(
        alert,
        None if ends is None else ends * HUNDRED / found.limit_usd,
        key=str(found.budget.pk),
        subject=found.budget.name,
        sample=found.spent.calls,
        period=budgets.period_name(found.budget, found.period),
        period_ends_at=found.period.ends_at,
        facts=facts,
    )


def _paced(budget: Budget, start: dt.datetime, end: dt.datetime) -> Iterable[Point]:
    """At the end of each day: what was spent, and the pace for what was left. One query."""
    zone = budget.time_zone
    day, last = day_of(start, zone), day_of(end, zone)
    first = min(period_of_day(budget, day).first, day - PACE_DAYS * DAY)
    days = daily_spend(budget, first, last + DAY)
    while day <= last:
        period = period_of_day(budget, day)
        whole = [period.first + n * DAY for n in range(period.days)]
        counted = [one for one in whole if is_within(budget, one)]
        spent = sum((days.get(one, ZERO) for one in counted if one <= day), ZERO)
        pace = pace_of([days.get(day - n * DAY, ZERO) for n in range(PACE_DAYS - 1, -1, -1)])
        left = sum(1 for one in counted if one > day)
        ends = None if pace.daily_usd is None else spent + pace.daily_usd * left
        at = min(day_start(day + DAY, zone), end)
        yield Point(at, None if ends is None else ends * HUNDRED / budget.amount_usd)
        day += DAY


class AnomalyMeasure:
    """Rules of the kind ANOMALY: dollars beyond what a day was expected to cost; an incident for each anomaly."""

    kind: str = AlertKind.ANOMALY
    label = "Spend anomaly"
    unit = "usd"
    help = "Tells of days far outside of what was expected, by how much they are. Looked for every 15 minutes."
    fields = frozenset({"provider", "model", "direction"})
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each recent anomaly of each rule, and for those that fired. Two queries."""
        states = AlertState.objects.filter(alert__in=alerts, status=StateStatus.FIRING)
        firing = set(states.values_list("alert_id", "key"))
        recent = Q(day__gte=now.date() - NEWS_DAYS * DAY, state=AnomalyState.OPEN)
        known = Q(pk__in={key for _, key in firing})
        rows = SpendAnomaly.objects.filter(recent | known).select_related("project")
        own: dict[UUID, list[SpendAnomaly]] = defaultdict(list)
        organizations = {one.organization_id for one in alerts}
        for row in rows.filter(organization_id__in=organizations).order_by("day", "pk"):
            own[row.organization_id].append(row)
        readings = []
        for alert in alerts:
            mine = [one for one in own[alert.organization_id] if _is_watched(alert, one)]
            open_totals = {
                one.day for one in mine if _is_open(one) and one.kind == SeriesKind.TOTAL
            }
            for one in mine:
                is_known = (alert.pk, str(one.pk)) in firing
                if gone := _gone(one, now, is_part=one.day in open_totals):
                    readings += [_anomaly(alert, one, gone)] if is_known else []
                elif is_known or one.day >= now.date() - NEWS_DAYS * DAY:
                    readings.append(_anomaly(alert, one, ""))
        return readings

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """Day by day what was beyond the expected, zero on days as usual. One query."""
        rows = SpendAnomaly.objects.filter(
            organization_id=alert.organization_id, day__gte=start.date(), day__lte=end.date()
        ).exclude(state=AnomalyState.CLEARED)
        days: dict[dt.date, Decimal] = {}
        for row in rows.order_by("pk"):
            if _is_watched(alert, row):
                days[row.day] = max(days.get(row.day, ZERO), row.excess_usd, key=abs)
        count = (end.date() - start.date()).days + 1
        points = [
            Point(dt.datetime.combine(day, dt.time(), dt.UTC), days.get(day, ZERO))
            for day in (start.date() + n * DAY for n in range(count))
        ]
        return History(points, DAY, is_coarse=True, note="One place a day: the largest anomaly.")

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """What moved the day, and the days before it. Five queries at most."""
        row = SpendAnomaly.objects.select_related("project", "organization").get(pk=reading.key)
        projects = {
            str(one.pk): one for one in Project.objects.filter(organization_id=row.organization_id)
        }
        causes = [
            Cause(
                " and ".join(name for name, _ in one.parts) or "everything else",
                ", ".join(value for _, value in one.parts) or "no single cause",
                f"{formats.money(one.usd)}: {one.says}",
                one.share,
            )
            for one in causes_of(row, projects)
        ]
        url = reverse("costs:anomaly_detail", args=[row.organization.slug, row.pk])
        rows = [
            ("Spent", formats.money(row.actual_usd)),
            ("Expected", formats.money(row.expected_usd)),
            ("Range", f"{formats.money(row.low_usd)} to {formats.money(row.high_usd)}"),
            ("Difference", formats.money(row.excess_usd)),
        ]
        return Evidence(rows, _days_before(row), causes, url, "Open the anomaly")


def _is_watched(alert: Alert, row: SpendAnomaly) -> bool:
    """Of its project, or of the organisation as a whole; with a model or provider only that one's."""
    if row.project_id != alert.project_id:
        return False
    if alert.model:
        return bool(row.kind == SeriesKind.MODEL and row.value == alert.model)
    if alert.provider:
        return bool(row.kind == SeriesKind.PROVIDER and row.value == alert.provider)
    return True


def _is_open(row: SpendAnomaly) -> bool:
    return bool(row.state == AnomalyState.OPEN)


def _gone(row: SpendAnomaly, now: dt.datetime, *, is_part: bool) -> str:
    """Why an anomaly is none any more. Of a day whose total is strange only the total is told."""
    if row.state == AnomalyState.EXPECTED:
        return _EXPECTED
    if row.state == AnomalyState.CLEARED:
        return _CLEARED
    if row.day < now.date() - LONGEST * DAY:
        return _OLD
    return _PART if is_part and row.kind != SeriesKind.TOTAL else ""


def _anomaly(alert: Alert, row: SpendAnomaly, gone: str) -> Reading:
    facts: dict[str, Any] = {
        "spent_usd": formats.plain_decimal(row.actual_usd),
        "expected_usd": formats.plain_decimal(row.expected_usd),
        "day": row.day.isoformat(),
        "score": formats.plain_decimal(row.score),
    }
    if gone:
        facts["gone"] = gone
    return Reading(
        alert, row.excess_usd, key=str(row.pk), subject=title_of(row), facts=facts,
        now_value=row.actual_usd, before_value=row.expected_usd,
    )  # fmt: skip


def _days_before(row: SpendAnomaly) -> list[Point]:
    """What the series cost in the days up to the anomaly's. Two queries at most."""
    first = row.day - (SHOWN_DAYS - 1) * DAY
    found = days_of(name_of(row), row.organization_id, first, row.day + DAY)
    days = (first + n * DAY for n in range(SHOWN_DAYS))
    return [
        Point(dt.datetime.combine(day, dt.time(), dt.UTC), found.by_day.get(day, ZERO))
        for day in days
    ]


MEASURES = (ForecastMeasure(), AnomalyMeasure())
