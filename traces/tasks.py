"""Celery shells of traces. What must happen is an outbox row; these make it happen sooner, or wait for networks."""

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from traces import retention
from traces.ingest import tally
from traces.langfuse import state
from traces.search import embedding, schedule
from traces.waste import sweep


@shared_task(
    name="traces.tasks.embed_documents", queue="analysis", time_limit=180, soft_time_limit=150
)
def embed_documents(*, project_id: str, **_: Any) -> int:
    """Vectors of what waits in a project."""
    return embedding.embed_waiting(UUID(project_id), now=timezone.now())


@shared_task(
    name="traces.tasks.embed_question", queue="llm.high", time_limit=30, soft_time_limit=25
)
def embed_question(*, project_id: str, text: str, **_: Any) -> None:
    """The vector of a reader's question."""
    embedding.answer_question(UUID(project_id), text)


@shared_task(
    name="traces.tasks.sweep_search", queue="analysis", time_limit=120, soft_time_limit=100
)
def sweep_search(**_: Any) -> int:
    """Projects whose news nobody announced, and documents without a vector."""
    return schedule.sweep(now=timezone.now())


@shared_task(
    name="traces.tasks.compact_tallies", queue="analysis", time_limit=300, soft_time_limit=270
)
def compact_tallies(**_: Any) -> int:
    """The doors' minutes of long ago become hours."""
    return tally.compact_all(now=timezone.now())


@shared_task(
    name="traces.tasks.forget_langfuse_items",
    queue="analysis",
    time_limit=300,
    soft_time_limit=270,
)
def forget_langfuse_items(**_: Any) -> int:
    """What Langfuse's events said of items that nobody has spoken of for two days."""
    return state.forget_old_all(now=timezone.now())


@shared_task(name="traces.tasks.apply_retention", queue="analysis", time_limit=300)
def apply_retention(**_: Any) -> int:
    """What projects no longer keep. Asked for every hour, done once a day and project."""
    return retention.announce(now=timezone.now())


@shared_task(name="traces.tasks.scan_waste", queue="analysis", time_limit=300, soft_time_limit=270)
def scan_waste(**_: Any) -> int:
    """Look through the days that changed, project by project, for up to four minutes."""
    return sweep.scan_projects(now=timezone.now, for_s=240)
