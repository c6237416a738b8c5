"""Whether two answers say the same, as far as words can tell (pure)."""

from math import sqrt

from gateway.cache.anchors import content
from gateway.cache.vocabulary import NEGATIONS
from traces.search import lexical

# Above: the same; below: something else; between them nobody can say.
SAME = 0.7
OTHER = 0.3
SHORT = 12


def agreement(one: str, other: str) -> tuple[bool | None, float]:
    """(right, wrong or None when words cannot tell; how much they share from 0 to 1)."""
    mine, others = content(one), content(other)
    if mine == others:
        return True, 1.0
    if not mine or not others:
        return False, 0.0
    alike = max(0.0, _cosine(" ".join(mine), " ".join(others)))
    short, long = sorted((mine, others), key=len)
    is_contrary = any(word in NEGATIONS for word in mine) != any(
        word in NEGATIONS for word in others
    )
    numbers, other_numbers = _numbers(mine), _numbers(others)
    if len(short) <= SHORT:
        if is_contrary or (numbers and other_numbers and not numbers & other_numbers):
            return False, alike
        if set(short) <= set(long):
            return True, max(alike, SAME)
    if alike >= SAME:
        is_same = numbers <= other_numbers or other_numbers <= numbers
        return (True if is_same and not is_contrary else None), alike
    return (False if alike < OTHER else None), alike


def _numbers(words: tuple[str, ...]) -> set[str]:
    return {word for word in words if any(sign.isdigit() for sign in word)}


def _cosine(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(lexical.embed(one), lexical.embed(other), strict=True))


def interval(wrong: int, checked: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share: with z = 1.96 it holds the true one in 95 of 100 cases."""
    if not checked:
        return 0.0, 1.0
    share, z2 = wrong / checked, z * z
    middle = share + z2 / (2 * checked)
    spread = z * sqrt((share * (1 - share) + z2 / (4 * checked)) / checked)
    whole = 1 + z2 / checked
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)
