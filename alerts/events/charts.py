"""Incidents drawn: the course of a value up to its limit, and how many began per day (pure)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from alerts.figures import figure
from alerts.measures.base import Point
from alerts.models import SEVERITY_RANK, Severity
from alerts.units import drawn
from core import formats
from core.charts import Series
from core.ranges import DAY, TimeRange, bin_label, instant

# More columns than this no phone can show; the farthest value of each column is kept.
MOST_COLUMNS = 120
_SLOTS = {
    Severity.CRITICAL: "err",
    Severity.ERROR: "c4",
    Severity.WARNING: "c2",
    Severity.INFO: "co",
}


@dataclass(frozen=True)
class Drawing:
    """What the chart tags are given."""

    labels: list[str]
    titles: list[str]
    series: list[Series]
    summary: str
    unit: str = "count"
    hrefs: list[str] = field(default_factory=list)


def course(
    points: Sequence[Point], limits: Sequence[tuple[str, Decimal]], *, unit: str, label: str, is_below: bool
) -> Drawing | None:  # fmt: skip
    """The value with its limits (name and value, the passed one first) as straight lines; None without two points."""
    shown = _thinned(points, is_below=is_below)
    if sum(one.value is not None for one in shown) < 2:
        return None
    values = [drawn(one.value, unit)[1] for one in shown]
    series = [Series(label, values, "c1")]
    for slot, (words, limit) in zip(("err", "c2", "c5", "c6"), limits, strict=False):
        series.append(Series(words, [drawn(limit, unit)[1]] * len(shown), slot))
    last = next(one for one in reversed(shown) if one.value is not None)
    known = [one.value for one in shown if one.value is not None]
    farthest = min(known) if is_below else max(known)
    first_at, last_at = shown[0].at.astimezone(dt.UTC), shown[-1].at.astimezone(dt.UTC)
    summary = (
        f"{label} from {_title(first_at)} to {_title(last_at)} UTC: {figure(last.value, unit)} at the end,"
        f" {figure(farthest, unit)} at the {'lowest' if is_below else 'highest'}."
    )
    is_long = last_at - first_at > 2 * DAY
    return Drawing(
        [_label(one.at, is_long=is_long) for one in shown],
        [_title(one.at) for one in shown],
        series,
        summary,
        drawn(None, unit)[0],
    )


def _thinned(points: Sequence[Point], *, is_below: bool) -> list[Point]:
    """At most MOST_COLUMNS points, of each stretch the one farthest in the rule's direction."""
    if len(points) <= MOST_COLUMNS:
        return list(points)
    cuts = [round(n * len(points) / MOST_COLUMNS) for n in range(MOST_COLUMNS + 1)]
    pick = min if is_below else max
    found = []
    for start, end in pairwise(cuts):
        part = [one for one in points[start:end] if one.value is not None]
        found.append(pick(part, key=_value) if part else points[start])
    return found


def _value(point: Point) -> Decimal:
    return Decimal(0) if point.value is None else point.value


def _label(at: dt.datetime, *, is_long: bool) -> str:
    at = at.astimezone(dt.UTC)
    return f"{at:%b} {at.day}" if is_long else f"{at:%H:%M}"


def _title(at: dt.datetime) -> str:
    return bin_label(at.astimezone(dt.UTC), "hour")


def per_bin(
    counts: Mapping[tuple[dt.datetime, str], int], period: TimeRange, link: Any
) -> Drawing | None:
    """How many incidents began in each bin of the period, by severity; None with none. `link(range)` is where a bar
    leads."""
    if not counts:
        return None
    starts = period.bins()
    shown = sorted({one for _, one in counts}, key=lambda one: -SEVERITY_RANK.get(one, 0))
    series = [
        Series(
            str(Severity(one).label),
            [counts.get((at, one), 0) for at in starts],
            _SLOTS[Severity(one)],
        )
        for one in shown
    ]
    total = sum(counts.values())
    said = "1 incident" if total == 1 else f"{formats.count(total)} incidents"
    return Drawing(
        [_bin(at, period, is_first=n == 0) for n, at in enumerate(starts)],
        [bin_label(at, period.bin) for at in starts],
        series,
        f"{said} in this time, by {period.bin} of UTC.",
        hrefs=[link(f"{instant(one.start)}..{instant(one.end)}") for one in map(period.bin_range, starts)],
    )  # fmt: skip


def _bin(at: dt.datetime, period: TimeRange, *, is_first: bool) -> str:
    if period.bin == "hour":
        return f"{at:%H}"
    return f"{at:%b} {at.day}" if is_first or at.day == 1 or period.bin == "week" else str(at.day)
