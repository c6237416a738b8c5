"""Exact sums by group over columns (numpy, pure).

Whole numbers only; what 64 bits might not hold is added as Python's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from costs.explorer.packing import HALF, MASK

_FLOAT_EXACT = 1 << 53
_INT_EXACT = 1 << 62
# Below this many possible groups a table of them beats sorting.
_TABLE = 1 << 16


def groups_of(keys: Any, span: int) -> tuple[Any, Any]:
    """The distinct keys (0 <= key < span) in order, and each row's place among them."""
    if span <= max(_TABLE, 8 * len(keys)):
        present = np.zeros(span, dtype=bool)
        present[keys] = True
        found = np.flatnonzero(present)
        places = np.empty(span, dtype=np.int32)
        places[found] = np.arange(len(found), dtype=np.int32)
        return found, places[keys]
    return np.unique(keys, return_inverse=True)


def sum_by(places: Any, values: Any, count: int) -> Any:
    """The sum of `values` in each of `count` places, exact."""
    if not len(values):
        return np.zeros(count, dtype=np.int64)
    if values.dtype != object:
        most = max(int(values.max()), -int(values.min())) * len(values)
        if most < _FLOAT_EXACT:
            return np.bincount(places, weights=values, minlength=count).astype(np.int64)
        if most < _INT_EXACT:
            sums: Any = np.zeros(count, dtype=np.int64)
            np.add.at(sums, places, values.astype(np.int64))
            return sums
    sums = np.zeros(count, dtype=object)
    np.add.at(sums, places, values.astype(object))
    return sums


def count_by(places: Any, count: int, mask: Any = None) -> Any:
    """How many rows (of those in `mask`) each place has."""
    return np.bincount(places if mask is None else places[mask], minlength=count).astype(np.int64)


def carried(high: Any, low: Any) -> tuple[Any, Any]:
    """Halves of amounts with the low one below 2**32 again: the same amounts in one form, which sort as numbers."""
    return high + (low >> HALF), low & MASK


class Partial:
    """Sums of groups that grow day by day: what is added is merged when it has become a lot."""

    MERGE_AT = 400_000

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._keys: list[Any] = []
        self._sums: dict[str, list[Any]] = {name: [] for name in self.names}
        self._size = self._limit = 0

    def add(self, keys: Any, sums: Mapping[str, Any]) -> None:
        self._keys.append(keys)
        for name in self.names:
            self._sums[name].append(sums[name])
        self._size += len(keys)
        if self._size > max(self.MERGE_AT, 2 * self._limit):
            self.merge()
            self._limit = self._size

    def merge(self) -> tuple[Any, dict[str, Any]]:
        """The distinct keys in order and their sums."""
        if not self._keys:
            empty: Any = np.zeros(0, dtype=np.int64)
            return empty, dict.fromkeys(self.names, empty)
        keys, places = np.unique(np.concatenate(self._keys), return_inverse=True)
        sums = {
            name: sum_by(places, np.concatenate(many), len(keys))
            for name, many in self._sums.items()
        }
        for name in self.names:
            if name.endswith(".high"):
                low = f"{name.removesuffix('.high')}.low"
                sums[name], sums[low] = carried(sums[name], sums[low])
        self._keys, self._size = [keys], len(keys)
        self._sums = {name: [values] for name, values in sums.items()}
        return keys, sums


class Pairs:
    """Distinct (group, id) pairs that grow day by day."""

    MERGE_AT = 1_000_000

    def __init__(self) -> None:
        self._keys: list[Any] = []
        self._ids: list[Any] = []
        self._size = self._limit = 0

    def add(self, keys: Any, ids: Any) -> None:
        self._keys.append(keys)
        self._ids.append(ids)
        self._size += len(keys)
        if self._size > max(self.MERGE_AT, 2 * self._limit):
            self.merge()
            self._limit = self._size

    def merge(self) -> tuple[Any, Any]:
        """Each pair once."""
        if not self._keys:
            empty: Any = np.zeros(0, dtype=np.int64)
            return empty, empty
        keys, ids = distinct(np.concatenate(self._keys), np.concatenate(self._ids))
        self._keys, self._ids, self._size = [keys], [ids], len(keys)
        return keys, ids


def distinct(keys: Any, ids: Any) -> tuple[Any, Any]:
    """Each pair once, in order."""
    order = np.lexsort((ids, keys))
    keys, ids = keys[order], ids[order]
    is_new = np.ones(len(keys), dtype=bool)
    is_new[1:] = (keys[1:] != keys[:-1]) | (ids[1:] != ids[:-1])
    return keys[is_new], ids[is_new]
