"""A project's days as columns: kept ones while they are right, else read fresh from the ledger.

What was worked out is remembered in the process by (project, day, version), bounded in bytes. Days whose records
retention removed keep the facts they have; a day without any stays in the sums alone.
"""

import datetime as dt
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import connection

from costs.explorer.lines import Lines, lines_of, of_hours
from costs.explorer.packing import Column, bytes_of, unpack
from costs.explorer.reading import NEWEST, PARTS, RecordsGoneError, read_day
from costs.explorer.words import Words

# How many days are fetched at once.
AT_ONCE = 32
# How many calls are added up at once, however long the range is.
BLOCK_ROWS = 1 << 19
TEXTS_END = ".texts"
HOUR = dt.timedelta(hours=1)
Columns = dict[str, Column]
Key = tuple[UUID, dt.date, int, bool]
_DAYS = """
SELECT s.project_id, s.day, s.calls, coalesce(d.version, 0), f.version, f.is_gone, f.rows, f.layout
FROM (
  SELECT a.project_id, (a.hour AT TIME ZONE 'UTC')::date AS day, sum(a.calls)::bigint AS calls
  FROM costs_costdailyaggregate a
  WHERE a.project_id = ANY(%s) AND a.dimension = 'all' AND a.hour >= %s AND a.hour < %s
  GROUP BY 1, 2 HAVING sum(a.calls) > 0
) s LEFT JOIN costs_costday d ON d.project_id = s.project_id AND d.day = s.day
LEFT JOIN costs_dayfacts f ON f.project_id = s.project_id AND f.day = s.day
ORDER BY s.project_id, s.day
"""
_SLICES = """
SELECT f.project_id, f.day, w.name, substring(f.data FROM w.first FOR w.size)
FROM unnest(%s::uuid[], %s::date[], %s::bigint[], %s::text[], %s::int[], %s::int[])
  AS w(project_id, day, version, name, first, size)
JOIN costs_dayfacts f ON f.project_id = ANY(%s) AND f.project_id = w.project_id AND f.day = w.day
  AND f.version = w.version
"""


@dataclass(frozen=True)
class Day:
    """A day of a project. `version` is the ledger's; `kept` describes stored facts, if there are any."""

    project_id: UUID
    day: dt.date
    calls: int
    version: int
    kept: int | None
    is_gone: bool
    rows: int
    layout: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        """Whether the stored facts are the day as it is, in today's form."""
        return self.kept == self.version and (self.is_gone or NEWEST in self.layout)

    @property
    def key(self) -> Key:
        return (self.project_id, self.day, self.version, self.is_kept)


@dataclass(frozen=True)
class TagLists:
    """`codes`: the list of tags of each call. A list's tags (`texts[item]`) begin at its start; one without tags has
    the tag ""."""

    codes: Any
    starts: Any
    sizes: Any
    items: Any
    texts: list[str]

    def of(self, number: int) -> list[str]:
        """The tags of a list, in order."""
        start = int(self.starts[number])
        items = self.items[start : start + int(self.sizes[number])].tolist()
        return sorted(self.texts[item] for item in items if self.texts[item])

    def alike(self) -> tuple[Any, list[int]]:
        """Each list's number among those that differ, and one list of each."""
        items = np.asarray(self.items, dtype=np.int32)
        raw, width = items.tobytes(), items.itemsize
        ends = ((self.starts + self.sizes) * width).tolist()
        seen: dict[bytes, int] = {}
        found = [
            seen.setdefault(raw[start:end], len(seen))
            for start, end in zip((self.starts * width).tolist(), ends, strict=True)
        ]
        numbers: Any = np.array(found, dtype=np.int64)
        first = np.zeros(len(seen), dtype=np.int64)
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        return numbers, first.tolist()


