"""Time in which no leaf of a trace is at work, and an axis that folds it. Pure.

A wrapper spans its children's waiting too, so only steps without steps below them count as work. Folding is offered
when most of the trace is waiting (a person in the loop, a queue, a sleep between polls), and is off until asked for.
"""

from bisect import bisect_right

import msgspec

from core import formats
from traces.waterfall import Extent, Layout

OFFER_FROM = 0.6  # of the whole
MIN_SHARE = 0.02  # shorter pauses are not worth a break in the axis
FOLDED_SHARE = 0.03  # what one pause keeps, of the working time


class Pause(msgspec.Struct, frozen=True):
    """Nobody works from `start_ms` on, for `length_ms`."""

    start_ms: float
    length_ms: float


def pauses(layout: Layout) -> tuple[Pause, ...]:
    """The pauses worth folding, in order."""
    extent = layout.extent
    at = extent.start_ms
    found = []
    leaves = sorted(
        (r.start_ms, r.start_ms + r.length_ms) for r in layout.rows if not r.has_children
    )
    for start, end in [*leaves, (extent.start_ms + extent.length_ms,) * 2]:
        if start - at >= extent.length_ms * MIN_SHARE:
            found.append(Pause(at, start - at))
        at = max(at, end)
    return tuple(found)


def idle_share(extent: Extent, found: tuple[Pause, ...]) -> float:
    """How much of the trace the pauses are."""
    return sum(pause.length_ms for pause in found) / extent.length_ms


def is_offered(layout: Layout, found: tuple[Pause, ...]) -> bool:
    """Whether most of an ended trace is waiting."""
    return idle_share(layout.extent, found) > OFFER_FROM and not layout.is_running


class FoldedAxis:
    """Instants to percent of a lane in which every pause has the same small width."""

    def __init__(self, extent: Extent, found: tuple[Pause, ...]) -> None:
        busy = extent.length_ms - sum(pause.length_ms for pause in found)
        self.kept = max(busy, extent.length_ms * 0.001) * FOLDED_SHARE
        self.pauses = found
        self.starts = [pause.start_ms for pause in found]
        self.origin = extent.start_ms
        self.length = max(busy + self.kept * len(found), 0.001)

    def percent(self, at_ms: float) -> float:
        """Where an instant stands."""
        number = bisect_right(self.starts, at_ms)
        shift = sum(pause.length_ms - self.kept for pause in self.pauses[:number])
        if number:
            last = self.pauses[number - 1]
            if at_ms < last.start_ms + last.length_ms:
                inside = (at_ms - last.start_ms) / last.length_ms
                shift -= last.length_ms - self.kept
                return (
                    (last.start_ms + inside * self.kept - shift - self.origin) / self.length * 100
                )
        return (at_ms - shift - self.origin) / self.length * 100

    def breaks(self) -> list[tuple[float, float, str]]:
        """(from, to, words) of each folded pause, in percent."""
        return [
            (
                self.percent(pause.start_ms),
                self.percent(pause.start_ms + pause.length_ms),
                formats.duration(pause.length_ms),
            )
            for pause in self.pauses
        ]

    def marks(self) -> list[tuple[float, float]]:
        """(percent, milliseconds from the start) where work begins again: what the axis names."""
        found = [] if self.starts and self.starts[0] == self.origin else [(0.0, 0.0)]
        for pause in self.pauses:
            end = pause.start_ms + pause.length_ms
            found.append((self.percent(end), end - self.origin))
        return [mark for mark in found if mark[0] < 97]
