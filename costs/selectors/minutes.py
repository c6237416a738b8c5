"""Sums of any windows of time: minutes at their ends, hours and days between. Any number of them in one query."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any
from uuid import UUID

from core.ranges import DAY, ceil_hour, floor
from costs import minutes
from costs.histogram import merge
from costs.models import BY_FIELDS, Dimension, MinuteDimension, MinuteRoll, ProjectUsage
from costs.selectors.source import counts_from, fetch
from costs.selectors.sums import Sums, sums_of


@dataclass(frozen=True)
class Scope:
    """Which calls of a project; empty: any. At most one of user and tag."""

    project_id: UUID
    provider: str = ""
    model: str = ""
    environment: str = ""
    agent: str = ""
    user: str = ""
    tag: str = ""

    @property
    def dimension(self) -> str:
        return "user" if self.user else "tag" if self.tag else Dimension.ALL.value

    @property
    def value(self) -> str:
        return self.user or self.tag

    @property
    def has_fields(self) -> bool:
        return bool(self.provider or self.model or self.environment or self.agent)


@dataclass(frozen=True)
class Covered:
    """What can be read of a project by the minute: from `since` (a watched value: from its own) to before `until`."""

    since: dt.datetime | None
    until: dt.datetime
    watched: dict[tuple[str, str], dt.datetime] = field(default_factory=dict)
    arrived_since: dt.datetime | None = None
    # Nothing was ever recorded: every window is known, and empty.
    is_unused: bool = False

    def since_of(self, scope: Scope) -> dt.datetime | None:
        if self.is_unused:
            return dt.datetime.min.replace(tzinfo=dt.UTC)
        if scope.value:
            return self.watched.get((scope.dimension, scope.value))
        return self.since


@dataclass(frozen=True)
class Segment:
    """One stretch of a window, read from one table."""

    scope: Scope
    dimension: str
    start: dt.datetime
    end: dt.datetime
    size: str


@dataclass(frozen=True)
class Window:
    """What is known of the calls of a window. `start` is later than asked for where no minutes reach so far back."""

    start: dt.datetime
    end: dt.datetime
    sums: Sums = field(default_factory=Sums)
    latency: Sequence[int] = ()
    lag_seconds: float = 0.0

    def __add__(self, other: "Window") -> "Window":
        return Window(
            max(self.start, other.start),
            min(self.end, other.end),
            self.sums + other.sums,
            merge(self.latency, other.latency) if self.latency or other.latency else (),
            self.lag_seconds + other.lag_seconds,
        )


def coverage(project_ids: Iterable[UUID], *, end: dt.datetime) -> dict[UUID, Covered]:
    """What of each project can be read by the minute, up to `end`. Two queries."""
    ids = sorted(set(project_ids))
    rolls = MinuteRoll.objects.in_bulk(ids)
    usage = ProjectUsage.objects.filter(project_id__in=ids, last_activity_at__isnull=False)
    last = dict(usage.values_list("project_id", "last_activity_at"))
    found = {}
    for project_id in ids:
        roll, used = rolls.get(project_id), last.get(project_id)
        if used is None:
            found[project_id] = Covered(None, end, is_unused=True)
        elif roll is None:
            found[project_id] = Covered(None, end)
        else:
            since, watched = minutes.coverage_of(roll)
            # Nothing came since the last roll: the minutes after it are empty.
            is_idle = used < roll.rolled_to - minutes.LATE
            until = end if is_idle else min(end, roll.rolled_to)
            found[project_id] = Covered(since, until, watched, roll.arrived_since)
    return found


# Up to two minutes behind is what a roll each minute is.
_ON_TIME = dt.timedelta(minutes=2)
# The first call after the minutes there are, by when it was stored: a project that was quiet is not behind because it
# is called again, nor for calls of long ago that come today.
_WAITING = """
SELECT count(*), min(first.recorded_at) FROM costs_minuteroll r
JOIN costs_projectusage u ON u.project_id = r.project_id AND u.last_activity_at >= r.rolled_to
CROSS JOIN LATERAL (
  SELECT c.recorded_at FROM costs_costrecord c
  WHERE c.project_id = r.project_id AND c.occurred_at >= r.rolled_to AND c.occurred_at >= %s
  ORDER BY c.occurred_at LIMIT 1) first
WHERE r.rolled_to < %s
"""


def waiting_calls(now: dt.datetime) -> tuple[int, dt.datetime | None]:
    """For operators: how many projects have calls of the last day that are not in their minutes, which are two minutes
    behind, and since when the oldest of these is stored. One query."""
    [row] = fetch(_WAITING, [now - DAY, now - _ON_TIME])
    return int(row[0]), row[1]


def segments(
    scope: Scope, start: dt.datetime, end: dt.datetime, since: dt.datetime | None
) -> tuple[list[Segment], dt.datetime] | None:
    """The stretches of [start, end), minute borders, and where they really begin. None: its minutes are not there yet.

    A window whose older end has no minutes begins with its first whole hour instead: rather less than too much.
    """
    first, last = ceil_hour(start), floor(end, "hour")
    if first >= last:
        if since is None or since > start:
            return None
        return [Segment(scope, scope.dimension, start, end, "minute")], start
    if last < end and (since is None or since > last):
        return None
    found = whole_hours(scope, first, last)
    if last < end:
        found.append(Segment(scope, scope.dimension, last, end, "minute"))
    if start < first:
        if since is None or since > start:
            return found, first
        found.append(Segment(scope, scope.dimension, start, first, "minute"))
    return found, start


def whole_hours(
    scope: Scope, start: dt.datetime, end: dt.datetime, *, dimension: str = ""
) -> list[Segment]:
    """[start, end), hour borders: its whole UTC days from the daily sums, its ends from the hourly ones. `dimension`
    is another one than the scope's own."""
    hourly = dimension or scope.dimension
    first, last = floor(start + DAY - dt.timedelta(microseconds=1), "day"), floor(end, "day")
    if first >= last:
        return [Segment(scope, hourly, start, end, "hour")]
    daily = hourly
    if hourly != Dimension.ALL and scope.has_fields:
        daily += BY_FIELDS
    found = [
        Segment(scope, hourly, start, first, "hour"),
        Segment(scope, daily, first, last, "day"),
        Segment(scope, hourly, last, end, "hour"),
    ]
    return [one for one in found if one.start < one.end]


