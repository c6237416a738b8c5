"""Accounting of the doors: sent = stored + updated + duplicate + rejected, per minute, door and dialect.

What a batch became is counted in the batch's own transaction, so the sums are as exact as the rows. A request refused
as a whole is counted by a statement of its own that neither waits nor fails the refusal.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from prometheus_client import Counter as Figure
from prometheus_client import Histogram

from core import prepared
from projects.models import Project
from traces.ingest.span import Rejection
from traces.models import Outcome

logger = logging.getLogger(__name__)

# What the doors are called here: OTLP under any of its paths, JSON traces, bare costs, Langfuse's legacy batch.
OTLP, JSON, COSTS, LANGFUSE = "otlp", "json", "costs", "langfuse"
DOORS = (OTLP, JSON, COSTS, LANGFUSE)
# Every reason a row can carry, in a reader's words. A code that is not here is counted as `other`.
REASONS = {
    "malformed_span": "could not be read",
    "invalid_field": "a field broke a rule",
    "invalid_trace_id": "trace id is not valid",
    "invalid_span_id": "span id is not valid",
    "invalid_parent_span_id": "parent id is not valid",
    "missing_time": "has no start time",
    "start_outside_window": "started outside the retention window",
    "end_outside_window": "ended outside the retention window",
    "too_many_items": "more items than one upload may hold",
    "unstorable": "the database refused a value",
    "unknown_type": "event type is not known",
    "invalid_body": "body could not be read",
    "body_too_large": "body is too large",
    "unsupported_encoding": "packed in a way that is not supported",
    "unsupported_media_type": "content type is not supported",
    "rate_limited": "too many requests a minute",
    "project_archived": "project is archived",
    "missing_scope": "key lacks the scope ingest",
    "other": "another reason",
}
MAX_DIALECTS = 20  # of one batch; the rest is counted as `other`

items_total = Figure(
    "llmlab_ingest_items",
    "Steps and cost records by what became of them; a request refused as a whole counts once",
    ["door", "outcome"],
)
lag_seconds = Histogram(
    "llmlab_ingest_lag_seconds",
    "From the end of a batch's newest step to its storing",
    buckets=(1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86_400),
)

Key = tuple[str, str, str]  # dialect, outcome, reason


class Counts(Counter[Key]):
    """Items of one batch by what became of them."""


def add_rejections(counts: Counts, rejections: Iterable[Rejection], *, dialect: str = "") -> None:
    """Count refused items by reason."""
    for item in rejections:
        reason = item.code if item.code in REASONS else "other"
        counts[dialect, Outcome.REJECTED.value, reason] += 1


_UPSERT = """
INSERT INTO traces_ingesttally AS t (project_id, minute, door, dialect, outcome, reason, items, batches)
SELECT %s, %s, %s, d.dialect, d.outcome, d.reason, d.items, 1
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) AS d(dialect, outcome, reason, items)
ON CONFLICT (project_id, minute, door, dialect, outcome, reason) DO UPDATE
SET items = t.items + excluded.items, batches = t.batches + 1
"""


def write(cursor: Any, *, project_id: UUID, door: str, counts: Counts, now: dt.datetime) -> None:
    """Add to the minute's rows, sorted by key; the last thing before COMMIT, because all writers share them."""
    if not door or not counts:
        return
    rows = sorted(_bounded(counts).items())
    prepared.execute(
        _UPSERT,
        [
            project_id,
            now.replace(second=0, microsecond=0),
            door,
            [dialect for (dialect, _, _), _ in rows],
            [outcome for (_, outcome, _), _ in rows],
            [reason for (_, _, reason), _ in rows],
            [items for _, items in rows],
        ],
    )
    for (_, outcome, _), items in rows:
        items_total.labels(door, outcome).inc(items)


def _bounded(counts: Counts) -> Counts:
    """At most MAX_DIALECTS dialects, whatever senders make up."""
    names = {dialect for dialect, _, _ in counts}
    if len(names) <= MAX_DIALECTS:
        return counts
    kept = set(sorted(names)[:MAX_DIALECTS])
    bounded = Counts()
    for (dialect, outcome, reason), items in counts.items():
        bounded[dialect if dialect in kept else "other", outcome, reason] += items
    return bounded


# One round trip: not waiting for the disk, and never for another writer. Both settings end with the statement's own
# transaction.
_REFUSE = """
WITH quick AS MATERIALIZED (
  SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '250ms', true)
)
INSERT INTO traces_ingesttally AS t (project_id, minute, door, dialect, outcome, reason, items, batches)
SELECT %s, %s, %s, '', 'rejected', %s, %s, 1 FROM quick
ON CONFLICT (project_id, minute, door, dialect, outcome, reason) DO UPDATE
SET items = t.items + excluded.items, batches = t.batches + 1
"""


def note_refusal(
    *, project_id: UUID, door: str, reason: str, now: dt.datetime, items: int = 0
) -> None:
    """Count a request that was refused as a whole, `items` where their number is known. Never raises: a refusal must
    not fail because it could not be counted."""
    minute = now.replace(second=0, microsecond=0)
    known = reason if reason in REASONS else "other"
    items_total.labels(door, Outcome.REJECTED.value).inc(items or 1)
    try:
        # A savepoint only where a transaction is open already: one round trip otherwise.
        if connection.in_atomic_block:
            with transaction.atomic():
                _execute_refusal([project_id, minute, door, known, items])
        else:
            _execute_refusal([project_id, minute, door, known, items])
    except DatabaseError as error:
        logger.warning("traces.ingest.refusal_not_counted: %s", type(error).__name__)


def _execute_refusal(params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_REFUSE, params)


_COMPACT = """
WITH old AS (
  DELETE FROM traces_ingesttally WHERE project_id = %s AND minute < %s
    AND minute <> date_trunc('hour', minute, 'UTC')
  RETURNING project_id, date_trunc('hour', minute, 'UTC') AS minute, door, dialect, outcome, reason, items, batches
)
INSERT INTO traces_ingesttally AS t (project_id, minute, door, dialect, outcome, reason, items, batches)
SELECT project_id, minute, door, dialect, outcome, reason, sum(items), sum(batches) FROM old
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (project_id, minute, door, dialect, outcome, reason) DO UPDATE
SET items = t.items + excluded.items, batches = t.batches + excluded.batches
"""
KEEP_MINUTES = dt.timedelta(days=2)


def compact(*, project_id: UUID, now: dt.datetime) -> int:
    """Fold minutes older than two days into hours (the row of the hour's first minute); returns how many hours were
    written. What a project keeps is thus bounded by hours × reasons, however much it sends."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_COMPACT, [project_id, now - KEEP_MINUTES])
        return int(cursor.rowcount)


def compact_all(*, now: dt.datetime) -> int:
    """`compact` for every project, one transaction each; returns how many hours were written."""
    return sum(
        compact(project_id=project_id, now=now)
        for project_id in Project.objects.order_by("pk").values_list("pk", flat=True)
    )
