"""One factor over a whole bill: a contract discount, or a rate of exchange that is not ours (pure).

A factor is believed when the prices of several models agree on it to within the bill's own rounding. A single dearer
model is a wrong price, not a discount.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.rounding import Span, plainest

ONE = Fraction(1)
# The share of the money that has to agree.
QUORUM = Fraction(1, 2)
# Where so much of it agrees that there is none, nobody asks further.
NEARLY_ALL = Fraction(19, 20)
Reference = Callable[[Group, Place], Sequence[Fraction]]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one tier and class says the factor is, and how much money speaks."""

    span: Span
    usd: Fraction
    subject: tuple[str, str]

    def divided_by(self, rate: Fraction) -> "Vote":
        return Vote(self.span.divided_by(rate), self.usd, self.subject)


def votes_of(groups: Iterable[Group], currency: str, reference: Reference) -> list[Vote]:
    """A vote per atom with a price of ours; one that equals any tier's price votes for no factor."""
    votes = []
    for group in groups:
        for place, atom in group.atoms.items():
            if atom.currency != currency or not atom.billed or not atom.usd:
                continue
            prices = [price for price in reference(group, place) if price]
            if not prices:
                continue
            of_bill = atom.prices()
            spans = [of_bill.divided_by(price) for price in prices]
            chosen = next((span for span in spans if ONE in span), spans[0])
            votes.append(Vote(chosen, abs(atom.usd), (group.model, place[1])))
    return votes


def agreed(
    votes: Sequence[Vote],
    *,
    needs_models: int,
    neutral: Fraction | None = ONE,
    quorum: Fraction = QUORUM,
) -> Span | None:
    """The factor most money agrees on, as narrow as the bill's rounding lets it be; None: there is none but
    `neutral`."""
    if not votes:
        return None
    total = sum((vote.usd for vote in votes), Fraction(0))
    same = [vote for vote in votes if neutral is not None and neutral in vote.span]
    for_neutral = sum((vote.usd for vote in same), Fraction(0))
    if for_neutral >= total * NEARLY_ALL:
        return None
    best, most = _held_by_most(votes)
    if most <= for_neutral * Fraction(101, 100) or most < total * quorum:
        return None
    subjects = {vote.subject for vote in votes if best.middle in vote.span}
    if len(subjects) < 2 or len({model for model, _ in subjects}) < needs_models:
        return None
    return best


def _held_by_most(votes: Iterable[Vote]) -> tuple[Span, Fraction]:
    """Where the spans that hold most money overlap, and how much that is."""
    ends: dict[Fraction, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
    for vote in votes:
        ends[vote.span.low][0] += vote.usd
        ends[vote.span.high][1] += vote.usd
    places = sorted(ends.items())
    held, most, first = Fraction(0), Fraction(0), 0
    for place, (_, (begins, stops)) in enumerate(places):
        held += begins
        if held > most:
            most, first = held, place
        held -= stops
    if not most:
        return Span(ONE, ONE), most
    # Up to where the first of them stops: a value at which one does.
    after = next(value for value, (_, stops) in places[first:] if stops)
    return Span(places[first][0], after), most


def plain_factor(span: Span) -> Fraction:
    """The plainest factor in the span."""
    return plainest(span, scale=1, most=12)
