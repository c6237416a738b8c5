"""Spend by time and dimension, from daily and hourly sums only: never a raw row, whatever the project's size.

Ranges must lie on hour borders (`TimeRange.whole_hours`). Every amount is exact. A group counts the calls that carry
its value, so groups of `tag` may add up to more than the total, and groups of `user` to less.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from core.ranges import Bin, TimeRange
from costs.filters import ROW_FIELDS, SpendFilters
from costs.histogram import merge, percentile
from costs.selectors.source import (
    COUNTS,
    HISTOGRAMS,
    NOW,
    NOW_COUNTS,
    PAST,
    Question,
    counts_from,
    fetch,
    source,
    sums_sql,
)
from costs.selectors.sums import FIELDS, Sums, sums_of

Key = tuple[str, ...]
PERCENTILES = (0.5, 0.9, 0.95, 0.99)
# What a group must have to be listed, in its own period.
_HAVING = {
    "calls": f"sum(calls){NOW} > 0",
    "attention": f"(sum(unpriced_calls){NOW} > 0 OR sum(errors){NOW} * 100 >= sum(calls){NOW})"
    f" AND sum(calls){NOW} > 0",
}
_ORDER = {
    "spend": f"sum(cost_usd){NOW} DESC, sum(calls){NOW} DESC",
    "calls": f"sum(calls){NOW} DESC, sum(cost_usd){NOW} DESC",
    "errors": f"sum(errors){NOW} DESC, sum(calls){NOW} DESC",
    "attention": f"greatest(sum(unpriced_calls){NOW}, sum(errors){NOW}) DESC, sum(calls){NOW} DESC",
}
_RANKED_BY = ("calls", "errors", "unpriced_calls", "cost_usd")


@dataclass(frozen=True)
class Latency:
    """Percentiles in ms; None when no call said how long it took, or nobody asked."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True)
class Group:
    """One value of what was grouped by (several fields: their values in order), the period before beside it.

    `trend` and `past_trend` hold the sums of the bins that have calls, when bins were asked for.
    """

    key: Key
    current: Sums
    previous: Sums = field(default_factory=Sums)
    latency: Latency = field(default_factory=Latency)
    trend: Mapping[dt.datetime, Sums] = field(default_factory=dict)
    past_trend: Mapping[dt.datetime, Sums] = field(default_factory=dict)

    @property
    def value(self) -> str:
        return self.key[-1]


@dataclass(frozen=True)
class Top:
    """The first groups of many, and how many there are in all."""

    groups: list[Group]
    count: int


@dataclass(frozen=True)
class Cell:
    """One group in one bin of time; the value None is every group that was not singled out."""

    at: dt.datetime
    value: str | None
    sums: Sums
    is_past: bool = False


@dataclass(frozen=True)
class Percentiles:
    """Latencies of one bin: how many calls said theirs, and the percentiles."""

    at: dt.datetime
    calls: int
    latency: Latency


def latency_of(counts: Sequence[int]) -> Latency:
    """The percentiles of a histogram."""
    p50, p90, p95, p99 = (percentile(counts, q) for q in PERCENTILES)
    return Latency(p50, p95, p90, p99)


def spend_total(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    *,
    previous: TimeRange | None = None,
    trend: Bin | None = None,
) -> Group:
    """Everything the filters let through, with latency and the period before. One query."""
    asked = Question(
        project_id, period, filters, previous=previous, size=trend, histogram="latency"
    )
    has_counts = asked.keeps_histogram
    rows, params = source(asked)
    sql = f"SELECT is_past, bin, {sums_sql()}{', ' + COUNTS if has_counts else ''} FROM {rows} GROUP BY 1, 2"  # noqa: S608
    bins: dict[bool, dict[dt.datetime, Sums]] = {False: {}, True: {}}
    totals, histograms = {False: Sums(), True: Sums()}, []
    for is_past, at, *values in fetch(sql, params):
        sums = sums_of(values[: len(FIELDS)])
        totals[is_past] += sums
        if sums.calls:
            bins[is_past][at] = sums
        if has_counts and not is_past:
            histograms.append(counts_from(*values[len(FIELDS) :]))
    return Group(
        (),
        totals[False],
        totals[True],
        latency_of(merge(*histograms)),
        bins[False] if trend else {},
        bins[True] if trend else {},
    )


