"""One export of an organisation: asked for, written by `projects.exports`, then taken to its destination."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.text import slugify

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from core.jobs import Step
from core.models import Job
from costs.exporting import delivery, schedule_ends
from costs.models import ExportDestination, ExportLink
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


@transaction.atomic
def retry_export(*, job: Job, now: dt.datetime, actor: User) -> Job:
    """The same export once more. Raises ConflictError unless it failed or was cancelled, DomainError for too many."""
    if job.state not in (Job.State.FAILED, Job.State.CANCELLED):
        raise ConflictError("Only an export that failed or was cancelled can be tried again.")
    kept = ("destination", "destination_name", "schedule", "schedule_name", "what", "sent")
    if "schedule" in job.params and same_schedule(job).filter(state__in=OPEN).exists():
        raise ConflictError("This schedule is running already; wait for it to end.")
    return start_export(
        organization=Organization.objects.get(pk=job.organization_id),
        kind=job.params["kind"],
        format_name=job.params["format"],
        request=Request(
            query=job.params["query"],
            is_machine=bool(job.params.get("is_machine")),
            now=dt.datetime.fromisoformat(job.params["now"]),
        ),
        actor=actor,
        params={name: job.params[name] for name in kept if name in job.params},
    )


def same_schedule(job: Job) -> QuerySet[Job]:
    """All runs of the schedule that the job is one of."""
    rows = exports_of(job.organization_id)
    return rows.filter(params__schedule=job.params["schedule"])


@transaction.atomic
def remove_export(*, job: Job, actor: User) -> None:
    """Remove an ended export, its files and its links. Raises ConflictError while it is under way."""
    if job.is_open:
        raise ConflictError("This export is under way; cancel it first.")
    ExportLink.objects.filter(organization_id=job.organization_id, job_id=job.pk).delete()
    record_audit_event(
        organization_id=job.organization_id,
        actor=actor,
        action="export.removed",
        target=job.title,
        data={"job": str(job.pk)},
    )
    engine.delete_export(job=job)


def run_step(job: Job, *, now: dt.datetime) -> Step:
    """The engine's next step; when all files are written and a destination wants them, one file a step goes there."""
    if "to_send" in job.cursor:
        return _send_next(job)
    step = engine.run_step(job, now=now)
    files = step.result.get("files", [])
    if step.cursor is not None or not files:
        return step
    step = replace(step, result={**step.result, **_page_of(job)})
    if not job.params.get("destination"):
        return step
    following = {"to_send": 0, "parts": job.cursor.get("parts", 0)}
    message = f"Sending {len(files)} files" if len(files) > 1 else "Sending the file"
    return replace(step, cursor=following, message=message)


def _page_of(job: Job) -> dict[str, str]:
    """Where its files are shown."""
    slug = Organization.objects.values_list("slug", flat=True).get(pk=job.organization_id)
    return {"url": reverse("costs:export_detail", args=[slug, job.pk]), "label": "Show the files"}


def _send_next(job: Job) -> Step:
    """One file to the bucket; a repeated step writes the same object again."""
    destination = (
        ExportDestination.objects.select_related("organization")
        .filter(organization_id=job.organization_id, pk=job.params["destination"])
        .first()
    )
    if destination is None:
        raise DomainError("The destination was removed meanwhile; the files are here.")
    files, place = job.result["files"], int(job.cursor["to_send"])
    target = f"{_folder_of(job)}/{files[place]['name']}"
    delivery.send(destination, files[place]["file"], target)
    sent = [*job.result.get("sent_to", []), f"{destination.prefix}/{target}".lstrip("/")]
    result = {"sent_to": sent, "bucket": destination.bucket}
    if place + 1 < len(files):
        following = {**job.cursor, "to_send": place + 1}
        return Step(0, following, f"{place + 1} of {len(files)} files sent", result=result)
    rows = job.result["rows"]
    return Step(0, None, f"{rows:,} rows sent to {destination.name}.", result=result)


def _folder_of(job: Job) -> str:
    """A schedule's files replace their older selves; those of an export by hand stand alone."""
    name = slugify(job.params.get("schedule_name", ""))
    return f"{name or 'schedule'}" if "schedule" in job.params else f"by-hand/{job.pk}"


def end(job: Job) -> None:
    """However the job ended: no parts stay, and its schedule knows. Files that could not be sent stay here."""
    if job.state == Job.State.FAILED and "to_send" in job.cursor:
        engine.remove_parts(job)
    else:
        engine.clean_up(job)
    if "schedule" in job.params:
        schedule_ends.record_end(job)
