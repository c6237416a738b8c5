"""Takes discounts and rates of exchange out of the bill, so that what is left is at list prices (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.factors import ONE, Vote, agreed, plain_factor, votes_of
from costs.reconciliation.facts import Window
from costs.reconciliation.rounding import FLOAT_NOISE, span_of
from costs.reconciliation.true_prices import references

# A rate of exchange is one for all days when so much of the money agrees.
SAME_ALL_MONTH = Fraction(9, 10)


def take_discounts(window: Window, groups: Sequence[Group]) -> None:
    """Where the bill states its list prices and ours are those, the difference is the contract's discount: of one
    factor where the lines agree on it, so that rounding stays apart."""
    stated = [
        (group, place)
        for group in groups
        for place, atom in group.atoms.items()
        if atom.has_charge and atom.list_usd not in (None, atom.usd) and atom.billed
    ]
    if not _are_ours_list_prices(window, stated):
        return
    for (group, place), factor in zip(stated, _stated_factors(stated), strict=True):
        atom = group.atoms[place]
        listed = atom.list_usd or atom.usd
        discounted = atom.usd if factor is None else listed * factor
        facts = {"tier": place[0], "token_class": place[1]}
        group.blame("discount", discounted - listed, note="listed", factor=factor, **facts)
        group.blame("rounding", atom.usd - discounted, **facts)
        atom.usd, atom.lines = listed, []


def _are_ours_list_prices(window: Window, stated: Sequence[tuple[Group, Place]]) -> bool:
    """By money: whether what we charge is nearer to the bill's list prices than to what it asks."""
    nearer = further = Fraction(0)
    for group, place in stated:
        atom = group.atoms[place]
        ours = next(iter(references(window, group, place, knows_tier=True)), None)
        if ours is None or atom.list_usd is None or atom.billed is None:
            continue
        listed = abs(atom.list_usd - atom.billed * ours)
        if listed < abs(atom.usd - atom.billed * ours):
            nearer += abs(atom.usd)
        else:
            further += abs(atom.usd)
    return nearer > further


def _stated_factors(stated: Sequence[tuple[Group, Place]]) -> list[Fraction | None]:
    """The factor each line has in common with the others; None where it has its own."""
    votes = []
    for group, place in stated:
        atom = group.atoms[place]
        slack = atom.tolerance + abs(atom.usd) * FLOAT_NOISE
        span = span_of(atom.usd, slack, atom.list_usd or atom.usd)
        votes.append(Vote(span, abs(atom.usd), (group.model, place[1])))
    common = agreed(votes, needs_models=1)
    if common is None:
        return [None] * len(votes)
    factor = plain_factor(common)
    return [factor if factor in vote.span else None for vote in votes]


def take_factors(window: Window, groups: Sequence[Group]) -> None:
    """Take the factor over the whole bill out of it: a discount, or for a foreign currency the provider's rate, one for
    all days where they agree on it, else day by day."""
    by_currency: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        for currency in {atom.currency for atom in group.atoms.values() if atom.has_charge}:
            by_currency[currency].append(group)
    for currency, found in by_currency.items():
        # Only in our own currency a price that is another tier's to the digit shows that there is no factor.
        likeliest = partial(references, window, knows_tier=currency != "USD")
        votes = {id(group): votes_of([group], currency, likeliest) for group in found}
        if currency == "USD":
            span = agreed([vote for own in votes.values() for vote in own], needs_models=2)
            if span is not None and (factor := plain_factor(span)) > 0:
                _take(found, currency, factor, None)
        else:
            _take_exchange(window, currency, found, votes)


def _take_exchange(
    window: Window, currency: str, groups: Sequence[Group], votes: Mapping[int, list[Vote]]
) -> None:
    """Our dollars are theirs × their rate × ours: votes on their rate, which may hold for a month or for a day."""
    ours = {day: Fraction(rate) for (name, day), rate in window.rates.items() if name == currency}
    theirs: dict[int, list[Vote]] = {
        id(group): [vote.divided_by(ours.get(group.day, ONE)) for vote in votes[id(group)]]
        for group in groups
    }
    everything = [vote for own in theirs.values() for vote in own]
    common = agreed(everything, needs_models=1, neutral=None, quorum=SAME_ALL_MONTH)
    by_day: dict[dt.date, list[Group]] = defaultdict(list)
    for group in groups:
        by_day[group.day].append(group)
    for day, found in by_day.items():
        own = [vote for group in found for vote in theirs[id(group)]]
        span = common or agreed(own, needs_models=1, neutral=None)
        rate = ours.get(day, ONE)
        if span is not None and (factor := plain_factor(span) * rate) > 0 and factor != ONE:
            _take(found, currency, factor, rate)


def _take(groups: Sequence[Group], currency: str, factor: Fraction, rate: object) -> None:
    for group in groups:
        for atom in group.atoms.values():
            if atom.currency == currency and atom.has_charge:
                kind = "discount" if currency == "USD" else "currency"
                atom.divide(factor, kind, rate=rate, currency=currency)
