"""Bounded reads for tables and the API: the top groups, and spend or ledger pages by keyset."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Trunc

from core.ranges import Bin, TimeRange
from costs.filters import SpendFilters
from costs.models import CostAggregate, CostRecord
from costs.selectors.spend import Group, aggregate_rows, column_of, within
from costs.selectors.sums import FIELDS, SUM_EXPRESSIONS, Sums, sums_from
from projects.access import parse_uuid


@dataclass(frozen=True)
class SpendLine:
    """One line of a spend page. `at` is None for the whole range, `value` None without a grouping."""

    at: dt.datetime | None
    value: str | None
    sums: Sums

    @property
    def cursor(self) -> list[str]:
        """Where the next page begins: after this line."""
        first = self.at.isoformat() if self.at else f"{self.sums.cost_usd:f}"
        return [first, self.value or ""]


@dataclass(frozen=True)
class ModelUsage:
    """What a model did in a range; the times are the first and last hour it was called in."""

    provider: str
    model: str
    sums: Sums
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime


def top_groups(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    group_by: str,
    *,
    previous: TimeRange | None,
    limit: int,
) -> list[Group]:
    """The dearest groups of the range with the period before, cut in the database: any number of users. One query."""
    now = within(period)
    expressions = {f"sum_{name}": Sum(name, filter=now) for name in FIELDS}
    past = within(previous) if previous else now
    if previous:
        expressions |= {f"past_{name}": Sum(name, filter=past) for name in FIELDS}
    rows = (
        aggregate_rows(project_id, filters, (group_by,))
        .filter(now | past if previous else now)
        .values(column_of(group_by))
        .annotate(**expressions)
        .filter(sum_calls__gt=0)
        .order_by("-sum_cost_usd", "-sum_calls", column_of(group_by))[:limit]
    )
    return [
        Group(
            (row[column_of(group_by)],),
            sums_from(row),
            sums_from({f"sum_{name}": row.get(f"past_{name}") for name in FIELDS}),
        )
        for row in rows
    ]


def spend_page(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    *,
    group_by: str,
    size: Bin | None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[SpendLine]:
    """Up to `limit` lines after a cursor: by time and value, or (whole range) dearest first. One query.

    `after` must come from SpendLine.cursor: a time (or an amount, without bins) and a value.
    """
    rows = aggregate_rows(project_id, filters, (group_by,) if group_by else ()).filter(
        within(period)
    )
    names = [column_of(group_by)] if group_by else []
    if not size and not names:
        return _one_line(rows, after)
    if size:
        rows = rows.annotate(bin=Trunc("hour", size, tzinfo=dt.UTC))
    found = (
        rows.values(*(["bin"] if size else []), *names)
        .annotate(**SUM_EXPRESSIONS)
        .filter(sum_calls__gt=0)
    )
    if after is not None:
        found = found.filter(_after(after, size, names))
    found = found.order_by(*(["bin"] if size else ["-sum_cost_usd"]), *names)[:limit]
    return [
        SpendLine(row["bin"] if size else None, row[names[0]] if names else None, sums_from(row))
        for row in found
    ]


def _one_line(rows: QuerySet[CostAggregate], after: tuple[str, str] | None) -> list[SpendLine]:
    """The whole range as one line, and nothing after it: without a column to group by, Django would group by row."""
    sums = sums_from(rows.aggregate(**SUM_EXPRESSIONS))
    return [SpendLine(None, None, sums)] if sums.calls and after is None else []


def _after(after: tuple[str, str], size: Bin | None, names: list[str]) -> Q:
    first, value = after
    if size:
        at = dt.datetime.fromisoformat(first)
        beyond, same = Q(bin__gt=at), Q(bin=at)
    else:
        amount = Decimal(first)
        beyond, same = Q(sum_cost_usd__lt=amount), Q(sum_cost_usd=amount)
    return beyond | (same & Q(**{f"{names[0]}__gt": value})) if names else beyond


def model_usage(project_id: UUID, period: TimeRange, filters: SpendFilters) -> list[ModelUsage]:
    """Every provider and model called in the range, dearest first. One query."""
    rows = (
        aggregate_rows(project_id, filters)
        .filter(within(period))
        .values("provider", "model")
        .annotate(**SUM_EXPRESSIONS, first=Min("hour"), last=Max("hour"))
    )
    used = [
        ModelUsage(row["provider"], row["model"], sums_from(row), row["first"], row["last"])
        for row in rows
    ]
    used = [one for one in used if one.sums.calls]
    return sorted(
        used, key=lambda one: (-one.sums.cost_usd, -one.sums.calls, one.provider, one.model)
    )


def ledger_page(
    project_id: UUID,
    period: TimeRange,
    filters: SpendFilters,
    *,
    trace_id: str = "",
    price_status: str = "",
    after: tuple[dt.datetime, UUID] | None = None,
    limit: int,
) -> list[CostRecord]:
    """Raw records, newest first, inside the range (so partitions are pruned). One query."""
    rows = CostRecord.objects.filter(
        project_id=project_id, occurred_at__gte=period.start, occurred_at__lt=period.end
    )
    for name, values in filters.rows.items():
        rows = rows.filter(**{f"{name}__in": values})
    if filters.extra:
        rows = rows.filter(_extra(filters))
    if trace_id:
        rows = rows.filter(trace_id=trace_id)
    if price_status:
        rows = rows.filter(price_status=price_status)
    if after is not None:
        at, pk = after
        rows = rows.filter(occurred_at__lte=at).filter(
            Q(occurred_at__lt=at) | Q(occurred_at=at, id__lt=pk)
        )
    return list(rows.order_by("-occurred_at", "-id")[:limit])


def _extra(filters: SpendFilters) -> Q:
    """An extra dimension on the ledger's own columns."""
    if filters.extra == "tag":
        return Q(tags__overlap=list(filters.values))
    if filters.extra == "api_key":
        return Q(api_key_id__in=[uid for value in filters.values if (uid := parse_uuid(value))])
    column = {"user": "user_id"}.get(filters.extra, filters.extra)
    return Q(**{f"{column}__in": filters.values})