class Facts:
    """Days of a project as columns, one day behind the other. Texts are numbers of `words`."""

    def __init__(
        self, words: Words, days: Sequence[Day], columns: Sequence[Columns], rows: Sequence[int]
    ) -> None:
        self.words, self.days, self.sizes = words, days, np.array(rows, dtype=np.int64)
        self.project_id = days[0].project_id
        self.rows = int(self.sizes.sum())
        self._columns = columns
        self._made: dict[str, Column] = {}
        self._texts: dict[str, list[str]] = {}
        self._values: dict[str, Any] = {}
        self._tag_lists: TagLists | None = None

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = np.concatenate([one[name] for one in self._columns])
        return self._made[name]

    def texts(self, name: str) -> list[str]:
        """The texts behind a column's numbers, as many as there are now."""
        if name not in self._texts:
            self._texts[name] = self.words.texts(name)
        return self._texts[name]

    def by_day(self, values: Any) -> Any:
        """A value of each day, by call."""
        return np.repeat(values, self.sizes)

    def tag_lists(self) -> "TagLists":
        """Which tags each call has."""
        if self._tag_lists is None:
            sizes, items = self["tags.sizes"], self["tags.items"]
            many = [len(one["tags.sizes"]) for one in self._columns]
            codes = np.concatenate([one["tags"] for one in self._columns]).astype(np.int32)
            codes += self.by_day(np.cumsum(many, dtype=np.int32) - np.array(many, dtype=np.int32))
            starts = np.cumsum(sizes, dtype=np.int64) - sizes
            self._tag_lists = TagLists(codes, starts, sizes, items, self.texts("tags.items"))
        return self._tag_lists

    def lines(self) -> dict[int, Lines]:
        """The lines of each token class."""
        found: dict[int, Lines] = self.values(
            "lines", lambda: lines_of(self._columns, self.sizes.tolist())
        )
        return found

    def values(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once."""
        if name not in self._values:
            self._values[name] = make()
        return self._values[name]

    def hashes(self, name: str) -> tuple[Any, Any]:
        """Which session or trace each call belongs to, as a code, and the hashes behind the codes."""
        found: tuple[Any, Any] = self.values(f"{name}.codes", lambda: self._numbered_hashes(name))
        return found

    def _numbered_hashes(self, name: str) -> tuple[Any, Any]:
        many = [one[f"{name}.hashes"] for one in self._columns]
        found, codes = np.unique(np.concatenate(many), return_inverse=True)
        starts = np.cumsum([0, *map(len, many)])
        codes = codes.astype(np.int32)
        parts = [codes[start : start + len(own)][one[name]]
                 for one, own, start in zip(self._columns, many, starts.tolist(), strict=False)]  # fmt: skip
        return np.concatenate(parts), found


class Memory:
    """The process's columns, least recently used first out. Right for ever: a version never comes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._days: OrderedDict[Any, tuple[int, int, Columns]] = OrderedDict()
        # The numberings behind the columns, and how many days use each.
        self._words: dict[UUID, tuple[Words, int]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return self._size + sum(words.size for words, _ in self._words.values())

    def words(self, project_id: UUID) -> Words:
        """The project's numberings; new ones when none of its days is here."""
        with self._lock:
            found = self._words.get(project_id)
            return found[0] if found else Words()

    def get(self, key: Key, words: Words) -> tuple[int, Columns] | None:
        """How many calls, and what columns are here, numbered by `words`."""
        with self._lock:
            found = self._days.get(key)
            if found is None or self._words[key[0]][0] is not words:
                return None
            self._days.move_to_end(key)
            return found[0], found[2]

    def put(self, key: Key, rows: int, columns: Columns, words: Words) -> None:
        """Remember these columns of the day, and no others. Texts of days that went long ago may not fill the memory:
        then the project begins anew."""
        size = sum(map(bytes_of, columns.values())) + 1000
        limit = settings.LLMLAB_EXPLORER_MEMORY_MB * 2**20
        project = key[0]
        with self._lock:
            if (here := self._words.get(project)) and here[0] is not words:
                return
            self._drop(key)
            if words.size > limit // 2:
                for one in [one for one in self._days if one[0] == project]:
                    self._drop(one)
                return
            self._days[key] = (rows, size, columns)
            self._words[project] = (words, self._words.get(project, (words, 0))[1] + 1)
            self._size += size
            while self._days and self.size > limit:
                self._drop(next(iter(self._days)))

    def _drop(self, key: Key) -> None:
        if found := self._days.pop(key, None):
            self._size -= found[1]
            words, days = self._words.pop(key[0])
            if days > 1:
                self._words[key[0]] = (words, days - 1)

    def clear(self) -> None:
        with self._lock:
            self._days.clear()
            self._words.clear()
            self._size = 0


memory = Memory()


def days_of(project_ids: Sequence[UUID], first: dt.date, end: dt.date) -> list[Day]:
    """The days from `first` to before `end` that have calls. One query."""
    start, stop = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (first, end))
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [list(project_ids), start, stop])
        return [
            Day(project, day, calls, version, kept, bool(is_gone), rows or 0, _layout(layout))
            for project, day, calls, version, kept, is_gone, rows, layout in cursor.fetchall()
        ]


def _layout(found: Any) -> dict[str, tuple[int, int, str]]:
    return json.loads(found) if isinstance(found, str) else found or {}


