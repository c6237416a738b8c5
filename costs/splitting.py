"""Dividing an amount by weights so that the parts add up to it, to the last digit (largest remainder). Pure."""

from collections.abc import Hashable, Mapping
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
# The finest amount the ledgers keep (costs.models.billing.amount_field).
QUANTUM = Decimal("1e-18")


def split(amount: Decimal, weights: Mapping[Key, Decimal]) -> dict[Key, Decimal]:
    """`amount` by `weights`. Each part is cut at eighteen decimals; what is left goes, one unit each, to the parts that
    lost most, then by key. Raises ValueError for a negative weight, or when all are zero."""
    with localcontext(prec=100):
        total = sum(weights.values(), Decimal(0))
        if total <= 0 or any(weight < 0 for weight in weights.values()):
            raise ValueError("Weights must not be negative, and one must be positive.")
        exact = {key: amount * weight / total for key, weight in weights.items()}
        parts = {key: value.quantize(QUANTUM, ROUND_DOWN) for key, value in exact.items()}
        left = amount - sum(parts.values(), Decimal(0))
        unit = QUANTUM.copy_sign(left)
        order = sorted(exact, key=lambda key: (-abs(exact[key] - parts[key]), str(key)))
        for key in order:
            if abs(left) < QUANTUM:
                break
            parts[key] += unit
            left -= unit
        if left:  # the amount itself is finer than the ledger
            parts[order[0]] += left
        return parts
