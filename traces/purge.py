"""Deleting a project's traces, batch by batch (registered with projects.purge)."""

from uuid import UUID

from django.db import connection

from traces.models import Span, SpanPayload, Trace

_STATEMENTS = (
    "DELETE FROM traces_spanpayload WHERE (project_id, trace_id, span_id, started_at) IN ("
    " SELECT project_id, trace_id, span_id, started_at FROM traces_spanpayload WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_span WHERE (project_id, trace_id, span_id, started_at) IN ("
    " SELECT project_id, trace_id, span_id, started_at FROM traces_span WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_trace WHERE (project_id, trace_id) IN ("
    " SELECT project_id, trace_id FROM traces_trace WHERE project_id = %s LIMIT %s)",
)


def count_rows(project_id: UUID) -> int:
    """Payloads, spans and traces of the project. Three queries."""
    return sum(
        model.objects.filter(project_id=project_id).count() for model in (SpanPayload, Span, Trace)
    )


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows of the first table that has any; 0 when none is left."""
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, [project_id, limit])
            if cursor.rowcount:
                return int(cursor.rowcount)
    return 0
