"""How some calls went over time, and what they were made of: for charts of rules and for messages about them."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any

from core.ranges import ceil_hour, floor
from costs.histogram import BUCKETS
from costs.models import Dimension, MinuteDimension
from costs.selectors.minutes import (
    ASKED_STRETCHES,
    SAME_FIELDS,
    SUMMED,
    Scope,
    Segment,
    Window,
    row_of,
    whole_hours,
)
from costs.selectors.source import counts_from, fetch
from costs.selectors.sums import Sums, sums_of

_SUMS = ", ".join(f"sum(a.{name})" for name in SUMMED)
_COUNTS = ", (avg(a.latency_counts))::real[], count(a.latency_counts)"
_FIELDS = "".join(
    f" AND (%s = '' OR a.{name} = %s)" for name in ("provider", "model", "environment", "agent")
)
# What every call is in is read in one stretch; one value of many bin by bin, by the primary key.
_STRETCH = f"""
SELECT a.{{moment}}, {_SUMS}, {{lag}}{{counts}} FROM {{table}} a
WHERE a.project_id = ANY(%s) AND a.dimension = %s AND a.{{moment}} >= %s AND a.{{moment}} < %s AND a.value = %s{_FIELDS}
GROUP BY 1 ORDER BY 1
"""  # noqa: S608
_HOURS_OF_VALUE = f"""
SELECT a.hour, {_SUMS}, 0 FROM unnest(%s::uuid[]) AS p(project_id)
CROSS JOIN generate_series(%s, %s::timestamptz - interval '1 hour', interval '1 hour') AS at
CROSS JOIN LATERAL (SELECT * FROM costs_costaggregate c
  WHERE c.project_id = p.project_id AND c.hour = at AND c.dimension = %s AND c.value = %s) a
WHERE true{_FIELDS} GROUP BY 1 ORDER BY 1
"""  # noqa: S608
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


def by_hour(
    scopes: Sequence[Scope], start: dt.datetime, end: dt.datetime, *, with_latency: bool = False
) -> dict[dt.datetime, Window]:
    """The hours of [start, end) that have calls, of all projects together; scopes differ in their project only. One
    query, none without scopes."""
    if not scopes:
        return {}
    ids, one = [scope.project_id for scope in scopes], scopes[0]
    if one.value:
        params = [ids, start, end, one.dimension, one.value, *_twice(one)]
        return _bins(fetch(_HOURS_OF_VALUE, params), HOUR)
    sql = _STRETCH.format(
        moment="hour", table="costs_costaggregate", lag="0", counts=_COUNTS if with_latency else ""
    )
    return _bins(fetch(sql, [ids, Dimension.ALL, start, end, "", *_twice(one)]), HOUR)


def by_minute(
    scopes: Sequence[Scope],
    start: dt.datetime,
    end: dt.datetime,
    *,
    with_latency: bool = False,
    has_arrived: bool = False,
) -> dict[dt.datetime, Window]:
    """The same by minutes, where they are kept. One query."""
    if not scopes:
        return {}
    one = scopes[0]
    dimension = MinuteDimension.ARRIVED if has_arrived else one.dimension
    sql = _STRETCH.format(
        moment="minute",
        table="costs_minutesum",
        lag="sum(a.lag_seconds)",
        counts=_COUNTS if with_latency else "",
    )
    ids = [scope.project_id for scope in scopes]
    return _bins(fetch(sql, [ids, dimension, start, end, one.value, *_twice(one)]), MINUTE)


def _twice(scope: Scope) -> list[str]:
    values = (scope.provider, scope.model, scope.environment, scope.agent)
    return [value for value in values for _ in range(2)]


def _bins(rows: Sequence[Sequence[Any]], size: dt.timedelta) -> dict[dt.datetime, Window]:
    width = len(SUMMED)
    found = {}
    for at, *values in rows:
        counts = counts_from(*values[width + 1 :]) if len(values) > width + 1 else []
        sums = sums_of(values[:width], SUMMED)
        found[at] = Window(at, at + size, sums, counts, float(values[width] or 0))
    return found


class Course:
    """Windows of any length over bins, each found by two look-ups (pure)."""

    def __init__(self, bins: Mapping[dt.datetime, Window]) -> None:
        self.times = sorted(bins)
        windows = [bins[at] for at in self.times]
        self.sums = list(accumulate((one.sums for one in windows), initial=Sums()))
        self.lags = list(accumulate((one.lag_seconds for one in windows), initial=0.0))
        self.latency: list[list[int]] = []
        if any(one.latency for one in windows):
            total = [0] * BUCKETS
            self.latency.append(total)
            for one in windows:
                total = [a + b for a, b in zip(total, one.latency or [0] * BUCKETS, strict=True)]
                self.latency.append(total)

    def window(self, start: dt.datetime, end: dt.datetime) -> Window:
        """What the bins that begin in [start, end) add up to."""
        first, last = bisect_left(self.times, start), bisect_left(self.times, end)
        latency: list[int] = []
        if self.latency:
            pairs = zip(self.latency[first], self.latency[last], strict=True)
            latency = [after - before for before, after in pairs]
        sums = _minus(self.sums[last], self.sums[first])
        return Window(start, end, sums, latency, self.lags[last] - self.lags[first])


_NAMES = tuple(field.name for field in fields(Sums))


def _minus(a: Sums, b: Sums) -> Sums:
    return Sums(**{name: getattr(a, name) - getattr(b, name) for name in _NAMES})


@dataclass(frozen=True)
class Part:
    """The calls of a window with one value of a column."""

    value: str
    window: Window


_ROWS = f"""
  SELECT a.{{column}} AS part, {{names}} FROM {{table}} a
  WHERE q.size = '{{size}}' AND a.project_id = q.project_id AND a.dimension = q.dimension
    AND a.{{moment}} >= q.start AND a.{{moment}} < q.finish AND (q.value = '' OR a.value = q.value) AND {SAME_FIELDS}
