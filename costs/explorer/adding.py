"""One day's calls added to the groups of a question (numpy, exact)."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np

from core.ranges import Bin, floor
from costs.explorer import dimensions
from costs.explorer.facts import Facts
from costs.explorer.grouping import Pairs, Partial, carried, count_by, groups_of, sum_by
from costs.explorer.measures import DISTINCT
from costs.explorer.outcomes import Verdicts
from costs.explorer.reading import (
    ERROR,
    ESTIMATED,
    SAVED,
    SAVED_UNKNOWN,
    TOKENS,
    UNPRICED,
)

# A group's key: bin, first and second value, in bits.
BITS = 24
VALUES = (1 << 2 * BITS) - 1
_VALUE = (1 << BITS) - 1
HOUR = dt.timedelta(hours=1)
# The token classes whose quantities make up each count.
CLASSES = {
    "input_tokens": ("input", "cache_"),
    "output_tokens": ("output", "reasoning"),
    "cache_read_input_tokens": ("cache_read",),
    "cache_write_input_tokens": ("cache_write",),
    "reasoning_output_tokens": ("reasoning",),
}


class Names:
    """The values of a dimension over all days, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def of(self, texts: Sequence[str]) -> Any:
        """The number of each text."""
        numbers = self.numbers
        found = [numbers.setdefault(text, len(numbers)) for text in texts]
        if len(numbers) > _VALUE:
            raise OverflowError
        return np.array(found, dtype=np.int64)

    @cached_property
    def listed(self) -> list[str]:
        """The values in the order of their numbers, once all are known."""
        return list(self.numbers)


