"""Blocks of calls added to the groups of a question (numpy, exact)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np

from core.ranges import Bin, floor
from costs.explorer import dimensions
from costs.explorer.facts import Facts
from costs.explorer.grouping import (
    Groups,
    Pairs,
    Partial,
    groups_of,
    pairs_of,
    regrouped,
)
from costs.explorer.measures import DISTINCT
from costs.explorer.outcomes import Verdicts
from costs.explorer.summing import COUNTED, Rows, Summing
from costs.explorer.words import TagLists

# A group's key: bin, first and second value, in bits.
BITS = 24
VALUES = (1 << 2 * BITS) - 1
_VALUE = (1 << BITS) - 1
HOUR = dt.timedelta(hours=1)


class Names:
    """The values of a dimension over all projects, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def of(self, texts: Sequence[str], codes: Any) -> Any:
        """The number of each code's text."""
        is_used = np.zeros(len(texts), dtype=bool)
        is_used[codes] = True
        numbers = self.numbers
        known = np.zeros(len(texts), dtype=np.int64)
        used = np.flatnonzero(is_used)
        known[used] = [numbers.setdefault(texts[code], len(numbers)) for code in used.tolist()]
        if len(numbers) > _VALUE:
            raise OverflowError
        return known[codes]

    @cached_property
    def listed(self) -> list[str]:
        """The values in the order of their numbers, once all are known."""
        return list(self.numbers)


