"""Takes discounts and rates of exchange out of the bill, so that what is left is at list prices (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from costs.reconciliation.atoms import Group
from costs.reconciliation.factors import agreed, plain_factor, votes_of
from costs.reconciliation.facts import Window
from costs.reconciliation.true_prices import references


def take_discounts(window: Window, groups: Sequence[Group]) -> None:
    """Where the bill states its list price and ours is the list price, the difference is the contract's discount."""
    for group in groups:
        for place, atom in group.atoms.items():
            listed = atom.list_usd
            if not atom.has_charge or listed is None or listed == atom.usd or not atom.billed:
                continue
            ours = next(iter(references(window, group, place)), None)
            if ours is None:
                continue
            if abs(listed - atom.billed * ours) < abs(atom.usd - atom.billed * ours):
                group.blame(
                    "discount", atom.usd - listed, note="listed", factor=atom.usd / listed,
                    tier=place[0], token_class=place[1],
                )  # fmt: skip
                atom.usd = listed


def take_factors(window: Window, groups: Sequence[Group]) -> None:
    """Take the factor over the whole bill out of it: by day for a foreign currency, else one for all days."""
    by_currency: dict[tuple[str, dt.date | None], list[Group]] = defaultdict(list)
    for group in groups:
        for currency in {atom.currency for atom in group.atoms.values() if atom.has_charge}:
            by_currency[currency, group.day if currency != "USD" else None].append(group)
    for (currency, day), found in by_currency.items():
        votes = votes_of(found, currency, lambda group, place: references(window, group, place))
        span = agreed(votes, needs_models=1 if day else 2)
        if span is None:
            continue
        rate = window.rates.get((currency, day)) if day else None
        factor = plain_factor(span, None if rate is None else Fraction(rate))
        if factor > 0:
            _take(found, currency, factor, rate)


def _take(groups: Sequence[Group], currency: str, factor: Fraction, rate: object) -> None:
    kind = "discount" if currency == "USD" else "currency"
    for group in groups:
        for (tier, name), atom in group.atoms.items():
            if atom.currency != currency or not atom.has_charge:
                continue
            group.blame(
                kind, atom.usd - atom.usd / factor, note="factor", factor=factor, rate=rate,
                currency=currency, tier=tier, token_class=name,
            )  # fmt: skip
            atom.usd, atom.tolerance = atom.usd / factor, atom.tolerance / factor
