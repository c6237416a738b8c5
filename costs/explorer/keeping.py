"""Keeping the facts of days that no longer move, and taking a person out of them."""

import datetime as dt
import json
import time
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import connection, transaction

from costs.explorer.facts import Day, days_of
from costs.explorer.packing import pack, replaced, unpack
from costs.explorer.reading import NEWEST, PARTS, RecordsGoneError, read_day
from projects.models import Project

# A day is quiet when nobody wrote to it between two sweeps.
SEEN_SECONDS = 3600
# How long a sweep works before it leaves the rest to the next one.
SWEEP_SECONDS = 40.0
# Kept only when the ledger is still at the version that was read: the share lock makes a writer of the day, an erasure
# above all, come before this or after it, never between.
_LOCK = "SELECT version FROM costs_costday WHERE project_id = %s AND day = %s FOR SHARE"
_ENSURE = """
INSERT INTO costs_costday (project_id, day, version) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING
"""
_KEEP = """
INSERT INTO costs_dayfacts AS f (project_id, day, version, rows, is_gone, layout, data)
VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s)
ON CONFLICT (project_id, day) DO UPDATE SET version = excluded.version, rows = excluded.rows,
  is_gone = excluded.is_gone, layout = excluded.layout, data = excluded.data
"""
_STILL_RIGHT = (
    "UPDATE costs_dayfacts SET version = %s WHERE project_id = %s AND day = %s AND NOT is_gone"
)
_MOVED = """
SELECT d.day, d.version FROM costs_costday d
LEFT JOIN costs_dayfacts f ON f.project_id = d.project_id AND f.day = d.day
WHERE d.project_id = %s AND (f.version IS DISTINCT FROM d.version OR NOT (f.is_gone OR f.layout ? %s))
ORDER BY d.day DESC
"""
_COLUMN = """
SELECT day, layout, substring(data FROM (layout -> %s ->> 0)::int + 1 FOR (layout -> %s ->> 1)::int)
FROM costs_dayfacts WHERE project_id = %s AND NOT is_gone ORDER BY day
"""
_DATA = "SELECT layout, data FROM costs_dayfacts WHERE project_id = %s AND day = %s FOR UPDATE"
_RAISE = """
UPDATE costs_costday SET version = version + 1 WHERE project_id = %s AND day = %s RETURNING version
"""
_REWRITE = """
UPDATE costs_dayfacts SET layout = %s::jsonb, data = %s, version = CASE WHEN version + 1 = %s THEN %s ELSE version END
WHERE project_id = %s AND day = %s
"""


def keep_day(day: Day) -> bool:
    """Pack the day as the ledger has it; False when it moved meanwhile. Four queries.

    A day whose records retention removed keeps the facts it has; without any it is marked as gone.
    """
    layout: Any = {}
    rows, is_gone, data = 0, False, b""
    try:
        rows, columns = read_day(day.project_id, day.day, tuple(PARTS))
        layout, data = pack(columns)
    except RecordsGoneError:
        is_gone = True
    at: list[Any] = [day.project_id, day.day]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ENSURE, at)
        cursor.execute(_LOCK, at)
        if cursor.fetchone() != (day.version,):
            return False
        if is_gone:
            cursor.execute(_STILL_RIGHT, [day.version, *at])
            if cursor.rowcount:
                return True
        cursor.execute(_KEEP, [*at, day.version, rows, is_gone, json.dumps(layout), data])
    return True


def sweep(*, seconds: float = SWEEP_SECONDS) -> int:
    """Keep the days of every project that nobody wrote to since the last sweep, the newest first; returns how many. One
    query per project, and those of `keep_day`."""
    until, kept = time.monotonic() + seconds, 0
    projects = Project.objects.exclude(status=Project.Status.DELETING)
    for project_id in projects.values_list("pk", flat=True):
        with connection.cursor() as cursor:
            cursor.execute(_MOVED, [project_id, NEWEST])
            moved = cursor.fetchall()
        for at, version in moved:
            if time.monotonic() > until:
                return kept
            if _is_quiet(project_id, at, version):
                day = Day(project_id, at, 0, version, None, is_gone=False, rows=0)
                kept += keep_day(day)
    return kept


def _is_quiet(project_id: UUID, day: dt.date, version: int) -> bool:
    key = f"costs:explorer:seen:{project_id.hex}:{day}"
    if cache.get(key) == version:
        return True
    cache.set(key, version, SEEN_SECONDS)
    return False


def keep_range(project_id: UUID, first: dt.date, end: dt.date) -> int:
    """Keep the days from `first` to before `end` now; returns how many."""
    days = days_of([project_id], first, end)
    return sum(keep_day(day) for day in days if not day.is_kept)


def forget_id(*, project_id: UUID, column: str, value: str) -> int:
    """Blank a user_id or session_id in kept facts, also of days whose records are gone; returns in how many days.

    Inside the caller's transaction, after the versions of the days were raised. Two queries to look, three per day
    found.
    """
    part = "user.texts" if column == "user_id" else "session.hashes"
    wanted: Any = value
    with connection.cursor() as cursor:
        if column == "session_id":
            cursor.execute("SELECT hashtextextended(%s, 0)", [value])
            wanted = cursor.fetchone()[0]
        cursor.execute(_COLUMN, [part, part, project_id])
        found = [
            day
            for day, layout, data in cursor.fetchall()
            if wanted in unpack(_parsed(layout)[part][2], bytes(data))
        ]
        for day in found:
            at: list[Any] = [project_id, day]
            cursor.execute(_RAISE, at)
            version = cursor.fetchone()[0]
            cursor.execute(_DATA, at)
            layout, data = cursor.fetchone()
            made = replaced(_parsed(layout), bytes(data), part, lambda old: _without(old, wanted))
            cursor.execute(_REWRITE, [json.dumps(made[0]), made[1], version, version, *at])
    return len(found)


def _without(column: Any, value: Any) -> Any:
    """The dictionary with nothing in the value's place: its calls stay, as calls of nobody."""
    if isinstance(column, list):
        return ["" if text == value else text for text in column]
    return column * (column != value)


def _parsed(layout: Any) -> Any:
    return json.loads(layout) if isinstance(layout, str) else layout
