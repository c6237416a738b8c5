"""The token classes of calls: each class's lines as columns of their own (numpy, pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costs.explorer.packing import Column

Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Lines:
    """The lines of a token class. `calls`: whose they are, in order; None when every call has one."""

    calls: Any
    quantity: Any
    high: Any
    low: Any


def lines_of(columns: Sequence[Columns], sizes: Sequence[int]) -> dict[int, Lines]:
    """By number of their class, for days that lie behind one another with so many calls."""
    found: dict[int, list[tuple[int, int, Any, Columns, slice]]] = {}
    start = 0
    for own, size in zip(columns, sizes, strict=True):
        at = rows_at = 0
        for code, many in zip(own["line.class"].tolist(), own["line.sizes"].tolist(), strict=True):
            calls = None
            if many < size:
                calls = own["line.row"][rows_at : rows_at + many]
                rows_at += many
            found.setdefault(code, []).append((start, size, calls, own, slice(at, at + many)))
            at += many
        start += size
    return {code: _joined(parts, len(columns)) for code, parts in found.items()}


def _joined(parts: Sequence[tuple[int, int, Any, Columns, slice]], days: int) -> Lines:
    """One class's lines of all days."""
    calls = None
    if len(parts) < days or any(one[2] is not None for one in parts):
        calls = np.concatenate(
            [
                np.arange(start, start + size, dtype=np.int64)
                if own is None
                else own.astype(np.int64) + start
                for start, size, own, _, _ in parts
            ]
        )
    quantity, high, low = (
        np.concatenate([own[name][place] for *_, own, place in parts])
        for name in ("line.quantity", "line.high", "line.low")
    )
    return Lines(calls, quantity, high, low)


def of_hours(columns: Columns, first: int, end: int) -> tuple[int, dict[str, Column]]:
    """A day's calls of these hours: how many, and their columns."""
    let = (columns["hour"] >= first) & (columns["hour"] < end)
    places = np.flatnonzero(let)
    found = {
        name: one if _is_dictionary(name) else one[places]
        for name, one in columns.items()
        if not name.startswith("line.")
    }
    return len(places), found | (_some_lines(columns, let) if "line.sizes" in columns else {})


def _is_dictionary(name: str) -> bool:
    return name.endswith(".hashes") or name.startswith("tags.")


def _some_lines(columns: Columns, let: Any) -> dict[str, Column]:
    """The lines of the calls that are let through."""
    now, count = np.cumsum(let) - 1, int(np.count_nonzero(let))
    chosen, sizes, rows, at = [], [], [now[:0]], 0
    for many in columns["line.sizes"].tolist():
        if many == len(let):
            chosen.append(let)
            sizes.append(count)
            continue
        calls = columns["line.row"][at : at + many]
        at += many
        own = let[calls]
        chosen.append(own)
        sizes.append(int(np.count_nonzero(own)))
        if sizes[-1] < count:
            rows.append(now[calls[own]])
    lines = np.concatenate(chosen)
    return {
        "line.class": columns["line.class"],
        "line.sizes": np.array(sizes, dtype=np.int64),
        "line.row": np.concatenate(rows),
        **{name: columns[name][lines] for name in ("line.quantity", "line.high", "line.low")},
    }
