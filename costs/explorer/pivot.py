"""Two dimensions as rows and columns, with the rest of each and totals that hold every call once.

Every figure is put together from the same sums as the answer of one dimension, so rows, columns and totals agree to the
last digit, ratios and counts of distinct things included.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from costs.explorer.adding import Adder
from costs.explorer.ask import Answer, Question, answer, assembled, gathered
from costs.explorer.grouping import BITS, Partial, groups_of
from costs.explorer.measures import Value
from costs.explorer.merging import values_of

_NUMBER = (1 << BITS) - 1


@dataclass(frozen=True)
class Pivot:
    """`rows` and `columns` are the answers of one dimension alone: listed groups, the rest in `other`, the total; the
    rows also by bin. `cells` holds values by place, the rest standing behind the listed ones; no calls: no cell."""

    question: Question
    rows: Answer
    columns: Answer
    cells: Mapping[tuple[int, int], Mapping[str, Value]]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.rows.notes, *self.columns.notes)))


def pivoted(question: Question, *, columns: int) -> Pivot:
    """`question` names two dimensions; its `limit` is the number of rows. Queries of `answer`, three times where a call
    can have several values of a dimension."""
    adder, gone = gathered(question)
    asked = (
        replace(question, by=question.by[:1], keys=None),
        replace(question, by=question.by[1:], keys=None, bin="", limit=columns),
    )
    if adder.is_repeated:
        sides = [answer(one) for one in asked]
    else:
        sides = [assembled(one, _side(adder, place)) for place, one in enumerate(asked)]
    rows, across = (replace(one, unknown_days=gone) for one in sides)
    return Pivot(question, rows, across, _cells(question, adder, rows, across))


def _side(adder: Adder, place: int) -> Adder:
    """The same calls, as if only one of the two dimensions had been asked for."""
    side = copy(adder)
    side.by, side.names = (adder.by[place],), [adder.names[place]]

    def shifted(keys: np.ndarray) -> np.ndarray:
        own = keys >> BITS * (1 - place) & _NUMBER
        return keys >> 2 * BITS << 2 * BITS | own << BITS

    merged = adder.groups.merge()
    side.groups = Partial(adder.sums, adder.distinct)
    side.groups.add(replace(merged, keys=shifted(merged.keys)))
    return side


def _cells(
    question: Question, adder: Adder, rows: Answer, columns: Answer
) -> dict[tuple[int, int], Mapping[str, Value]]:
    """The figures where a row meets a column."""
    merged = adder.groups.merge()
    width = len(columns.groups) + 1
    down = _slots(adder, 0, rows)[merged.keys >> BITS & _NUMBER]
    across = _slots(adder, 1, columns)[merged.keys & _NUMBER]
    span = (len(rows.groups) + 1) * width
    places, which = groups_of(down * width + across, span)
    values = values_of(question.measures, merged.put_together(which, len(places)))
    return {
        (place // width, place % width): one
        for place, one in zip(places.tolist(), values, strict=True)
    }


def _slots(adder: Adder, place: int, side: Answer) -> np.ndarray:
    """Where each value of a dimension stands; those that are not listed share the place behind the last."""
    names = adder.names[place]
    slots = np.full(len(names.numbers), len(side.groups), dtype=np.int64)
    for at, row in enumerate(side.groups):
        if row.key is not None:
            slots[names.numbers[row.key[0]]] = at
    return slots
