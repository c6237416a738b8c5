"""Works out days of one provider and keeps them: cells, causes, sums and what the bill says about prices."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.formats import plain_decimal
from costs.billing.rates import current_rates
from costs.models import ReconciledCause, ReconciledCell, ReconciledDay, ReconciledFacts
from costs.reconciliation.billed import read_billed
from costs.reconciliation.checks import check_prices, known_prices
from costs.reconciliation.engine import reconcile
from costs.reconciliation.facts import Cell, Charge, Window
from costs.reconciliation.marks import ONE_DAY, Marks, owners_of
from costs.reconciliation.prices_of import price_list
from costs.reconciliation.recorded import rows_of
from costs.reconciliation.zones import fitting_zone
from costs.selectors.price_rules import rules_of

ZERO = Decimal(0)
# A zone is looked for only over so many days: fewer may agree with one by chance.
DAYS_FOR_ZONE = 7


def window_of(
    organization_id: UUID,
    project_ids: Sequence[UUID],
    marks: Marks,
    provider: str,
    days: Sequence[dt.date],
) -> Window:
    """Both ledgers of the days, which lie in one month. Eight queries."""
    side = marks.sides[provider]
    charges, uses = read_billed(organization_id, provider, days[0], days[-1])
    stored = ReconciledFacts.objects.filter(
        project_id__in=project_ids, day__gte=days[0] - ONE_DAY, day__lte=days[-1] + ONE_DAY
    ).values_list("project_id", "day", "facts")
    tokens, calls = rows_of(stored, provider)
    return Window(
        provider=provider,
        days=tuple(days),
        charges=tuple(charges),
        uses=tuple(uses),
        tokens=tuple(tokens),
        calls=tuple(calls),
        zone=side.zone,
        complete_through=side.complete_through,
        settled_before=side.settled_before,
        owners=owners_of(organization_id),
        price_of=price_list(provider, rules_of(organization_id)),
        rates=_rates(charges),
        known_prices=known_prices(organization_id, provider, days[0]),
    )


def _rates(charges: Sequence[Charge]) -> dict[tuple[str, dt.date], Decimal]:
    wanted = {(one.currency, one.day) for one in charges if one.currency != "USD"}
    if not wanted:
        return {}
    rates = current_rates({currency for currency, _ in wanted})
    found = {place: rates.rate_for(*place) for place in wanted}
    return {place: rate for place, rate in found.items() if rate is not None}


def work_out(
    organization_id: UUID,
    window: Window,
    marks: Marks,
    *,
    zone: str,
    now: dt.datetime,
) -> str:
    """Replace what is kept of the window's days; returns the zone whose days the bill follows."""
    if len(window.days) >= DAYS_FOR_ZONE:
        zone = fitting_zone(window)
    window = replace(window, zone=zone or window.zone)
    cells = reconcile(window, finds_zone=False)
    _write_cells(organization_id, window, cells)
    _write_days(organization_id, window, cells, marks, now)
    check_prices(organization_id=organization_id, provider=window.provider, month=window.days[0])
    return window.zone


def _write_cells(organization_id: UUID, window: Window, cells: Sequence[Cell]) -> None:
    place: dict[str, Any] = {"organization_id": organization_id, "provider": window.provider}
    old = {**place, "day__in": window.days}
    ReconciledCause.objects.filter(**old).delete()
    ReconciledCell.objects.filter(**old).delete()
    rows = ReconciledCell.objects.bulk_create(
        ReconciledCell(
            **place,
            **_sums(cell),
            day=cell.day,
            model=cell.model,
            unconverted=_plain(cell.unconverted),
            is_settled=cell.is_settled,
            calls=cell.calls,
            requests=cell.requests,
            lines=[_plain(asdict(line)) for line in cell.lines],
            prices=[_plain(asdict(seen)) for seen in cell.prices],
        )
        for cell in cells
    )
    ReconciledCause.objects.bulk_create(
        ReconciledCause(
            **place,
            cell=row,
            day=cell.day,
            model=cell.model,
            kind=cause.kind,
            amount_usd=cause.amount_usd,
            evidence=list(cause.evidence),
        )
        for row, cell in zip(rows, cells, strict=True)
        for cause in cell.causes
    )


def _sums(cell: Cell) -> dict[str, Decimal]:
    names = ("billed_usd", "recorded_usd", "matched_usd", "unexplained_usd")
    return {name: getattr(cell, name) for name in names}


def _plain(values: Any) -> dict[str, Any]:
    """Decimals as text; what is empty is left out."""
    return {
        key: plain_decimal(value) if isinstance(value, Decimal) else value
        for key, value in values.items()
        if value not in (None, "")
    }


def _write_days(
    organization_id: UUID, window: Window, cells: Sequence[Cell], marks: Marks, now: dt.datetime
) -> None:
    by_day: dict[dt.date, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_day[cell.day].append(cell)
    known = marks.days[window.provider]
    rows = []
    for day in window.days:
        sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
        unconverted: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for cell in by_day[day]:
            for name, value in _sums(cell).items():
                sums[name] += value
            for currency, amount in cell.unconverted.items():
                unconverted[currency] += amount
        rows.append(
            ReconciledDay(
                organization_id=organization_id,
                provider=window.provider,
                day=day,
                **{name: sums[name] for name in _DAY_SUMS},
                unconverted=_plain(unconverted),
                is_settled=all(cell.is_settled for cell in by_day[day]),
                recorded_mark=known[day][0],
                billed_mark=known[day][1],
                computed_at=now,
            )
        )
    ReconciledDay.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "provider", "day"],
        update_fields=[*_DAY_SUMS, "unconverted", "is_settled", "recorded_mark", "billed_mark", "computed_at"],
    )  # fmt: skip


_DAY_SUMS = ("billed_usd", "recorded_usd", "matched_usd", "unexplained_usd")
