"""A day's bill of one model at the finest grain both of its reports allow (pure).

Money comes from cost lines, quantities, tiers and requests also from usage lines. A cost line that does not say a
tier or a key is divided among the usage it can be about, by what we expect that usage to cost.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from costs.reconciliation.classes import PARENT
from costs.reconciliation.facts import Charge, Key, PriceOf, Use

ZERO = Fraction(0)


@dataclass(slots=True)
class Part:
    """Money and quantity of one tier, class and key."""

    tier: str
    token_class: str
    owner_key: Key
    quantity: Fraction | None
    usd: Fraction
    # In dollars, before the contract's discount; None: the bill does not say.
    list_usd: Fraction | None = None
    # What rounding alone may have changed.
    tolerance: Fraction = ZERO
    currency: str = "USD"
    is_charged: bool = True


Counts = dict[tuple[Key, str, str], Fraction]


def used(uses: Iterable[Use]) -> Counts:
    """Quantities by key, tier and class."""
    counts: Counts = defaultdict(Fraction)
    for use in uses:
        counts[use.owner_key, use.tier, use.token_class] += Fraction(use.quantity)
    return dict(counts)


def requests_of(
    uses: Sequence[Use], charges: Sequence[Charge]
) -> dict[tuple[Key, str, dt.datetime | None], int]:
    """Requests by key, tier and hour. The lines of one bucket repeat them per class, so the largest counts. Empty: the
    provider does not say."""
    found: dict[tuple[Key, str, dt.datetime | None], int] = {}
    for use in uses:
        if use.requests is not None:
            place = (use.owner_key, use.tier, use.hour)
            found[place] = max(found.get(place, 0), use.requests)
    if not found:
        for charge in charges:
            if charge.requests is not None:
                at = (charge.owner_key, charge.tier, None)
                found[at] = max(found.get(at, 0), charge.requests)
    return found


def parts_of(
    charges: Sequence[Charge],
    uses: Sequence[Use],
    *,
    units: dict[tuple[str, str], Fraction],
    price_of: PriceOf,
    rates: Mapping[tuple[str, dt.date], Decimal],
    is_settled: bool,
) -> list[Part]:
    """Every part of a model's day. `units` is the last decimal place of each account's bill by currency, `rates` as in
    Window."""
    counts = used(uses)
    parts: list[Part] = []
    taken: set[tuple[Key, str, str]] = set()
    for charge in charges:
        usd = Fraction(charge.amount_usd or 0)
        # An amount rounded to nothing is as blunt as the others.
        table = Fraction(rates.get((charge.currency, charge.day), 1))
        rate = usd / Fraction(charge.amount) if charge.amount else table
        whole = Part(
            charge.tier,
            charge.token_class,
            charge.owner_key,
            None if charge.quantity is None else Fraction(charge.quantity),
            usd,
            None if charge.list_amount is None else Fraction(charge.list_amount) * rate,
            abs(rate) * units[charge.account, charge.currency] * charge.lines / 2,
            charge.currency,
        )
        about = _candidates(charge, counts)
        if whole.quantity is not None and about:
            about = _fitting(whole.quantity, about, counts)
        taken.update(about)
        parts.extend(_divided(whole, about, counts, price_of, charge) if about else [whole])
    if is_settled:
        parts.extend(
            Part(tier, token_class, key, count, ZERO, is_charged=False)
            for (key, tier, token_class), count in counts.items()
            if count and (key, tier, token_class) not in taken
        )
    return parts


def _candidates(charge: Charge, counts: Counts) -> list[tuple[Key, str, str]]:
    """The usage a cost line can be about: exactly its own, else whatever it does not exclude."""
    exact = (charge.owner_key, charge.tier, charge.token_class)
    if exact in counts:
        return [exact]
    return [
        place
        for place in counts
        if place[2] == charge.token_class
        and place[0][0] == charge.account
        and charge.sub_account in ("", place[0][1])
        and charge.key in ("", place[0][2])
        and charge.tier in ("", place[1])
    ]


def _fitting(
    quantity: Fraction, about: list[tuple[Key, str, str]], counts: Counts
) -> list[tuple[Key, str, str]]:
    """`about` when its quantities are the line's, with the classes the line may include; else nothing: the line's own
    figure holds."""
    have = sum((counts[place] for place in about), ZERO)
    if have == quantity:
        return about
    inside = [
        place
        for place in counts
        for key, tier, token_class in about
        if PARENT.get(place[2]) == token_class and place[:2] == (key, tier)
    ]
    if inside and have + sum((counts[place] for place in inside), ZERO) == quantity:
        return [*about, *inside]
    return []


def _divided(
    whole: Part,
    about: list[tuple[Key, str, str]],
    counts: Counts,
    price_of: PriceOf,
    charge: Charge,
) -> list[Part]:
    """The line's money over that usage, by what we expect it to cost."""
    prices = [price_of(charge.model, tier, charge.token_class, charge.day) for _, tier, _ in about]
    known = all(price is not None for price in prices) and any(prices)
    weights = [
        counts[place] * (Fraction(price) if known and price is not None else 1)
        for place, price in zip(about, prices, strict=True)
    ]
    total = sum(weights, ZERO)
    if not total:
        return [whole]
    return [
        Part(
            tier,
            charge.token_class,
            key,
            counts[key, tier, token_class],
            whole.usd * weight / total,
            None if whole.list_usd is None else whole.list_usd * weight / total,
            whole.tolerance * weight / total,
            whole.currency,
        )
        for (key, tier, token_class), weight in zip(about, weights, strict=True)
    ]
