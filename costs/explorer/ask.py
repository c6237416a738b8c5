"""Questions about what calls cost, and their exact answers.

`answer(Question(...))` groups calls by up to two dimensions and by bins of time. Amounts are exact; unknown is None.
Days are added one after the other, so memory does not grow with the range.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np

from core.errors import DomainError
from core.ranges import Bin
from costs.explorer import dimensions, outcomes
from costs.explorer.adding import VALUES, Adder
from costs.explorer.dimensions import DIMENSIONS, REPEATED, TeamRule
from costs.explorer.facts import Day, days_of, facts_of
from costs.explorer.grouping import BITS, Groups, groups_of, regrouped, together
from costs.explorer.measures import MEASURES, Value
from costs.explorer.merging import figures, values_of

__all__ = ["BINS", "DIMENSIONS", "MEASURES", "Answer", "Question", "Row", "answer"]

BINS: tuple[Bin, ...] = ("hour", "day", "week", "month")
MAX_BY = 2
_OTHER = None
_NUMBER = (1 << BITS) - 1


class InvalidQuestionError(DomainError):
    """What was asked cannot be answered; the detail names what and the rule."""

    code = "invalid_question"


@dataclass(frozen=True)
class Question:
    """Calls from `start` to before `end` (whole UTC hours). `filters` are (dimension, values), values are alternatives;
    the empty value is calls without one. `limit` groups are listed apart, by `sort` (default: the first measure),
    the others together. With `keys` exactly these groups are listed, in this order, where they have calls."""

    project_ids: tuple[UUID, ...]
    start: dt.datetime
    end: dt.datetime
    by: tuple[str, ...] = ()
    bin: str = ""
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    measures: tuple[str, ...] = ("cost_usd", "calls")
    sort: str = ""
    ascending: bool = False
    limit: int | None = None
    keys: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self) -> None:
        _check("by", self.by, DIMENSIONS)
        _check("filters", [name for name, _ in self.filters], DIMENSIONS)
        _check("measures", self.measures, MEASURES)
        _check("sort", [self.sort] if self.sort else [], MEASURES)
        _check("bin", [self.bin] if self.bin else [], BINS)
        if len(self.by) > MAX_BY or len(set(self.by)) < len(self.by):
            raise InvalidQuestionError(
                f"by is {', '.join(self.by)}; it takes at most {MAX_BY} different dimensions.",
                fields=["by"],
            )

    @property
    def ranked_by(self) -> str:
        return self.sort or self.measures[0]

    @property
    def key(self) -> tuple[object, ...]:
        """Names the question in a cache."""
        ends = (self.start.isoformat(), self.end.isoformat())
        rest = (self.by, self.bin, self.filters, self.measures, self.sort, self.ascending)
        return (tuple(one.hex for one in self.project_ids), *ends, *rest, self.limit, self.keys)


def _check(field: str, given: Iterable[str], known: Iterable[str]) -> None:
    for one in given:
        if one not in known:
            raise InvalidQuestionError(
                f"{field} is {one[:40]!r}; it must be one of {', '.join(known)}.", fields=[field]
            )


@dataclass(frozen=True)
class Row:
    """A group, or with `at` a group in one bin. `key` has a value per dimension, None for all groups that are not
    listed apart (and () for a total)."""

    key: tuple[str, ...] | None
    at: dt.datetime | None
    values: Mapping[str, Value]

    @property
    def is_other(self) -> bool:
        return self.key is None

    def __getitem__(self, measure: str) -> Value:
        return self.values[measure]


@dataclass(frozen=True)
class Answer:
    """`groups`: the listed groups over the whole range, best first. `rows`: the same, or by bin when bins were asked
    for, oldest first within a group. `other`: the rest as one group (likewise `rows`' bins in `other_bins`), None
    without one. `total` holds each call once; so does `totals`, by bin. `unknown_days`: days of which only sums are
    left, which are in nothing here."""

    question: Question
    groups: list[Row]
    rows: list[Row]
    other: Row | None
    other_bins: list[Row]
    total: Row
    totals: list[Row]
    group_count: int
    notes: tuple[str, ...] = ()
    unknown_days: tuple[tuple[UUID, dt.date, int], ...] = field(default_factory=tuple)


def answer(question: Question) -> Answer:
    """Read the days of the range and add them up. Two queries, one per 32 days of columns that are not in memory, one
    per day that moved since its facts were kept, one for team rules and those of scores when they are asked for."""
    adder, gone = gathered(question)
    return replace(assembled(question, adder), unknown_days=gone)


def gathered(
    question: Question,
) -> tuple[Adder, tuple[tuple[UUID, dt.date, int], ...]]:
    """The sums an answer is put together from, and the days without calls. Queries as `answer`."""
    measures = [MEASURES[name] for name in dict.fromkeys((*question.measures, question.ranked_by))]
    filters = {name: frozenset(values) for name, values in question.filters}
    sums = list(dict.fromkeys(name for one in measures for name in one.sums))
    counted = list(dict.fromkeys(one.distinct for one in measures if one.distinct))
    rules = _team_rules(question, filters)
    adder = Adder(
        by=question.by,
        size=question.bin or None,  # type: ignore[arg-type]  # checked with the question
        start=question.start,
        filters=filters,
        sums=sums,
        distinct=counted,
        verdicts=_verdicts(question, counted),
    )
    gone: list[Day] = []
    for rule, days in _days(question, filters, rules):
        parts = _parts(question, measures, filters, rule)
        for facts in facts_of(days, parts, gone, (question.start, question.end)):
            adder.add(facts, rule)
    return adder, tuple((day.project_id, day.day, day.calls) for day in gone)


def _verdicts(question: Question, counted: Sequence[str]) -> Mapping[UUID, outcomes.Verdicts]:
    if "solved_tasks" not in counted:
        return {}
    return outcomes.verdicts(question.project_ids, question.start, question.end)


def _team_rules(question: Question, filters: Mapping[str, Any]) -> dict[UUID, TeamRule]:
    """The rule of each project, when teams are asked for."""
    is_asked = "team" in question.by or "team" in filters
    return dimensions.team_rules(question.project_ids) if is_asked else {}


def _days(
    question: Question, filters: Mapping[str, frozenset[str]], rules: Mapping[UUID, TeamRule]
) -> Iterable[tuple[TeamRule, list[Day]]]:
    """The days to add, with the rule of their teams. One query."""
    wanted = filters.get("project")
    projects = [one for one in question.project_ids if wanted is None or str(one) in wanted]
    if not projects:
        return
    end = (question.end - dt.timedelta(microseconds=1)).date() + dt.timedelta(days=1)
    found = days_of(projects, question.start.date(), end)
    if not rules:
        yield dimensions.BY_TAG, found
        return
    for project in projects:
        if project in rules:
            yield rules[project], [day for day in found if day.project_id == project]


def _parts(
    question: Question, measures: Sequence[Any], filters: Mapping[str, Any], rule: TeamRule
) -> list[str]:
    """The parts of facts that have to be read."""
    found = [part for one in measures for part in one.parts]
    for name in (*question.by, *filters):
        found += dimensions.parts_of(name, rule)
    is_cut = any(at.hour for at in (question.start, question.end))
    if question.bin == "hour" or is_cut:
        found.append("hour")
    return list(dict.fromkeys(found)) or ["flags"]


def assembled(question: Question, adder: Adder) -> Answer:
    """The answer the adder's sums give."""
    merged = adder.groups.merge()
    places, which, whole = _without_bins(adder, merged)
    order = (
        _ranked(question, adder, places, whole)
        if question.keys is None
        else _picked(adder, places, question.keys)
    )
    listed = len(order)
    # Groups by rank; those that are not listed share the last slot.
    slot_of = np.full(len(places), listed, dtype=np.int64)
    slot_of[order] = np.arange(listed)
    has_other = listed < len(places)
    keys = [_key(adder, int(place)) for place in places[order]]
    shown = [*keys, *([_OTHER] if has_other else [])]
    slots = slot_of if which is None else slot_of[which]
    figures_of = merged.put_together(slots, len(shown))
    groups = [
        Row(key, None, values)
        for key, values in zip(shown, values_of(question.measures, figures_of), strict=True)
    ]
    rows = _by_bin(question, adder, merged, slots, shown) if question.bin else groups
    total, totals = _totals(question, adder, merged)
    notes = tuple(_NOTES[name] for name in question.by if name in REPEATED)
    return Answer(
        question,
        groups[:listed],
        [row for row in rows if not row.is_other],
        groups[-1] if has_other else None,
        [row for row in rows if row.is_other and row.at is not None],
        total,
        totals,
        len(places),
        notes,
    )


def _without_bins(adder: Adder, merged: Groups) -> tuple[Any, Any, Mapping[str, Any]]:
    """The groups over the whole range, which of them each entry belongs to (None: they are the entries), their sums."""
    if not adder.size:
        return merged.keys, None, merged.figures()
    places, which = together(merged.keys & VALUES)
    return places, which, merged.put_together(which, len(places))


_NOTES = {
    "tag": "A call with several tags counts under each of them; the total counts it once.",
    "token_class": "A call counts under each token class it used; the total counts it once.",
}


def _key(adder: Adder, place: int) -> tuple[str, ...]:
    """The values behind a key's numbers."""
    numbers = (place >> BITS, place & _NUMBER)
    return tuple(names.listed[number] for names, number in zip(adder.names, numbers, strict=False))


def _picked(adder: Adder, places: Any, keys: Sequence[tuple[str, ...]]) -> Any:
    """Where the given groups are, in their order; those without calls are left out."""
    found = []
    for key in keys:
        numbers = [
            names.numbers.get(value, -1) for names, value in zip(adder.names, key, strict=True)
        ]
        place = sum(number << BITS * (1 - at) for at, number in enumerate(numbers))
        at = int(np.searchsorted(places, place)) if min(numbers, default=0) >= 0 else len(places)
        if at < len(places) and places[at] == place:
            found.append(at)
    return np.array(found, dtype=np.int64)


def _ranked(question: Question, adder: Adder, places: Any, sums: Mapping[str, Any]) -> Any:
    """The groups that are listed, in order: by their figure, unknown last, then by their values."""
    unknown, figure = figures(question.ranked_by, sums, len(places))
    sign = 1 if question.ascending else -1
    order: list[Any] = [*(sign * one for one in figure), unknown]
    chosen = _foremost(order, question.limit)
    columns: list[Any] = []
    for shift, names in zip((BITS, 0), adder.names, strict=False):
        numbers = places[chosen] >> shift & _NUMBER
        own = np.unique(numbers).tolist()
        ranks = np.zeros(len(names.listed), dtype=np.int64)
        ranks[sorted(own, key=names.listed.__getitem__)] = np.arange(len(own))
        columns.insert(0, ranks[numbers])
    # lexsort: the last key counts most.
    found = np.lexsort((*columns, *(one[chosen] for one in order)))
    return chosen[found][: question.limit]


def _foremost(order: Sequence[Any], limit: int | None) -> Any:
    """Which entries may be among the first `limit` by these keys, the last of which counts most: the fewest that cheap
    comparisons tell."""
    chosen = np.arange(len(order[-1]))
    for one in reversed(order):
        if limit is None or len(chosen) <= max(2 * limit, 100):
            break
        own = one[chosen]
        if own.dtype == object:
            break
        last = np.partition(own, limit - 1)[limit - 1]
        chosen = chosen[own <= last]
        if (own[own <= last] < last).any():
            # Others than ties are among them: the next key does not tell these apart.
            break
    return chosen


def _by_bin(
    question: Question, adder: Adder, merged: Groups, slots: Any, shown: Sequence[Any]
) -> list[Row]:
    """The groups by bin, a group's bins together and oldest first; bins without calls are absent."""
    starts = list(adder.bins)
    oldest = np.argsort(np.argsort(np.array([start.timestamp() for start in starts])))
    numbers = merged.keys >> 2 * BITS
    combined = slots * len(starts) + oldest[numbers] if len(starts) else slots
    cells, which = groups_of(combined, len(shown) * len(starts))
    ordered = sorted(starts)
    return [
        Row(shown[cell // len(starts)], ordered[cell % len(starts)], values)
        for cell, values in zip(
            cells.tolist(),
            values_of(question.measures, merged.put_together(which, len(cells))),
            strict=True,
        )
    ]


def _totals(question: Question, adder: Adder, merged: Groups) -> tuple[Row, list[Row]]:
    """Everything together, and by bin, each call once."""
    whole = adder.whole.merge() if adder.is_repeated else merged

    def added(slots_of: Callable[[Any], Any], count: int) -> list[dict[str, Value]]:
        found = regrouped(whole.sums, slots_of(whole.keys), count)
        seen = Groups(merged.keys, {}, merged.pairs)
        return values_of(question.measures, found | seen.put_together(slots_of(merged.keys), count))

    total = Row((), None, added(lambda keys: np.zeros(len(keys), dtype=np.int64), 1)[0])
    if not question.bin:
        return total, []
    starts = list(adder.bins)
    present = np.unique(whole.keys >> 2 * BITS)
    by_bin = added(lambda keys: np.searchsorted(present, keys >> 2 * BITS), len(present))
    totals = [
        Row((), starts[number], values)
        for number, values in zip(present.tolist(), by_bin, strict=True)
    ]
    return total, sorted(totals, key=lambda row: row.at or question.start)
