"""A project's days as columns: kept ones while they are right, else read fresh from the ledger.

What was worked out is remembered in the process by (project, day, version), bounded in bytes. Days whose records
retention removed keep the facts they have; a day without any stays in the sums alone.
"""

import datetime as dt
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from costs.explorer.packing import Column, bytes_of, unpack
from costs.explorer.reading import PARTS, RecordsGoneError, read_day

# How many days are held at once, however long the range is.
AT_ONCE = 32
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
        """Whether the stored facts are the day as it is."""
        return self.kept == self.version

    @property
    def key(self) -> tuple[UUID, dt.date, int, bool]:
        return (self.project_id, self.day, self.version, self.is_kept)


@dataclass(frozen=True)
class Facts:
    """Columns of a day. `is_gone`: its calls are only known as sums."""

    day: Day
    rows: int
    columns: dict[str, Column]
    is_gone: bool = False

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]


class Memory:
    """The process's columns, least recently used first out. Right for ever: a version never comes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._days: OrderedDict[Any, tuple[int, int, dict[str, Column]]] = OrderedDict()
        self.size = 0

    def get(self, key: Any) -> tuple[int, dict[str, Column]] | None:
        """How many calls, and what columns are here."""
        with self._lock:
            found = self._days.get(key)
            if found is None:
                return None
            self._days.move_to_end(key)
            return found[0], found[2]

    def put(self, key: Any, rows: int, columns: dict[str, Column]) -> None:
        """Remember these columns of the day, and no others."""
        size = sum(map(bytes_of, columns.values())) + 1000
        limit = settings.LLMLAB_EXPLORER_MEMORY_MB * 2**20
        with self._lock:
            self._drop(key)
            if size > limit:
                return
            self._days[key] = (rows, size, columns)
            self.size += size
            while self.size > limit:
                self._drop(next(iter(self._days)))

    def _drop(self, key: Any) -> None:
        if found := self._days.pop(key, None):
            self.size -= found[1]

    def clear(self) -> None:
        with self._lock:
            self._days.clear()
            self.size = 0


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


def facts_of(days: Sequence[Day], parts: Sequence[str]) -> Iterator[Facts]:
    """The columns of `parts` of each day, in order. One query per AT_ONCE days whose kept columns are not in
    memory, and one per day that moved."""
    names = list(dict.fromkeys(name for part in parts for name in PARTS[part]))
    for at in range(0, len(days), AT_ONCE):
        some = days[at : at + AT_ONCE]
        unpacked = _unpack([day for day in some if day.is_kept and not day.is_gone], names)
        for day in some:
            if day.is_kept and day.is_gone:
                yield Facts(day, 0, {}, is_gone=True)
            elif (columns := unpacked.pop(day.key, None)) is not None:
                yield Facts(day, day.rows, columns)
            else:
                yield _read(day, parts, names)


def _unpack(days: Sequence[Day], names: Sequence[str]) -> dict[Any, dict[str, Column]]:
    """Kept columns by day, from memory or PostgreSQL. A day that changes meanwhile is left out."""
    found: dict[Any, dict[str, Column]] = {}
    wanted: list[tuple[UUID, dt.date, int, str, int, int]] = []
    by_place = {(day.project_id, day.day): day for day in days}
    for day in days:
        here = memory.get(day.key)
        found[day.key] = dict(here[1]) if here else {}
        for name in names:
            if name not in found[day.key]:
                first, size, _ = day.layout[name]
                wanted.append((day.project_id, day.day, day.version, name, first + 1, size))
    if wanted:
        projects = list({one[0] for one in wanted})
        changed = set()
        with connection.cursor() as cursor:
            cursor.execute(_SLICES, [*map(list, zip(*wanted, strict=True)), projects])
            for project, at, name, data in cursor.fetchall():
                day = by_place[project, at]
                found[day.key][name] = unpack(day.layout[name][2], bytes(data))
                changed.add(day.key)
        for day in days:
            if day.key in changed:
                memory.put(day.key, day.rows, found[day.key])
    return {
        key: {name: columns[name] for name in names}
        for key, columns in found.items()
        if all(name in columns for name in names)
    }


def _read(day: Day, parts: Sequence[str], names: Sequence[str]) -> Facts:
    """A day that moved. Columns of two readings never mix: rows may come in another order."""
    here = memory.get(day.key)
    if here and all(name in here[1] for name in names):
        return Facts(day, here[0], {name: here[1][name] for name in names})
    wanted = list(parts)
    if here:
        wanted += [part for part, of in PARTS.items() if part not in parts and of[0] in here[1]]
    try:
        rows, columns = read_day(day.project_id, day.day, wanted)
    except RecordsGoneError:
        if day.kept is not None and not day.is_gone:
            older = replace(day, version=day.kept)
            if columns_kept := _unpack([older], names).get(older.key):
                return Facts(day, day.rows, columns_kept)
        return Facts(day, 0, {}, is_gone=True)
    if not day.is_kept:
        memory.put(day.key, rows, columns)
    return Facts(day, rows, {name: columns[name] for name in names})