SUMMED = ("calls", "errors", "unpriced_calls", "input_tokens", "output_tokens", "cost_usd")
# The scopes that a query asks about (rows of `scope_row`), with what else it wants to know of each.
ASKED = """unnest(%s::int[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]{types})
  AS q(place, project_id, dimension, value, provider, model, environment, agent{names})"""
SAME_FIELDS = """(q.provider = '' OR a.provider = q.provider) AND (q.model = '' OR a.model = q.model)
    AND (q.environment = '' OR a.environment = q.environment) AND (q.agent = '' OR a.agent = q.agent)"""
ASKED_STRETCHES = ASKED.format(
    types=", %s::timestamptz[], %s::timestamptz[], %s::text[]", names=", start, finish, size"
)
_SAME = f"a.project_id = q.project_id AND a.dimension = q.dimension AND a.value = q.value AND {SAME_FIELDS}"
_SUMS = ", ".join(f"sum(a.{name}) AS {name}" for name in SUMMED)
_COUNTS = "(avg(a.latency_counts))::real[] AS average, count(a.latency_counts) AS histograms"
# Bin by bin through the primary keys, as costs.budgets.sums does.
_BINS = f"""
  SELECT one.* FROM generate_series(q.start, q.finish - interval '1 {{size}}', interval '1 {{size}}') AS at
  CROSS JOIN LATERAL (
    SELECT {_SUMS}, 0::float8 AS lag_seconds{{counts}} FROM {{table}} a
    WHERE a.hour = at AND {_SAME}
  ) one WHERE q.size = '{{size}}' AND one.calls IS NOT NULL
"""  # noqa: S608
_MINUTES = f"""
  SELECT {_SUMS}, sum(a.lag_seconds) AS lag_seconds{{counts}} FROM costs_minutesum a
  WHERE q.size = 'minute' AND a.minute >= q.start AND a.minute < q.finish AND {_SAME}
"""  # noqa: S608
_READ = f"""
SELECT q.place, {", ".join(f"s.{name}" for name in SUMMED)}, s.lag_seconds{{outer}}
FROM {ASKED_STRETCHES}
CROSS JOIN LATERAL ({_MINUTES} UNION ALL {_BINS.format(size="hour", table="costs_costaggregate", counts="{counts}")}
  UNION ALL {_BINS.format(size="day", table="costs_costdailyaggregate", counts="{counts}")}) s
WHERE s.calls IS NOT NULL
"""  # noqa: S608
_PLAIN = _READ.format(counts="", outer="")
_WITH_LATENCY = _READ.format(counts=f", {_COUNTS}", outer=", s.average, s.histograms")


def summed(wanted: Sequence[Sequence[Segment]], *, with_latency: bool = False) -> list[Window]:
    """What the stretches of each window add up to; the same ones are read once. One query, none without windows.

    The windows' own times are those of their stretches.
    """
    places = {one: place for place, one in enumerate(dict.fromkeys(s for w in wanted for s in w))}
    parts: list[list[Any]] = [[] for _ in places]
    if places:
        rows = [row_of(place, one) for one, place in places.items()]
        sql = _WITH_LATENCY if with_latency else _PLAIN
        for place, *values in fetch(sql, [list(column) for column in zip(*rows, strict=True)]):
            parts[place].append(values)
    known = {one: _window(one, parts[place]) for one, place in places.items()}
    return [_joined([known[one] for one in segments]) for segments in wanted]


def scope_row(place: int, scope: Scope, dimension: str) -> tuple[Any, ...]:
    """A scope as ASKED reads it."""
    return (
        place,
        scope.project_id,
        dimension,
        scope.value,
        scope.provider,
        scope.model,
        scope.environment,
        scope.agent,
    )


def row_of(place: int, one: Segment) -> tuple[Any, ...]:
    """A stretch as ASKED_STRETCHES reads it."""
    return (*scope_row(place, one.scope, one.dimension), one.start, one.end, one.size)


def _window(one: Segment, rows: Sequence[Sequence[Any]]) -> Window:
    found = Window(one.start, one.end)
    width = len(SUMMED)
    for values in rows:
        counts = counts_from(*values[width + 1 :]) if len(values) > width + 1 else []
        sums = sums_of(values[:width], SUMMED)
        found += Window(one.start, one.end, sums, counts, values[width] or 0.0)
    return found


def _joined(parts: Sequence[Window]) -> Window:
    start, end = min(one.start for one in parts), max(one.end for one in parts)
    return replace(reduce(add, parts), start=start, end=end)


def arrivals(scope: Scope, start: dt.datetime, end: dt.datetime) -> list[Segment]:
    """The stretch of what was stored in [start, end), whenever it happened."""
    return [Segment(scope, MinuteDimension.ARRIVED, start, end, "minute")]
