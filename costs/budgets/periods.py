"""When a budget's period begins and ends (pure).

Days are days of the budget's time zone. The sums are kept per UTC hour, so a day of a zone that is half an hour off
begins at the next full hour (in India at 00:30): every border is an hour border, and every sum exact.
"""

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.ranges import DAY, ceil_hour
from costs.models.budgets import BudgetPeriod

NOUNS = {"daily": "day", "weekly": "week", "monthly": "month"}


class Timed(Protocol):
    """What a period is made of: a Budget or a draft of one."""

    @property
    def period(self) -> str: ...
    @property
    def rolling_days(self) -> int | None: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def starts_on(self) -> dt.date | None: ...
    @property
    def ends_on(self) -> dt.date | None: ...


@dataclass(frozen=True)
class Period:
    """Days `first` to before `end`; `starts_at` and `ends_at` are their hour borders in UTC.

    Calls count from `counts_from` to before `counts_until`: less than the period when the budget begins or ends in it.
    """

    first: dt.date
    end: dt.date
    starts_at: dt.datetime
    ends_at: dt.datetime
    counts_from: dt.datetime
    counts_until: dt.datetime

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def last(self) -> dt.date:
        return self.end - DAY

    @property
    def label(self) -> str:
        """`November 2026`, `Nov 16 – 22, 2026`, `Fri, Nov 20, 2026`."""
        first, last = self.first, self.last
        if first == last:
            return f"{first:%a, %b} {first.day}, {first.year}"
        if first.day == 1 and self.end == _month_after(first):
            return f"{first:%B %Y}"
        if first.year != last.year:
            return f"{first:%b} {first.day}, {first.year} – {last:%b} {last.day}, {last.year}"
        if first.month != last.month:
            return f"{first:%b} {first.day} – {last:%b} {last.day}, {last.year}"
        return f"{first:%b} {first.day} – {last.day}, {last.year}"


@lru_cache(maxsize=512)
def zone_of(name: str) -> dt.tzinfo:
    """The zone with this name; UTC when the machine no longer knows it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


@lru_cache(maxsize=4096)
def day_start(day: dt.date, time_zone: str) -> dt.datetime:
    """The hour border at which a day of a zone begins."""
    local = dt.datetime.combine(day, dt.time(), zone_of(time_zone))
    return ceil_hour(local.astimezone(dt.UTC))


def day_of(at: dt.datetime, time_zone: str) -> dt.date:
    """The day an instant belongs to."""
    day = at.astimezone(zone_of(time_zone)).date()
    return day - DAY if at < day_start(day, time_zone) else day


def period_at(budget: Timed, at: dt.datetime) -> Period:
    """The period an instant lies in."""
    return period_of_day(budget, day_of(at, budget.time_zone))


def period_now(budget: Timed, now: dt.datetime) -> Period:
    """The period to look at: the running one, the first of a budget that is planned, the last of one that ended."""
    day = day_of(now, budget.time_zone)
    if budget.starts_on:
        day = max(day, budget.starts_on)
    if budget.ends_on:
        day = min(day, budget.ends_on)
    return period_of_day(budget, day)


def period_of_day(budget: Timed, day: dt.date) -> Period:
    """The period a day lies in. A rolling one ends with that day."""
    if budget.period == BudgetPeriod.DAILY:
        first, end = day, day + DAY
    elif budget.period == BudgetPeriod.WEEKLY:
        first = day - day.weekday() * DAY
        end = first + 7 * DAY
    elif budget.period == BudgetPeriod.MONTHLY:
        first = day.replace(day=1)
        end = _month_after(first)
    else:
        first, end = day - ((budget.rolling_days or 1) - 1) * DAY, day + DAY
    starts = day_start(first, budget.time_zone)
    counts = starts
    if budget.starts_on and budget.starts_on > first:
        counts = day_start(budget.starts_on, budget.time_zone)
    ends = until = day_start(end, budget.time_zone)
    if budget.ends_on and budget.ends_on + DAY < end:
        until = day_start(budget.ends_on + DAY, budget.time_zone)
    return Period(first, end, starts, ends, counts, until)


def periods_between(budget: Timed, first: dt.date, end: dt.date) -> Iterator[Period]:
    """The periods of the days `first` to before `end`, oldest first; of a rolling budget one per day."""
    day = first
    while day < end:
        period = period_of_day(budget, day)
        yield period
        day = day + DAY if budget.period == BudgetPeriod.ROLLING else period.end


def is_within(budget: Timed, day: dt.date) -> bool:
    """Whether the budget holds on that day."""
    return (budget.starts_on is None or day >= budget.starts_on) and (
        budget.ends_on is None or day <= budget.ends_on
    )


def period_words(budget: Timed) -> str:
    """`a day`, `a week`, `a month`, `in 30 days`."""
    if budget.period == BudgetPeriod.ROLLING:
        return f"in {budget.rolling_days} days"
    return f"a {NOUNS[budget.period]}"


def _month_after(first: dt.date) -> dt.date:
    return first + calendar.monthrange(first.year, first.month)[1] * DAY
