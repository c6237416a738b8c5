"""Reads about long jobs: only those of the person's own organisations exist for them."""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from accounts.models import Membership, Role, User
from accounts.selectors import memberships_of
from core.errors import DomainError
from core.models import Job
from projects.models import Project

PAGE_SIZE = 50


@dataclass(frozen=True)
class JobPage:
    """Newest first; `older` is the id to pass as `before`, or empty."""

    rows: list[Job]
    state: str
    kind: str
    kinds: list[str]
    older: str


def job_page(user: User, *, state: str, kind: str, before: str) -> JobPage:
    """Up to 50 jobs of the user's organisations. Three queries. Raises DomainError for an unknown state or page."""
    if state and state not in Job.State.values:
        raise DomainError(
            f"state={state[:40]!r} must be one of {', '.join(Job.State.values)}.", fields=["state"]
        )
    mine = [membership.organization_id for membership in memberships_of(user)]
    rows = Job.objects.filter(organization_id__in=mine)
    kinds = sorted(set(rows.values_list("kind", flat=True).distinct()))
    if state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(kind=kind.replace("\x00", ""))
    if before:
        try:
            # Ids are UUIDv7: their order is the order of creation.
            rows = rows.filter(pk__lt=UUID(before))
        except ValueError:
            raise DomainError(
                "before is not the id of a job; start again without it.", fields=["before"]
            ) from None
    found = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    projects = Project.objects.in_bulk(
        {job.project_id for job in found if job.project_id is not None}
    )
    for job in found:
        project = projects.get(job.project_id) if job.project_id else None
        job.project_name = project.name if project else ""  # type: ignore[attr-defined]
    older = str(found[PAGE_SIZE - 1].pk) if len(found) > PAGE_SIZE else ""
    return JobPage(found[:PAGE_SIZE], state, kind, kinds, older)


def job_of(user: User, job_id: UUID) -> tuple[Job, Membership] | None:
    """The job and the user's membership in its organisation; None when there is none for them. Two queries."""
    job = Job.objects.filter(pk=job_id).first()
    membership = (
        Membership.objects.select_related("organization")
        .filter(user=user, organization_id=job.organization_id)
        .first()
        if job
        else None
    )
    return (job, membership) if job and membership else None


def may_cancel(job: Job, membership: Membership) -> bool:
    """Admins, and the member who started it."""
    started_it = job.created_by_id == membership.user_id and membership.allows(Role.MEMBER)
    return started_it or membership.allows(Role.ADMIN)


def time_left(job: Job, *, now: dt.datetime) -> float | None:
    """Milliseconds to the end at the pace so far; None while that says nothing."""
    if not job.is_open or not 0 < job.done < job.total:
        return None
    passed = (now - job.created_at).total_seconds()
    return passed * (job.total - job.done) / job.done * 1000 if passed > 3 else None
