"""Deleting traces: their steps, what was said in them, and everything derived from them. Cost records are the ledger
and stay."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core import live
from core.errors import NotFoundError
from projects.models import Project
from traces import search
from traces.activity.counting import take_turns
from traces.feedback.removal import forget_traces
from traces.langfuse import state as langfuse_state
from traces.models import Span, SpanPayload, Trace

# Pages are told of each trace up to this many; nobody watches thousands at once.
HINTS = 50


@dataclass(frozen=True)
class Removed:
    """What went: the traces' ids, and how many steps."""

    ids: tuple[str, ...] = ()
    steps: int = 0


def delete_trace(*, project: Project, trace_id: str) -> int:
    """Delete one trace in a transaction; returns how many steps went. Raises NotFoundError."""
    with transaction.atomic():
        removed = remove_traces(project_id=project.pk, trace_ids=[trace_id], now=timezone.now())
    if not removed.ids:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    return removed.steps


def remove_traces(*, project_id: UUID, trace_ids: Sequence[str], now: dt.datetime) -> Removed:
    """Delete traces inside the caller's transaction: about twenty statements, whatever their number.

    Waits for writers that hold one of them, so nothing is left behind. Unknown ids are skipped. Sessions, users and
    error groups are counted again at once.
    """
    take_turns(project_id)
    rows = list(
        Trace.objects.select_for_update()
        .filter(project=project_id, trace_id__in=list(trace_ids))
        .order_by("trace_id")
        .values_list("trace_id", "first_span_at", "last_span_at")
    )
    if not rows:
        return Removed()
    ids = [row[0] for row in rows]
    window = {
        "project": project_id,
        "trace_id__in": ids,
        "started_at__gte": min(row[1] for row in rows),
        "started_at__lte": max(row[2] for row in rows),
    }
    SpanPayload.objects.filter(**window)._raw_delete("default")
    forget_traces(project_id=project_id, trace_ids=ids)
    langfuse_state.forget_traces(project_id, ids)
    steps: int = Span.objects.filter(**window)._raw_delete("default")
    Trace.objects.filter(project=project_id, trace_id__in=ids)._raw_delete("default")
    search.forget(project_id, ids, now=now)
    transaction.on_commit(lambda: _hint(project_id, ids[:HINTS]))
    return Removed(tuple(ids), steps)


def _hint(project_id: UUID, trace_ids: Sequence[str]) -> None:
    for trace_id in trace_ids:
        live.notify(
            live.trace_group(project_id, trace_id),
            {"type": "trace.changed", "trace_id": trace_id, "seq": -1},
        )