def facts_of(
    days: Sequence[Day],
    parts: Sequence[str],
    gone: list[Day],
    span: tuple[dt.datetime, dt.datetime],
) -> Iterator[Facts]:
    """The columns of `parts` of the days' calls in `span` (whole hours), in order and at most BLOCK_ROWS calls (or one
    day) at once; days of which only sums are left go to `gone`. One query per AT_ONCE days whose kept columns are not
    in memory, and one per day that moved."""
    names = [name for part in parts for name in held(part)]
    for _, many in groupby(days, key=lambda day: day.project_id):
        own = list(many)
        words = memory.words(own[0].project_id)
        block: list[tuple[Day, int, Columns]] = []
        rows = 0
        for at in range(0, len(own), AT_ONCE):
            for day, calls, columns in _columns_of(own[at : at + AT_ONCE], parts, names, words):
                if columns is None:
                    gone.append(day)
                    continue
                size, columns = _cut(day, calls, {name: columns[name] for name in names}, span)
                if size:
                    if block and rows + size > BLOCK_ROWS:
                        yield _block(words, block)
                        block, rows = [], 0
                    block.append((day, size, columns))
                    rows += size
        if block:
            yield _block(words, block)


def _cut(
    day: Day, size: int, columns: Columns, span: tuple[dt.datetime, dt.datetime]
) -> tuple[int, Columns]:
    """The calls of a day inside the range, which ends at most two days in their middle."""
    midnight = dt.datetime.combine(day.day, dt.time(), dt.UTC)
    first, end = ((at - midnight) // HOUR for at in span)
    return (size, columns) if first <= 0 and end >= 24 else of_hours(columns, first, end)


def _block(words: Words, block: Sequence[tuple[Day, int, Columns]]) -> Facts:
    days, rows, columns = zip(*block, strict=True)
    return Facts(words, days, columns, rows)


def held(part: str) -> list[str]:
    """The columns of a part as they are in memory: texts are numbers there."""
    return [name for name in PARTS[part] if not name.endswith(TEXTS_END)]


def _columns_of(
    days: Sequence[Day], parts: Sequence[str], names: Sequence[str], words: Words
) -> Iterator[tuple[Day, int, Columns | None]]:
    """Each day with its calls and columns; None when only sums are left of it."""
    unpacked = _unpack([day for day in days if day.is_kept and not day.is_gone], names, words)
    for day in days:
        if day.is_kept and day.is_gone:
            yield day, 0, None
        elif (columns := unpacked.pop(day.key, None)) is not None:
            yield day, day.rows, columns
        else:
            yield _read(day, parts, names, words)


def _unpack(days: Sequence[Day], names: Sequence[str], words: Words) -> dict[Any, Columns]:
    """Kept columns by day, from memory or PostgreSQL. A day that changes meanwhile is left out."""
    found: dict[Any, Columns] = {}
    wanted: list[tuple[UUID, dt.date, int, str, int, int]] = []
    by_place = {(day.project_id, day.day): day for day in days}
    for day in days:
        here = memory.get(day.key, words)
        found[day.key] = dict(here[1]) if here else {}
        for name in names:
            if name not in found[day.key]:
                for one in (name, f"{name}{TEXTS_END}"):
                    if one in day.layout:
                        first, size, _ = day.layout[one]
                        wanted.append((day.project_id, day.day, day.version, one, first + 1, size))
    if wanted:
        projects = list({one[0] for one in wanted})
        read: dict[Any, Columns] = {}
        with connection.cursor() as cursor:
            cursor.execute(_SLICES, [*map(list, zip(*wanted, strict=True)), projects])
            for project, at, name, data in cursor.fetchall():
                day = by_place[project, at]
                read.setdefault(day.key, {})[name] = unpack(day.layout[name][2], bytes(data))
        for day in days:
            if columns := read.get(day.key):
                found[day.key] |= numbered(columns, words)
                memory.put(day.key, day.rows, found[day.key], words)
    return {
        key: columns for key, columns in found.items() if all(name in columns for name in names)
    }


def numbered(columns: Columns, words: Words) -> Columns:
    """The same columns with numbers of `words` for the day's own texts."""
    found = {name: one for name, one in columns.items() if not name.endswith(TEXTS_END)}
    for name, texts in columns.items():
        if name.endswith(TEXTS_END):
            own = name.removesuffix(TEXTS_END)
            found[own] = words.number(own, texts)[columns[own]]
    return found


def _read(
    day: Day, parts: Sequence[str], names: Sequence[str], words: Words
) -> tuple[Day, int, Columns | None]:
    """A day that moved. Columns of two readings never mix: rows may come in another order."""
    here = memory.get(day.key, words)
    if here and all(name in here[1] for name in names):
        return day, here[0], here[1]
    wanted = list(parts)
    if here:
        wanted += [part for part in PARTS if part not in parts and held(part)[0] in here[1]]
    try:
        rows, read = read_day(day.project_id, day.day, wanted)
    except RecordsGoneError:
        if day.kept is not None and not day.is_gone:
            older = replace(day, version=day.kept)
            if columns_kept := _unpack([older], names, words).get(older.key):
                return day, day.rows, columns_kept
        return day, 0, None
    columns = numbered(read, words)
    if not day.is_kept:
        memory.put(day.key, rows, columns, words)
    return day, rows, columns
