"""Reads of what reconciliation worked out: months, one month's causes, cells, checked prices."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, F, Max, Min, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Abs, TruncMonth

from core.cursors import decode_place, encode_place
from core.errors import DomainError, NotFoundError
from costs.models import PriceCheck, ReconciledCause, ReconciledCell, ReconciledDay

ZERO = Decimal(0)
# No call and no service: beside what the bill charges.
BESIDE = ("credits", "tax")
SORTS = {
    "-gap": "Largest gap first",
    "-day": "Newest day first",
    "day": "Oldest day first",
    "-billed": "Largest bill first",
    "-unexplained": "Most unexplained first",
}


@dataclass
class Sums:
    """Both sides of some days. `coverage` is the share of the bill, before credits and tax, that recorded cost
    explains, day by day and model by model; None: nothing was billed."""

    billed_usd: Decimal = ZERO
    recorded_usd: Decimal = ZERO
    matched_usd: Decimal = ZERO
    unexplained_usd: Decimal = ZERO
    is_settled: bool = True
    unconverted: dict[str, Decimal] = field(default_factory=dict)
    causes: dict[str, Decimal] = field(default_factory=dict)

    @property
    def gap_usd(self) -> Decimal:
        return self.billed_usd - self.recorded_usd

    @property
    def coverage(self) -> Decimal | None:
        charged = self.billed_usd - sum((self.causes.get(kind, ZERO) for kind in BESIDE), ZERO)
        return min(Decimal(1), self.matched_usd / charged) if charged > 0 else None

    @property
    def explained(self) -> Decimal | None:
        """The share of the bill that is recorded or has a named cause."""
        if self.billed_usd <= 0:
            return None
        return max(ZERO, 1 - abs(self.unexplained_usd) / self.billed_usd)

    def add(self, row: Mapping[str, Any]) -> None:
        for name in ("billed_usd", "recorded_usd", "matched_usd", "unexplained_usd"):
            setattr(self, name, getattr(self, name) + (row[name] or ZERO))
        self.is_settled = self.is_settled and not row.get("open_days", 0)


@dataclass
class MonthCell(Sums):
    """A provider's month of the grid. `main` is the cause that weighs most."""

    provider: str = ""
    month: dt.date = dt.date.min

    @property
    def main(self) -> str:
        causes = {kind: usd for kind, usd in self.causes.items() if kind not in BESIDE}
        return max(causes, key=lambda kind: abs(causes[kind])) if causes else ""


def _month_end(month: dt.date) -> dt.date:
    return (month + dt.timedelta(days=32)).replace(day=1)


def months_of(
    organization_id: UUID, *, provider: str = "", kind: str = "", first: dt.date | None = None
) -> list[MonthCell]:
    """Provider × month, newest month first; with `kind` only where that cause was found. Three queries."""
    days = ReconciledDay.objects.filter(organization_id=organization_id)
    causes = ReconciledCause.objects.filter(organization_id=organization_id)
    if provider:
        days, causes = days.filter(provider=provider), causes.filter(provider=provider)
    if first is not None:
        days, causes = days.filter(day__gte=first), causes.filter(day__gte=first)
    found: dict[tuple[str, dt.date], MonthCell] = {}
    for row in (
        days.annotate(month=TruncMonth("day"))
        .values("provider", "month")
        .annotate(**_SUMS, open_days=Count("pk", filter=Q(is_settled=False)))
        .order_by("-month", "provider")
    ):
        cell = MonthCell(provider=row["provider"], month=row["month"])
        cell.add(row)
        found[cell.provider, cell.month] = cell
    by_kind = causes.annotate(month=TruncMonth("day")).values("provider", "month", "kind")
    for cause in by_kind.annotate(usd=Sum("amount_usd")):
        if own := found.get((cause["provider"], cause["month"])):
            own.causes[cause["kind"]] = cause["usd"]
    for day in days.exclude(unconverted={}).values("provider", "day", "unconverted"):
        own = found.get((day["provider"], day["day"].replace(day=1)))
        for currency, amount in day["unconverted"].items() if own else ():
            own.unconverted[currency] = own.unconverted.get(currency, ZERO) + Decimal(amount)  # type: ignore[union-attr]
    return [cell for cell in found.values() if not kind or kind in cell.causes]


_SUMS = {
    name: Sum(name) for name in ("billed_usd", "recorded_usd", "matched_usd", "unexplained_usd")
}


def by_provider(cells: list[MonthCell]) -> dict[str, Sums]:
    """The months of each provider, added up."""
    found: dict[str, Sums] = defaultdict(Sums)
    for cell in cells:
        own = found[cell.provider]
        own.add({**vars(cell), "open_days": not cell.is_settled})
        for mine, theirs in ((own.unconverted, cell.unconverted), (own.causes, cell.causes)):
            for name, amount in theirs.items():
                mine[name] = mine.get(name, ZERO) + amount
    return dict(sorted(found.items()))


