"""Everything of one user or session of the project's product, deleted (a person's right to be forgotten).

Traces, steps, payloads, scores, comments, search and error entries go; their cost records stay in the ledger without
the user and the session, and the sums per user without the user. Exports made before lose their files, at once and
again at the end. What arrives later under the same id is new data.
"""

import datetime as dt
from typing import Any, Literal
from uuid import UUID

from django.db import connection, transaction

from accounts.models import User
from accounts.services import record_audit_event
from core import jobs
from core.errors import DomainError
from core.models import Job
from costs.services.forget import forget_person
from projects.exports.withdrawal import withdraw_exports
from projects.models import Project
from traces.models import Score, Trace
from traces.removal import remove_traces
from traces.signals import user_erased

KIND = "traces.erase"
AT_ONCE = 100
COLUMNS = {"user": "user_id", "session": "session_id"}
Subject = Literal["user", "session"]


@transaction.atomic
def start_erasure(
    *,
    project: Project,
    subject: str,
    value: str,
    actor: User | None,
    now: dt.datetime,
    actor_label: str = "",
) -> Job:
    """A job that deletes all data of `value`. Raises DomainError when nothing carries it."""
    if subject not in COLUMNS:
        raise DomainError(f"subject={subject[:40]!r} must be user or session.", fields=["subject"])
    value = value.replace("\x00", "")
    if not value or len(value) > 200:
        raise DomainError(f"{subject} must have 1 to 200 characters.", fields=["value"])
    total = Trace.objects.filter(**{"project": project, COLUMNS[subject]: value}).count()
    job = jobs.start(
        kind=KIND,
        title=f"Delete all data of one {subject}",
        organization_id=project.organization_id,
        project_id=project.pk,
        created_by_id=actor.pk if actor else None,
        total=total,
        params={"subject": subject, "value": value},
        now=now,
    )
    # The trail says that it happened, not whom it was about.
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action=f"{subject}.erasure_requested",
        target=project.name,
        data={"project": project.slug, "traces": total, "job": str(job.pk)},
    )
    return job


def run_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """Exports made before; the next traces; when none is left, the ledger's labels; then exports that were made
    meanwhile, and the job forgets the id, too."""
    subject, value = str(job.params["subject"]), str(job.params["value"])
    if job.project_id is None:
        return jobs.Step(0, None, "The project is gone.")
    part = job.cursor.get("part")
    if part is None:
        _, result = _withdraw(job, job.project_id, before=now, now=now)
        return jobs.Step(0, {"part": "traces"}, "Removing exports made before", result=result)
    if part == "exports":
        return _finish(job, job.project_id, subject, now=now)
    column = COLUMNS[subject]
    found = Trace.objects.filter(**{"project": job.project_id, column: value})
    ids = list(found.order_by("trace_id").values_list("trace_id", flat=True)[:AT_ONCE])
    if ids:
        removed = remove_traces(project_id=job.project_id, trace_ids=ids, now=now)
        return jobs.Step(
            len(removed.ids),
            {"part": "traces"},
            "Deleting traces",
            total=max(job.total, job.done + len(ids)),
        )
    if subject == "session":
        Score.objects.filter(project=job.project_id, session_id=value).delete()
    with connection.cursor() as cursor:
        left = forget_person(cursor, project_id=job.project_id, column=column, value=value)
    if left:
        return jobs.Step(0, {"part": "ledger"}, "Taking the id out of the ledger")
    if subject == "user":
        user_erased.send(sender=Trace, project_id=job.project_id, user_id=value, now=now)
    params: dict[str, Any] = {"subject": subject, "value": ""}
    Job.objects.filter(pk=job.pk).update(params=params)
    # In a step of its own: an export asked for before this one is committed may have read what it deletes.
    return jobs.Step(0, {"part": "exports"}, "Removing exports made meanwhile")


def _finish(job: Job, project_id: UUID, subject: str, *, now: dt.datetime) -> jobs.Step:
    """Exports that read while traces were deleted; an export's step that runs right now is waited for."""
    before = dt.datetime.fromisoformat(job.cursor.get("before", now.isoformat()))
    is_waiting, result = _withdraw(job, project_id, before=before, now=now)
    if is_waiting:
        cursor = {"part": "exports", "before": before.isoformat()}
        return jobs.Step(
            0, cursor, "Waiting for exports under way to stop", result=result, wait_s=1
        )
    text = f"{job.done:,} traces are deleted; the ledger no longer names the {subject}."
    if count := result["exports_removed"]:
        text += f" Files of exports made before that were removed: {count:,}."
    if count := result["exports_cancelled"]:
        text += f" Exports under way that were cancelled: {count:,}."
    return jobs.Step(0, None, text, result=result)


def _withdraw(
    job: Job, project_id: UUID, *, before: dt.datetime, now: dt.datetime
) -> tuple[bool, dict[str, int]]:
    """Whether exports are still under way, and the job's counts so far."""
    found = withdraw_exports(project_id=project_id, before=before, now=now)
    return found.waiting > 0, {
        "exports_removed": job.result.get("exports_removed", 0) + found.removed,
        "exports_cancelled": job.result.get("exports_cancelled", 0) + found.cancelled,
    }
