"""What a month's bill says about our prices: verified, another price, or no clear word."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.models import PriceCheck, ReconciledCell

Place = tuple[str, str, str]  # model, tier, token class
# So much of the money has to agree on one price.
CLEAR = Decimal("0.99")


@dataclass
class _Seen:
    quantity: Decimal = Decimal(0)
    usd: Decimal = Decimal(0)
    days: set[dt.date] = field(default_factory=set)
    # (ours, the bill's) → (dollars, last day); only what is sharp.
    pairs: dict[tuple[Decimal | None, Decimal], tuple[Decimal, dt.date]] = field(
        default_factory=dict
    )
    same: Decimal = Decimal(0)
    sharp: Decimal = Decimal(0)


def month_of(day: dt.date) -> dt.date:
    return day.replace(day=1)


def known_prices(organization_id: UUID, provider: str, day: dt.date) -> dict[Place, Decimal]:
    """Prices the month's bill showed before. One query."""
    rows = PriceCheck.objects.filter(
        organization_id=organization_id,
        provider=provider,
        month=month_of(day),
        billed_price_usd__isnull=False,
    )
    return {
        (row.model, row.service_tier, row.token_class): row.billed_price_usd
        for row in rows
        if row.billed_price_usd is not None
    }


def check_prices(*, organization_id: UUID, provider: str, month: dt.date) -> None:
    """Work the month's checks out from its cells. Three queries."""
    first = month_of(month)
    end = (first + dt.timedelta(days=32)).replace(day=1)
    cells = ReconciledCell.objects.filter(
        organization_id=organization_id, provider=provider, day__gte=first, day__lt=end
    ).exclude(prices=[])
    found: dict[Place, _Seen] = defaultdict(_Seen)
    for model, day, prices in cells.values_list("model", "day", "prices").iterator():
        for one in prices:
            place = (model, one.get("tier", ""), one.get("token_class", ""))
            if place[2]:
                _note(found[place], day, one)
    PriceCheck.objects.filter(
        organization_id=organization_id, provider=provider, month=first
    ).delete()
    PriceCheck.objects.bulk_create(
        PriceCheck(
            organization_id=organization_id, provider=provider, model=model, service_tier=tier,
            token_class=kind, month=first, first_day=min(seen.days), last_day=max(seen.days),
            days=len(seen.days), quantity=seen.quantity, amount_usd=seen.usd, **_verdict(seen),
        )
        for (model, tier, kind), seen in found.items()
        if seen.sharp
    )  # fmt: skip


def _note(seen: _Seen, day: dt.date, one: dict[str, Any]) -> None:
    usd = abs(Decimal(one["amount_usd"]))
    seen.quantity += Decimal(one["quantity"])
    seen.usd += Decimal(one["amount_usd"])
    seen.days.add(day)
    if not one["is_sharp"]:
        return
    seen.sharp += usd
    seen.same += usd if one["is_same"] else 0
    ours = Decimal(one["ours"]) if "ours" in one else None
    pair = (ours, Decimal(one["billed"]))
    have, last = seen.pairs.get(pair, (Decimal(0), day))
    seen.pairs[pair] = (have + usd, max(last, day))


def _verdict(seen: _Seen) -> dict[str, Any]:
    """The state, our last price and the bill's. Where long calls cost more, days verify as a whole."""
    most = max(seen.pairs.items(), key=lambda item: (item[1][0], item[1][1]))
    by_price: dict[Decimal, Decimal] = defaultdict(Decimal)
    for (_, theirs), (usd, _) in seen.pairs.items():
        by_price[theirs] += usd
    theirs, usd = max(by_price.items(), key=lambda item: item[1])
    if seen.same >= seen.sharp * CLEAR:
        return {
            "state": PriceCheck.State.VERIFIED,
            "our_price_usd": most[0][0],
            "billed_price_usd": most[0][1],
        }
    if usd >= seen.sharp * CLEAR:
        ours = next(pair[0] for pair in seen.pairs if pair[1] == theirs)
        return {
            "state": PriceCheck.State.DIFFERS,
            "our_price_usd": ours,
            "billed_price_usd": theirs,
        }
    return {
        "state": PriceCheck.State.UNCLEAR,
        "our_price_usd": most[0][0],
        "billed_price_usd": None,
    }
