"""Counting sessions and users again: whole, from their traces, so the sums are exact whatever came before.

A large one (more than BIG traces) is counted once a minute at most; meanwhile its row says that there is news.
"""

import datetime as dt
from collections.abc import Collection
from uuid import UUID

from django.db import connection

BIG = 20_000
BIG_EVERY = dt.timedelta(seconds=60)
MAX_NAMES = 20

_SUMS = (
    " count(*), count(*) FILTER (WHERE status = 'error'), count(*) FILTER (WHERE status = 'running'),"
    " sum(call_count), sum(unpriced_calls), sum(cost_usd), sum(input_tokens), sum(output_tokens),"
    " sum(input_tokens + output_tokens), min(started_at), max(coalesce(ended_at, last_span_at)),"
    f" (coalesce(array_agg(DISTINCT environment) FILTER (WHERE environment <> ''), '{{}}'))[1:{MAX_NAMES}],"
    " %s, false"
)
_COLUMNS = (
    "traces, errors, running, calls, unpriced_calls, cost_usd, input_tokens, output_tokens, tokens, first_at, last_at,"
    " environments, computed_at, is_stale"
)
_SET = ", ".join(
    f"{name} = excluded.{name}" for name in (part.strip() for part in _COLUMNS.split(","))
)
_SESSIONS = (
    f"INSERT INTO traces_sessionrow (project_id, session_id, user_ids, duration_ms, {_COLUMNS})"  # noqa: S608
    " SELECT project_id, session_id,"
    f" (coalesce(array_agg(DISTINCT user_id) FILTER (WHERE user_id <> ''), '{{}}'))[1:{MAX_NAMES}],"
    " extract(epoch FROM max(coalesce(ended_at, last_span_at)) - min(started_at)) * 1000,"
    f"{_SUMS} FROM traces_trace WHERE project_id = %s AND session_id = ANY(%s) AND session_id <> ''"
    " GROUP BY project_id, session_id ORDER BY session_id ON CONFLICT (project_id, session_id) DO UPDATE SET"
    f" user_ids = excluded.user_ids, duration_ms = excluded.duration_ms, {_SET} RETURNING session_id"
)
_USERS = (
    f"INSERT INTO traces_userrow (project_id, user_id, sessions, {_COLUMNS})"  # noqa: S608
    " SELECT project_id, user_id, count(DISTINCT session_id) FILTER (WHERE session_id <> ''),"
    f"{_SUMS} FROM traces_trace WHERE project_id = %s AND user_id = ANY(%s) AND user_id <> ''"
    " GROUP BY project_id, user_id ORDER BY user_id ON CONFLICT (project_id, user_id) DO UPDATE SET"
    f" sessions = excluded.sessions, {_SET} RETURNING user_id"
)
_KINDS = (
    ("traces_sessionrow", "session_id", _SESSIONS),
    ("traces_userrow", "user_id", _USERS),
)


def take_turns(project_id: UUID) -> None:
    """One at a time works on what is derived from the project's traces, until the transaction ends.

    Without it a count that began before another's deletion was committed would be written after it, and a trace that
    was read for the search would be written down after it is gone. Call it before locking traces.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('derived:' || %s, 0))", [str(project_id)]
        )


def count_sessions(project_id: UUID, session_ids: Collection[str], *, now: dt.datetime) -> bool:
    """Count these sessions again; True when a large one was put off. Three statements."""
    return _count(*_KINDS[0], project_id=project_id, keys=session_ids, now=now)


def count_users(project_id: UUID, user_ids: Collection[str], *, now: dt.datetime) -> bool:
    """Count these users again; True when a large one was put off. Three statements."""
    return _count(*_KINDS[1], project_id=project_id, keys=user_ids, now=now)


def count_stale(project_id: UUID, *, now: dt.datetime) -> bool:
    """Count what was put off and is due; True when some is not due yet. Two statements when there is none."""
    is_left = False
    for table, column, statement in _KINDS:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {column} FROM {table} WHERE project_id = %s AND is_stale LIMIT 100",  # noqa: S608
                [project_id],
            )
            keys = [key for (key,) in cursor.fetchall()]
        if keys:
            is_left |= _count(table, column, statement, project_id=project_id, keys=keys, now=now)
    return is_left


def _count(
    table: str,
    column: str,
    statement: str,
    *,
    project_id: UUID,
    keys: Collection[str],
    now: dt.datetime,
) -> bool:
    wanted = {key for key in keys if key}
    if not wanted:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET is_stale = true WHERE project_id = %s AND {column} = ANY(%s)"  # noqa: S608
            f" AND traces > %s AND computed_at > %s RETURNING {column}",
            [project_id, sorted(wanted), BIG, now - BIG_EVERY],
        )
        put_off = {key for (key,) in cursor.fetchall()}
        due = sorted(wanted - put_off)
        if due:
            cursor.execute(statement, [now, project_id, due])
            gone = sorted(set(due) - {key for (key,) in cursor.fetchall()})
            if gone:
                cursor.execute(
                    f"DELETE FROM {table} WHERE project_id = %s AND {column} = ANY(%s)",  # noqa: S608
                    [project_id, gone],
                )
    return bool(put_off)
