"""The course of a rule's value, drawn under its limits (pure)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alerts.measures.base import Point
from alerts.models import Direction, Severity
from alerts.rules.words import is_change, level_words, measure_words, unit_of
from alerts.units import drawn
from core.charts import Series
from core.charts.base import Value
from core.ranges import DAY, HOUR, floor

# Divides a day, so that each day begins with a column; 30 days are 180 columns.
BIN = 4 * HOUR
_BELOW_THE_TOP = ("c3", "c2", "c5", "c6")


@dataclass(frozen=True)
class Drawing:
    """What the chart tags are given."""

    labels: list[str]
    titles: list[str]
    series: list[Series]
    summary: str
    unit: str


def course(
    alert: Any,
    points: Sequence[Point],
    *,
    start: dt.datetime,
    end: dt.datetime,
    summary: str,
    fired: Iterable[dt.datetime] = (),
) -> Drawing:
    """The worst value of every four hours (UTC), the limits over it, and a dot where an incident began."""
    unit = "percent" if is_change(alert) else unit_of(alert)
    first = floor(start, "day")
    count = int((end - first) / BIN) + 1
    worst = max if alert.direction == Direction.ABOVE else min
    values: list[Decimal | None] = [None] * count
    for point in points:
        place = int((point.at - first) / BIN)
        if point.value is None or not 0 <= place < count:
            continue
        known = values[place]
        values[place] = point.value if known is None else worst(known, point.value)
    shown: list[Value] = [drawn(value, unit)[1] for value in values]
    series = [Series(measure_words(alert), shown, "c1"), *_limits(alert, unit, count)]
    if dots := _dots(fired, shown, first):
        series.append(Series("Fired", dots, "c4", is_dots=True))
    times = [first + place * BIN for place in range(count)]
    return Drawing(
        [_label(at, is_first=place == 0) for place, at in enumerate(times)],
        [f"{at:%b} {at.day}, {at:%H:%M} to {at + BIN:%H:%M} UTC" for at in times],
        series,
        summary,
        drawn(None, unit)[0],
    )


def _limits(alert: Any, unit: str, count: int) -> list[Series]:
    """A level line per limit, the most severe one in the colour of errors."""
    words, found = level_words(alert), []
    for place, (level, (text, severity)) in enumerate(zip(alert.levels, words, strict=True)):
        is_top = place == len(words) - 1
        slot = "err" if is_top else _BELOW_THE_TOP[place % len(_BELOW_THE_TOP)]
        limit: Value = drawn(Decimal(str(level["limit"])), unit)[1]
        found.append(Series(f"{Severity(severity).label} {text}", [limit] * count, slot))
    return found


def _dots(fired: Iterable[dt.datetime], shown: Sequence[Value], first: dt.datetime) -> list[Value]:
    dots: list[Value] = [None] * len(shown)
    for at in fired:
        place = int((at - first) / BIN)
        if 0 <= place < len(shown):
            dots[place] = shown[place]
    return dots if any(one is not None for one in dots) else []


def _label(at: dt.datetime, *, is_first: bool) -> str:
    if at.hour:
        return ""
    return f"{at:%b} {at.day}" if is_first or at.day == 1 else str(at.day)


def days_before(now: dt.datetime, days: int) -> dt.datetime:
    """The start of a course of so many days."""
    return now - days * DAY
