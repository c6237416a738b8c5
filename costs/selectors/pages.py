"""Bounded reads for the API: models in use, and spend or ledger pages by keyset."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q

from core.ranges import Bin, TimeRange
from costs.filters import SpendFilters
from costs.models import CostRecord, Dimension
from costs.selectors.source import Question, fetch, source, sums_sql
from costs.selectors.spend import spend_total
from costs.selectors.sums import Sums, sums_of
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
    if not size and not group_by:  # the whole range is one line, and nothing comes after it
        total = spend_total(project_id, period, filters).current
        return [SpendLine(None, None, total)] if total.calls and after is None else []
    group = (group_by,) if group_by else ()
    rows, params = source(Question(project_id, period, filters, group, size=size))
    names = [*(["bin"] if size else []), *(["g0"] if group_by else [])]
    having, more = _after(after, has_bins=size is not None, has_groups=bool(group_by))
    order = ", ".join([] if size else ["sum(cost_usd) DESC"]) or "bin"
    sql = f"""SELECT {", ".join(names)}, {sums_sql()} FROM {rows} GROUP BY {", ".join(names)}
      HAVING sum(calls) > 0{having} ORDER BY {order}{", g0" if group_by else ""} LIMIT %s"""  # noqa: S608
    return [
        SpendLine(
            row[0] if size else None,
            row[len(names) - 1] if group_by else None,
            sums_of(row[len(names) :]),
        )
        for row in fetch(sql, [*params, *more, limit])
    ]


def _after(
    after: tuple[str, str] | None, *, has_bins: bool, has_groups: bool
) -> tuple[str, list[Any]]:
    """What comes after a cursor: by bin then value, or by falling amount then value."""
    if after is None:
        return "", []
    first, value = after
    if has_bins:
        at = dt.datetime.fromisoformat(first)
        return (" AND (bin, g0) > (%s, %s)", [at, value]) if has_groups else (" AND bin > %s", [at])
    amount = Decimal(first)
    return (
        " AND (sum(cost_usd) < %s OR (sum(cost_usd) = %s AND g0 > %s))",
        [amount, amount, value],
    )


def model_usage(project_id: UUID, period: TimeRange, filters: SpendFilters) -> list[ModelUsage]:
    """Every provider and model called in the range, dearest first. Two queries: sums with the first and the last day of
    each, and the hours in those days."""
    rows, params = source(Question(project_id, period, filters, ("provider", "model"), size="day"))
    sql = f"""SELECT g0, g1, min(bin), max(bin), {sums_sql()} FROM {rows} GROUP BY g0, g1
      HAVING sum(calls) > 0 ORDER BY sum(cost_usd) DESC, sum(calls) DESC, g0, g1"""  # noqa: S608
    found = fetch(sql, params)
    hours = _hours(project_id, period, filters, {day for row in found for day in row[2:4]})
    used = []
    for provider, model, first, last, *sums in found:
        days = hours.get((provider, model), {})
        # A writer between the two queries may have taken an hour away.
        start, end = days.get(first, (first, first))[0], days.get(last, (last, last))[1]
        used.append(ModelUsage(provider, model, sums_of(sums), start, end))
    return used


_HOURS = """
SELECT a.provider, a.model, d.day, min(a.hour), max(a.hour) FROM unnest(%s::timestamptz[]) d(day)
JOIN costs_costaggregate a ON a.project_id = %s AND a.dimension = %s AND a.hour >= d.day
  AND a.hour < d.day + interval '1 day' AND a.hour >= %s AND a.hour < %s AND a.calls > 0
WHERE (%s OR a.value = ANY(%s)) GROUP BY 1, 2, 3
"""


def _hours(
    project_id: UUID, period: TimeRange, filters: SpendFilters, days: set[dt.datetime]
) -> dict[tuple[str, str], dict[dt.datetime, tuple[dt.datetime, dt.datetime]]]:
    """The first and last hour of each provider and model on some days. One query, none without days."""
    found: dict[tuple[str, str], dict[dt.datetime, tuple[dt.datetime, dt.datetime]]] = {}
    if days:
        asked = [sorted(days), project_id, filters.extra or Dimension.ALL, period.start, period.end]
        values = list(filters.values)
        for provider, model, day, *ends in fetch(_HOURS, [*asked, not values, values]):
            found.setdefault((provider, model), {})[day] = (ends[0], ends[1])
    return found


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
