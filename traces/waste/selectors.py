"""What was found wasted in a range of days: by kind, reason by reason, and one reason day by day."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from core.ranges import TimeRange
from traces.models import WasteDay, WasteFinding, WasteKind
from traces.waste.scan import pending_days

ZERO = Decimal(0)
MAX_SAMPLES = 100
SORTS = {"-wasted": "sum(wasted_usd)", "-calls": "sum(calls)", "-cost": "sum(cost_usd)"}


@dataclass(frozen=True)
class Filters:
    """`days`: first and last, both included."""

    first: dt.date
    last: dt.date
    kinds: tuple[str, ...] = ()
    q: str = ""

    @classmethod
    def of(cls, period: TimeRange, **more: Any) -> "Filters":
        """The UTC days a range touches."""
        last = (period.end - dt.timedelta(microseconds=1)).astimezone(dt.UTC).date()
        return cls(period.start.astimezone(dt.UTC).date(), last, **more)


@dataclass(frozen=True)
class KindSum:
    kind: str
    label: str
    calls: int
    wasted_usd: Decimal


@dataclass(frozen=True)
class Looked:
    """How far the days were looked through."""

    days: int
    calls: int
    unread_calls: int
    cost_usd: Decimal
    scanned_at: dt.datetime | None
    pending: int


@dataclass(frozen=True)
class Reason:
    """One finding over the days of a range."""

    kind: str
    fingerprint: str
    provider: str
    model: str
    agent: str
    feature: str
    detail: str
    calls: int
    cost_usd: Decimal
    wasted_usd: Decimal
    days: int
    last_day: dt.date
    samples: list[list[str]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return WasteKind(self.kind).label

    def place(self, sort: str) -> tuple[Decimal, str]:
        """Where the list goes on after this one."""
        value = {"-wasted": self.wasted_usd, "-calls": Decimal(self.calls), "-cost": self.cost_usd}
        return value[sort], f"{self.kind} {self.fingerprint}"

    @property
    def share(self) -> Decimal | None:
        return self.wasted_usd / self.cost_usd if self.cost_usd else None


def _rows(project_id: UUID, filters: Filters) -> "QuerySet[WasteFinding]":
    rows = WasteFinding.objects.filter(
        project=project_id, day__gte=filters.first, day__lte=filters.last
    )
    if filters.kinds:
        rows = rows.filter(kind__in=filters.kinds)
    if filters.q:
        named = Q()
        for name in ("model", "agent", "feature", "detail"):
            named |= Q(**{f"{name}__icontains": filters.q})
        rows = rows.filter(named)
    return rows


def kind_sums(project_id: UUID, filters: Filters) -> list[KindSum]:
    """Every kind, in their order, also those with nothing. One query."""
    found = {
        row["kind"]: row
        for row in _rows(project_id, filters)
        .values("kind")
        .annotate(n=Sum("calls"), usd=Sum("wasted_usd"))
        .order_by()
    }
    return [
        KindSum(
            kind.value,
            str(kind.label),
            found[kind]["n"] if kind in found else 0,
            found[kind]["usd"] if kind in found else ZERO,
        )
        for kind in WasteKind
    ]


def looked(project_id: UUID, filters: Filters, *, now: dt.datetime) -> Looked:
    """What was looked through, and what still waits. Three queries."""
    days = list(
        WasteDay.objects.filter(
            project=project_id, day__gte=filters.first, day__lte=filters.last
        ).values_list("calls", "unread_calls", "cost_usd", "scanned_at")
    )
    pending = pending_days(project_id, now=now)
    return Looked(
        len(days),
        sum(one[0] for one in days),
        sum(one[1] for one in days),
        sum((one[2] for one in days), ZERO),
        max((one[3] for one in days), default=None),
        sum(filters.first <= day <= filters.last for day in pending),
    )


def daily_waste(project_id: UUID, filters: Filters) -> dict[tuple[dt.date, str], Decimal]:
    """US dollars by day and kind. One query."""
    rows = _rows(project_id, filters).values_list("day", "kind").annotate(usd=Sum("wasted_usd"))
    return {(day, kind): usd for day, kind, usd in rows.order_by()}


_REASONS = """
SELECT kind, fingerprint, min(provider), min(model), min(agent), min(feature), min(detail),
  sum(calls)::bigint, sum(cost_usd), sum(wasted_usd), count(*), max(day)
FROM traces_wastefinding
WHERE project_id = %s AND day >= %s AND day <= %s AND (%s::text[] IS NULL OR kind = ANY(%s))
  AND (%s = '' OR position(lower(%s) in lower(model || ' ' || agent || ' ' || feature || ' ' || detail)) > 0)
GROUP BY kind, fingerprint
HAVING %s::numeric IS NULL OR ({order}, kind || ' ' || fingerprint) < (%s::numeric, %s)
ORDER BY {order} DESC, kind || ' ' || fingerprint DESC LIMIT %s
"""


_COLUMNS = (
    "kind", "fingerprint", "provider", "model", "agent", "feature", "detail", "calls", "cost_usd", "wasted_usd",
    "days", "last_day",
)  # fmt: skip


def reasons(
    project_id: UUID,
    filters: Filters,
    *,
    sort: str = "-wasted",
    limit: int,
    after: tuple[Decimal, str] | None = None,
) -> list[Reason]:
    """Findings over the range, largest first, after a place (`Reason.place`). One query."""
    kinds = list(filters.kinds) or None
    value, key = after or (None, "")
    params: list[Any] = [
        project_id, filters.first, filters.last, kinds, kinds, filters.q, filters.q, value, value, key, limit,
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_REASONS.format(order=SORTS[sort]), params)
        return [Reason(**dict(zip(_COLUMNS, row, strict=True))) for row in cursor.fetchall()]


def reason_of(project_id: UUID, filters: Filters, kind: str, fingerprint: str) -> Reason | None:
    """One finding with its dearest calls. One query."""
    days: Sequence[WasteFinding] = list(
        WasteFinding.objects.filter(
            project=project_id,
            kind=kind,
            fingerprint=fingerprint,
            day__gte=filters.first,
            day__lte=filters.last,
        ).order_by("-day")
    )
    if not days:
        return None
    one = days[0]
    samples = sorted(
        (sample for day in days for sample in day.samples),
        key=lambda sample: (-Decimal(sample[3]), sample[2]),
    )
    return Reason(
        one.kind,
        one.fingerprint,
        one.provider,
        one.model,
        one.agent,
        one.feature,
        one.detail,
        sum(day.calls for day in days),
        sum((day.cost_usd for day in days), ZERO),
        sum((day.wasted_usd for day in days), ZERO),
        len(days),
        one.day,
        samples[:MAX_SAMPLES],
    )
