"""Exact sums by group over columns (numpy, pure).

Whole numbers only. They are added as floats, which is exact while a sum stays below 2**53; larger ones are cut into
pieces first, and what 64 bits might not hold is added as Python's numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from costs.explorer.packing import HALF, MASK

_FLOAT_EXACT = 1 << 53
_INT_EXACT = 1 << 62
_KEY_BITS = 63
# Up to so many possible groups a table of them beats sorting.
_TABLE = 1 << 16
_PER_ROW = 8
# Up to so many possible pairs a table of them does (a byte each).
_PAIRS = 1 << 24
_PIECE = 21
# A group's key: bin, first and second value, in bits.
BITS = 24
VALUE = (1 << BITS) - 1


def groups_of(keys: Any, span: int) -> tuple[Any, Any]:
    """The distinct keys (0 <= key < span) in order, and each row's place among them."""
    if span <= max(_TABLE, _PER_ROW * len(keys)):
        present = np.zeros(span, dtype=bool)
        present[keys] = True
        found = np.flatnonzero(present)
        if len(found) == span:
            return found, keys
        places = np.zeros(span, dtype=np.int64 if span <= _TABLE else np.int32)
        places[found] = np.arange(len(found))
        return found, places[keys].astype(np.int64, copy=False)
    bits = len(keys).bit_length()
    if span >= 1 << (_KEY_BITS - bits):
        found, places = np.unique(keys, return_inverse=True)
        return found, places
    # Sorting plain numbers is several times faster than sorting with an order beside them.
    packed = (keys << bits) | np.arange(len(keys))
    packed.sort()
    keys = packed >> bits
    is_new = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=is_new[1:])
    places = np.empty(len(keys), dtype=np.int64)
    packed &= (1 << bits) - 1
    places[packed] = np.cumsum(is_new) - 1
    return keys[is_new], places


def sum_by(places: Any, values: Any, count: int) -> Any:
    """The sum of `values` in each of `count` places, exact."""
    if not len(values):
        return np.zeros(count, dtype=np.int64)
    if count == 1:
        return _all_of(values)
    if values.dtype != object:
        least, most = int(values.min()), int(values.max())
        top = max(most, -least) * len(values)
        if top < _FLOAT_EXACT or (least >= 0 and _surely_small(values)):
            return np.bincount(places, weights=values, minlength=count).astype(np.int64)
        if top < _INT_EXACT and len(values) < 1 << (53 - _PIECE):
            return _by_pieces(places, values.astype(np.int64, copy=False), count)
    sums: Any = np.zeros(count, dtype=object)
    np.add.at(sums, places, values.astype(object))
    return sums


def _all_of(values: Any) -> Any:
    """The sum of all of them, as the only place's."""
    top = max(abs(int(values.min())), abs(int(values.max()))) * len(values) if len(values) else 0
    if top < _INT_EXACT and values.dtype != object:
        return np.array([values.sum(dtype=np.int64)])
    return np.array([sum(values.tolist())], dtype=object)


def _surely_small(values: Any) -> bool:
    """Whether all of them (none negative) add up to something floats hold exactly, with room for rounding."""
    return bool(values.sum(dtype=np.float64) < _FLOAT_EXACT / 2)


def _by_pieces(places: Any, values: Any, count: int) -> Any:
    """Sums of numbers cut into pieces of 21 bits; the last piece carries the sign."""
    sums: Any = np.zeros(count, dtype=np.int64)
    for shift in range(0, 63, _PIECE):
        piece = values >> shift
        if shift + _PIECE < 63:
            piece = piece & ((1 << _PIECE) - 1)
        if piece.any():
            sums += np.bincount(places, weights=piece, minlength=count).astype(np.int64) << shift
    return sums


def amounts_by(places: Any, high: Any, low: Any, count: int) -> tuple[Any, Any]:
    """The sums of amounts in halves, in each place."""
    is_plain = count > 1 and len(high) and object not in (high.dtype, low.dtype)
    if is_plain and int(high.min()) >= 0 and int(high.max()) < 1 << 20:
        whole = high * float(1 << HALF)
        whole += low
        if _surely_small(whole):
            sums = np.bincount(places, weights=whole, minlength=count).astype(np.int64)
            return sums >> HALF, sums & MASK
    return carried(sum_by(places, high, count), sum_by(places, low, count))


def count_by(places: Any, count: int, mask: Any = None) -> Any:
    """How many rows (of those in `mask`) each place has."""
    if count == 1:
        return np.array([len(places) if mask is None else np.count_nonzero(mask)])
    return np.bincount(places if mask is None else places[mask], minlength=count)


def carried(high: Any, low: Any) -> tuple[Any, Any]:
    """Halves of amounts with the low one below 2**32 again: the same amounts in one form, which sort as numbers."""
    return high + (low >> HALF), low & MASK


def regrouped(sums: Mapping[str, Any], places: Any, count: int) -> dict[str, Any]:
    """Sums of groups that are put together by place."""
    found: dict[str, Any] = {}
    for name, values in sums.items():
        if name.endswith(".high"):
            low = f"{name.removesuffix('.high')}.low"
            found[name], found[low] = amounts_by(places, values, sums[low], count)
        elif not name.endswith(".low"):
            found[name] = sum_by(places, values, count)
    return found


