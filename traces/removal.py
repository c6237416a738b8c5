"""Deleting one trace: its steps and what was said in them. Cost records are the ledger and stay."""

from django.db import transaction
from django.utils import timezone

from core import live
from core.errors import NotFoundError
from projects.models import Project
from traces import search
from traces.feedback.removal import forget_traces
from traces.models import Span, SpanPayload, Trace


def delete_trace(*, project: Project, trace_id: str) -> int:
    """Delete the trace, its steps and payloads in one transaction; returns how many steps went.

    Waits for a writer that holds the trace, so nothing is left behind. Raises NotFoundError.
    """
    with transaction.atomic():
        trace = Trace.objects.select_for_update().filter(project=project, trace_id=trace_id).first()
        if trace is None:
            raise NotFoundError("This trace has not arrived, or it was deleted.")
        window = {
            "project": project,
            "trace_id": trace_id,
            "started_at__gte": trace.first_span_at,
            "started_at__lte": trace.last_span_at,
        }
        SpanPayload.objects.filter(**window)._raw_delete("default")
        forget_traces(project_id=project.pk, trace_ids=[trace_id])
        steps: int = Span.objects.filter(**window)._raw_delete("default")
        Trace.objects.filter(project=project, trace_id=trace_id)._raw_delete("default")
        search.forget(project.pk, [trace_id], now=timezone.now())
        group = live.trace_group(project.pk, trace_id)
        transaction.on_commit(
            lambda: live.notify(group, {"type": "trace.changed", "trace_id": trace_id, "seq": -1})
        )
    return steps