class Adder:
    """What a question is made of, filled block by block. `by` are at most two dimensions."""

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
        self.groups, self.whole = Partial(sums, distinct), Partial(sums)
        self.names = [Names() for _ in self.by]
        self.users = Names()
        self.bins: dict[dt.datetime, int] = {}
        self.verdicts = verdicts
        # Then groups hold some calls more than once, and totals are added up by themselves.
        self.is_repeated = any(name in dimensions.REPEATED for name in by)

    def add(self, facts: Facts, rule: dimensions.TeamRule) -> None:
        """Count the calls of a block."""
        rows = Rows(facts, self._mask(facts, rule), self._classes(facts))
        if len(rows):
            _Block(self, rows, rule).add()

    def _mask(self, facts: Facts, rule: dimensions.TeamRule) -> Any:
        """The calls the filters and the range's ends let through; None for all."""
        masks = [
            self._let(facts, name, wanted, rule)
            for name, wanted in self.filters.items()
            if name != "token_class"
        ]
        midnights = [dt.datetime.combine(day.day, dt.time(), dt.UTC) for day in facts.days]
        first = np.array([(self.first - midnight) // HOUR for midnight in midnights])
        end = np.array([(self.end - midnight) // HOUR for midnight in midnights])
        if (first > 0).any() or (end < 24).any():
            masks.append(
                (facts["hour"] >= facts.by_day(first)) & (facts["hour"] < facts.by_day(end))
            )
        return np.logical_and.reduce(masks) if masks else None

    def _let(
        self, facts: Facts, name: str, wanted: frozenset[str], rule: dimensions.TeamRule
    ) -> Any:
        """The calls with one of the wanted values."""
        if name == "tag":
            lists = facts.words.lists()
            of_tag = np.array([tag in wanted for tag in lists.tags.listed], dtype=bool)
            return np.logical_or.reduceat(of_tag[lists.items], lists.starts)[facts["tags"]]
        codes, texts = dimensions.values_of(facts, name, rule)
        return np.array([text in wanted for text in texts], dtype=bool)[codes]

    def _classes(self, facts: Facts) -> Any:
        """Which token classes are asked for; None when nobody asks by class."""
        wanted = self.filters.get("token_class")
        if wanted is None and "token_class" not in self.by:
            return None
        texts = facts.texts("line.class")
        return np.array([wanted is None or text in wanted for text in texts], dtype=bool)

    def bins_of(self, rows: Rows) -> tuple[Any, Any]:
        """Each row's place among the block's bins (None: there is one), and the question's numbers of these."""
        facts = rows.facts
        midnights = [dt.datetime.combine(day.day, dt.time(), dt.UTC) for day in facts.days]
        if self.size == "hour":
            starts = [midnight + hour * HOUR for midnight in midnights for hour in range(24)]
            places = facts.by_day(np.arange(len(midnights)) * 24) + facts["hour"]
        else:
            own = [
                floor(midnight, self.size) if self.size else self.first for midnight in midnights
            ]
            starts = list(dict.fromkeys(own))
            at = {start: number for number, start in enumerate(starts)}
            of_day = np.array([at[start] for start in own], dtype=np.int64)
            places = None if len(starts) == 1 else facts.by_day(of_day)
        numbers = [self.bins.setdefault(start, len(self.bins)) for start in starts]
        return None if places is None else rows.take(places), np.array(numbers, dtype=np.int64)


class _Block:
    """The groups of one block, as numbers of its own, on their way to the question's."""

    def __init__(self, adder: Adder, rows: Rows, rule: dimensions.TeamRule) -> None:
        self.adder, self.rows = adder, rows
        self._hashes: dict[str, tuple[Any, Any]] = {}
        self.summing = Summing(rows, adder.verdicts, self.hashes)
        self.lists = rows.facts.words.lists() if "tag" in adder.by else TagLists()
        # By dimension: codes by row, texts behind them; of tags the codes of whole lists first.
        self.values = [self._values(name, rule) for name in adder.by]
        self.bins, self.numbers = adder.bins_of(rows)

    def hashes(self, name: str) -> tuple[Any, Any]:
        if name not in self._hashes:
            self._hashes[name] = self.rows.facts.hashes(name)
        return self._hashes[name]

    def _values(self, name: str, rule: dimensions.TeamRule) -> tuple[Any, Sequence[str]]:
        facts = self.rows.facts
        if name == "token_class":
            return self.rows.line("line.class"), facts.texts("line.class")
        if name == "tag":
            return self.rows.of("tags"), range(len(self.lists.sizes))  # type: ignore[return-value]
        codes, texts = dimensions.values_of(facts, name, rule)
        return self.rows.take(codes), texts

    def add(self) -> None:
        """Group by bin and values and add these groups to the question's."""
        adder, rows = self.adder, self.rows
        keys, span = self.bins, len(self.numbers)
        for codes, texts in self.values:
            keys = codes if keys is None else keys * np.int64(len(texts)) + codes
            span *= len(texts)
        if keys is None:
            keys = np.zeros(len(rows), dtype=np.int64)
        found, places = groups_of(keys.astype(np.int64, copy=False), span)
        is_first = None if "token_class" in adder.by else rows.is_first
        sums = self.summing.sums(adder.sums, places, len(found), is_first)
        pairs = {name: self._pairs(name, places, len(found)) for name in adder.distinct}
        parts: list[Any] = []
        # Values stand behind one another in the key, the last one lowest.
        for _, texts in reversed(self.values):
            found, own = np.divmod(found, len(texts))
            parts.insert(0, own)
        groups = [self.numbers[found], *parts]
        if adder.is_repeated:
            self._add_whole(groups[0], sums)
        if "tag" in adder.by:
            groups, sums, pairs = self._by_tag(groups, sums, pairs)
        known = groups[0] << 2 * BITS
        for place, (name, codes) in enumerate(zip(adder.by, groups[1:], strict=True)):
            texts = self.lists.tags.listed if name == "tag" else self.values[place][1]
            known |= adder.names[place].of(texts, codes) << BITS * (1 - place)
        adder.groups.add(Groups(known, sums, pairs))

    def _add_whole(self, bins: Any, sums: Mapping[str, Any]) -> None:
        """Each call once, by bin: the groups so far, which hold a call once per token class."""
        adder, rows = self.adder, self.rows
        keys, places = np.unique(bins, return_inverse=True)
        whole = regrouped(sums, places, len(keys))
        if "token_class" in adder.by:
            own = (
                np.zeros(len(rows), dtype=np.int64)
                if self.bins is None
                else np.searchsorted(keys, self.numbers[self.bins])
            )
            for name in adder.sums:
                if name in COUNTED or name.endswith(".unpriced"):
                    whole[name] = self.summing.counts(name, own, len(keys), rows.is_first)
        adder.whole.add(Groups(keys << 2 * BITS, whole))

    def _by_tag(
        self, groups: list[Any], sums: Mapping[str, Any], pairs: Mapping[str, Pairs]
    ) -> tuple[list[Any], dict[str, Any], dict[str, Pairs]]:
        """From groups by list of tags to groups by tag: each one once per tag of its list."""
        at = 1 + self.adder.by.index("tag")
        which, tags = _spread(self.lists, groups[at])
        spread = [one[which] for one in groups]
        spread[at] = tags
        spans = [int(one.max()) + 1 for one in spread]
        keys = spread[0]
        for codes, span in zip(spread[1:], spans[1:], strict=True):
            keys = keys * span + codes
        found, places = groups_of(keys, int(np.prod(spans, dtype=object)))
        count = len(found)
        # Where the groups that a group was spread to begin, and how many they are.
        sizes = self.lists.sizes[groups[at]]
        starts = np.cumsum(sizes) - sizes
        made = {}
        for name, one in pairs.items():
            times = sizes[one.places]
            rows = _ranges(starts[one.places], times)
            made[name] = pairs_of(places[rows], np.repeat(one.codes, times), count, one.ids)
        own: list[Any] = []
        for span in reversed(spans[1:]):
            found, codes = np.divmod(found, span)
            own.insert(0, codes)
        summed = regrouped({name: values[which] for name, values in sums.items()}, places, count)
        return [found, *own], summed, made

    def _pairs(self, name: str, places: Any, count: int) -> Pairs:
        """Who is seen in which group: users, sessions, or solved tasks."""
        facts = self.rows.facts
        if name == "users":
            texts = facts.texts("user")
            codes = facts["user"]
            ids = self.adder.users.of(texts, np.arange(len(texts)))
            is_counted = np.array([text != "" for text in texts], dtype=bool)
        else:
            codes, hashes = self.hashes(DISTINCT[name])
            is_counted = hashes != 0
            if name == "solved_tasks":
                is_counted = is_counted & self.adder.verdicts[facts.project_id].of(hashes)[1]
            # The same id in two projects is two sessions.
            ids = hashes ^ np.array(facts.project_id.int >> 65, dtype=np.int64)
        codes = self.rows.take(codes)
        if not is_counted.all():
            let = is_counted[codes]
            places, codes = places[let], codes[let]
        return pairs_of(places, codes, count, ids)


def _spread(lists: TagLists, codes: Any) -> tuple[Any, Any]:
    """Each entry once per tag of its list: which entry, and the tag."""
    sizes = lists.sizes[codes]
    which = np.repeat(np.arange(len(codes)), sizes)
    return which, lists.items[_ranges(lists.starts[codes], sizes)]


def _ranges(starts: Any, sizes: Any) -> Any:
    """start, start + 1, … of each, one behind the other."""
    ends = np.cumsum(sizes)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
