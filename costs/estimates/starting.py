"""Workloads taken from real traffic: a feature, an agent, a model or a whole project of the last 30 days, or one trace.

What a call has on average becomes whole tokens; the share of each model becomes calls per task.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum

from core.errors import NotFoundError
from core.ranges import DAY, TimeRange, make_range
from costs.estimates.workload import HUNDRED, MAX_PARTS, Part, Workload
from costs.filters import SpendFilters
from costs.models import CostRecord
from costs.selectors import spend
from costs.selectors.sums import Sums

DAYS = 30
KINDS = {
    "project": "Whole project",
    "feature": "Feature",
    "agent": "Agent",
    "model": "Model",
}
_CALLS = Decimal("0.000001")
_PERCENT = Decimal("0.01")
_SUMMED = (
    "calls", "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where a plan came from, with what it really cost, to hold the estimate against."""

    label: str
    workload: Workload
    tasks: int
    recorded_usd: Decimal | None
    # Models beyond the form's rows: their calls, left out of the plan.
    left_out: int = 0


@dataclass(frozen=True)
class Offer:
    """Something a plan could start from."""

    kind: str
    value: str
    calls: int


def period_of(now: dt.datetime) -> TimeRange:
    """The last 30 days, today included; whole UTC days, so that daily sums answer."""
    end = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    return make_range(end - DAYS * DAY, end)


def offers(project_id: UUID, *, now: dt.datetime, limit: int = 6) -> list[Offer]:
    """The features and agents with the most calls. Two queries."""
    found = []
    for kind in ("feature", "agent"):
        top = spend.top_groups(
            project_id, period_of(now), SpendFilters(), (kind,), limit=limit, order="calls"
        )
        found += [
            Offer(kind, group.value, group.current.calls) for group in top.groups if group.value
        ]
    return sorted(found, key=lambda one: (-one.calls, one.kind, one.value))[:limit]


def from_traffic(project_id: UUID, *, kind: str, value: str, now: dt.datetime) -> Origin:
    """The calls of a feature, agent, model or project: one task is one call. One query.

    Raises NotFoundError when nothing of the kind was called in the last 30 days.
    """
    top = spend.top_groups(
        project_id,
        period_of(now),
        _filters(kind, value),
        ("provider", "model"),
        limit=MAX_PARTS + 1,
        order="calls",
    )
    groups = [(f"{group.key[0]}/{group.key[1]}", group.current) for group in top.groups]
    calls = sum(sums.calls for _, sums in groups)
    if not calls:
        name = KINDS[kind] if kind == "project" else f"{KINDS[kind]} {value}"
        raise NotFoundError(f"{name} had no calls in the last {DAYS} days to start from.")
    shown = groups[:MAX_PARTS]
    parts = tuple(_part(name, sums, Decimal(sums.calls) / calls) for name, sums in shown)
    total = sum((sums for _, sums in shown), Sums())
    label = KINDS[kind] if kind == "project" else f"{KINDS[kind].lower()} {value}"
    return Origin(
        f"{label}, last {DAYS} days",
        Workload(tasks=calls, parts=parts),
        calls,
        None if total.unpriced_calls else total.cost_usd,
        calls - total.calls,
    )


def _filters(kind: str, value: str) -> SpendFilters:
    if kind == "project":
        return SpendFilters()
    if kind == "feature":
        return SpendFilters(extra="feature", values=(value,))
    if kind == "agent":
        return SpendFilters(rows={"agent": (value,)})
    provider, _, model = value.partition("/")
    return SpendFilters(rows={"provider": (provider,), "model": (model,)})


def from_trace(
    project_id: UUID, trace_id: str, *, tasks: int, keep: dt.timedelta, now: dt.datetime
) -> Origin:
    """One trace is one task: its calls by model. `keep`: how far back records reach. One query.

    Raises NotFoundError when the trace has no calls with token counts.
    """
    rows = (
        CostRecord.objects.filter(
            project_id=project_id,
            trace_id=trace_id,
            occurred_at__gte=now - keep,
            occurred_at__lte=now + DAY,
        )
        .filter(Q(input_tokens__isnull=False) | Q(output_tokens__isnull=False))
        .values("provider", "model")
        .annotate(
            n_calls=Count("id"),
            n_unpriced=Count("id", filter=Q(cost_usd=None)),
            cost=Sum("cost_usd"),
            **{f"n_{name}": Sum(name) for name in _SUMMED[1:]},
        )
        .order_by("-n_calls", "provider", "model")
    )
    found = [(f"{row['provider']}/{row['model']}", _sums(dict(row))) for row in rows]
    if not found:
        raise NotFoundError("This trace has no calls with token counts to start from.")
    shown = found[:MAX_PARTS]
    total = sum((sums for _, sums in shown), Sums())
    parts = tuple(_part(name, sums, Decimal(sums.calls)) for name, sums in shown)
    return Origin(
        f"trace {trace_id}",
        Workload(tasks=tasks, parts=parts),
        1,
        None if total.unpriced_calls else total.cost_usd,
        sum(sums.calls for _, sums in found[MAX_PARTS:]),
    )


def _sums(row: dict[str, Any]) -> Sums:
    counts = {name: int(row[f"n_{name}"] or 0) for name in _SUMMED}
    return Sums(cost_usd=row["cost"] or Decimal(0), unpriced_calls=row["n_unpriced"], **counts)


def _part(name: str, sums: Sums, calls: Decimal) -> Part:
    """The average call."""
    read = _percent(sums.cache_read_input_tokens, sums.input_tokens)
    written = _percent(sums.cache_write_input_tokens, sums.input_tokens)
    return Part(
        name.removeprefix("/"),
        calls.quantize(_CALLS, ROUND_HALF_UP),
        _average(sums.input_tokens, sums.calls),
        _average(sums.output_tokens, sums.calls),
        read,
        min(written, HUNDRED - read),
    )


def _average(tokens: int, calls: int) -> int:
    return int((Decimal(tokens) / calls).to_integral_value(ROUND_HALF_UP)) if calls else 0


def _percent(part: int, whole: int) -> Decimal:
    if not whole:
        return Decimal(0)
    return min(HUNDRED, (HUNDRED * part / whole).quantize(_PERCENT, ROUND_HALF_UP))
