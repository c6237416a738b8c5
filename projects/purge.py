"""Deleting a project's data in small batches, resumable after a kill.

Each domain registers its tables in its `AppConfig.ready`; costs and traces know this module, it
does not know them. The project row and its keys go last, so that nothing is orphaned when a worker
dies on the way.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.services import record_audit_event
from core import jobs, outbox
from core.models import Job
from projects.models import ApiKey, Project

TOPIC = "projects.purge"
BATCH = 5_000
BATCHES_PER_STEP = 4
# Longer than a request that was let in before the keys stopped can still be writing (statement
# time-out, twice).
LATE_WRITES = dt.timedelta(seconds=30)
# How long a confirmed deletion can still be cancelled; nothing is deleted before.
GRACE = dt.timedelta(seconds=15)

Count = Callable[[UUID], int]
DeleteBatch = Callable[[UUID, int], int]


@dataclass(frozen=True)
class Purger:
    """How one domain counts and deletes its rows of a project."""

    name: str
    count: Count
    delete_batch: DeleteBatch


_PURGERS: dict[str, Purger] = {}


def register(name: str, *, count: Count, delete_batch: DeleteBatch) -> None:
    """Add a domain's rows to the purge; `delete_batch(project_id, limit)` returns how many it
    deleted, 0 when none is left.

    Purgers run in the order of registration (apps load costs before traces; tables without foreign
    keys mind no order).
    """
    _PURGERS[name] = Purger(name, count, delete_batch)


def unregister(name: str) -> None:
    """Forget a purger (tests)."""
    _PURGERS.pop(name, None)


def handle_purge(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `projects.purge`: some batches, then the next step as a row of the same
    transaction.

    A killed worker therefore repeats at most one step. When everything is gone it waits once for
    requests that were on their way when deletion was asked for, looks again, and only then deletes
    the project itself.
    """
    project_id, job_id = UUID(payload["project_id"]), UUID(payload["job_id"])
    # The lock that a cancellation takes too: it comes before the first row goes, or not at all.
    if Job.objects.select_for_update().get(pk=job_id).state == Job.State.CANCELLED:
        return
    project = Project.objects.filter(pk=project_id, status=Project.Status.DELETING).first()
    if project is None:
        jobs.finish(job_id, message="The project is deleted.")
        return
    _state_total(job_id, project_id)
    for _ in range(BATCHES_PER_STEP):
        if not _delete_some(project_id, job_id):
            break
    else:
        _enqueue_step(payload, now, final=False, available_at=now)
        return
    if payload.get("final"):
        _delete_project(project, job_id)
    else:
        _enqueue_step(payload, now, final=True, available_at=now + LATE_WRITES)


def _enqueue_step(
    payload: dict[str, Any], now: dt.datetime, *, final: bool, available_at: dt.datetime
) -> None:
    step = int(payload.get("step", 0)) + 1
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{payload['project_id']}:{step}",
        payload={**payload, "step": step, "final": final},
        now=now,
        available_at=available_at,
    )


def _state_total(job_id: UUID, project_id: UUID) -> None:
    job = Job.objects.get(pk=job_id)
    if job.state == Job.State.QUEUED:
        total = sum(purger.count(project_id) for purger in _PURGERS.values())
        Job.objects.filter(pk=job_id).update(total=total, state=Job.State.RUNNING)


def _delete_some(project_id: UUID, job_id: UUID) -> int:
    """One batch of the first domain that still has rows; 0 when all are empty."""
    for purger in _PURGERS.values():
        deleted = purger.delete_batch(project_id, BATCH)
        if deleted:
            jobs.advance(job_id, by=deleted, message=f"Deleting {purger.name}")
            return deleted
    return 0


def _delete_project(project: Project, job_id: UUID) -> None:
    ApiKey.objects.filter(project_id=project.pk).delete()
    record_audit_event(
        organization_id=project.organization_id,
        actor=None,
        action="project.deleted",
        target=project.name,
        data={"project": project.slug, "project_id": str(project.pk)},
    )
    Project.objects.filter(pk=project.pk).delete()
    jobs.finish(job_id, message="The project is deleted.")
