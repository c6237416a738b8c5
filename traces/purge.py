"""Deleting a project's traces, batch by batch (registered with projects.purge)."""

from uuid import UUID

from django.db import connection

from traces.models import IngestSample, IngestTally, LangfuseItem, Score, Span, SpanPayload, Trace

_STATEMENTS = (
    "DELETE FROM traces_spanpayload WHERE (project_id, trace_id, span_id, started_at) IN ("
    " SELECT project_id, trace_id, span_id, started_at FROM traces_spanpayload WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_span WHERE (project_id, trace_id, span_id, started_at) IN ("
    " SELECT project_id, trace_id, span_id, started_at FROM traces_span WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_trace WHERE (project_id, trace_id) IN ("
    " SELECT project_id, trace_id FROM traces_trace WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_score WHERE (project_id, score_id) IN ("
    " SELECT project_id, score_id FROM traces_score WHERE project_id = %s LIMIT %s)",
    "DELETE FROM traces_ingesttally WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM traces_ingesttally WHERE project_id = %s LIMIT %s))",
    "DELETE FROM traces_ingestsample WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM traces_ingestsample WHERE project_id = %s LIMIT %s))",
    "DELETE FROM traces_langfuseitem WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM traces_langfuseitem WHERE project_id = %s LIMIT %s))",
)
_MODELS = (SpanPayload, Span, Trace, Score, IngestTally, IngestSample, LangfuseItem)


def count_rows(project_id: UUID) -> int:
    """All rows of the project in this domain. One query per table."""
    return sum(model._default_manager.filter(project_id=project_id).count() for model in _MODELS)


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows of the first table that has any; 0 when none is left."""
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, [project_id, limit])
            if cursor.rowcount:
                return int(cursor.rowcount)
    return 0
