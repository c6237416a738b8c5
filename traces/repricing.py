"""Traces and steps follow when the ledger prices their calls again (receivers of costs.signals)."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from core import live
from costs.services.reprice import Change
from traces import signals

# More open pages than this are not told one by one; they read the new costs when they are read again.
MAX_HINTS = 100
_LOCK = (
    "SELECT trace_id FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s)"
    " ORDER BY trace_id FOR UPDATE"
)
_TRACES = """
UPDATE traces_trace t SET cost_usd = t.cost_usd + k.cost, unpriced_calls = t.unpriced_calls + k.unpriced,
  seq = t.seq + 1, updated_at = %s
FROM unnest(%s::text[], %s::numeric[], %s::int[]) AS k(trace_id, cost, unpriced)
WHERE t.project_id = %s AND t.trace_id = k.trace_id AND t.trace_id = ANY(%s)
RETURNING t.trace_id, t.seq
"""
_SPANS = """
UPDATE traces_span s SET cost_usd = k.cost, price_status = k.status, seq = k.seq
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::numeric[], %s::text[], %s::bigint[])
  AS k(trace_id, span_id, started_at, cost, status, seq)
WHERE s.project_id = %s AND s.trace_id = k.trace_id AND s.span_id = k.span_id AND s.started_at = k.started_at
  AND s.trace_id = ANY(%s) AND s.started_at BETWEEN %s AND %s AND s.has_cost_record
"""


def lock_traces(*, project_id: UUID, trace_ids: list[str], **_: Any) -> None:
    """The traces of records about to be priced again, in the order every writer takes them."""
    if trace_ids:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [project_id, trace_ids])


def follow_costs(*, project_id: UUID, changes: list[Change], now: dt.datetime, **_: Any) -> None:
    """New costs onto the steps and, added up, onto their traces. Two statements. Bare records (their id has no slash)
    belong to no step, and deleted traces have none left."""
    steps = [
        change for change in changes if change.record_id == f"{change.trace_id}/{change.span_id}"
    ]
    if not steps:
        return
    sums: dict[str, list[Any]] = defaultdict(lambda: [Decimal(0), 0])
    for step in steps:
        own = sums[step.trace_id]
        own[0] += (step.cost_after or 0) - (step.cost_before or 0)
        own[1] += (step.cost_after is None) - (step.cost_before is None)
    ids = sorted(sums)
    with connection.cursor() as cursor:
        cursor.execute(
            _TRACES,
            [now, ids, [sums[i][0] for i in ids], [sums[i][1] for i in ids], project_id, ids],
        )
        seq_of: dict[str, int] = dict(cursor.fetchall())
        steps = [step for step in steps if step.trace_id in seq_of]
        if not steps:
            return
        moments = [step.occurred_at for step in steps]
        cursor.execute(
            _SPANS,
            [
                [step.trace_id for step in steps],
                [step.span_id for step in steps],
                moments,
                [step.cost_after for step in steps],
                [step.price_status for step in steps],
                [seq_of[step.trace_id] for step in steps],
                *(project_id, sorted(seq_of), min(moments), max(moments)),
            ],
        )
    signals.spans_recorded.send(
        sender=Change, project_id=project_id, trace_ids=sorted(seq_of), now=now
    )
    if len(seq_of) <= MAX_HINTS:
        transaction.on_commit(lambda: _hint(project_id, seq_of))


def _hint(project_id: UUID, seq_of: dict[str, int]) -> None:
    for trace_id, seq in seq_of.items():
        live.notify(
            live.trace_group(project_id, trace_id),
            {"type": "trace.changed", "trace_id": trace_id, "seq": seq},
        )