def ranked_values(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    name: str,
    *,
    limit: int,
    order: str = "spend",
    having: str = "calls",
) -> tuple[tuple[str, ...], int]:
    """The first values of one dimension and how many it has, from as few columns as that takes. One query."""
    asked = Question(project_id, period, filters, (name,), fields=_RANKED_BY)
    rows, params = source(asked)
    sql = f"""SELECT g0, count(*) OVER () FROM {rows} GROUP BY g0 HAVING {_HAVING[having]}
      ORDER BY {_ORDER[order]}, g0 LIMIT %s"""  # noqa: S608
    found = fetch(sql.replace(NOW, ""), [*params, limit])
    return tuple(row[0] for row in found), found[0][1] if found else 0


def top_groups(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    group_by: tuple[str, ...],
    *,
    previous: TimeRange | None = None,
    limit: int,
    order: str = "spend",
    having: str = "calls",
    with_latency: bool = False,
) -> Top:
    """The first groups of the range with the period before, cut in the database: any number of users. One query, two
    for an extra dimension: one to rank its values, one to add up those that are listed.

    Latencies are known where every call is held once: they stay None when the filters or the groups name an extra
    dimension.
    """
    if group_by[0] in ROW_FIELDS:
        asked = Question(
            project_id, period, filters, group_by, previous, histogram="latency" if with_latency else ""
        )  # fmt: skip
        return _top(asked, limit=limit, order=order, having=having)
    values, count = ranked_values(
        project_id, period, filters, group_by[0], limit=limit, order=order, having=having
    )
    if not values:
        return Top([], 0)
    narrowed = SpendFilters(filters.rows, group_by[0], values)
    asked = Question(project_id, period, narrowed, group_by, previous)
    return Top(_top(asked, limit=limit, order=order, having=having).groups, count)


def _top(asked: Question, *, limit: int, order: str, having: str) -> Top:
    has_counts = bool(asked.histogram) and asked.keeps_histogram
    rows, params = source(asked)
    names = ", ".join(f"g{place}" for place in range(len(asked.group_by)))
    sql = f"""
      SELECT {names}, count(*) OVER (), {sums_sql(only=NOW)}, {sums_sql(only=PAST)}
        {", " + NOW_COUNTS if has_counts else ""}
      FROM {rows} GROUP BY {names} HAVING {_HAVING[having]} ORDER BY {_ORDER[order]}, {names} LIMIT %s"""  # noqa: S608
    groups, many = [], 0
    width, first = len(FIELDS), len(asked.group_by) + 1
    for row in fetch(sql, [*params, limit]):
        many = row[first - 1]
        found = counts_from(*row[first + 2 * width :]) if has_counts else []
        groups.append(
            Group(
                tuple(row[: first - 1]),
                sums_of(row[first : first + width]),
                sums_of(row[first + width : first + 2 * width]),
                latency_of(found),
            )
        )
    return Top(groups, many)


def spend_series(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    group_by: tuple[str, ...],
    size: Bin,
    *,
    single_out: tuple[str, ...] | None = None,
    previous: TimeRange | None = None,
    fields: tuple[str, ...] = FIELDS,
) -> list[Cell]:
    """Sums per bin and group (at most one grouping), oldest first; empty bins are absent. One query.

    `fields` are the columns that are read; the others stay 0.
    """
    read = tuple(dict.fromkeys(("calls", *fields)))
    asked = Question(project_id, period, filters, group_by, previous, size, single_out, fields=read)
    rows, params = source(asked)
    names = ", g0" if group_by else ""
    sql = f"""SELECT is_past, bin{names}, {sums_sql(read)} FROM {rows} GROUP BY is_past, bin{names}
      HAVING sum(calls) > 0 ORDER BY is_past, bin{names}"""  # noqa: S608
    return [
        Cell(row[1], row[2] if group_by else None, sums_of(row[-len(read) :], read), row[0])
        for row in fetch(sql, params)
    ]


