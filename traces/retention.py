"""What a project no longer keeps: traces by age and size, inputs and outputs by age. Cost records and sums stay.

Once a day each project gets an outbox row; its steps are small transactions, so a kill repeats at most one. Days that
no project keeps any more are dropped as whole partitions first.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Max

from core import outbox, partitions
from projects.models import Project
from traces.models import Trace
from traces.removal import remove_traces
from traces.search.fulltext import label_of

TOPIC = "traces.retention"
TRACES_AT_ONCE = 200
PAYLOADS_AT_ONCE = 2_000
TALLY_DAYS = 90
# Indexes and row of one step where the table is too small to say.
SPAN_BYTES = 700
ENOUGH_ROWS = 1_000
SPAN_TABLES = ("traces_span", "traces_spanpayload")
LEDGER = "costs_costrecord"
# Partitioned tables of other domains whose rows go with the traces of their time: by column of time.
_BESIDE: dict[str, str] = {}
ROWS_AT_ONCE = 5_000


@dataclass(frozen=True)
class Stored:
    """What a project holds, by day, newest first: (day, bytes, steps)."""

    days: list[tuple[dt.date, int, int]]

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size, _ in self.days)

    @property
    def steps(self) -> int:
        return sum(steps for _, _, steps in self.days)


def register(table: str, column: str) -> None:
    """Name a day-partitioned table of a project's rows that are kept as long as its traces (from an app's `ready`)."""
    _BESIDE[table] = column


def kept_days(project: Project) -> int:
    """How long the project keeps its traces."""
    return min(
        project.retention_days or settings.LLMLAB_RETENTION_DAYS, settings.LLMLAB_RETENTION_DAYS
    )


def announce(*, now: dt.datetime) -> int:
    """Today's row for every project, and days nobody keeps dropped; returns how many projects. Safe to repeat."""
    drop_old_days(now=now)
    count = 0
    for project_id in Project.objects.exclude(status=Project.Status.DELETING).values_list(
        "pk", flat=True
    ):
        count += outbox.enqueue(
            topic=TOPIC,
            key=f"{TOPIC}:{project_id}:{now:%Y%m%d}:0",
            payload={"project_id": str(project_id), "day": f"{now:%Y%m%d}", "step": 0},
            now=now,
        )
    return count


def drop_old_days(*, now: dt.datetime) -> int:
    """Partitions older than what any project keeps; returns how many were dropped."""
    longest = Project.objects.filter(retention_days__isnull=False).aggregate(
        most=Max("retention_days")
    )["most"]
    everyone_chose = not Project.objects.filter(retention_days__isnull=True).exists()
    limit: int = settings.LLMLAB_RETENTION_DAYS
    days = min(longest, limit) if everyone_chose and longest else limit
    today = now.astimezone(dt.UTC).date()
    # One day of slack: a day goes when all of it is too old.
    tables = (*SPAN_TABLES, *_BESIDE)
    dropped = partitions.drop_before(today - dt.timedelta(days=days + 1), tables=tables)
    return dropped + partitions.drop_before(today - dt.timedelta(days=limit + 1), tables=(LEDGER,))