"""  # noqa: S608
_SIZES = (
    ("minute", "minute", "costs_minutesum"),
    ("hour", "hour", "costs_costaggregate"),
    ("day", "hour", "costs_costdailyaggregate"),
)
_PARTS = f"""
SELECT a.part, {_SUMS}{{counts}} FROM {ASKED_STRETCHES} CROSS JOIN LATERAL ({{rows}}) a
GROUP BY 1 HAVING sum(a.calls) > 0 ORDER BY sum(a.{{order}}) DESC, 1 LIMIT %s
"""  # noqa: S608
PART_COLUMNS = ("model", "agent", "value")


def parts_of(
    stretches: Sequence[Segment],
    column: str,
    *,
    order: str,
    limit: int = 20,
    with_latency: bool = False,
) -> list[Part]:
    """What some stretches are made of, by model, agent, or the `value` of their dimension; the most of `order` (one of
    SUMMED) first. One query, none without stretches."""
    if column not in PART_COLUMNS or order not in SUMMED:
        raise ValueError(f"{column!r} or {order!r} is no column of the sums.")
    if not stretches:
        return []
    names = ", ".join(
        f"a.{one}" for one in (*SUMMED, *(["latency_counts"] if with_latency else []))
    )
    rows = " UNION ALL ".join(
        _ROWS.format(column=column, names=names, size=size, moment=moment, table=table)
        for size, moment, table in _SIZES
    )
    counts = _COUNTS if with_latency else ""
    sql = _PARTS.format(counts=counts, rows=rows, order=order)
    params = [list(one) for one in zip(*(row_of(0, one) for one in stretches), strict=True)]
    start, end = min(one.start for one in stretches), max(one.end for one in stretches)
    width = len(SUMMED)
    found = []
    for value, *values in fetch(sql, [*params, limit]):
        latency = counts_from(*values[width:]) if with_latency else []
        found.append(Part(value, Window(start, end, sums_of(values[:width], SUMMED), latency)))
    return found


def stretches_by(scope: Scope, dimension: str, start: dt.datetime, end: dt.datetime) -> list[Segment]:  # fmt: skip
    """The whole hours and days a window touches, of one more dimension (user, feature): finer is not kept. Empty for a
    scope that is about a user or tag already."""
    if scope.value:
        return []
    return whole_hours(scope, floor(start, "hour"), ceil_hour(end), dimension=dimension)