def month_named(organization_id: UUID, provider: str, month: dt.date) -> MonthCell:
    """One month with its causes. Three queries. Raises NotFoundError."""
    for cell in months_of(organization_id, provider=provider, first=month):
        if cell.month == month:
            return cell
    raise NotFoundError("No bill of this provider and month was held against the records.")


def cells_of(
    organization_id: UUID,
    *,
    provider: str = "",
    first: dt.date | None = None,
    end: dt.date | None = None,
    model: str = "",
    kind: str = "",
) -> QuerySet[ReconciledCell]:
    """Day × model, narrowed."""
    rows = ReconciledCell.objects.filter(organization_id=organization_id)
    for name, value in (
        ("provider", provider),
        ("day__gte", first),
        ("day__lt", end),
        ("model__icontains", model),
    ):
        if value:
            rows = rows.filter(**{name: value})
    if kind == "unexplained":
        rows = rows.exclude(unexplained_usd=0)
    elif kind:
        rows = rows.filter(causes__kind=kind)
    return rows.annotate(gap_usd=F("billed_usd") - F("recorded_usd"))


_PLACES: dict[str, tuple[Any, type]] = {
    "-gap": (Abs(F("billed_usd") - F("recorded_usd")), Decimal),
    "-billed": (F("billed_usd"), Decimal),
    "-unexplained": (Abs(F("unexplained_usd")), Decimal),
}


def cells_page(
    rows: QuerySet[ReconciledCell], *, sort: str, after: str, limit: int
) -> tuple[list[ReconciledCell], str]:
    """A page of cells with their causes, and where the next begins; empty: it is the last. Two queries."""
    rows = rows.defer("lines", "prices").prefetch_related("causes")
    if sort in _PLACES:
        rows, kind = rows.annotate(place=_PLACES[sort][0]), _PLACES[sort][1]
    else:
        rows, kind = rows.annotate(place=F("day")), str
    is_rising = sort == "day"
    if after:
        value, key = decode_place(after, sort=sort, kind=kind)
        rows = rows.filter(_beyond(value, key, is_rising=is_rising))
    found: list[Any] = list(rows.order_by("place" if is_rising else "-place", "-pk")[: limit + 1])
    following = ""
    if len(found) > limit:
        last = found[limit - 1]
        place = last.place.isoformat() if isinstance(last.place, dt.date) else last.place
        following = encode_place(sort, place, str(last.pk))
    return found[:limit], following


def _beyond(value: Any, key: str, *, is_rising: bool) -> Q:
    if not (key.isascii() and key.isdigit() and len(key) < 19):
        raise DomainError("The page cursor is not one this server gave out.", fields=["after"])
    if isinstance(value, str):
        try:
            value = dt.date.fromisoformat(value)
        except ValueError:
            raise DomainError(
                "The page cursor is not one this server gave out.", fields=["after"]
            ) from None
    further = Q(place__gt=value) if is_rising else Q(place__lt=value)
    return further | Q(place=value, pk__lt=int(key))


def cell_named(organization_id: UUID, cell_id: int) -> ReconciledCell:
    """One cell with its causes. Two queries. Raises NotFoundError."""
    cell = (
        ReconciledCell.objects.filter(organization_id=organization_id, pk=cell_id)
        .prefetch_related("causes")
        .first()
    )
    if cell is None:
        raise NotFoundError("There is no such day and model; it may have been worked out again.")
    return cell


def cells_stream(rows: QuerySet[ReconciledCell]) -> Iterator[ReconciledCell]:
    """Every cell with its causes, by day, in pieces."""
    return (
        rows.defer("lines", "prices")
        .prefetch_related("causes")
        .order_by("day", "provider", "model")
        .iterator(chunk_size=1000)
    )


def checks_of(
    organization_id: UUID,
    *,
    provider: str = "",
    model: str = "",
    state: str = "",
    month: dt.date | None = None,
) -> QuerySet[PriceCheck]:
    """What bills say about prices, the most money first within a month, newest month first."""
    rows = PriceCheck.objects.filter(organization_id=organization_id)
    for name, value in (("provider", provider), ("state", state), ("month", month)):
        if value:
            rows = rows.filter(**{name: value})
    if model:
        rows = rows.filter(model__icontains=model)
    return rows.annotate(
        weight=Case(When(state=PriceCheck.State.DIFFERS, then=Value(1)), default=Value(0))
    ).order_by("-month", "-weight", "-amount_usd", "pk")


def latest_checks(organization_id: UUID, provider: str, model: str) -> list[PriceCheck]:
    """The newest month's word on each price of a model. One query."""
    rows = PriceCheck.objects.filter(
        organization_id=organization_id, provider=provider, model=model
    ).order_by("service_tier", "token_class", "-month")
    return list(rows.distinct("service_tier", "token_class"))


def span_of(organization_id: UUID) -> tuple[dt.date | None, dt.date | None]:
    """The first and last day there is. One query."""
    found = ReconciledDay.objects.filter(organization_id=organization_id).aggregate(
        first=Min("day"), last=Max("day")
    )
    return found["first"], found["last"]
