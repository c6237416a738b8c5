"""One factor over a whole bill: a contract discount, or a rate of exchange that is not ours (pure).

A factor is believed when the prices of several models agree on it to within the bill's own rounding. A single dearer
model is a wrong price, not a discount.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.rounding import FLOAT_NOISE, Span, plainest, span_of

ONE = Fraction(1)
# The share of the money that has to agree.
QUORUM = Fraction(1, 2)
# Where so much of it agrees that there is none, nobody asks further.
NEARLY_ALL = Fraction(19, 20)
MOST_VOTES = 200
Reference = Callable[[Group, Place], Sequence[Fraction]]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one tier and class says the factor is, and how much money speaks."""

    span: Span
    usd: Fraction
    subject: tuple[str, str]

    def divided_by(self, rate: Fraction) -> "Vote":
        return Vote(Span(self.span.low / rate, self.span.high / rate), self.usd, self.subject)


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
            slack = atom.tolerance + abs(atom.usd) * FLOAT_NOISE
            spans = [span_of(atom.usd, slack, atom.billed * price) for price in prices]
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
    best, chosen, most = neutral, [], Fraction(0)
    if neutral is not None:
        chosen = [vote for vote in votes if neutral in vote.span]
        most = sum((vote.usd for vote in chosen), Fraction(0))
    if most >= total * NEARLY_ALL:
        return None
    # Judged by the middle of a sharp span; a blunt one proves nothing and follows.
    for middle in _middles(votes):
        agreeing = [one for one in votes if middle in one.span]
        usd = sum((one.usd for one in agreeing), Fraction(0))
        if usd > most * Fraction(101, 100):
            best, most, chosen = middle, usd, agreeing
        if usd >= total * NEARLY_ALL:
            break
    subjects = {vote.subject for vote in chosen}
    models = {model for model, _ in subjects}
    if best == neutral or best is None or most < total * quorum:
        return None
    if len(subjects) < 2 or len(models) < needs_models:
        return None
    narrowed = None
    for vote in sorted(chosen, key=lambda one: one.span.width):
        narrowed = vote.span if narrowed is None else (narrowed.meet(vote.span) or narrowed)
    return narrowed


def _middles(votes: Sequence[Vote]) -> list[Fraction]:
    """Candidates from the sharpest spans on; those that differ in the fifteenth digit are one."""
    found: dict[str, Fraction] = {}
    for vote in sorted(votes, key=lambda one: one.span.width):
        found.setdefault(f"{float(vote.span.middle):.12g}", vote.span.middle)
        if len(found) >= MOST_VOTES:
            break
    return list(found.values())


def plain_factor(span: Span, rate: Fraction | None) -> Fraction:
    """The plainest factor in the span. With a rate: the one that leaves a plain number when the rate is taken out."""
    if rate is None:
        return plainest(span, scale=1, most=12)
    return plainest(Span(span.low / rate, span.high / rate), scale=1, most=12) * rate
