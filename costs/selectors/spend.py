"""Spend by time and dimension, from hourly sums only: never a raw row, whatever the project's size.

Ranges must lie on hour borders (`TimeRange.whole_hours`). Every amount is exact. A group counts the calls that carry
its value, so groups of `tag` may add up to more than the total, and groups of `user` to less.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    Case,
    DateTimeField,
    FloatField,
    Func,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Trunc
from pgvector.django import VectorField

from core.ranges import Bin, TimeRange
from costs.filters import ROW_FIELDS, SpendFilters
from costs.histogram import BUCKETS, merge, percentile
from costs.models import CostAggregate, Dimension
from costs.selectors.sums import SUM_EXPRESSIONS, Sums, sums_from

Key = tuple[str, ...]


class SumCounts(Aggregate):
    """Adds histograms bucket by bucket."""

    function = "sum"
    output_field = VectorField(dimensions=BUCKETS)


class AsArray(Func):
    """A vector as an array of numbers, however this connection reads vectors."""

    template = "(%(expressions)s)::real[]"
    output_field = ArrayField(FloatField())


@dataclass(frozen=True)
class Latency:
    """Percentiles in ms; None when no call said how long it took, or nobody asked."""

    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class Group:
    """One value of what was grouped by (several fields: their values in order), the period before beside it.

    `trend` holds the sums of the bins that have calls, when bins were asked for.
    """

    key: Key
    current: Sums
    previous: Sums = field(default_factory=Sums)
    latency: Latency = field(default_factory=Latency)
    trend: Mapping[dt.datetime, Sums] = field(default_factory=dict)

    @property
    def value(self) -> str:
        return self.key[-1]


@dataclass(frozen=True)
class Cell:
    """One group in one bin of time."""

    at: dt.datetime
    key: Key
    sums: Sums

    @property
    def value(self) -> str:
        return self.key[-1]


def spend_total(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    *,
    previous: TimeRange | None = None,
    trend: Bin | None = None,
) -> Group:
    """Everything the filters let through, with latency and the period before. One query."""
    groups = spend_groups(
        project_id,
        period,
        filters,
        (),
        previous=previous,
        trend=trend,
        with_latency=True,
        keep_past=True,
    )
    return groups[0] if groups else Group((), Sums())


def spend_groups(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    group_by: tuple[str, ...],
    *,
    previous: TimeRange | None = None,
    trend: Bin | None = None,
    with_latency: bool = False,
    keep_past: bool = False,
) -> list[Group]:
    """One row per value, dearest first (then most calls, then name). One query.

    Values seen only in the period before are left out unless `keep_past`. Latencies are known where every call is held
    once: they stay None when the filters or the groups name an extra dimension.
    """
    names = tuple(column_of(name) for name in group_by)
    has_latency = with_latency and not filters.extra and set(group_by) <= set(ROW_FIELDS)
    rows = aggregate_rows(project_id, filters, group_by).filter(
        within(period) | within(previous or period)
    )
    rows = (
        rows.annotate(bin=_current_bin(period, trend))
        .values("bin", *names)
        .annotate(**SUM_EXPRESSIONS)
    )
    if has_latency:
        rows = rows.annotate(
            counts=AsArray(SumCounts("latency_counts", filter=Q(hour__gte=period.start)))
        )
    drafts: dict[Key, _Draft] = {}
    for row in rows:
        draft = drafts.setdefault(tuple(row[name] for name in names), _Draft())
        draft.add(row["bin"], sums_from(row), row["counts"] if has_latency else None)
    groups = [draft.group(key, has_trend=trend is not None) for key, draft in drafts.items()]
    kept = [
        group for group in groups if group.current.calls or (keep_past and group.previous.calls)
    ]
    return sorted(
        kept, key=lambda group: (-group.current.cost_usd, -group.current.calls, group.key)
    )


class _Draft:
    """A group while its rows come in: one per bin, and one without a bin for the period before."""

    def __init__(self) -> None:
        self.bins: dict[dt.datetime, Sums] = {}
        self.previous = Sums()
        self.counts: list[list[int]] = []

    def add(self, at: dt.datetime | None, sums: Sums, counts: list[int] | None) -> None:
        if at is None:
            self.previous += sums
            return
        # Inside a CASE the database answers without a zone; it is UTC.
        self.bins[at if at.tzinfo else at.replace(tzinfo=dt.UTC)] = sums
        if counts:
            self.counts.append([round(count) for count in counts])

    def group(self, key: Key, *, has_trend: bool) -> Group:
        current = Sums()
        for sums in self.bins.values():
            current += sums
        counts = merge(*self.counts)
        latency = Latency(percentile(counts, 0.5), percentile(counts, 0.95))
        return Group(key, current, self.previous, latency, self.bins if has_trend else {})


def spend_series(
    project_id: UUID, period: TimeRange, filters: SpendFilters, group_by: tuple[str, ...], size: Bin
) -> list[Cell]:
    """Sums per bin and group, oldest first; empty bins are absent. One query."""
    names = tuple(column_of(name) for name in group_by)
    rows = (
        aggregate_rows(project_id, filters, group_by)
        .filter(within(period))
        .annotate(bin=Trunc("hour", size, tzinfo=dt.UTC))
        .values("bin", *names)
        .annotate(**SUM_EXPRESSIONS)
        .order_by("bin", *names)
    )
    return [
        Cell(row["bin"], tuple(row[name] for name in names), sums_from(row))
        for row in rows
        if row["sum_calls"]
    ]


def filter_options(
    project_id: UUID, period: TimeRange, *, limit: int = 30
) -> dict[str, list[tuple[str, int]]]:
    """The values of each row field in the range with their calls, most used first. One query."""
    rows = (
        CostAggregate.objects.filter(within(period), project_id=project_id, dimension=Dimension.ALL)
        .values_list(*ROW_FIELDS)
        .annotate(sum_calls=Sum("calls"))
    )
    found: dict[str, dict[str, int]] = {name: {} for name in ROW_FIELDS}
    for *values, calls in rows:
        for name, value in zip(ROW_FIELDS, values, strict=True):
            found[name][value] = found[name].get(value, 0) + calls
    return {
        name: sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
        for name, counts in found.items()
    }


def column_of(name: str) -> str:
    """The column that holds a dimension's value."""
    return name if name in ROW_FIELDS else "value"


def aggregate_rows(
    project_id: UUID, filters: SpendFilters, group_by: Key = ()
) -> QuerySet[CostAggregate]:
    """The aggregate rows of one dimension that pass the filters."""
    extra = next((name for name in group_by if name not in ROW_FIELDS), filters.extra)
    rows = CostAggregate.objects.filter(project_id=project_id, dimension=extra or Dimension.ALL)
    for name, values in filters.rows.items():
        rows = rows.filter(**{f"{name}__in": values})
    return rows.filter(value__in=filters.values) if filters.values else rows


def within(period: TimeRange) -> Q:
    """Hours of the range."""
    return Q(hour__gte=period.start, hour__lt=period.end)


def _current_bin(period: TimeRange, trend: Bin | None) -> Case:
    """The bin of a row of the range (its start, when bins were not asked for); NULL for the period before."""
    bin_: Trunc | Value = Trunc("hour", trend, tzinfo=dt.UTC) if trend else Value(period.start)
    return Case(When(hour__gte=period.start, then=bin_), output_field=DateTimeField(null=True))
