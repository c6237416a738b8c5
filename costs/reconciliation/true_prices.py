"""The unit price behind a bill's amounts, pooled over days (pure).

A bill of cents says little about one day's price and much about a month's: the days' spans are met as long as they
have something in common. A price of ours inside what they share is the bill's price; the rest of the day is rounding.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.facts import Window
from costs.reconciliation.rounding import FLOAT_NOISE, Span, plainest, span_of

# The tiers a price may turn out to be of.
OTHER_TIERS = ("standard", "batch", "flex", "priority", "fast")
# A span narrower than this share of the price settles it.
SHARP = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Seen:
    """The bill's price of one day, and how narrowly the days around it hold it."""

    price: Fraction
    span: Span

    @property
    def is_sharp(self) -> bool:
        return self.span.width <= abs(self.price) * SHARP


def references(
    window: Window, group: Group, place: Place, *, knows_tier: bool = False
) -> list[Fraction]:
    """Prices of ours the bill's may be, the likeliest first. With `knows_tier` not those of other tiers."""
    tier, token_class = place
    atom = group.atoms.get(place)
    found = [atom.our_price] if atom is not None else []
    names = [tier] if knows_tier else [tier, *OTHER_TIERS]
    found += [expected(window, group, (name, token_class)) for name in names]
    known = window.known_prices.get((group.model, tier, token_class))
    found.append(None if known is None else Fraction(known))
    return list(dict.fromkeys(price for price in found if price is not None))


def expected(window: Window, group: Group, place: Place) -> Fraction | None:
    """Our list's price of a tier and class that day."""
    price = window.price_of(group.model, place[0], place[1], group.day)
    return None if price is None else Fraction(price)


def find_prices(window: Window, groups: Sequence[Group]) -> dict[int, dict[Place, Seen]]:
    """The bill's price of every charged atom with a quantity, by the group's place in `groups`."""
    days: dict[tuple[str, Place], list[tuple[dt.date, int]]] = defaultdict(list)
    for number, group in enumerate(groups):
        for place, atom in group.atoms.items():
            # A charge rounded to nothing is one, too.
            if atom.has_charge and atom.billed:
                days[group.model, place].append((group.day, number))
    found: dict[int, dict[Place, Seen]] = defaultdict(dict)
    for (_, place), numbers in days.items():
        ordered = [number for _, number in sorted(numbers)]
        spans = {number: _span(groups[number], place, 1) for number in ordered}
        for run in _runs(ordered, spans):
            # Some bills round up or down, not to the nearest: twice the span, when the price is ours all along.
            wide = _met([_span(groups[number], place, 2) for number in run[0]])
            for number in run[0]:
                # A blunt span holds the prices of many tiers: that proves none of them.
                is_sharp = run[1].width <= abs(run[1].middle) * SHARP
                refs = references(window, groups[number], place, knows_tier=not is_sharp)
                price = _choose(refs, run[1], wide if len(run[0]) > 1 else None)
                found[number][place] = Seen(price, run[1])
    return found


def _span(group: Group, place: Place, width: int) -> Span:
    atom = group.atoms[place]
    slack = atom.tolerance * width + abs(atom.usd) * FLOAT_NOISE
    return span_of(atom.usd, slack, atom.billed or Fraction(1))


def _runs(ordered: list[int], spans: dict[int, Span]) -> list[tuple[list[int], Span]]:
    """Stretches of days whose spans share something."""
    runs: list[tuple[list[int], Span]] = []
    for number in ordered:
        met = runs[-1][1].meet(spans[number]) if runs else None
        if met is None:
            runs.append(([number], spans[number]))
        else:
            runs[-1] = ([*runs[-1][0], number], met)
    return runs


def _met(spans: list[Span]) -> Span | None:
    met: Span | None = spans[0]
    for span in spans[1:]:
        met = met.meet(span) if met else None
    return met


def _choose(refs: list[Fraction], span: Span, wide: Span | None) -> Fraction:
    for ref in refs:
        if ref in span:
            return ref
    if wide is not None and refs and refs[0] in wide:
        return refs[0]
    return plainest(span)
