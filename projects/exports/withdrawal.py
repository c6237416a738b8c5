"""Taking back exports that hold what has been deleted since."""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from core.models import Job
from projects.exports import job as exports
from projects.exports.registry import JOB_KINDS, kinds_with_persons
from projects.models import Project

MESSAGE = "Removed: data of a person in this project was deleted after it was made."


@dataclass(frozen=True)
class Withdrawn:
    """How many files are gone, how many exports under way were asked to stop, and how many have not stopped yet."""

    removed: int = 0
    cancelled: int = 0
    waiting: int = 0


def withdraw_exports(*, project_id: UUID, before: dt.datetime, now: dt.datetime) -> Withdrawn:
    """Remove the file of every export of the project asked for before then, and of its organisation's that may name
    persons, and cancel those under way: which persons are in a file nobody knows. The jobs stay listed, without what
    was searched for. Call it again while `waiting`.

    A step that runs right now may still write a part or the file; it is removed by the next call.
    """
    organization = Project.objects.filter(pk=project_id).values("organization_id")
    whose = Q(project_id=project_id) | Q(
        project_id=None, organization_id__in=organization, params__kind__in=kinds_with_persons()
    )
    made = Job.objects.filter(whose, kind__in=JOB_KINDS, created_at__lte=before)
    under_way = made.filter(state__in=(Job.State.QUEUED, Job.State.RUNNING))
    cancelled = under_way.filter(cancel_requested_at=None).update(
        cancel_requested_at=now, message="Cancelled: a person's data is being deleted."
    )
    removed = 0
    for job in made.filter(state=Job.State.DONE, result__has_key="file").iterator():
        exports.forget_files(job, MESSAGE)
        job.params = {**job.params, "query": "", "ids": []}
        job.save(update_fields=["result", "params", "message", "updated_at"])
        removed += 1
    for job in made.filter(state__in=(Job.State.CANCELLED, Job.State.FAILED)).exclude(
        params__query="", params__ids=[]
    ):
        job.params = {**job.params, "query": "", "ids": []}
        job.save(update_fields=["params", "updated_at"])
    return Withdrawn(removed, cancelled, under_way.count())