def handle(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `traces.retention`: some rows, then the next step as a row of the same transaction."""
    project = (
        Project.objects.filter(pk=payload["project_id"])
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if project is None:
        return
    cutoff = dt.datetime.fromisoformat(payload["cutoff"]) if "cutoff" in payload else None
    if cutoff is None:
        cutoff = trace_cutoff(project, now=now)
    is_more = expire_traces(project.pk, before=cutoff, now=now)
    if not is_more:
        is_more = expire_rows(project.pk, before=cutoff)
    if not is_more and project.payload_retention_days is not None:
        oldest = now - dt.timedelta(days=project.payload_retention_days)
        is_more = expire_payloads(project.pk, before=oldest)
    if is_more:
        step = int(payload["step"]) + 1
        following = {**payload, "step": step, "cutoff": cutoff.isoformat()}
        key = f"{TOPIC}:{project.pk}:{payload['day']}:{step}"
        outbox.enqueue(topic=TOPIC, key=key, payload=following, now=now)
    else:
        _expire_tallies(project.pk, before=now - dt.timedelta(days=TALLY_DAYS))


def trace_cutoff(project: Project, *, now: dt.datetime) -> dt.datetime:
    """Traces that began before this go: by age, or because newer days fill the project's limit of size."""
    by_age = now - dt.timedelta(days=kept_days(project))
    if project.retention_max_bytes is None:
        return by_age
    room = project.retention_max_bytes
    for day, size, _ in stored(project.pk, since=by_age).days:
        room -= size
        if room < 0:
            following = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
            # Today is never deleted by size: what just arrived stays readable.
            return max(by_age, min(following, _midnight(now)))
    return by_age


def _midnight(now: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(now.astimezone(dt.UTC).date(), dt.time(), dt.UTC)


_SPANS = (
    "SELECT (started_at AT TIME ZONE 'UTC')::date, count(*) FROM traces_span"
    " WHERE project_id = %s AND started_at >= %s GROUP BY 1"
)
_PAYLOADS = (
    "SELECT (started_at AT TIME ZONE 'UTC')::date, sum(pg_column_size(data)) FROM traces_spanpayload"
    " WHERE project_id = %s AND started_at >= %s GROUP BY 1"
)
_PER_SPAN = (
    "SELECT sum(pg_total_relation_size(c.oid)), sum(greatest(c.reltuples, 0)) FROM pg_inherits i"
    " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('traces_span')"
)


def stored(project_id: UUID, *, since: dt.datetime) -> Stored:
    """Bytes and steps by day: payloads as they lie on disk, steps at their table's average. Three queries over the
    project's rows, so for workers only; pages show traces.storage.held."""
    with connection.cursor() as cursor:
        cursor.execute(_PER_SPAN)
        total, rows = cursor.fetchone()
        # PostgreSQL sums bytes as a decimal and estimates of rows as a float.
        each = int(float(total) / rows) if rows and rows > ENOUGH_ROWS else SPAN_BYTES
        cursor.execute(_SPANS, [project_id, since])
        steps = dict(cursor.fetchall())
        cursor.execute(_PAYLOADS, [project_id, since])
        sizes = dict(cursor.fetchall())
    return Stored(
        [
            (day, steps.get(day, 0) * each + int(sizes.get(day) or 0), steps.get(day, 0))
            for day in sorted(steps.keys() | sizes.keys(), reverse=True)
        ]
    )


def expire_traces(project_id: UUID, *, before: dt.datetime, now: dt.datetime) -> bool:
    """Delete the oldest traces that began before; True when there may be more."""
    old = Trace.objects.filter(project=project_id, started_at__lt=before)
    ids = list(
        old.order_by("started_at", "trace_id").values_list("trace_id", flat=True)[:TRACES_AT_ONCE]
    )
    remove_traces(project_id=project_id, trace_ids=ids, now=now)
    return len(ids) == TRACES_AT_ONCE


def expire_rows(project_id: UUID, *, before: dt.datetime) -> bool:
    """Delete rows beside the traces (`register`) of before; True when there may be more."""
    is_more = False
    with connection.cursor() as cursor:
        for table, column in sorted(_BESIDE.items()):
            cursor.execute(
                f"DELETE FROM {table} WHERE project_id = %s AND {column} < %s AND (tableoid, ctid) IN"  # noqa: S608
                f" (SELECT tableoid, ctid FROM {table} WHERE project_id = %s AND {column} < %s LIMIT %s)",
                [project_id, before, project_id, before, ROWS_AT_ONCE],
            )
            is_more |= cursor.rowcount == ROWS_AT_ONCE
    return is_more


_OLD_PAYLOADS = (
    "DELETE FROM traces_spanpayload WHERE (project_id, trace_id, span_id, started_at) IN ("
    " SELECT project_id, trace_id, span_id, started_at FROM traces_spanpayload"
    " WHERE project_id = %s AND started_at < %s LIMIT %s)"
)
_OLD_PREVIEWS = (
    "UPDATE traces_trace SET preview = '' WHERE (project_id, trace_id) IN ("
    " SELECT project_id, trace_id FROM traces_trace"
    " WHERE project_id = %s AND started_at < %s AND preview <> '' LIMIT %s)"
)
# Weight D holds what was said; names (A) and errors (B) stay findable. The project's lexeme has no weight: put it back.
_OLD_WORDS = (
    "UPDATE traces_searchdocument SET body = '', gist = '', embedded_with = '', has_content = false,"
    " words = ts_filter(words, '{a,b,c}') || %s::tsvector WHERE (project_id, trace_id) IN ("
    " SELECT project_id, trace_id FROM traces_searchdocument"
    " WHERE project_id = %s AND started_at < %s AND has_content LIMIT %s)"
)
_OLD_VECTORS = (
    "DELETE FROM traces_traceembedding e USING traces_searchdocument d"
    " WHERE e.project_id = %s AND d.project_id = %s AND d.trace_id = e.trace_id AND d.started_at < %s"
    " AND NOT d.has_content"
)


def expire_payloads(project_id: UUID, *, before: dt.datetime) -> bool:
    """Delete what was said in steps that began before, wherever it stands (payloads, previews, search); True when there
    may be more."""
    is_more = False
    with connection.cursor() as cursor:
        chosen: list[Any] = [project_id, before, PAYLOADS_AT_ONCE]
        for statement, values in (
            (_OLD_PAYLOADS, chosen),
            (_OLD_PREVIEWS, chosen),
            (_OLD_WORDS, [f"'{label_of(project_id)}'", *chosen]),
        ):
            cursor.execute(statement, values)
            is_more |= cursor.rowcount == PAYLOADS_AT_ONCE
        cursor.execute(_OLD_VECTORS, [project_id, project_id, before])
    return is_more


def _expire_tallies(project_id: UUID, *, before: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM traces_ingesttally WHERE project_id = %s AND minute < %s",
            [project_id, before],
        )
