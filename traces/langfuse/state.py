"""What Langfuse's events said of each trace and observation so far, so that partial statements in any order add up.

Of every field the newest statement wins, by the client's clock; of metadata every key does. What was said in a step
(input, output …) is not kept here: a hash tells whether it is news. Batches of one project take turns, so that what
one of them works out is not outdated by another.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from projects.models import Project
from traces.langfuse.events import Event, moment_text

# After this long an item's next event finds an ended step, which stays as it is.
KEEP = dt.timedelta(days=2)
MAX_SIBLINGS = 5_000
FORGET_AT_ONCE = 5_000
_FAR = dt.datetime.max.replace(tzinfo=dt.UTC)

Key = tuple[str, str]  # kind, item id


class Item(msgspec.Struct, kw_only=True):
    """A trace or an observation: the columns of LangfuseItem, and what this batch did to it."""

    kind: str
    item_id: str
    trace_id: str = ""
    facts: dict[str, Any] = {}
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    is_running: bool = False

    is_new: bool = False
    is_changed: bool = False
    content: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """The newest statement of a fact; None when nobody said any."""
        entry = self.facts.get(name)
        return entry[2] if entry else None

    def moment(self, name: str) -> dt.datetime | None:
        value = self.get(name)
        return dt.datetime.fromisoformat(value) if value else None

    def first_heard(self) -> dt.datetime:
        """The earliest event of the item: its start, as long as nobody says it."""
        heard = self.get("~heard")
        return dt.datetime.fromtimestamp(heard / 1_000_000, dt.UTC) if heard else _FAR

    def take(self, event: Event) -> bool:
        """Add an event's statements; whether any of them is news."""
        heard, at = self.get("~heard"), event.rank[0]
        is_news = heard is None
        if heard is None or at < heard:
            self.facts["~heard"] = [0, 0, at]
            is_news |= "startTime" not in self.facts
        for name, value in event.facts.items():
            if isinstance(value, dt.datetime):
                value = moment_text(value)
            is_news |= self._state(name, event.rank, value)
        for name, value in event.content.items():
            if name == "metadata":
                fresh = {
                    key: item
                    for key, item in value.items()
                    if self._state(f"metadata.{key}", event.rank, _hash(item))
                }
                if fresh:
                    self.content["metadata"] = {**self.content.get("metadata", {}), **fresh}
                    is_news = True
            elif self._state(name, event.rank, _hash(value)):
                self.content[name] = value
                is_news = True
        self.is_changed |= is_news
        return is_news

    def _state(self, name: str, rank: tuple[int, int], value: Any) -> bool:
        before = self.facts.get(name)
        if before is not None and (before[0], before[1]) > rank:
            return False
        self.facts[name] = [*rank, value]
        return before is None or before[2] != value


def _hash(value: Any) -> str:
    return hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=8).hexdigest()


_COLUMNS = "kind, item_id, trace_id, facts, started_at, ended_at, is_running"
_LOAD = (
    f"SELECT {_COLUMNS} FROM traces_langfuseitem"  # noqa: S608 - own names
    " WHERE project_id = %s AND (kind, item_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"
)
_SIBLINGS = (
    f"SELECT {_COLUMNS} FROM traces_langfuseitem"  # noqa: S608 - own names
    f" WHERE project_id = %s AND kind = 'o' AND trace_id = ANY(%s) ORDER BY item_id LIMIT {MAX_SIBLINGS}"
)
_SAVE = """
INSERT INTO traces_langfuseitem AS i
  (project_id, kind, item_id, trace_id, facts, started_at, ended_at, is_running, updated_at)
SELECT %s, v.kind, v.item_id, v.trace_id, v.facts, v.started_at, v.ended_at, v.is_running, %s
FROM json_to_recordset(%s::json) AS v(kind text, item_id text, trace_id text, facts jsonb, started_at timestamptz,
  ended_at timestamptz, is_running boolean)
ON CONFLICT (project_id, kind, item_id) DO UPDATE SET trace_id = excluded.trace_id, facts = excluded.facts,
  started_at = excluded.started_at, ended_at = excluded.ended_at, is_running = excluded.is_running,
  updated_at = excluded.updated_at
"""
# Of each trace: from when to when, whether a step still runs, and the level of the outermost step that ended last.
_EXTENTS = """
SELECT trace_id, min(started_at), max(ended_at), bool_or(is_running),
  (array_agg(facts->'level'->>2 ORDER BY ended_at DESC NULLS LAST, item_id)
    FILTER (WHERE NOT facts ? 'parentObservationId' OR facts->'parentObservationId'->>2 = trace_id))[1]
FROM traces_langfuseitem WHERE project_id = %s AND kind = 'o' AND trace_id = ANY(%s) GROUP BY trace_id
"""
# Rows that a batch has locked are about to be spoken of: they stay.
_FORGET = """
DELETE FROM traces_langfuseitem WHERE project_id = %s AND (kind, item_id) IN (
  SELECT kind, item_id FROM traces_langfuseitem WHERE project_id = %s AND updated_at < %s
  LIMIT %s FOR UPDATE SKIP LOCKED
)
"""
_FORGET_TRACES = (
    "DELETE FROM traces_langfuseitem WHERE project_id = %s"
    " AND (trace_id = ANY(%s) OR (kind = 't' AND item_id = ANY(%s)))"
)

