"""Where a budget's period will end and when the money is gone, in words (pure).

From a forecast of each remaining day where there is one, else from the recent pace: the mean of up to seven whole
days before today, begun with the first day that cost anything. It always says which.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core import formats
from core.ranges import DAY
from costs.budgets.periods import NOUNS, Period, day_of, day_start, zone_of
from costs.models.budgets import BudgetPeriod

ZERO = Decimal(0)
PACE_DAYS = 7


@dataclass(frozen=True)
class Pace:
    """What the coming days are taken to cost: `path` by day, else `daily_usd` each. `days` the mean rests on."""

    daily_usd: Decimal | None
    days: int = 0
    path: Mapping[dt.date, Decimal] = field(default_factory=dict)

    @property
    def is_forecast(self) -> bool:
        return bool(self.path)

    @property
    def words(self) -> str:
        if self.is_forecast:
            return "by the forecast"
        if self.daily_usd is None:
            return ""
        plural = "" if self.days == 1 else "s"
        return f"by the mean of the last {self.days} day{plural}, {formats.money(self.daily_usd)} a day"

    def of(self, day: dt.date) -> Decimal:
        """What one whole day is taken to cost."""
        return self.path.get(day, self.daily_usd or ZERO)


@dataclass(frozen=True)
class Outlook:
    """`ends_usd` is what the period will have cost (None: unknown); `gone_on` when the limit is reached, if it is."""

    words: str
    tone: str
    pace: Pace
    ends_usd: Decimal | None = None
    gone_on: dt.date | None = None
    gone_at: dt.datetime | None = None
    # What stands at the end of each remaining day, today first.
    path: Sequence[tuple[dt.date, Decimal]] = ()


def pace_of(days: Sequence[Decimal]) -> Pace:
    """The pace of the whole days before today, oldest first; days before the first that cost anything do not count."""
    first = next((place for place, cost in enumerate(days) if cost), None)
    if first is None:
        return Pace(ZERO if days else None, len(days))
    counted = days[first:]
    return Pace(sum(counted, ZERO) / len(counted), len(counted))


def outlook_of(
    standing: Any, pace: Pace, *, days: Mapping[dt.date, Decimal] | None = None,
    gone_at: dt.datetime | None = None,
) -> Outlook:  # fmt: skip
    """`standing` is a costs.budgets.selectors.Standing; `days` are what the days of a rolling window cost; `gone_at`
    is when the limit was reached, where that is known."""
    if standing.state in ("paused", "ended", "planned"):
        return Outlook(_resting(standing), "", pace)
    if standing.is_over:
        return _over(standing, pace, gone_at)
    if pace.daily_usd is None and not pace.is_forecast:
        return Outlook("There are no whole days to tell a pace from yet.", "", pace)
    if standing.budget.period == BudgetPeriod.ROLLING:
        return _rolling(standing, pace, days)
    return _fixed(standing, pace)


def _resting(standing: Any) -> str:
    budget = standing.budget
    if standing.state == "paused":
        return "Paused: it neither tells nor blocks."
    if standing.state == "ended":
        return f"Ended with {_day(budget.ends_on)}."
    return f"Begins on {_day(budget.starts_on)}."


def _over(standing: Any, pace: Pace, gone_at: dt.datetime | None) -> Outlook:
    budget, period = standing.budget, standing.period
    over = standing.spent_usd - standing.limit_usd
    more = f"{formats.money(over)} over" if over else "spent to the last cent"
    if gone_at is None:
        return Outlook(f"The money is gone: {more}.", "bad", pace)
    local = gone_at.astimezone(zone_of(budget.time_zone))
    left = _before_end(budget, period, day_of(gone_at, budget.time_zone))
    words = (
        f"The money was gone on {_day(local.date())} in the hour from {local:%H:%M}{left}; {more}."
    )
    return Outlook(words, "bad", pace, gone_at=gone_at, gone_on=local.date())


def _fixed(standing: Any, pace: Pace) -> Outlook:
    budget, period, now = standing.budget, standing.period, standing.at
    zone, today = budget.time_zone, day_of(standing.at, budget.time_zone)
    spent, path, gone, gone_at = standing.spent_usd, [], None, None
    day, last = today, period.last
    if budget.ends_on:
        last = min(last, budget.ends_on)
    while day <= last:
        begin, end = max(day_start(day, zone), now), day_start(day + DAY, zone)
        whole = Decimal((end - day_start(day, zone)).total_seconds())
        cost = pace.of(day) * Decimal((end - begin).total_seconds()) / whole
        if gone is None and cost and spent + cost >= standing.limit_usd:
            part = float((standing.limit_usd - spent) / cost)
            gone, gone_at = day, begin + (end - begin) * part
        spent += cost
        path.append((day, spent))
        day += DAY
    if gone is not None and gone_at is not None:
        words = _gone_words(budget, period, gone, gone_at, pace)
        return Outlook(words, "warn", pace, spent, gone, gone_at, path)
    noun = NOUNS[budget.period]
    words = (
        f"At this pace {formats.money(spent)} are spent when the {noun} ends,"
        f" {formats.percent(spent / standing.limit_usd)} of the budget ({pace.words})."
    )
    return Outlook(words, "good", pace, spent, path=path)


def _gone_words(
    budget: Any, period: Period, gone: dt.date, gone_at: dt.datetime, pace: Pace
) -> str:
    if budget.period == BudgetPeriod.DAILY:
        local = gone_at.astimezone(zone_of(budget.time_zone))
        return f"At this pace the money is gone today at about {local:%H:%M} ({pace.words})."
    left = _before_end(budget, period, gone)
    return f"At this pace the money is gone on {_day(gone)}{left} ({pace.words})."


def _rolling(standing: Any, pace: Pace, days: Mapping[dt.date, Decimal] | None) -> Outlook:
    """Days leave the window as new ones come: where it settles, and when it is full on the way."""
    budget, today = standing.budget, day_of(standing.at, standing.budget.time_zone)
    length = standing.period.days
    settles = sum((pace.of(today + n * DAY) for n in range(1, length + 1)), ZERO)
    path, gone = [], None
    if days is not None:
        part = _rest_of_day(standing.at, today, budget.time_zone)
        window = {today - n * DAY: days.get(today - n * DAY, ZERO) for n in range(length)}
        window[today] += pace.of(today) * part
        spent = sum(window.values(), ZERO)
        for number in range(length):
            day = today + number * DAY
            if number:
                spent += pace.of(day) - window.get(day - length * DAY, ZERO)
            path.append((day, spent))
            if gone is None and spent >= standing.limit_usd:
                gone = day
    if gone is not None:
        words = f"At this pace the money is gone on {_day(gone)} ({pace.words})."
        return Outlook(words, "warn", pace, settles, gone, path=path)
    share = settles / standing.limit_usd
    words = (
        f"At this pace {length} days cost {formats.money(settles)}, {formats.percent(share)} of the"
        f" budget ({pace.words})."
    )
    return Outlook(words, "warn" if share >= 1 else "good", pace, settles, path=path)


def _rest_of_day(now: dt.datetime, day: dt.date, zone: str) -> Decimal:
    begin, end = day_start(day, zone), day_start(day + DAY, zone)
    return Decimal((end - now).total_seconds()) / Decimal((end - begin).total_seconds())


def _before_end(budget: Any, period: Period, day: dt.date) -> str:
    if budget.period in (BudgetPeriod.DAILY, BudgetPeriod.ROLLING):
        return ""
    noun, left = NOUNS[budget.period], (period.last - day).days
    if left == 0:
        return f", on the last day of the {noun}"
    plural = "" if left == 1 else "s"
    return f", {left} day{plural} before the {noun} ends"


def _day(day: dt.date) -> str:
    return f"{day:%a %d %b}".replace(" 0", " ")
