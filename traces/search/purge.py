"""Deleting what was derived from traces: with a project, with single traces, or by age."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from traces.models import (
    ErrorGroup,
    ErrorTrace,
    SearchDocument,
    SessionRow,
    TraceEmbedding,
    UserRow,
)

_STATEMENTS = tuple(
    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608 (names of this list)
    f" SELECT ctid FROM {table} WHERE project_id = %s LIMIT %s))"
    for table in (
        "traces_traceembedding",
        "traces_searchdocument",
        "traces_errortrace",
        "traces_errorgroup",
        "traces_sessionrow",
        "traces_userrow",
    )
)
_MODELS = (TraceEmbedding, SearchDocument, ErrorTrace, ErrorGroup, SessionRow, UserRow)
_OF_TRACES = (TraceEmbedding, SearchDocument, ErrorTrace)


def count_rows(project_id: UUID) -> int:
    """All derived rows of the project. One query per table."""
    return sum(model._default_manager.filter(project_id=project_id).count() for model in _MODELS)


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows of the first table that has any; 0 when none is left."""
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, [project_id, limit])
            if cursor.rowcount:
                return int(cursor.rowcount)
    return 0


def forget_rows(project_id: UUID, trace_ids: Sequence[str]) -> None:
    """Delete the words, vectors and failures of these traces. One query per table."""
    for model in _OF_TRACES:
        model._default_manager.filter(
            project_id=project_id, trace_id__in=list(trace_ids)
        )._raw_delete("default")
