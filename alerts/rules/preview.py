"""What a rule would have done in the last 30 days."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alerts.evaluate import Firing, replayed, terms_of
from alerts.measures.base import History
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
    return replayed(terms_of(alert), history.points, period_of, history.samples)


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
