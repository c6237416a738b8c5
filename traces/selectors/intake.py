"""What the doors were sent in a range and what became of it, from the tallies: sent = stored + updated + duplicate +
rejected. One query for everything a page or an answer shows, one more for when anything last came."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from core.ranges import DAY, HOUR, TimeRange
from projects.models import Project
from traces.ingest import tally
from traces.models import IngestTally, Outcome

OUTCOMES = tuple(outcome.value for outcome in Outcome)
MAX_BINS = 90
_MINUTE = dt.timedelta(minutes=1)
_STEPS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY)
_ORIGIN = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)  # a Monday
_SUMS = """
SELECT date_bin(%s, minute, %s) AS bin, door, dialect, outcome, reason, sum(items)::bigint, sum(batches)::bigint,
  max(minute)
FROM traces_ingesttally
WHERE project_id = %s AND minute >= %s AND minute < %s AND (%s = '' OR door = %s)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Items of one bin, door, dialect, outcome and reason."""

    start: dt.datetime
    door: str
    dialect: str
    outcome: str
    reason: str
    items: int
    batches: int
    last_at: dt.datetime


@dataclass(slots=True)
class Source:
    """What came through one door in one dialect."""

    door: str
    dialect: str
    counts: Counter[str] = field(default_factory=Counter)
    last_at: dt.datetime | None = None

    @property
    def sent(self) -> int:
        return sum(self.counts.values())


@dataclass(slots=True)
class Refusal:
    """One reason: refused items, and requests refused as a whole, whose items nobody counted."""

    reason: str
    items: int = 0
    requests: int = 0
    last_at: dt.datetime | None = None
    doors: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Health:
    """A range of the tallies."""

    range: TimeRange
    door: str
    step: dt.timedelta
    starts: list[dt.datetime]
    lines: list[Line]
    last_at: dt.datetime | None

    @property
    def counts(self) -> dict[str, int]:
        """Items by outcome; all of them, also those that are 0."""
        found = Counter(dict.fromkeys(OUTCOMES, 0))
        for line in self.lines:
            found[line.outcome] += line.items
        return dict(found)

    @property
    def sent(self) -> int:
        return sum(line.items for line in self.lines)

    def series(self, outcome: str) -> list[int]:
        """Items of an outcome per bin."""
        found: Counter[dt.datetime] = Counter()
        for line in self.lines:
            if line.outcome == outcome:
                found[line.start] += line.items
        return [found[start] for start in self.starts]

    def sources(self) -> list[Source]:
        """By door and dialect, the busiest first."""
        found: dict[tuple[str, str], Source] = {}
        for line in self.lines:
            source = found.setdefault((line.door, line.dialect), Source(line.door, line.dialect))
            source.counts[line.outcome] += line.items
            source.last_at = max(source.last_at or line.last_at, line.last_at)
        return sorted(found.values(), key=lambda one: (-one.sent, one.door, one.dialect))

    def refusals(self) -> list[Refusal]:
        """By reason, the most frequent first."""
        found: dict[str, Refusal] = {}
        for line in self.lines:
            if line.outcome == Outcome.REJECTED:
                refusal = found.setdefault(line.reason, Refusal(line.reason))
                refusal.items += line.items
                refusal.requests += line.batches
                refusal.last_at = max(refusal.last_at or line.last_at, line.last_at)
                refusal.doors.add(line.door)
        return sorted(found.values(), key=lambda one: (-one.items, -one.requests, one.reason))


def ingestion_health(
    project: Project, period: TimeRange, *, now: dt.datetime, door: str = ""
) -> Health:
    """The range's sums in at most 90 bins. Minutes older than two days are hours: such a range is widened to these."""
    is_old = period.start < now - tally.KEEP_MINUTES
    least = HOUR if is_old else _MINUTE
    step = next(
        (s for s in _STEPS if s >= least and period.duration / s <= MAX_BINS - 1), _STEPS[-1]
    )
    cut = HOUR if is_old else _MINUTE
    start, end = (
        _floor(period.start, cut),
        _floor(period.end - dt.timedelta(microseconds=1), cut) + cut,
    )
    with connection.cursor() as cursor:
        params: list[Any] = [step, _ORIGIN, project.pk, start, end, door, door]
        cursor.execute(_SUMS, params)
        lines = [Line(*row) for row in cursor.fetchall()]
    starts, at = [], _floor(start, step)
    while at < end:
        starts.append(at)
        at += step
    return Health(period, door, step, starts, lines, last_received(project))


def last_received(project: Project) -> dt.datetime | None:
    """The minute in which anything last came through a door. One query by the key."""
    rows = IngestTally.objects.filter(project=project).order_by("-minute")
    return rows.values_list("minute", flat=True).first()


def _floor(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return at - (at - _ORIGIN) % step
