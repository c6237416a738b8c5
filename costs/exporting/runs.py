"""One export of an organisation: asked for, written by `projects.exports`, then taken to its destination."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import DomainError, NotFoundError
from core.jobs import Step
from core.models import Job
from projects.exports import job as engine
from projects.exports.registry import JOB_KINDS, Request, source_of

KIND = "costs.export"
OPEN = (Job.State.QUEUED, Job.State.RUNNING)
JOB_KINDS.add(KIND)


@transaction.atomic
def start_export(
    *,
    organization: Organization,
    kind: str,
    format_name: str,
    request: Request,
    actor: User | None,
    actor_label: str = "",
    params: dict[str, Any] | None = None,
) -> Job:
    """A queued export. Raises DomainError for an unknown kind or format, an unreadable question, too many jobs."""
    source = source_of(kind, of_organization=True)
    engine.check_format(format_name)
    if request.is_machine and format_name != "csv":
        raise DomainError("flavour says how CSV is written; leave it out here.", fields=["flavour"])
    Organization.objects.select_for_update().get(pk=organization.pk)
    engine.check_open(
        exports_of(organization.pk).filter(state__in=OPEN).count(), "this organisation"
    )
    job = engine.queue(
        owner=organization,
        source=source,
        format_name=format_name,
        request=request,
        actor=actor,
        job_kind=KIND,
        params=params,
    )
    record_audit_event(
        organization_id=organization.pk,
        actor=actor,
        action="export.requested",
        target=source.label,
        data={"kind": kind, "query": request.query, "job": str(job.pk)},
        actor_label=actor_label,
    )
    return job


def exports_of(organization_id: UUID) -> QuerySet[Job]:
    """The organisation's exports, in no order."""
    return Job.objects.filter(kind=KIND, organization_id=organization_id, project_id=None)


def export_of(organization_id: UUID, job_id: UUID) -> Job:
    """One of them. Raises NotFoundError."""
    job = exports_of(organization_id).filter(pk=job_id).first()
    if job is None:
        raise NotFoundError("There is no such export in this organisation.")
    return job


def run_step(job: Job, *, now: dt.datetime) -> Step:
    """The engine's next step."""
    return engine.run_step(job, now=now)


def end(job: Job) -> None:
    """However the job ended."""
    engine.clean_up(job)
