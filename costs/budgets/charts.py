"""A budget drawn: money left over its period, and a past quarter under a drafted limit (pure)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core import formats
from core.charts import Series
from core.charts.base import Value
from core.ranges import DAY, HOUR, bin_label
from costs.budgets.outlook import Outlook
from costs.budgets.periods import Period, day_of, zone_of
from costs.models.budgets import BudgetPeriod

ZERO = Decimal(0)


@dataclass(frozen=True)
class Drawing:
    """What the chart tags are given."""

    labels: list[str]
    titles: list[str]
    series: list[Series]
    summary: str


def burn_down(
    standing: Any, outlook: Outlook, spent_by: Mapping[dt.date, Decimal] | Mapping[dt.datetime, Decimal]
) -> Drawing:  # fmt: skip
    """What is left at the end of each day (of a daily budget: hour), beside an even pace and what is to come.

    A rolling budget has no end to save for: its line is what is left of the window's money on each of its days.
    """
    budget, period = standing.budget, standing.period
    if budget.period == BudgetPeriod.ROLLING:
        return _window(standing, outlook, spent_by)  # type: ignore[arg-type]
    ticks, titles, labels = _axis(budget, period)
    limit, left, spent = standing.limit_usd, [standing.limit_usd], ZERO
    is_daily = budget.period == BudgetPeriod.DAILY
    current = standing.at if is_daily else day_of(standing.at, budget.time_zone)
    for tick in ticks:
        spent += spent_by.get(tick, ZERO)
        left.append(max(limit - spent, ZERO))
    known = sum(1 for tick in ticks if tick <= current)
    actual: list[Value] = [*left[: known + 1], *([None] * (len(ticks) - known))]
    even: list[Value] = [
        limit * (len(ticks) - place) / len(ticks) for place in range(len(ticks) + 1)
    ]
    series = [Series("Left", actual, "c1"), Series("Even pace", even, "prev")]
    if coming := _coming(standing, outlook, ticks, known, is_daily=is_daily):
        series.append(Series("At this pace", coming, "err" if outlook.gone_on else "c3"))
    summary = (
        f"{budget.name}, {period.label}: {formats.money(max(standing.remaining_usd, ZERO))} left of"
        f" {formats.money(limit)}. {outlook.words}"
    )
    return Drawing(labels, titles, series, summary)


def _axis(budget: Any, period: Period) -> tuple[list[Any], list[str], list[str]]:
    """The ticks after the start, with titles and short labels of start and ticks."""
    if budget.period == BudgetPeriod.DAILY:
        zone = zone_of(budget.time_zone)
        count = int((period.ends_at - period.starts_at) / HOUR)
        hours = [period.starts_at + n * HOUR for n in range(count)]
        ends = [(at + HOUR).astimezone(zone) for at in hours]
        titles = ["Start of the day", *(f"{at:%H:%M}" for at in ends)]
        return (
            hours,
            titles,
            [f"{period.starts_at.astimezone(zone):%H}", *(f"{at:%H}" for at in ends)],
        )
    days = [period.first + n * DAY for n in range(period.days)]
    titles = ["Start", *(f"End of {_title(day)}" for day in days)]
    labels = ["", *(_label(day, is_first=day == days[0]) for day in days)]
    return days, titles, labels


def _coming(
    standing: Any, outlook: Outlook, ticks: Sequence[Any], known: int, *, is_daily: bool
) -> list[Value]:
    """The line from what is left now to the period's end; empty when nothing can be told."""
    if not outlook.path or known > len(ticks):
        return []
    limit = standing.limit_usd
    values: list[Value] = [None] * (len(ticks) + 1)
    values[known] = max(standing.remaining_usd, ZERO)
    if is_daily:
        rest, end = len(ticks) - known, outlook.path[-1][1]
        for step in range(1, rest + 1):
            spent = standing.spent_usd + (end - standing.spent_usd) * step / rest
            values[known + step] = max(limit - spent, ZERO)
        return values if rest else []
    for day, spent in outlook.path:
        place = (day - ticks[0]).days + 1
        if known < place < len(values):
            values[place] = max(limit - spent, ZERO)
    return values if known < len(ticks) else []


def _window(standing: Any, outlook: Outlook, days: Mapping[dt.date, Decimal]) -> Drawing:
    period, limit = standing.period, standing.limit_usd
    shown = [period.first + n * DAY for n in range(period.days)]
    spent = [days.get(day, ZERO) for day in shown]
    even: list[Value] = [limit / len(shown)] * len(shown)
    series = [Series("Spent", spent, "c1"), Series("Even pace", even, "prev")]
    summary = (
        f"{standing.budget.name}, {period.label}: {formats.money(standing.spent_usd)} of"
        f" {formats.money(limit)} spent. {outlook.words}"
    )
    labels = [_label(day, is_first=n == 0) for n, day in enumerate(shown)]
    return Drawing(labels, [_title(day) for day in shown], series, summary)


def under_limit(
    draft: Any, first: dt.date, totals: Sequence[Decimal], limit_usd: Decimal, words: str
) -> Drawing:
    """What stood in its period at the end of each past day, and the limit over it."""
    days = [first + n * DAY for n in range(len(totals))]
    limit: list[Value] = [limit_usd] * len(days)
    series = [Series("Spent in the period", list(totals), "c1"), Series("Limit", limit, "err")]
    for slot, mark in zip(("c2", "c3", "c5", "c6"), draft.thresholds, strict=False):
        series.append(Series(f"{mark}%", [limit_usd * mark / 100] * len(days), slot))
    labels = [_label(day, is_first=n == 0) for n, day in enumerate(days)]
    return Drawing(labels, [f"End of {_title(day)}" for day in days], series, words)


def _title(day: dt.date) -> str:
    return bin_label(dt.datetime.combine(day, dt.time(), dt.UTC), "day")


def _label(day: dt.date, *, is_first: bool) -> str:
    return f"{day:%b} {day.day}" if is_first or day.day == 1 else str(day.day)