class Rows:
    """The calls of a day that a question is about. With token classes each call is there once per class; with tags
    again once per tag."""

    def __init__(self, facts: Facts, mask: Any, classes: Any = None) -> None:
        self.facts = facts
        # None: all of them, as they lie.
        self.calls: Any = None if mask is None else np.flatnonzero(mask)
        self.lines: Any = None
        # The first row of each call, where calls repeat by token class.
        self.is_first: Any = None
        if classes is not None:
            self._split(mask, classes)

    def __len__(self) -> int:
        return self.facts.rows if self.calls is None else len(self.calls)

    def _split(self, mask: Any, classes: Any) -> None:
        """Go from calls to their lines of these token classes."""
        lines = classes[self.facts["line.class"]]
        if mask is not None:
            lines &= mask[self.facts["line.row"]]
        self.lines = np.flatnonzero(lines)
        self.calls = self.facts["line.row"][self.lines].astype(np.int64)
        self.is_first = np.ones(len(self.calls), dtype=bool)
        self.is_first[1:] = self.calls[1:] != self.calls[:-1]

    def repeat(self, codes: Any, own: Sequence[Sequence[int]]) -> Any:
        """Each row once per number that its call's code stands for (at least one); returns that number by row."""
        sizes = np.array([len(one) for one in own], dtype=np.int64)
        flat = np.array([number for one in own for number in one], dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        which = codes if self.calls is None else codes[self.calls]
        times = sizes[which]
        rows = np.repeat(np.arange(len(self)), times)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        self.calls = rows if self.calls is None else self.calls[rows]
        if self.lines is not None:
            self.lines, self.is_first = self.lines[rows], self.is_first[rows]
        return flat[np.repeat(starts[which], times) + within]

    def take(self, column: Any) -> Any:
        """A column of calls by row."""
        return column if self.calls is None else column[self.calls]

    def of(self, name: str) -> Any:
        return self.take(self.facts[name])

    def line(self, name: str) -> Any:
        """A column of lines by row."""
        return self.facts[name][self.lines]

    def in_classes(self, prefixes: tuple[str, ...]) -> Any:
        """Which rows are lines of such a token class."""
        texts = self.facts["line.class.texts"]
        return np.array([text.startswith(prefixes) for text in texts], dtype=bool)[
            self.line("line.class")
        ]


class Adder:
    """What a question is made of, filled day by day. `by` are at most two dimensions."""

    def __init__(
        self,
        *,
        by: Sequence[str],
        size: Bin | None,
        span: tuple[dt.datetime, dt.datetime],
        filters: Mapping[str, frozenset[str]],
        sums: Sequence[str],
        distinct: Sequence[str],
        verdicts: Mapping[UUID, Verdicts],
    ) -> None:
        self.by, self.size, self.filters = tuple(by), size, filters
        self.first, self.end = span
        self.sums, self.distinct = tuple(sums), tuple(distinct)
        self.groups, self.whole = Partial(sums), Partial(sums)
        self.pairs = {name: Pairs() for name in distinct}
        self.names = [Names() for _ in self.by]
        self.users = Names()
        self.bins: dict[dt.datetime, int] = {}
        self.verdicts = verdicts
        # Then groups hold some calls more than once, and totals are added up by themselves.
        self.is_repeated = any(name in dimensions.REPEATED for name in by)

    def add(self, facts: Facts, rule: dimensions.TeamRule) -> None:
        """Count the calls of a day."""
        if not facts.rows:
            return
        rows = Rows(facts, self._mask(facts, rule), self._classes(facts))
        if not len(rows):
            return
        if self.is_repeated:
            bins, numbers = self._bins(facts, rows)
            found, places = groups_of(bins, len(numbers))
            self.whole.add(
                numbers[found] << 2 * BITS, sums_of(rows, self, places, len(found), rows.is_first)
            )
        values: dict[str, tuple[Any, list[str]]] = {}
        if "tag" in self.by:
            codes, own = encode_many([tags or [""] for tags in dimensions.tags_of(facts)])
            values["tag"] = rows.repeat(facts["tags"], codes), own
        for name in self.by:
            if name == "token_class":
                values[name] = rows.line("line.class"), facts["line.class.texts"]
            elif name != "tag":
                codes, texts = dimensions.values_of(facts, name, rule)
                values[name] = rows.take(codes), texts
        self._add_groups(rows, [values[name] for name in self.by])

    def _add_groups(self, rows: Rows, values: Sequence[tuple[Any, list[str]]]) -> None:
        """Group by bin and values, as numbers of this day, and go from these to the question's."""
        keys, bins = self._bins(rows.facts, rows)
        keys, span = keys.astype(np.int64), len(bins)
        for codes, texts in values:
            keys, span = keys * len(texts) + codes, span * len(texts)
        found, places = groups_of(keys, span)
        known = np.zeros(len(found), dtype=np.int64)
        rest = found
        # Values stand behind one another in the key, the last one lowest.
        for place in reversed(range(len(values))):
            texts = values[place][1]
            rest, own = np.divmod(rest, len(texts))
            shift = BITS * (1 - place)
            known |= self.names[place].of(texts)[own] << shift
        known |= bins[rest] << 2 * BITS
        is_first = None if "token_class" in self.by else rows.is_first
        self.groups.add(known, sums_of(rows, self, places, len(found), is_first))
        for name in self.distinct:
            codes, ids, is_counted = self._ids(rows.facts, name)
            pairs = np.unique(places.astype(np.int64) * len(ids) + rows.take(codes))
            which, own = np.divmod(pairs, len(ids))
            let = is_counted[own]
            self.pairs[name].add(known[which[let]], ids[own[let]])

    def _mask(self, facts: Facts, rule: dimensions.TeamRule) -> Any:
        """The calls the filters and the range's ends let through; None for all."""
        mask: Any = None
        for name, wanted in self.filters.items():
            if name == "token_class":
                continue
            if name == "tag":
                codes = facts["tags"]
                known = [
                    bool(wanted.intersection(tags or [""])) for tags in dimensions.tags_of(facts)
                ]
            else:
                codes, texts = dimensions.values_of(facts, name, rule)
                known = [text in wanted for text in texts]
            let = np.array(known, dtype=bool)[codes]
            mask = let if mask is None else mask & let
        midnight = dt.datetime.combine(facts.day.day, dt.time(), dt.UTC)
        first = (self.first - midnight) // HOUR
        end = (self.end - midnight) // HOUR
        if first > 0 or end < 24:
            let = (facts["hour"] >= max(first, 0)) & (facts["hour"] < min(end, 24))
            mask = let if mask is None else mask & let
        return mask

    def _classes(self, facts: Facts) -> Any:
        """Which token classes are asked for; None when nobody asks by class."""
        wanted = self.filters.get("token_class")
        if wanted is None and "token_class" not in self.by:
            return None
        texts = facts["line.class.texts"]
        return np.array([wanted is None or text in wanted for text in texts], dtype=bool)

    def _bins(self, facts: Facts, rows: Rows) -> tuple[Any, Any]:
        """Each row's place among the day's bins, and the question's numbers of these."""
        midnight = dt.datetime.combine(facts.day.day, dt.time(), dt.UTC)
        if self.size == "hour":
            starts = [midnight + hour * HOUR for hour in range(24)]
            places = rows.of("hour")
        else:
            starts = [floor(midnight, self.size) if self.size else self.first]
            places = np.zeros(len(rows), dtype=np.int64)
        numbers = [self.bins.setdefault(start, len(self.bins)) for start in starts]
        return places, np.array(numbers, dtype=np.int64)

    def _ids(self, facts: Facts, name: str) -> tuple[Any, Any, Any]:
        """Each call's code of who or what is counted, the id behind each code, and which of them count."""
        codes = facts[DISTINCT[name]]
        if name == "users":
            texts = facts["user.texts"]
            return codes, self.users.of(texts), np.array([text != "" for text in texts], dtype=bool)
        hashes = facts[f"{DISTINCT[name]}.hashes"]
        is_counted = hashes != 0
        if name == "solved_tasks":
            is_counted = is_counted & self.verdicts[facts.day.project_id].of(hashes)[1]
        # The same id in two projects is two sessions.
        own = np.array(facts.day.project_id.int >> 65, dtype=np.int64)
        return codes, hashes ^ own, is_counted


def encode_many(lists: Sequence[Sequence[str]]) -> tuple[list[list[int]], list[str]]:
    """Lists of texts as lists of codes, and the texts."""
    seen: dict[str, int] = {}
    return [[seen.setdefault(text, len(seen)) for text in one] for one in lists], list(seen)


def sums_of(rows: Rows, adder: Adder, places: Any, count: int, is_first: Any) -> dict[str, Any]:
    """The sums the question needs, by place. Counts of calls go by `is_first` where calls repeat."""
    found: dict[str, Any] = {}
    for name in adder.sums:
        if name in found:
            continue
        if name in _COUNTED:
            let = _COUNTED[name](rows)
            if is_first is not None:
                let = is_first if let is None else let & is_first
            found[name] = count_by(places, count, let)
        elif name in TOKENS:
            found[name] = sum_by(places, _tokens(rows, name), count)
        elif name == "saved_unknown":
            found[name] = count_by(places, count, _is_saving(rows, SAVED_UNKNOWN))
        elif name.startswith("saved."):
            found |= _amount(places, count, rows.of("saved.high"), rows.of("saved.low"), "saved",
                             _is_saving(rows, SAVED))  # fmt: skip
        else:
            found |= _costs(rows, adder, places, count, name.partition(".")[0], is_first)
    return found


_COUNTED: dict[str, Callable[[Rows], Any]] = {
    "calls": lambda rows: None,
    "errors": lambda rows: rows.of("flags") & ERROR > 0,
    "unpriced_calls": lambda rows: rows.of("flags") & UNPRICED > 0,
    "estimated_calls": lambda rows: rows.of("flags") & ESTIMATED > 0,
}


def _tokens(rows: Rows, name: str) -> Any:
    """Tokens by row: of the line's class, where calls are split by class."""
    if rows.lines is None:
        return rows.of(name)
    return rows.line("line.quantity") * rows.in_classes(CLASSES[name])


def _is_saving(rows: Rows, state: int) -> Any:
    """The rows that say what a cache read saved: once per call, at its class."""
    found = rows.of("saved.state") == state
    if rows.lines is None:
        return found
    texts = rows.facts["line.class.texts"]
    is_read = np.array([text == "cache_read" for text in texts], dtype=bool)
    return found & is_read[rows.line("line.class")]


def _costs(
    rows: Rows, adder: Adder, places: Any, count: int, name: str, is_first: Any
) -> dict[str, Any]:
    """What calls cost: all, or those that name a user, a session, a judged trace; and how many of them are unpriced."""
    lines = rows.lines is not None
    high, low = (
        (rows.line("line.high"), rows.line("line.low"))
        if lines
        else (rows.of("cost.high"), rows.of("cost.low"))
    )
    let = None if name == "cost" else _belongs(rows, adder, name)
    found = _amount(places, count, high, low, name, let)
    if let is not None:
        unpriced = let & (rows.of("flags") & UNPRICED > 0)
        found[f"{name}.unpriced"] = count_by(
            places, count, unpriced if is_first is None else unpriced & is_first
        )
    return found


def _belongs(rows: Rows, adder: Adder, name: str) -> Any:
    """The calls whose cost counts for a ratio."""
    facts = rows.facts
    if name == "user_cost":
        let = np.array([text != "" for text in facts["user.texts"]], dtype=bool)
        return rows.take(let[facts["user"]])
    if name == "session_cost":
        return rows.take((facts["session.hashes"] != 0)[facts["session"]])
    judged = adder.verdicts[facts.day.project_id].of(facts["trace.hashes"])[0]
    return rows.take((judged & (facts["trace.hashes"] != 0))[facts["trace"]])


def _amount(places: Any, count: int, high: Any, low: Any, name: str, let: Any) -> dict[str, Any]:
    if let is not None:
        places, high, low = places[let], high[let], low[let]
    halves = carried(sum_by(places, high, count), sum_by(places, low, count))
    return {f"{name}.high": halves[0], f"{name}.low": halves[1]}
