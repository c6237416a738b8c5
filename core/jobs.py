"""Long jobs people watch: created with their first outbox row, advanced in steps, ended by their domain."""

from uuid import UUID

from django.db.models import F

from core.models import Job


def create_job(
    *,
    kind: str,
    title: str,
    organization_id: UUID,
    project_id: UUID | None = None,
    created_by_id: UUID | None = None,
    total: int = 0,
    params: dict[str, object] | None = None,
) -> Job:
    """A queued job. The caller enqueues its first step in the same transaction."""
    return Job.objects.create(
        kind=kind,
        title=title,
        organization_id=organization_id,
        project_id=project_id,
        created_by_id=created_by_id,
        total=total,
        params=params or {},
    )


def advance(job_id: UUID, *, by: int, message: str = "") -> None:
    """Count `by` more units done."""
    Job.objects.filter(pk=job_id).update(
        done=F("done") + by, state=Job.State.RUNNING, message=message
    )


def finish(job_id: UUID, *, state: str = Job.State.DONE, message: str = "") -> None:
    """End the job; a finished job keeps its counts."""
    Job.objects.filter(pk=job_id).update(state=state, message=message)
