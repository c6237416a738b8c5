"""Which factor most of a bill's money holds, and what finding it takes."""

from fractions import Fraction
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from costs.reconciliation.factors import Vote, _held_by_most
from costs.reconciliation.rounding import Span

ends = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)


@given(st.lists(st.tuples(ends, st.integers(0, 3)), max_size=6))
def test_the_most_money_is_found_where_it_overlaps(rows: list[tuple[list[int], int]]) -> None:
    votes = [
        Vote(Span(Fraction(low), Fraction(high)), Fraction(usd), ("m", "input"))
        for (low, high), usd in rows
    ]
    span, most = _held_by_most(votes)
    held = [sum(one.usd for one in votes if Fraction(half, 2) in one.span) for half in range(13)]
    assert most == max(held)
    if most:
        inside = (span.low, span.middle, span.high)
        assert all(sum(one.usd for one in votes if at in one.span) == most for at in inside)


def test_a_month_of_many_models_takes_no_longer_for_each_vote() -> None:
    """Lines in cents leave spans of every width around one discount: each begins before any stops."""
    votes = [
        Vote(Span(Fraction(9, 10) - width, Fraction(9, 10) + width), Fraction(1), ("m", "input"))
        for width in (Fraction(1, 1000 + number) for number in range(4_000))
    ]
    start = process_time()
    span, most = _held_by_most(votes)
    assert process_time() - start < 4
    assert (span, most) == (votes[-1].span, 4_000)