@dataclass(frozen=True)
class Pairs:
    """Distinct (place, code) pairs in order of place; `ids` says who stands behind a code (the same one everywhere)."""

    places: Any
    codes: Any
    ids: Any


def pairs_of(places: Any, codes: Any, count: int, ids: Any) -> Pairs:
    """Each pair once."""
    span = len(ids)
    if count * span <= _PAIRS:
        present = np.zeros(count * span, dtype=bool)
        present[places * span + codes] = True
        found = np.flatnonzero(present)
        return Pairs(found // span, found % span, ids) if span else Pairs(found, found, ids)
    bits = span.bit_length()
    packed = (places << bits) | codes
    packed.sort()
    is_new = np.ones(len(packed), dtype=bool)
    np.not_equal(packed[1:], packed[:-1], out=is_new[1:])
    packed = packed[is_new]
    return Pairs(packed >> bits, packed & ((1 << bits) - 1), ids)


@dataclass(frozen=True)
class Groups:
    """Groups by key, in order, with their sums and who was seen in them."""

    keys: Any
    sums: Mapping[str, Any]
    pairs: Mapping[str, Pairs] = field(default_factory=dict)

    def put_together(self, slots: Any, count: int) -> dict[str, Any]:
        """The sums of the groups that share a slot; distinct things are counted once in each."""
        found = regrouped(self.sums, slots, count)
        for name, pairs in self.pairs.items():
            own = slots[pairs.places]
            found[name] = count_by(pairs_of(own, pairs.codes, count, pairs.ids).places, count)
        return found

    def figures(self) -> dict[str, Any]:
        """The sums of each group by itself."""
        count = len(self.keys)
        return {
            **self.sums,
            **{name: count_by(pairs.places, count) for name, pairs in self.pairs.items()},
        }


class Partial:
    """Groups that grow block by block: what is added is merged when it has become a lot."""

    MERGE_AT = 1_500_000

    def __init__(self, sums: Iterable[str], distinct: Iterable[str] = ()) -> None:
        self.names, self.distinct = tuple(sums), tuple(distinct)
        self._parts: list[Groups] = []
        self._size = self._limit = 0

    def add(self, groups: Groups) -> None:
        self._parts.append(groups)
        self._size += _size(groups)
        if self._size > max(self.MERGE_AT, 2 * self._limit):
            self._limit = _size(self.merge())

    def merge(self) -> Groups:
        """All of them, the distinct keys in order."""
        if not self._parts:
            empty: Any = np.zeros(0, dtype=np.int64)
            nobody = dict.fromkeys(self.distinct, Pairs(empty, empty, empty))
            return Groups(empty, dict.fromkeys(self.names, empty), nobody)
        first = self._parts[0]
        if len(self._parts) > 1 or not bool(np.all(first.keys[1:] > first.keys[:-1])):
            self._parts = [_merged(self._parts)]
        self._size = _size(self._parts[0])
        return self._parts[0]


def _size(groups: Groups) -> int:
    return len(groups.keys) + sum(len(pairs.codes) for pairs in groups.pairs.values())


def together(keys: Any) -> tuple[Any, Any]:
    """The distinct keys in order, and each one's place among them; by the values in use, so that few make a table."""
    if not len(keys):
        return keys, keys
    bins, first, second = keys >> 2 * BITS, keys >> BITS & VALUE, keys & VALUE
    height, width = int(first.max()) + 1, int(second.max()) + 1
    span = (int(bins.max()) + 1) * height * width
    if span >= 1 << _KEY_BITS:
        return np.unique(keys, return_inverse=True)
    found, places = groups_of((bins * height + first) * width + second, span)
    rest, second = np.divmod(found, width)
    bins, first = np.divmod(rest, height)
    return bins << 2 * BITS | first << BITS | second, places


def _merged(parts: Sequence[Groups]) -> Groups:
    found, places = together(np.concatenate([one.keys for one in parts]))
    count = len(found)
    sums = {name: np.concatenate([one.sums[name] for one in parts]) for name in parts[0].sums}
    starts = np.cumsum([0, *(len(one.keys) for one in parts)])
    pairs = {}
    for name in parts[0].pairs:
        many = [one.pairs[name] for one in parts]
        ids, codes = many[0].ids, np.arange(len(many[0].ids))
        offsets = np.zeros(len(many), dtype=np.int64)
        if any(one.ids is not ids for one in many):
            ids, codes = np.unique(np.concatenate([one.ids for one in many]), return_inverse=True)
            offsets = np.cumsum([0, *(len(one.ids) for one in many)])
        pairs[name] = pairs_of(
            np.concatenate(
                [places[one.places + at] for one, at in zip(many, starts, strict=False)]
            ),
            np.concatenate([codes[one.codes + at] for one, at in zip(many, offsets, strict=False)]),
            count,
            ids,
        )
    return Groups(found, regrouped(sums, places, count), pairs)
