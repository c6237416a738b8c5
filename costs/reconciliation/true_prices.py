"""The unit price behind a bill's amounts, pooled over days (pure).

A bill of cents says little about one day's price and much about a month's: the days' spans are met as long as they
have something in common. A price of ours inside what they share is the bill's price; the rest of the day is rounding.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from costs.reconciliation.align import ZERO
from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.factors import ONE, Vote, agreed, plain_factor
from costs.reconciliation.facts import Window
from costs.reconciliation.rounding import Span, plainest

# The tiers a price may turn out to be of.
OTHER_TIERS = ("standard", "batch", "flex", "priority", "fast")
# A span narrower than this share of the price settles it.
SHARP = Fraction(1, 1000)
# A bill rounds up or down throughout, when that explains so much of it, and so many tiers and classes of days: half of
# them would look so by chance.
NEARLY_ALL = Fraction(9, 10)
FEWEST = 12


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
    rounds = _rounding_of(groups)
    runs: dict[str, list[_Run]] = defaultdict(list)
    for (model, place), numbers in days.items():
        ordered = [number for _, number in sorted(numbers)]
        spans = {number: groups[number].atoms[place].prices(rounds) for number in ordered}
        runs[model] += [_Run(place, run, span) for run, span in _runs(ordered, spans)]
    found: dict[int, dict[Place, Seen]] = defaultdict(dict)
    for own in runs.values():
        factor = _dearer(window, groups, own)
        for run in own:
            for number in run.numbers:
                price = run.price(_references(window, groups[number], run), factor)
                found[number][run.place] = Seen(price, run.span)
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    """Days of a tier and class that can have one price."""

    place: Place
    numbers: list[int]
    span: Span

    def price(self, refs: Sequence[Fraction], factor: Fraction) -> Fraction:
        """Our price times the model's factor, another of ours, else the plainest."""
        likely = [*(ref * factor for ref in refs[:1]), *refs]
        return next((one for one in likely if one in self.span), plainest(self.span))


def _references(window: Window, group: Group, run: _Run) -> list[Fraction]:
    # A blunt span holds the prices of many tiers: that proves none of them.
    is_sharp = run.span.width <= abs(run.span.middle) * SHARP
    return references(window, group, run.place, knows_tier=not is_sharp)


def _dearer(window: Window, groups: Sequence[Group], runs: Sequence[_Run]) -> Fraction:
    """A model whose tiers and classes all are dearer by one factor has that price also where the bill is too blunt to
    show it; 1 where they do not agree."""
    votes = []
    for run in runs:
        if refs := [one for one in _references(window, groups[run.numbers[0]], run) if one]:
            usd = sum((abs(groups[number].atoms[run.place].usd) for number in run.numbers), ZERO)
            votes.append(Vote(run.span.divided_by(refs[0]), usd, run.place))
    span = agreed(votes, needs_models=1, quorum=NEARLY_ALL)
    return ONE if span is None else plain_factor(span)


def _rounding_of(groups: Sequence[Group]) -> int:
    """Some bills round all lines up or down instead of to the nearest: then nearly all are what our prices make that
    way, and fewer the usual way."""
    charged = [
        atom
        for group in groups
        for atom in group.atoms.values()
        if atom.has_charge and atom.billed and atom.our_price
    ]
    if len(charged) < FEWEST:
        return 0
    whole = sum((abs(atom.usd) for atom in charged), ZERO)

    def fitting(rounds: int) -> Fraction:
        fit = (
            abs(atom.usd)
            for atom in charged
            if (ours := atom.our_price) and ours in atom.prices(rounds)
        )
        return sum(fit, ZERO)

    up, down, nearest = fitting(1), fitting(-1), fitting(0)
    best = max(up, down)
    is_so = best >= whole * NEARLY_ALL and best > nearest
    return (1 if up >= down else -1) if is_so else 0


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
