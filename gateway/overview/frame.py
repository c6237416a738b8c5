"""What an address asks of the overview, and the time axis of its chart (pure)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import DomainError
from core.ranges import BIN_STEP, TimeRange, bin_label, instant, parse_range
from costs.frames import Frame, frame_for
from gateway.requests.lists import RANGE

MEASURES = {"calls": "Calls", "tokens": "Tokens", "usd": "Cost", "errors": "Went wrong"}
MINUTE = dt.timedelta(minutes=1)
# Of ranges too short for hours: how long a bar is, up to which length.
_SHORT = ((30, 1), (90, 2), (240, 5), (720, 15))


@dataclass(frozen=True)
class Asked:
    """The time, and what the chart shows of it."""

    range: TimeRange
    show: str = "calls"


def read_asked(query: Mapping[str, Any], *, now: dt.datetime) -> Asked:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    show = str(query.get("show", "")) or "calls"
    if show not in MEASURES:
        said = f"show is {show[:40]!r}; it must be one of {', '.join(MEASURES)}."
        raise DomainError(said, fields=["show"])
    return Asked(parse_range(str(query.get("range", "")), now=now, default=RANGE), show)


def step_of(period: TimeRange) -> dt.timedelta:
    """How long a bar is."""
    minutes = period.duration / MINUTE
    short = next((step for most, step in _SHORT if minutes <= most), None)
    return short * MINUTE if short else BIN_STEP[period.bin]


def axis_of(period: TimeRange) -> Frame:
    """The bars of a range, whole ones: the first begins where the range does or before."""
    step = step_of(period)
    if step in BIN_STEP.values():
        return frame_for(period, period.bin)
    at = period.start.astimezone(dt.UTC).replace(second=0, microsecond=0)
    at -= (at.minute % (step // MINUTE)) * MINUTE
    bins = []
    while at < period.end:
        bins.append(at)
        at += step
    spans = [TimeRange(max(one, period.start), min(one + step, period.end), "") for one in bins]
    return Frame(
        period,
        bins,
        [f"{one:%H:%M}" for one in bins],
        0,
        [bin_label(one, "hour") for one in bins],
        spans,
        " ".join(instant(one) for one in [*bins, at]),
    )
