"""When news is read: a few seconds after it arrived, once per project however much arrives.

The doors only leave an outbox row, and only the first batch of each PAUSE does. Reading goes on by itself while there
is more, looks once more after the longest transaction, and a sweeper finds what was missed.
"""

import datetime as dt
import threading
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction

from core import outbox
from core.ids import uuid7
from core.models import OutboxItem
from projects.models import Project
from traces.models import SearchState, Trace
from traces.search import embedding, rebuild
from traces.search.indexing import LATE, Run, read_news, state_of

TOPIC = "traces.search"
PAUSE_S = 3
# One piece of outbox work reads for so long, chunk after chunk; then others get their turn.
READ_S = 3.0
# The buckets this process has announced; a restart only costs a statement.
_announced: dict[UUID, int] = {}
_lock = threading.Lock()
_MAX_REMEMBERED = 10_000


def announce(
    *, project_id: UUID, now: dt.datetime, after_s: float = PAUSE_S, is_late_look: bool = False
) -> None:
    """An outbox row for the reading that follows `now`; one per project and PAUSE."""
    due = now.timestamp() + after_s
    bucket = int(due // PAUSE_S) + 1
    kind = "late" if is_late_look else "news"
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{project_id}:{kind}:{bucket}",
        payload={"project_id": str(project_id), "is_late_look": is_late_look},
        now=now,
        available_at=dt.datetime.fromtimestamp(bucket * PAUSE_S, dt.UTC),
    )


def announce_spans(*, project_id: UUID, now: dt.datetime, **_: Any) -> None:
    """Receiver of traces.signals.spans_recorded, inside the transaction that stores them."""
    bucket = int(now.timestamp() // PAUSE_S)
    if _announced.get(project_id) == bucket:
        return
    announce(project_id=project_id, now=now, after_s=0)

    def remember() -> None:
        with _lock:
            if len(_announced) > _MAX_REMEMBERED:
                _announced.clear()
            _announced[project_id] = bucket

    transaction.on_commit(remember)


def handle(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `traces.search`: read the next chunk, and see to what must follow."""
    project = (
        Project.objects.select_related("organization")
        .filter(pk=payload["project_id"])
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if project is None:
        return
    if not payload.get("goes_on") and _is_going_on(project.pk):
        return
    state, is_new = state_of(project, now=now)
    if state.capture != project.content_capture or (is_new and _has_history(project, now)):
        rebuild.start(project, state, now=now)
    run = _read(project, state, now=now)
    if run.has_gists:
        embedding.ring(project.pk)
    if run.is_more:
        _go_on(project.pk, now=now)
    elif run.is_due_later or (run.traces and not payload.get("is_late_look")):
        announce(project_id=project.pk, now=now, after_s=LATE.total_seconds(), is_late_look=True)


def _read(project: Project, state: SearchState, *, now: dt.datetime) -> Run:
    """Chunk after chunk until nothing is left or the time is up; all of it as one Run."""
    end = time.monotonic() + READ_S
    run = read_news(project, state, now=now)
    while run.is_more and time.monotonic() < end:
        state.read_until = run.read_until
        more = read_news(project, state, now=now)
        run = replace(
            more,
            traces=run.traces + more.traces,
            is_due_later=run.is_due_later or more.is_due_later,
            has_gists=run.has_gists or more.has_gists,
        )
    return run


def _go_on(project_id: UUID, *, now: dt.datetime) -> None:
    """The rest, after whatever else is due: never more than one such row per project."""
    outbox.enqueue(
        topic=TOPIC,
        key=f"{_going_on(project_id)}{uuid7()}",
        payload={"project_id": str(project_id), "goes_on": True},
        now=now,
    )


def _is_going_on(project_id: UUID) -> bool:
    """Whether reading is under way and has more to read: what is new is read in its turn."""
    going_on = OutboxItem.objects.filter(key__startswith=_going_on(project_id))
    return going_on.filter(done_at=None, dead_at=None).exists()


def _going_on(project_id: UUID) -> str:
    return f"{TOPIC}:{project_id}:on:"


def _has_history(project: Project, now: dt.datetime) -> bool:
    """Whether there are traces that reading the news does not reach."""
    older = Trace.objects.filter(project=project.pk, updated_at__lt=now - 2 * LATE)
    return older.values("trace_id")[:1].exists()


def sweep(*, now: dt.datetime) -> int:
    """Announce every project that was never read, changed its capture mode, or has unread news; returns how many.

    Also sees to documents without a vector. One query over projects and two per project by index.
    """
    found = 0
    states = {state.project_id: state for state in SearchState.objects.all()}
    projects = Project.objects.filter(first_trace_at__isnull=False).select_related("organization")
    for project in projects.exclude(status=Project.Status.DELETING):
        state = states.get(project.pk)
        is_unread = state is None or state.capture != project.content_capture
        if state is not None and not is_unread:
            newest = Trace.objects.filter(project=project.pk, updated_at__gt=state.read_until)
            is_unread = newest.values("trace_id")[:1].exists()
        if is_unread:
            announce(project_id=project.pk, now=now)
            found += 1
        embedding.see_to(project, now=now)
    return found
