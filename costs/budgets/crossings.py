"""When a budget's thresholds and limit were reached, or would have been (pure), from what its calls cost per hour.

The hour is exact: within it the share was reached. A rolling budget can fall below a share again when an old day
leaves its window, and reach it once more.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.ranges import DAY, HOUR
from costs.budgets.periods import (
    Period,
    Timed,
    day_of,
    day_start,
    is_within,
    period_at,
    period_of_day,
)
from costs.models.budgets import BudgetPeriod

LIMIT = 100
ZERO = Decimal(0)
# An hour is judged by what held at its end, as its sum is.
_END = HOUR - dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Terms:
    """What a budget said at a time."""

    amount_usd: Decimal
    thresholds: Sequence[int] = ()
    is_hard: bool = False
    is_paused: bool = False

    @property
    def marks(self) -> list[int]:
        """Every percent that fires, the limit itself last unless a threshold lies above it."""
        return sorted({*self.thresholds, LIMIT})

    def reached(self, mark: int, spent: Decimal) -> bool:
        return spent * 100 >= self.amount_usd * mark


class Change(Protocol):
    """A stored change of a budget's terms."""

    valid_from: dt.datetime
    amount_usd: Decimal
    thresholds: list[int]
    is_hard: bool
    is_paused: bool


@dataclass(frozen=True)
class Crossing:
    """A share that was reached in the hour that begins `at`; `spent_usd` is what stood at the end of that hour."""

    mark: int
    at: dt.datetime
    period: Period
    spent_usd: Decimal
    terms: Terms

    @property
    def is_limit(self) -> bool:
        return self.mark == LIMIT

    @property
    def is_block(self) -> bool:
        """Calls are refused from here to the period's end."""
        return self.is_limit and self.terms.is_hard


def terms_of(changes: Sequence[Change]) -> Callable[[dt.datetime], Terms]:
    """What held when, from changes oldest first; before the first one, what it says."""
    terms = [
        Terms(one.amount_usd, tuple(one.thresholds), one.is_hard, one.is_paused) for one in changes
    ]

    def at(moment: dt.datetime) -> Terms:
        place = sum(1 for one in changes if one.valid_from <= moment)
        return terms[max(place - 1, 0)]

    return at


def reading_start(budget: Timed, since: dt.datetime) -> dt.datetime:
    """From where hours are needed to know the crossings after `since`."""
    return period_at(budget, since).starts_at


def crossings(
    budget: Timed,
    hours: Mapping[dt.datetime, Decimal],
    terms_at: Callable[[dt.datetime], Terms],
    *,
    since: dt.datetime,
) -> list[Crossing]:
    """Every share reached from `since` on, oldest first. `hours` begin at `reading_start`, in order.

    An hour in which the terms changed should be among them, with 0: so a limit lowered below what is spent counts.
    """
    if budget.period == BudgetPeriod.ROLLING:
        found = _rolling(budget, hours, terms_at)
    else:
        found = _fixed(budget, hours, terms_at)
    return [one for one in found if one.at >= since]


def _fixed(
    budget: Timed, hours: Mapping[dt.datetime, Decimal], terms_at: Callable[[dt.datetime], Terms]
) -> Iterable[Crossing]:
    period: Period | None = None
    spent, done = ZERO, set[int]()
    for at, cost in hours.items():
        if period is None or at >= period.ends_at:
            period, spent, done = period_at(budget, at), ZERO, set()
        if not period.counts_from <= at < period.counts_until:
            continue
        spent += cost
        terms = terms_at(at + _END)
        if terms.is_paused:
            continue
        for mark in terms.marks:
            if mark not in done and terms.reached(mark, spent):
                done.add(mark)
                yield Crossing(mark, at, period, spent, terms)


def _rolling(
    budget: Timed, hours: Mapping[dt.datetime, Decimal], terms_at: Callable[[dt.datetime], Terms]
) -> Iterable[Crossing]:
    days: dict[dt.date, list[tuple[dt.datetime, Decimal]]] = {}
    for at, cost in hours.items():
        day = day_of(at, budget.time_zone)
        if is_within(budget, day):
            days.setdefault(day, []).append((at, cost))
    if not days:
        return
    totals = {day: sum((cost for _, cost in row), ZERO) for day, row in days.items()}
    day, last, done = min(days), max(days), set[int]()
    while day <= last:
        period = period_of_day(budget, day)
        spent = sum(
            (totals.get(period.first + n * DAY, ZERO) for n in range(period.days - 1)), ZERO
        )
        for at, cost in days.get(day, ()):
            spent += cost
            terms = terms_at(at + _END)
            for mark in () if terms.is_paused else terms.marks:
                if mark not in done and terms.reached(mark, spent):
                    done.add(mark)
                    yield Crossing(mark, at, period, spent, terms)
        # Every midnight takes a day away: only a whole day below a share makes reaching it news again.
        ends = terms_at(day_start(day + DAY, budget.time_zone))
        done = {mark for mark in done if ends.reached(mark, spent)}
        day += DAY


def running_totals(
    budget: Timed, days: Mapping[dt.date, Decimal], first: dt.date, end: dt.date
) -> list[Decimal]:
    """What was spent in its period at the end of each day, `first` to before `end`."""
    found = []
    for number in range((end - first).days):
        day = first + number * DAY
        period = period_of_day(budget, day)
        begin = max(period.first, budget.starts_on or period.first)
        inside = (begin + n * DAY for n in range((day - begin).days + 1))
        found.append(sum((days.get(one, ZERO) for one in inside if is_within(budget, one)), ZERO))
    return found
