"""Blocks of calls added to the groups of a question (numpy, exact)."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np

from core.ranges import Bin, floor
from costs.explorer import dimensions
from costs.explorer.facts import Facts
from costs.explorer.grouping import (
    BITS,
    VALUE,
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

VALUES = (1 << 2 * BITS) - 1
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
        if len(numbers) > VALUE:
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
        if not len(rows):
            return
        block = Block(self, rows, rule)
        if "tag" in self.by and not block.has_few_lists():
            block.add_whole()
            block.add_by_place()
        else:
            block.add()

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
            lists = facts.tag_lists()
            of_tag = np.array([tag in wanted for tag in lists.texts], dtype=bool)
            return np.logical_or.reduceat(of_tag[lists.items], lists.starts)[lists.codes]
        codes, texts = dimensions.values_of(facts, name, rule)
        return np.array([text in wanted for text in texts], dtype=bool)[codes]

    def ids_of(self, facts: Facts, name: str) -> tuple[Any, Any, Any]:
        """Each call's code of who is counted, the id behind each code, and which of them count."""
        found: tuple[Any, Any, Any] = facts.values(f"{name}.ids", lambda: self._ids_of(facts, name))
        return found

    def _ids_of(self, facts: Facts, name: str) -> tuple[Any, Any, Any]:
        if name == "users":
            texts = facts.texts("user")
            ids = self.users.of(texts, np.arange(len(texts)))
            return facts["user"], ids, np.array([text != "" for text in texts], dtype=bool)
        codes, hashes = facts.hashes(DISTINCT[name])
        is_counted = hashes != 0
        if name == "solved_tasks":
            is_counted = is_counted & self.verdicts[facts.project_id].of(hashes)[1]
        # The same id in two projects is two sessions.
        return codes, hashes ^ np.array(facts.project_id.int >> 65, dtype=np.int64), is_counted

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


class Block:
    """The groups of one block, as numbers of its own, on their way to the question's. `at`: of each list of tags only
    the one at this place counts."""

    def __init__(
        self, adder: Adder, rows: Rows, rule: dimensions.TeamRule, at: int | None = None
    ) -> None:
        self.adder, self.rows, self.rule, self.at = adder, rows, rule, at
        self.summing = Summing(rows, adder.verdicts, self.hashes)
        self.lists = rows.facts.tag_lists() if "tag" in adder.by else None
        # By dimension: codes by row, and how many there are.
        self.values = [self._values(name) for name in adder.by]
        self.bins, self.numbers = adder.bins_of(rows)

    def hashes(self, name: str) -> tuple[Any, Any]:
        return self.rows.facts.hashes(name)

    def _values(self, name: str) -> tuple[Any, Sequence[str]]:
        """Codes by row and the texts behind them; of tags whole lists, unless one place of them is asked for."""
        facts = self.rows.facts
        if name == "token_class":
            return self.rows.line("line.class"), facts.texts("line.class")
        if name == "tag":
            lists = facts.tag_lists()
            if self.at is None:
                return self.rows.take(lists.codes), range(len(lists.sizes))  # type: ignore[return-value]
            # Lists that have no tag there are not among these rows.
            tags = lists.items[np.minimum(lists.starts + self.at, len(lists.items) - 1)]
            return self.rows.take(tags[lists.codes]), lists.texts
        codes, texts = facts.values(name, lambda: dimensions.values_of(facts, name, self.rule))
        return self.rows.take(codes), texts

    def has_few_lists(self) -> bool:
        """Whether grouping by whole lists of tags first leaves far fewer groups than there are rows."""
        span = len(self.numbers)
        for _, texts in self.values:
            span *= len(texts)
        return 4 * span <= len(self.rows)

    def add_by_place(self) -> None:
        """Group by the first tags of all calls, then by the second ones of those that have two, and so on."""
        lists = self.rows.facts.tag_lists()
        sizes = self.rows.take(lists.sizes[lists.codes])
        for at in range(int(sizes.max())):
            let = sizes > at
            rows = self.rows if let.all() else self.rows.only(let)
            Block(self.adder, rows, self.rule, at).add()

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
        if adder.is_repeated and self.at is None:
            self._add_whole(groups[0], sums)
        if "tag" in adder.by and self.at is None:
            self._add_by_tag(groups, sums, pairs)
        else:
            self._add_known(groups, sums, pairs)

    def _add_known(
        self, groups: Sequence[Any], sums: Mapping[str, Any], pairs: Mapping[str, Pairs]
    ) -> None:
        """Go from bins and codes of this block to the question's numbers."""
        adder = self.adder
        known = groups[0] << 2 * BITS
        for place, (name, codes) in enumerate(zip(adder.by, groups[1:], strict=True)):
            texts = self.lists.texts if name == "tag" and self.lists else self.values[place][1]
            known |= adder.names[place].of(texts, codes) << BITS * (1 - place)
        adder.groups.add(Groups(known, sums, pairs))

    def add_whole(self) -> None:
        """Each call once, by bin, from the calls themselves."""
        adder, rows = self.adder, self.rows
        bins = np.zeros(len(rows), dtype=np.int64) if self.bins is None else self.bins
        found, places = groups_of(bins, len(self.numbers))
        sums = self.summing.sums(adder.sums, places, len(found), rows.is_first)
        adder.whole.add(Groups(self.numbers[found] << 2 * BITS, sums))

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

    def _add_by_tag(
        self, groups: Sequence[Any], sums: Mapping[str, Any], pairs: Mapping[str, Pairs]
    ) -> None:
        """Groups by list of tags become groups by tag: by the first tag of each, then by the second, and so on."""
        place = 1 + self.adder.by.index("tag")
        lists = self.lists or self.rows.facts.tag_lists()
        starts, sizes = lists.starts[groups[place]], lists.sizes[groups[place]]
        for at in range(int(sizes.max())):
            let: Any = slice(None) if at == 0 else np.flatnonzero(sizes > at)
            own = [one[let] for one in groups]
            own[place] = lists.items[starts[let] + at]
            spans = [int(one.max()) + 1 for one in own]
            keys = own[0]
            for codes, span in zip(own[1:], spans[1:], strict=True):
                keys = keys * span + codes
            found, places = groups_of(keys, math.prod(spans))
            summed = regrouped({name: one[let] for name, one in sums.items()}, places, len(found))
            seen = {
                name: _moved(one, let, len(sizes), places, len(found))
                for name, one in pairs.items()
            }
            parts: list[Any] = []
            for span in reversed(spans[1:]):
                found, codes = np.divmod(found, span)
                parts.insert(0, codes)
            self._add_known([found, *parts], summed, seen)

    def _pairs(self, name: str, places: Any, count: int) -> Pairs:
        """Who is seen in which group: users, sessions, or solved tasks."""
        codes, ids, is_counted = self.adder.ids_of(self.rows.facts, name)
        codes = self.rows.take(codes)
        if not is_counted.all():
            let = is_counted[codes]
            places, codes = places[let], codes[let]
        return pairs_of(places, codes, count, ids)


def _moved(pairs: Pairs, let: Any, size: int, places: Any, count: int) -> Pairs:
    """The pairs of some places, which have become others."""
    now = np.full(size, -1, dtype=np.int64)
    now[let] = places
    own = now[pairs.places]
    is_there = own >= 0
    return pairs_of(own[is_there], pairs.codes[is_there], count, pairs.ids)
