"""Reading a project's news into what search, sessions, users and errors are shown from.

Runs in a worker, never in the transaction that stores spans. One run reads a bounded number of changed traces; it may
be killed, repeated or overlapped: a document remembers the trace's seq, and everything else is counted again whole.
"""

import datetime as dt
from dataclasses import dataclass

from django.db import connection

from core.crypto import DecryptionError, data_cipher
from projects.models import ContentCapture, Project
from traces.activity import counting
from traces.errors import grouping
from traces.models import SearchState
from traces.search.fulltext import SEARCHABLE, label_of
from traces.search.reading import (
    News,
    add_content,
    add_steps,
    changed_traces,
)
from traces.search.words import vector

CHUNK = 500
# With inputs and outputs a trace costs ten times as much.
CONTENT_CHUNK = 100
# A transaction that began this long before its news was seen may commit late; its traces are found by their seq.
LATE = dt.timedelta(seconds=60)

_UPSERT = (
    "INSERT INTO traces_searchdocument (project_id, trace_id, seq, started_at, session_id, user_id, words, body,"
    " has_content, is_cut, gist, embedded_with)"
    " SELECT %s, v.trace_id, v.seq, v.started_at, v.session_id, v.user_id, v.words::tsvector, v.body, %s, v.is_cut,"
    " v.gist, '' FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],"
    " %s::text[], %s::bool[], %s::text[])"
    " AS v(trace_id, seq, started_at, session_id, user_id, words, body, is_cut, gist)"
    " ON CONFLICT (project_id, trace_id) DO UPDATE SET seq = excluded.seq, started_at = excluded.started_at,"
    " session_id = excluded.session_id, user_id = excluded.user_id, words = excluded.words, body = excluded.body,"
    " has_content = excluded.has_content, is_cut = excluded.is_cut, gist = excluded.gist,"
    " embedded_with = CASE WHEN traces_searchdocument.gist = excluded.gist"
    " THEN traces_searchdocument.embedded_with ELSE '' END"
    # A slower reader must not put back what a faster one has replaced.
    " WHERE traces_searchdocument.seq <= excluded.seq"
)


@dataclass(frozen=True)
class Run:
    """What one run did. `is_more`: there is more news right now. `is_due_later`: a large group was put off."""

    traces: int
    read_until: dt.datetime
    is_more: bool
    is_due_later: bool
    has_gists: bool


def state_of(project: Project, *, now: dt.datetime) -> tuple[SearchState, bool]:
    """The project's state and whether it was made just now (nothing of the project was read before)."""
    return SearchState.objects.get_or_create(
        project=project, defaults={"read_until": now - 2 * LATE, "capture": project.content_capture}
    )


def may_read_content(project: Project) -> bool:
    """Whether inputs and outputs may stand in the search tables."""
    return project.content_capture in SEARCHABLE


def read_news(project: Project, state: SearchState, *, now: dt.datetime) -> Run:
    """Read the next chunk of changed traces."""
    counting.take_turns(project.pk)
    limit = CONTENT_CHUNK if may_read_content(project) else CHUNK
    news = changed_traces(project.pk, since=state.read_until - LATE, limit=limit)
    is_more = len(news) == limit
    # Without news everything up to now has been read; late commits are inside LATE.
    read_until = max(state.read_until, news[-1].updated_at if is_more else now)
    due_later, has_gists = index(project, news, now=now)
    due_later |= counting.count_stale(project.pk, now=now)
    due_later |= grouping.count_stale(project.pk, now=now)
    SearchState.objects.filter(pk=state.pk).update(read_until=read_until, updated_at=now)
    return Run(len(news), read_until, is_more, due_later, has_gists)


def index(project: Project, news: list[News], *, now: dt.datetime) -> tuple[bool, bool]:
    """Write documents, failures, sessions and users of these traces; (a large group was put off, there are gists)."""
    if not news:
        return False, False
    add_steps(project.pk, news)
    has_content = may_read_content(project)
    if has_content:
        _read_content(project, news)
    _write_documents(project, news, has_content=has_content)
    put_off = grouping.record_failures(project.pk, news, now=now)
    sessions = {key for one in news for key in (one.session_id, one.old_session)}
    users = {key for one in news for key in (one.user_id, one.old_user)}
    put_off |= counting.count_sessions(project.pk, sessions, now=now)
    put_off |= counting.count_users(project.pk, users, now=now)
    return put_off, any(one.gist for one in news)


def _read_content(project: Project, news: list[News]) -> None:
    try:
        cipher = data_cipher(project.organization.data_key)
    except DecryptionError:
        return  # names are still searchable
    is_masked = project.content_capture == ContentCapture.MASKED
    add_content(project.pk, cipher, news, only_plain=is_masked)


def _write_documents(project: Project, news: list[News], *, has_content: bool) -> None:
    label = label_of(project.pk)
    rows = []
    for one in sorted(news, key=lambda one: one.trace_id):
        head, failed, said = sections(one)
        words = vector([("A", head), ("B", failed), ("D", said)], label=label)
        body = "\n".join(part for part in (said, failed, head) if part)
        rows.append(
            (one.trace_id, one.seq, one.started_at, one.session_id, one.user_id, words, body, one.is_cut, one.gist)
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [project.pk, has_content, *map(list, zip(*rows, strict=True))])


def sections(one: News) -> tuple[str, str, str]:
    """A trace's text in three parts: names and ids, errors, what was said."""
    names = dict.fromkeys(
        (
            one.name,
            one.agent,
            *(step.name for step in one.steps),
            *one.model_names,
            *one.tags,
            one.environment,
            one.release,
            one.user_id,
            one.session_id,
            one.trace_id,
        )
    )
    failed = dict.fromkeys(
        part for step in one.failures for part in (step.failure.error_type, step.failure.message)
    )
    return (
        " · ".join(name for name in names if name),
        "\n".join(part for part in failed if part),
        "\n".join(one.said),
    )
