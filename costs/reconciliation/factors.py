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


def agreed(votes: Sequence[Vote], *, needs_models: int) -> Span | None:
    """The factor most money agrees on, as narrow as the bill's rounding lets it be; None: there is none but 1."""
    if not votes:
        return None
    total = sum((vote.usd for vote in votes), Fraction(0))
    sharpest = sorted(votes, key=lambda vote: vote.span.width)[:MOST_VOTES]
    best, best_usd, best_votes = ONE, Fraction(0), [vote for vote in votes if ONE in vote.span]
    best_usd = sum((vote.usd for vote in best_votes), Fraction(0))
    if best_usd >= total * NEARLY_ALL:
        return None
    for vote in sharpest:
        # Judged by the middle of a sharp span; a blunt one proves nothing and follows.
        middle = vote.span.middle
        if middle == best:
            continue
        agreeing = [one for one in votes if middle in one.span]
        usd = sum((one.usd for one in agreeing), Fraction(0))
        if usd > best_usd * Fraction(101, 100):
            best, best_usd, best_votes = middle, usd, agreeing
    subjects = {vote.subject for vote in best_votes}
    models = {model for model, _ in subjects}
    if best == ONE or best_usd < total * QUORUM or len(subjects) < 2 or len(models) < needs_models:
        return None
    span = Span(best, best)
    narrowed: Span | None = None
    for vote in sorted(best_votes, key=lambda one: one.span.width):
        narrowed = vote.span if narrowed is None else (narrowed.meet(vote.span) or narrowed)
    return narrowed or span


def plain_factor(span: Span, rate: Fraction | None) -> Fraction:
    """The plainest factor in the span. For a currency: the one whose rate of exchange is plain."""
    if rate is None:
        return plainest(span, scale=1, most=12)
    # billed = dollars × theirs, and we convert back with ours: factor = ours × theirs.
    theirs = plainest(Span(span.low / rate, span.high / rate), scale=1, most=12)
    return theirs * rate
