"""The sums of an adder put together in any way: what answers and pivots are made of (numpy, pure)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from costs.explorer.adding import Adder
from costs.explorer.grouping import count_by, distinct, sum_by
from costs.explorer.measures import MEASURES, Value


class Merged:
    """The merged sums of an adder, to be put together in any way."""

    def __init__(self, adder: Adder) -> None:
        self.keys, self.sums = adder.groups.merge()
        self.pairs = {}
        for name, pairs in adder.pairs.items():
            keys, ids = pairs.merge()
            self.pairs[name] = (np.searchsorted(self.keys, keys), ids)

    def put_together(self, slots: Any, count: int) -> dict[str, Any]:
        """The sums of the entries that share a slot; distinct things are counted once in each."""
        found = {name: sum_by(slots, values, count) for name, values in self.sums.items()}
        for name, (entries, ids) in self.pairs.items():
            found[name] = count_by(distinct(slots[entries], ids)[0], count)
        return found


def figures(name: str, sums: Mapping[str, Any], count: int) -> tuple[Any, list[Any]]:
    """What groups are ranked by, least important first, and which are unknown. Sums rank exactly, ratios by floats."""
    measure = MEASURES[name]
    nothing: Any = np.zeros(count, dtype=bool)
    if name in sums:
        return nothing, [sums[name]]
    if name in ("cost_usd", "cache_savings_usd"):
        kind, missing = ("cost", "unpriced_calls") if name == "cost_usd" else ("saved", "saved_unknown")  # fmt: skip
        high, low = sums[f"{kind}.high"], sums[f"{kind}.low"]
        return (sums[missing] > 0) & (high == 0) & (low == 0), [low, high]
    rows = ({key: int(values[at]) for key, values in sums.items()} for at in range(count))
    values = [measure.value(row) for row in rows]
    return (
        np.array([value is None for value in values], dtype=bool),
        [np.array([float(value or 0) for value in values])],
    )


def values_of(wanted_names: Sequence[str], sums: Mapping[str, Any]) -> list[dict[str, Value]]:
    """The measures of each slot."""
    names = list(sums)
    columns = [sums[name].tolist() for name in names]
    wanted = [(name, MEASURES[name].value) for name in wanted_names]
    return [
        {name: value(row) for name, value in wanted}
        for row in (dict(zip(names, one, strict=True)) for one in zip(*columns, strict=True))
    ]
