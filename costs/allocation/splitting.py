"""Dividing amounts so that the parts add up to the last digit (pure)."""

from collections.abc import Hashable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
QUANTUM = Decimal("1e-18")  # what amounts are stored with
ZERO = Decimal(0)


def split(amount: Decimal, weights: Mapping[K, Decimal]) -> dict[K, Decimal]:
    """`amount` divided in proportion to `weights` (≥ 0), largest remainder: the parts are multiples of QUANTUM and add
    up to `amount` exactly. Equal remainders go by the order of `weights`. Raises ValueError without any weight."""
    total = sum(weights.values(), ZERO)
    if total <= 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError("Weights must not be negative, and one must be positive.")
    with localcontext(prec=80):
        exact = {key: abs(amount) * weight / total for key, weight in weights.items()}
        parts = {key: value.quantize(QUANTUM, ROUND_DOWN) for key, value in exact.items()}
        left = abs(amount) - sum(parts.values(), ZERO)
        order = sorted(exact, key=lambda key: parts[key] - exact[key])
        for key in _taking(order, left):
            step = min(QUANTUM, left)
            parts[key] += step
            left -= step
        return {key: part.copy_sign(amount) if part else ZERO for key, part in parts.items()}


def _taking(order: Sequence[K], left: Decimal) -> list[K]:
    """The keys that get one more QUANTUM each (the last one less, if the amount is no multiple of it)."""
    with localcontext(prec=80):
        count = int((left / QUANTUM).to_integral_value(rounding="ROUND_CEILING"))
    return list(order[:count])
