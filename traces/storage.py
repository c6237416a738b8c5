"""What a project holds, for a page: estimated from table statistics, so that a million steps take no longer than few.

Days too small or too new for statistics, and those where the project's rows are too rare to be in them, are counted.
`traces.retention.stored` adds up every row; deletion by size goes by that.
"""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from traces import retention

# PostgreSQL looks at a table again once a tenth of it and 50 rows are new.
ENOUGH_ROWS = 500
_DAY = dt.timedelta(days=1)
# Per day's partition: its rows, its bytes with indexes, and the part of the rows that is the project's.
_PARTITIONS = """
SELECT right(c.relname, 8), c.reltuples, pg_total_relation_size(c.oid), shares.part
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT one.part FROM pg_stats s,
    unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS one(project, part)
  WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'project_id' AND NOT s.inherited
    AND one.project = %s
) shares ON true
WHERE i.inhparent = to_regclass(%s) AND right(c.relname, 8) >= %s
"""
_COUNTED = {
    "traces_span": "SELECT count(*), 0 FROM traces_span WHERE project_id = %s",
    "traces_spanpayload": "SELECT count(*), coalesce(sum(pg_column_size(data)), 0) FROM traces_spanpayload"
    " WHERE project_id = %s",
}


@dataclass(frozen=True)
class Held:
    """Bytes with indexes, and steps; `is_estimate` where statistics were read instead of rows."""

    total_bytes: int
    steps: int
    is_estimate: bool


def held(project_id: UUID, *, since: dt.datetime) -> Held:
    """What the project holds from the day of `since` on. Two queries, four with days that have to be counted."""
    first = since.astimezone(dt.UTC).date()
    steps, step_bytes, is_estimate = _of_table("traces_span", project_id, first)
    _, said_bytes, is_estimate_too = _of_table("traces_spanpayload", project_id, first)
    return Held(step_bytes + said_bytes, steps, is_estimate or is_estimate_too)


def _of_table(table: str, project_id: UUID, first: dt.date) -> tuple[int, int, bool]:
    """Rows, bytes and whether they were estimated."""
    rows, size, is_estimate, uncertain = 0.0, 0.0, False, []
    known_rows, known_bytes = 0.0, 0.0
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [str(project_id), table, f"{first:%Y%m%d}"])
        for day, many, bytes_of_all, part in cursor.fetchall():
            if part is None or many < ENOUGH_ROWS:
                uncertain.append(dt.datetime.strptime(day, "%Y%m%d").replace(tzinfo=dt.UTC))
                continue
            is_estimate = True
            rows += many * part
            size += bytes_of_all * part
            known_rows += many
            known_bytes += bytes_of_all
        if uncertain:
            bounds = _runs(sorted(uncertain))
            within = " OR ".join(["(started_at >= %s AND started_at < %s)"] * len(bounds))
            ends = [moment for pair in bounds for moment in pair]
            cursor.execute(f"{_COUNTED[table]} AND ({within})", [project_id, *ends])
            counted, exact = cursor.fetchone()
            rows += counted
            if table == "traces_span":
                each = known_bytes / known_rows if known_rows else retention.SPAN_BYTES
                exact = counted * each
            size += float(exact)
    return round(rows), round(size), is_estimate


def _runs(days: list[dt.datetime]) -> list[tuple[dt.datetime, dt.datetime]]:
    """Days in order as few ranges: (first midnight, midnight after the last)."""
    found: list[tuple[dt.datetime, dt.datetime]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], day + _DAY)
        else:
            found.append((day, day + _DAY))
    return found