def trends(
    project_id: UUID, period: TimeRange, filters: SpendFilters, keys: Sequence[Key], size: Bin
) -> dict[Key, dict[dt.datetime, Decimal]]:
    """Spend per bin of some (provider, model) pairs. One query, none without pairs."""
    if not keys:
        return {}
    rows = {
        **filters.rows,
        "provider": tuple(sorted({key[0] for key in keys})),
        "model": tuple(sorted({key[1] for key in keys})),
    }
    narrowed = SpendFilters(rows, filters.extra, filters.values)
    asked = Question(
        project_id, period, narrowed, ("provider", "model"), size=size, fields=("cost_usd",)
    )
    table, params = source(asked)
    sql = f"SELECT g0, g1, bin, sum(cost_usd) FROM {table} GROUP BY 1, 2, 3"  # noqa: S608
    found: dict[Key, dict[dt.datetime, Decimal]] = {key: {} for key in keys}
    for provider, model, at, cost in fetch(sql, params):
        if (provider, model) in found:
            found[provider, model][at] = cost
    return found


def percentile_series(
    project_id: UUID, period: TimeRange, filters: SpendFilters, size: Bin, *, histogram: str
) -> tuple[list[Percentiles], Latency] | None:
    """Percentiles per bin and of the whole range; None when a filter on an extra dimension makes them unknown.

    `histogram` is one of HISTOGRAMS. One query.
    """
    if histogram not in HISTOGRAMS:
        raise ValueError(f"histogram is {histogram!r}; it must be one of {', '.join(HISTOGRAMS)}.")
    asked = Question(project_id, period, filters, size=size, histogram=histogram, fields=("calls",))
    if not asked.keeps_histogram:
        return None
    rows, params = source(asked)
    sql = f"SELECT bin, {COUNTS} FROM {rows} GROUP BY 1 ORDER BY 1"  # noqa: S608
    bins = [(at, counts_from(average, number)) for at, average, number in fetch(sql, params)]
    series = [
        Percentiles(at, sum(counts), latency_of(counts)) for at, counts in bins if any(counts)
    ]
    return series, latency_of(merge(*(counts for _, counts in bins)))


def filter_options(
    project_id: UUID, period: TimeRange, *, limit: int = 30
) -> dict[str, list[tuple[str, int]]]:
    """The values of each row field in the range with their calls, most used first. One query."""
    rows, params = source(
        Question(project_id, period, SpendFilters(), ROW_FIELDS, fields=("calls",))
    )
    sql = f"""
      SELECT field, coalesce(g0, g1, g2, g3), calls FROM (
        SELECT grouping(g0, g1, g2, g3) AS field, g0, g1, g2, g3, sum(calls)::bigint AS calls, row_number() OVER (
          PARTITION BY grouping(g0, g1, g2, g3) ORDER BY sum(calls) DESC, coalesce(g0, g1, g2, g3)) AS place
        FROM {rows} GROUP BY GROUPING SETS ((g0), (g1), (g2), (g3))) AS f
      WHERE place <= %s ORDER BY field, place"""  # noqa: S608
    # grouping() has a bit for each column that is *not* grouped by, the first column the highest.
    field_of = {15 - (8 >> place): name for place, name in enumerate(ROW_FIELDS)}
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in ROW_FIELDS}
    for bits, value, calls in fetch(sql, [*params, limit]):
        found[field_of[bits]].append((value, calls))
    return found
