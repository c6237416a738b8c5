"""Deleting what was derived from traces: with a project, with single traces, or by age."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from traces.activity import counting
from traces.errors import grouping
from traces.models import (
    ErrorGroup,
    ErrorTrace,
    SearchDocument,
    SessionRow,
    TraceEmbedding,
    UserRow,
    WasteDay,
    WasteFinding,
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
        "traces_wastefinding",
        "traces_wasteday",
    )
)
_MODELS = (
    TraceEmbedding, SearchDocument, ErrorTrace, ErrorGroup, SessionRow, UserRow, WasteFinding, WasteDay,
)  # fmt: skip
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


def forget(project_id: UUID, trace_ids: Sequence[str], *, now: dt.datetime) -> None:
    """Delete the words, vectors and failures of traces that are being deleted, and count again what they were part of.

    Call it in the transaction that deletes them, after they are gone. About ten statements, whatever the number.
    """
    if not trace_ids:
        return
    ids = sorted(trace_ids)
    documents = SearchDocument.objects.filter(project=project_id, trace_id__in=ids)
    counted = list(documents.values_list("session_id", "user_id"))
    failures = ErrorTrace.objects.filter(project=project_id, trace_id__in=ids)
    groups = set(failures.values_list("fingerprint", flat=True))
    for model in _OF_TRACES:
        model._default_manager.filter(project=project_id, trace_id__in=ids)._raw_delete("default")
    counting.count_sessions(project_id, {session for session, _ in counted}, now=now)
    counting.count_users(project_id, {user for _, user in counted}, now=now)
    grouping.count_groups(project_id, groups, now=now)
