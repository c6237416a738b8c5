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
from costs.explorer.classes import of_class, of_classes, with_lines
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
from costs.explorer.summing import Rows, Summing, is_count

VALUES = (1 << 2 * BITS) - 1
HOUR = dt.timedelta(hours=1)


class Names:
    """The values of a dimension over all projects, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        # The texts that were asked for last, and those of their numbers that are known: blocks share them.
        self._texts: Sequence[str] = ()
        self._known: Any = None

    def of(self, texts: Sequence[str], codes: Any) -> Any:
        """The number of each code's text."""
        if texts is not self._texts:
            self._texts, self._known = texts, np.full(len(texts), -1, dtype=np.int64)
        known, numbers = self._known, self.numbers
        is_new = np.zeros(len(texts), dtype=bool)
        is_new[codes] = True
        new = np.flatnonzero(is_new & (known < 0))
        known[new] = [numbers.setdefault(texts[code], len(numbers)) for code in new.tolist()]
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
        start: dt.datetime,
        filters: Mapping[str, frozenset[str]],
        sums: Sequence[str],
        distinct: Sequence[str],
        verdicts: Mapping[UUID, Verdicts],
    ) -> None:
        self.by, self.size, self.filters = tuple(by), size, filters
        self.start = start
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
        mask, wanted = self._mask(facts, rule), self.filters.get("token_class")
        if "token_class" not in self.by and wanted is None:
            calls = None if mask is None else np.flatnonzero(mask)
            self._add(Block(self, Rows(facts, calls), rule))
            return
        texts = facts.texts("line.class")
        codes = [code for code in facts.lines() if wanted is None or texts[code] in wanted]
        if "token_class" not in self.by:
            self._add(Block(self, of_classes(facts, mask, codes, self.sums), rule))
            return
        for code in codes:
            self._add(Block(self, of_class(facts, mask, code), rule, token_class=texts[code]))
        # The lines hold a call several times: what counts calls is counted by itself.
        counted = Rows(facts, np.flatnonzero(with_lines(facts, mask, codes)))
        Block(self, counted, rule).add_whole([name for name in self.sums if is_count(name)])

    def _add(self, block: "Block") -> None:
        if not len(block.rows):
            return
        if "tag" in self.by and not block.has_few_lists():
            block.add_whole(block.once)
            block.add_by_place()
        else:
            block.add()

    def _mask(self, facts: Facts, rule: dimensions.TeamRule) -> Any:
        """The calls the filters let through; None for all."""
        masks = [
            self._let(facts, name, wanted, rule)
            for name, wanted in self.filters.items()
            if name != "token_class"
        ]
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

    def bins_of(self, rows: Rows) -> tuple[Any, Any]:
        """Each row's place among the block's bins (None: there is one), and the question's numbers of these."""
        facts = rows.facts
        midnights = [dt.datetime.combine(day.day, dt.time(), dt.UTC) for day in facts.days]
        if self.size == "hour":
            starts = [midnight + hour * HOUR for midnight in midnights for hour in range(24)]
            places = facts.by_day(np.arange(len(midnights)) * 24) + facts["hour"]
        else:
            own = [
                floor(midnight, self.size) if self.size else self.start for midnight in midnights
            ]
            starts = list(dict.fromkeys(own))
            at = {start: number for number, start in enumerate(starts)}
            of_day = np.array([at[start] for start in own], dtype=np.int64)
            places = None if len(starts) == 1 else facts.by_day(of_day)
        numbers = [self.bins.setdefault(start, len(self.bins)) for start in starts]
        return None if places is None else rows.take(places), np.array(numbers, dtype=np.int64)


class Block:
    """The groups of one block, as numbers of its own, on their way to the question's. `at`: of each list of tags only
    the one at this place counts. `token_class`: whose lines these are, when the question is by token class."""

    def __init__(
        self,
        adder: Adder,
        rows: Rows,
        rule: dimensions.TeamRule,
        at: int | None = None,
        token_class: str = "",
    ) -> None:
        self.adder, self.rows, self.rule, self.at = adder, rows, rule, at
        self.token_class = token_class
        self.summing = Summing(rows, adder.verdicts)
        self.lists = rows.facts.tag_lists() if "tag" in adder.by else None
        # By dimension: codes by call of the block, and the texts behind them.
        self.values = [self._values(name) for name in adder.by]
        self.bins, self.numbers = adder.bins_of(rows)

    @property
    def once(self) -> list[str]:
        """The sums that hold each call, or each line, once in the whole."""
        by_line = "token_class" in self.adder.by
        return [name for name in self.adder.sums if not (by_line and is_count(name))]

    def _values(self, name: str) -> tuple[Any, Sequence[str]]:
        """Codes by call and the texts behind them; of tags whole lists, unless one place of them is asked for."""
        facts = self.rows.facts
        if name == "token_class":
            return None, [self.token_class]
        if name == "tag":
            lists = facts.tag_lists()
            if self.at is None:
                return lists.codes, range(len(lists.sizes))  # type: ignore[return-value]
            # Lists that have no tag there are not among these rows.
            tags = lists.items[np.minimum(lists.starts + self.at, len(lists.items) - 1)]
            return tags[lists.codes], lists.texts
        codes, texts = facts.values(name, lambda: dimensions.values_of(facts, name, self.rule))
        return codes, texts

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
            Block(self.adder, rows, self.rule, at, self.token_class).add()

    def add(self) -> None:
        """Group by bin and values and add these groups to the question's."""
        adder, rows = self.adder, self.rows
        keys, span = self.bins, len(self.numbers)
        for codes, texts in self.values:
            if len(texts) > 1:
                own = rows.take(codes)
                keys = own if keys is None else keys * np.int64(len(texts)) + own
                span *= len(texts)
        if keys is None:
            keys = np.zeros(len(rows), dtype=np.int64)
        found, places = groups_of(keys.astype(np.int64, copy=False), span)
        sums = self.summing.sums(adder.sums, places, len(found))
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

    def add_whole(self, names: Sequence[str]) -> None:
        """These sums of each call once, by bin, from the calls themselves."""
        rows = self.rows
        bins = np.zeros(len(rows), dtype=np.int64) if self.bins is None else self.bins
        found, places = groups_of(bins, len(self.numbers))
        self._add_to_whole(self.numbers[found], self.summing.sums(names, places, len(found)))

    def _add_whole(self, bins: Any, sums: Mapping[str, Any]) -> None:
        """The same from the groups so far."""
        keys, places = np.unique(bins, return_inverse=True)
        once = {name: sums[name] for name in self.once}
        self._add_to_whole(keys, regrouped(once, places, len(keys)))

    def _add_to_whole(self, bins: Any, sums: Mapping[str, Any]) -> None:
        rest: Any = np.zeros(len(bins), dtype=np.int64)
        whole = {name: sums.get(name, rest) for name in self.adder.sums}
        self.adder.whole.add(Groups(bins << 2 * BITS, whole))

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
