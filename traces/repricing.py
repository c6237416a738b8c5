"""Traces, steps, sessions and users follow when the ledger prices calls again (receivers of costs.signals)."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from core import live, outbox
from costs.services.reprice import Change
from traces.activity.counting import count_sessions, count_users, take_turns
from traces.models import SessionRow, UserRow
from traces.step_keys import step_key

# More open pages than this are not told one by one; they read the new costs when they are read again.
MAX_HINTS = 100
ZERO = Decimal(0)
TOPIC, RECOUNTED = "traces.recount", 1000
_COUNTED: dict[str, tuple[Any, str, Any]] = {
    "sessions": (SessionRow, "session_id", count_sessions),
    "users": (UserRow, "user_id", count_users),
}
_LOCK = (
    "SELECT trace_id FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s)"
    " ORDER BY trace_id FOR UPDATE"
)
# One JSON text each instead of an array per column: psycopg would look at every character of every text.
_TRACES = """
UPDATE traces_trace t SET cost_usd = t.cost_usd + k.cost, unpriced_calls = t.unpriced_calls + k.unpriced,
  seq = t.seq + 1
FROM jsonb_to_recordset(%s::jsonb) AS k(trace_id text, cost numeric, unpriced int)
WHERE t.project_id = %s AND t.trace_id = k.trace_id
RETURNING t.trace_id, t.seq
"""
_SPANS = f"""
UPDATE traces_span s SET cost_usd = k.cost_after, price_status = k.price_status, seq = k.seq
FROM jsonb_to_recordset(%s::jsonb)
  AS k(trace_id text, span_id text, started_at timestamptz, cost_after numeric, price_status text, seq bigint)
WHERE s.project_id = %s AND s.trace_id = k.trace_id AND s.span_id = k.span_id AND s.started_at = k.started_at
  AND s.started_at BETWEEN %s AND %s AND s.has_cost_record
  AND {step_key("s")}
    = uuid_hash_extended(%s::uuid, hashtextextended(k.trace_id, hashtextextended(k.span_id, 0)))
"""  # noqa: S608


class TraceChange(msgspec.Struct):
    """One line of what _TRACES takes: what a trace grows by."""

    trace_id: str
    cost: Decimal = ZERO
    unpriced: int = 0


class StepChange(msgspec.Struct):
    """One line of what _SPANS takes: a step's new price."""

    trace_id: str
    span_id: str
    started_at: dt.datetime
    cost_after: Decimal | None
    price_status: str
    seq: int


def lock_traces(*, project_id: UUID, trace_ids: list[str], **_: Any) -> None:
    """The traces of records about to be priced again, in the order every writer takes them."""
    if trace_ids:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [project_id, trace_ids])


def begin_recount(*, project_ids: list[UUID], job_id: UUID, now: dt.datetime, **_: Any) -> None:
    """Sessions and users are counted again once a re-pricing has ended. Their traces are no news to search: not a word
    of them has changed, so `updated_at` stays."""
    for project_id in project_ids:
        _enqueue(project_id, str(job_id), "sessions", "", now)


def _enqueue(project_id: UUID | str, job_id: str, kind: str, after: str, now: dt.datetime) -> None:
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{job_id}:{project_id}:{kind}:{after}"[:300],
        payload={"project_id": str(project_id), "job_id": job_id, "kind": kind, "after": after},
        now=now,
    )


def recount(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `traces.recount`: the next thousand sessions or users of a project, whole from their traces."""
    project_id, kind = UUID(payload["project_id"]), payload["kind"]
    take_turns(project_id)
    model, column, count = _COUNTED[kind]
    keys = list(
        model.objects.filter(project_id=project_id, **{f"{column}__gt": payload["after"]})
        .order_by(column)
        .values_list(column, flat=True)[:RECOUNTED]
    )
    count(project_id, keys, now=now)
    if len(keys) == RECOUNTED:
        _enqueue(project_id, payload["job_id"], kind, keys[-1], now)
    elif kind == "sessions":
        _enqueue(project_id, payload["job_id"], "users", "", now)


def follow_costs(*, project_id: UUID, changes: list[Change], **_: Any) -> None:
    """New costs onto the steps and, added up, onto their traces. Two statements. Bare records (their id has no slash)
    belong to no step, and deleted traces have none left."""
    steps = [
        change for change in changes if change.record_id == f"{change.trace_id}/{change.span_id}"
    ]
    if not steps:
        return
    sums: dict[str, TraceChange] = {}
    for step in steps:
        own = sums.get(step.trace_id)
        if own is None:
            own = sums[step.trace_id] = TraceChange(step.trace_id)
        own.cost += (step.cost_after or ZERO) - (step.cost_before or ZERO)
        own.unpriced += (step.cost_after is None) - (step.cost_before is None)
    with connection.cursor() as cursor:
        cursor.execute(_TRACES, [_json(list(sums.values())), project_id])
        seq_of: dict[str, int] = dict(cursor.fetchall())
        lines = [
            StepChange(
                step.trace_id,
                step.span_id,
                step.occurred_at,
                step.cost_after,
                step.price_status,
                seq_of[step.trace_id],
            )
            for step in steps
            if step.trace_id in seq_of
        ]
        if not lines:
            return
        moments = [line.started_at for line in lines]
        window = [min(moments), max(moments)]
        cursor.execute(_SPANS, [_json(lines), project_id, *window, project_id])
    if len(seq_of) <= MAX_HINTS:
        transaction.on_commit(lambda: _hint(project_id, seq_of))


def _json(lines: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(lines).decode()


def _hint(project_id: UUID, seq_of: dict[str, int]) -> None:
    for trace_id, seq in seq_of.items():
        live.notify(
            live.trace_group(project_id, trace_id),
            {"type": "trace.changed", "trace_id": trace_id, "seq": seq},
        )
