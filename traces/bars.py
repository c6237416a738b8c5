"""Where a waterfall's bars and ticks stand, in percent of the lane. Pure, as the layout is."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from traces.idle import FoldedAxis
from traces.phases import Phase
from traces.waterfall import Extent, Row

Scale = Literal["time", "cost"]
MIN_WIDTH = 0.4  # percent; a step of no duration is still a mark
LABEL_ROOM = 13.0  # percent of the lane that a duration needs
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a row's bar stands, in percent of the lane, and where its label goes."""

    x: float
    width: float
    first_token: float  # percent of the lane, 0 for none
    label_x: float
    label: Literal["in", "after", "before"]


def bar_of(
    row: Row,
    extent: Extent,
    scale: Scale = "time",
    fold: FoldedAxis | None = None,
    *,
    is_split: bool = False,
) -> Bar:
    """Where the bar stands. By time: from start to end, on a folded axis if there is one. By cost: its share of the
    trace's cost, from the left edge. The label of a split bar stands on none of its colours if it can."""
    if scale == "cost":
        amount = row.subtree_cost or _ZERO
        share = float(amount / extent.total_cost) * 100 if extent.total_cost else 0.0
        x, width, first = 0.0, share, 0.0
    elif fold:
        x = fold.percent(row.start_ms)
        width = max(fold.percent(row.start_ms + row.length_ms) - x, MIN_WIDTH)
        first = fold.percent(row.start_ms + min(row.step.first_token_ms or 0.0, row.length_ms)) - x
    else:
        x = (row.start_ms - extent.start_ms) / extent.length_ms * 100
        width = row.length_ms / extent.length_ms * 100
        first = min(row.step.first_token_ms or 0.0, row.length_ms) / extent.length_ms * 100
        width = max(width, MIN_WIDTH)
    x = min(x, 100 - MIN_WIDTH)
    width = min(width, 100 - x)
    end = x + width
    fits_beside = end + LABEL_ROOM <= 100 or x >= LABEL_ROOM
    if width >= LABEL_ROOM and not (is_split and fits_beside):
        return Bar(x, width, first, end, "in")
    if end + LABEL_ROOM <= 100:
        return Bar(x, width, first, end, "after")
    return Bar(x, width, first, x, "before")


def phase_bars(
    row: Row, phases: Sequence[Phase], extent: Extent, fold: FoldedAxis | None = None
) -> list[tuple[Phase, float, float]]:
    """Each phase with x and width, inside the row's bar. The provider's time is the bar itself."""
    found = []
    for phase in phases:
        start = row.start_ms + min(phase.from_ms, row.length_ms)
        end = row.start_ms + min(phase.from_ms + phase.length_ms, row.length_ms)
        if fold:
            x, until = fold.percent(start), fold.percent(end)
        else:
            x = (start - extent.start_ms) / extent.length_ms * 100
            until = (end - extent.start_ms) / extent.length_ms * 100
        if phase.name != "provider" and until > x:
            found.append((phase, x, until - x))
    return found


def ticks(extent: Extent, *, at_most: int = 7) -> list[tuple[float, float]]:
    """(percent, milliseconds) of round instants on the axis, the first at 0."""
    step = nice_step(extent.length_ms, at_most)
    found: list[tuple[float, float]] = []
    at = 0.0
    while at <= extent.length_ms * 0.97 and len(found) < at_most + 2:
        found.append((at / extent.length_ms * 100, at))
        at += step
    return found


def nice_step(length_ms: float, at_most: int) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ milliseconds (and round minutes and hours) that gives at most `at_most` steps."""
    raw = length_ms / at_most
    if raw > 30_000:
        for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440):
            if minutes * 60_000 >= raw:
                return minutes * 60_000.0
    magnitude = 1.0
    while magnitude * 10 <= raw:
        magnitude *= 10
    while magnitude > raw:
        magnitude /= 10
    return next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= raw)