Extent = tuple[dt.datetime | None, dt.datetime | None, bool, str]


def lock(cursor: Any, project_id: UUID) -> None:
    """One batch of a project at a time, until the transaction ends."""
    cursor.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('langfuse:' || %s, 0))", [str(project_id)]
    )


def load(cursor: Any, project_id: UUID, keys: Iterable[Key]) -> dict[Key, Item]:
    """The items that are known. One query, none without keys."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    cursor.execute(_LOAD, [project_id, [kind for kind, _ in wanted], [item for _, item in wanted]])
    return _items(cursor)


def siblings(cursor: Any, project_id: UUID, trace_ids: Iterable[str]) -> dict[Key, Item]:
    """The observations of these traces."""
    cursor.execute(_SIBLINGS, [project_id, sorted(trace_ids)])
    return _items(cursor)


def _items(cursor: Any) -> dict[Key, Item]:
    found = {}
    for kind, item_id, trace_id, facts, started_at, ended_at, is_running in cursor.fetchall():
        found[kind, item_id] = Item(
            kind=kind,
            item_id=item_id,
            trace_id=trace_id,
            facts=msgspec.json.decode(facts) if isinstance(facts, str) else facts,
            started_at=started_at,
            ended_at=ended_at,
            is_running=is_running,
            content={},
        )
    return found


def save(cursor: Any, project_id: UUID, items: Iterable[Item], *, now: dt.datetime) -> None:
    """Write the items as they are now. One statement."""
    names = ("kind", "item_id", "trace_id", "facts", "started_at", "ended_at", "is_running")
    rows = [{name: getattr(item, name) for name in names} for item in items]
    if rows:
        rows.sort(key=lambda row: (row["kind"], row["item_id"]))
        cursor.execute(_SAVE, [project_id, now, msgspec.json.encode(rows).decode()])


def extents(cursor: Any, project_id: UUID, trace_ids: Iterable[str]) -> dict[str, Extent]:
    """How far each trace reaches. One query."""
    cursor.execute(_EXTENTS, [project_id, sorted(trace_ids)])
    return {row[0]: (row[1], row[2], bool(row[3]), row[4] or "") for row in cursor.fetchall()}


def forget_old(*, project_id: UUID, now: dt.datetime, at_once: int = FORGET_AT_ONCE) -> int:
    """Drop what nobody spoke of for two days, `at_once` per statement; returns how many items went."""
    gone = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_FORGET, [project_id, project_id, now - KEEP, at_once])
            gone += cursor.rowcount
            if cursor.rowcount < at_once:
                return int(gone)


def forget_old_all(*, now: dt.datetime) -> int:
    """`forget_old` for every project; returns how many items went."""
    return sum(
        forget_old(project_id=project_id, now=now)
        for project_id in Project.objects.order_by("pk").values_list("pk", flat=True)
    )


def forget_traces(project_id: UUID, trace_ids: list[str]) -> None:
    """Deleted traces are forgotten here, too: whom they were for, and that their events are known. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_TRACES, [project_id, trace_ids, trace_ids])
