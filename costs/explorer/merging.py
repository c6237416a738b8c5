"""What groups are ranked by and what they are worth: what answers and pivots are made of (numpy, pure)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from costs.explorer.measures import MEASURES, Value
from costs.explorer.packing import HALF

# Measures that are amounts, and what tells that some calls of a group have none.
_AMOUNTS = {"cost_usd": ("cost", "unpriced_calls"), "cache_savings_usd": ("saved", "saved_unknown")}
_SHARED = {
    "cost_per_user": "user_cost",
    "cost_per_session": "session_cost",
    "cost_per_solved_task": "judged_cost",
}


def figures(name: str, sums: Mapping[str, Any], count: int) -> tuple[Any, list[Any]]:
    """Which groups have no known figure, and the figures of all, least important column first. Sums rank exactly,
    ratios by floats."""
    if name in _AMOUNTS:
        kind, missing = _AMOUNTS[name]
        high, low = sums[f"{kind}.high"], sums[f"{kind}.low"]
        return (sums[missing] > 0) & (high == 0) & (low == 0), [low, high]
    if name == "cost_per_call":
        unpriced, whole = sums["unpriced_calls"], _dollars(sums, "cost")
        priced = sums["calls"] - unpriced
        return _ratio(whole, priced, (priced == 0) | ((unpriced > 0) & (whole == 0)))
    if name in _SHARED:
        kind, many = _SHARED[name], sums[MEASURES[name].distinct]
        whole = _dollars(sums, kind)
        return _ratio(whole, many, (many == 0) | ((sums[f"{kind}.unpriced"] > 0) & (whole == 0)))
    nothing: Any = np.zeros(count, dtype=bool)
    if name == "total_tokens":
        return nothing, [sums["input_tokens"] + sums["output_tokens"]]
    return nothing, [sums[name]]


def _dollars(sums: Mapping[str, Any], name: str) -> Any:
    high, low = sums[f"{name}.high"], sums[f"{name}.low"]
    return high.astype(float) * float(1 << HALF) + low.astype(float)


def _ratio(whole: Any, many: Any, unknown: Any) -> tuple[Any, list[Any]]:
    return unknown, [np.where(unknown, 0.0, whole / np.maximum(many, 1))]


def values_of(wanted_names: Sequence[str], sums: Mapping[str, Any]) -> list[dict[str, Value]]:
    """The measures of each slot."""
    names = list(sums)
    columns = [sums[name].tolist() for name in names]
    wanted = [(name, MEASURES[name].value) for name in wanted_names]
    return [
        {name: value(row) for name, value in wanted}
        for row in (dict(zip(names, one, strict=True)) for one in zip(*columns, strict=True))
    ]
