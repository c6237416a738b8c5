"""What the pages say about the search itself: how far it has read, what it may read, who makes the vectors."""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from core.models import Job
from projects.models import Project
from traces.models import SearchState, Trace
from traces.search import embedding
from traces.search.fulltext import SEARCHABLE

# Below this the reader sees nothing of it.
LAG_FROM_S = 10


@dataclass(frozen=True)
class Reading:
    """`lag_s` is 0 while everything is read; `job` a rebuild under way."""

    lag_s: int
    has_started: bool
    job: Job | None

    @property
    def is_behind(self) -> bool:
        return self.lag_s > LAG_FROM_S or self.job is not None


@dataclass(frozen=True)
class Status:
    """All of it, for the search results."""

    reading: Reading
    has_content: bool
    capture: str
    model: str
    is_lexical: bool
    embedding_error: str
    waiting: int

    @property
    def why_not(self) -> str:
        """Why inputs and outputs are not searched, or ""."""
        if self.has_content:
            return ""
        if self.capture == "off":
            return "This project does not store inputs and outputs, so only names, ids, tags and errors are searched."
        return (
            "This project seals inputs and outputs with the organisation's key, so only names, ids, tags and errors"
            " are searched."
        )


def reading(project: Project, *, now: dt.datetime) -> Reading:
    """How many seconds the newest unread trace has waited. Two queries by index, one more during a rebuild."""
    state = SearchState.objects.filter(project=project.pk).first()
    if state is None:
        return Reading(0, False, None)
    return _reading(project.pk, state, now)


def _reading(project_id: UUID, state: SearchState, now: dt.datetime) -> Reading:
    unread = (
        Trace.objects.filter(project=project_id, updated_at__gt=state.read_until)
        .order_by("updated_at")
        .values_list("updated_at", flat=True)
        .first()
    )
    job = Job.objects.filter(pk=state.job_id).first() if state.job_id else None
    lag = max(0, int((now - unread).total_seconds())) if unread else 0
    return Reading(lag, True, job if job and job.is_open else None)


def status_of(project: Project, *, now: dt.datetime) -> Status:
    """Everything the search results say about themselves. Four queries at most."""
    state = SearchState.objects.filter(project=project.pk).first()
    has_content = project.content_capture in SEARCHABLE
    model = embedding.current_model()
    return Status(
        reading=_reading(project.pk, state, now) if state else Reading(0, False, None),
        has_content=has_content,
        capture=project.content_capture,
        model=model.label,
        is_lexical=model.is_lexical,
        embedding_error=state.embedding_error if state else "",
        waiting=embedding.waiting(project.pk, at_most=10_000) if has_content else 0,
    )
