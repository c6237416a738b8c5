"""What a rule would have done in the last 30 days."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from alerts.evaluate import Firing, replayed, terms_of
from alerts.measures.base import History, Point
from alerts.measures.registry import measure_for
from alerts.models import Alert
from alerts.rules.charts import Drawing, course, days_before
from alerts.rules.words import value_of

DAYS = 30
SHOWN = 20


@dataclass(frozen=True)
class Told:
    """One time it would have fired, in words."""

    at: dt.datetime
    severity: str
    limit: str
    value: str
    resolved_at: dt.datetime | None


@dataclass(frozen=True)
class Preview:
    """`firings` oldest first; `words` say how often it would have fired."""

    alert: Alert
    firings: list[Told]
    words: str
    note: str
    drawing: Drawing
    has_values: bool
    latest: str

    @property
    def newest(self) -> list[Told]:
        return self.firings[::-1][:SHOWN]

    @property
    def hidden(self) -> int:
        return max(0, len(self.firings) - SHOWN)


def preview_of(alert: Alert, now: dt.datetime) -> Preview:
    """A rule, saved or not, held all the time. The queries are those of its measure's `history`.

    Raises DomainError for a kind nobody feeds.
    """
    start = days_before(now, DAYS)
    history = measure_for(alert.kind).history(alert, start, now)
    firings = [_told(alert, one) for one in replay(alert, history, now)]
    known = [one.value for one in history.points if one.value is not None]
    words = words_of(len(firings))
    return Preview(
        alert,
        firings,
        words,
        history.note,
        course(
            alert, history.points, start=start, end=now, summary=words,
            fired=[one.at for one in firings],
        ),
        bool(known),
        value_of(alert, known[-1]) if known else "",
    )  # fmt: skip


def replay(alert: Alert, history: History, now: dt.datetime) -> list[Firing]:
    """What the rule would have done along a course, oldest first; of what is counted per period, anew in each."""
    periods = getattr(measure_for(alert.kind), "period_of", None)
    period_of = periods(alert, now) if periods else None
    terms = terms_of(alert)
    points, samples = lasting(history, {terms.pending, terms.recover})
    return replayed(terms, points, period_of, samples)


def lasting(history: History, holds: Collection[dt.timedelta]) -> tuple[list[Point], list[int]]:
    """A course in which each value lasts as long as it was measured (pure). A bin of an hour that is over the limit was
    so for longer than five minutes: with its end alone, a rule that waits five minutes would never fire."""
    points: list[Point] = []
    samples: list[int] = []
    before: dt.datetime | None = None
    for point, sample in zip_longest(history.points, history.samples):
        for hold in sorted(holds, reverse=True):
            if hold and before is not None and point.at - hold > before:
                points.append(Point(point.at - hold, point.value))
                samples.append(sample)
        points.append(point)
        samples.append(sample)
        before = point.at
    return points, samples if history.samples else []


def words_of(count: int) -> str:
    """`It would have fired 2 times in the last 30 days.`"""
    if not count:
        return f"It would not have fired in the last {DAYS} days."
    times = "once" if count == 1 else f"{count} times"
    return f"It would have fired {times} in the last {DAYS} days."


def _told(alert: Any, one: Firing) -> Told:
    """A firing for lack of data has no level of its own."""
    is_level = one.value is not None and 0 <= one.level < len(alert.levels)
    level = alert.levels[one.level if is_level else 0]
    limit = value_of(alert, Decimal(str(level["limit"]))) if is_level else "No data"
    return Told(one.at, str(level["severity"]), limit, value_of(alert, one.value), one.resolved_at)
