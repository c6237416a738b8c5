"""What the simulated providers would bill: every answer they gave, added up by model.

`GET /simulator/usage` shows it, so that a test can hold a product's sums against the provider's own.
"""

from collections import defaultdict
from typing import Any

_billed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))


def bill(model: str, usage: dict[str, Any]) -> None:
    """One answer: `usage` as the provider reports it; nested counts are added under `outer.inner`."""
    sums = _billed[model]
    sums["calls"] += 1
    _add(sums, "", usage)


def _add(sums: dict[str, int], path: str, usage: dict[str, Any]) -> None:
    for name, value in usage.items():
        if isinstance(value, dict):
            _add(sums, f"{path}{name}.", value)
        elif isinstance(value, int) and not isinstance(value, bool):
            sums[path + name] += value


def billed() -> dict[str, dict[str, int]]:
    """Sums by model, zeros left out."""
    return {
        model: {name: number for name, number in sums.items() if number}
        for model, sums in sorted(_billed.items())
    }
