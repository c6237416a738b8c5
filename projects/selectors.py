"""Reads about projects and their keys."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from accounts.models import Organization, Role, User
from core.errors import DomainError
from core.models import Job
from projects.models import ApiKey, Project
from projects.purge import TOPIC as PURGE_TOPIC

SORTS = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "created": ("created_at", "id"),
    "-created": ("-created_at", "-id"),
}
DEFAULT_SORT = "name"


def projects_of(user: User, organization_id: UUID | None = None) -> list[Project]:
    """Every project the user may open (in one organisation when given), by organisation and name, with `.role` and
    `.ref`. One query: what an address calls a project hangs on all that the user sees.
    """
    projects = list(
        visible_to(user).order_by("organization__name", "organization_id", "name", "id")
    )
    found = with_refs(projects)
    if organization_id is None:
        return found
    return [one for one in found if one.organization_id == organization_id]


def visible_to(user: User) -> QuerySet[Project, Any]:
    """Projects of the user's organisations, with them and `.user_role`; without those being
    deleted.
    """
    return (
        Project.objects.filter(organization__memberships__user=user)
        .exclude(status=Project.Status.DELETING)
        .select_related("organization")
        .annotate(user_role=F("organization__memberships__role"))
    )


def with_refs(projects: list[Project]) -> list[Project]:
    """Set `.role` and `.ref` on all projects a user sees; a slug used twice among them gives way to
    the UUID.
    """
    uses = Counter(project.slug for project in projects)
    for project in projects:
        project.role = Role(project.user_role)  # type: ignore[attr-defined]  # annotated by visible_to
        project.ref = project.slug if uses[project.slug] == 1 else str(project.pk)
    return projects


def project_list(
    user: User,
    organization: Organization,
    *,
    archived: bool = False,
    search: str = "",
    sort: str = DEFAULT_SORT,
) -> list[Project]:
    """The projects of one organisation for its list page, with `.key_count`. Two queries."""
    status = Project.Status.ARCHIVED if archived else Project.Status.ACTIVE
    rows = visible_to(user).filter(organization=organization, status=status)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    usable = Count("api_keys", filter=Q(api_keys__revoked_at=None), distinct=True)
    found = list(rows.annotate(key_count=usable).order_by(*SORTS.get(sort, SORTS[DEFAULT_SORT])))
    refs = {project.pk: project.ref for project in projects_of(user)}
    for project in found:
        project.organization = organization
        project.role = Role(project.user_role)
        project.ref = refs.get(project.pk, str(project.pk))
    return found


def archived_count(organization: Organization) -> int:
    """How many archived projects there are. One query."""
    return Project.objects.filter(organization=organization, status=Project.Status.ARCHIVED).count()


def deletion_jobs(organization: Organization) -> QuerySet[Job]:
    """Deletions still under way, newest first. One query."""
    return Job.objects.filter(
        organization_id=organization.pk,
        kind=PURGE_TOPIC,
        state__in=[Job.State.QUEUED, Job.State.RUNNING],
    ).order_by("-created_at")


def api_keys(project: Project) -> QuerySet[ApiKey]:
    """The project's keys, newest first, with who made them. One query."""
    return (
        ApiKey.objects.filter(project=project)
        .select_related("created_by")
        .order_by("-created_at", "-id")
    )


def chosen_project(organization_id: UUID, project_id: UUID | None) -> Project | None:
    """The organisation's project that something is for; None for all of them. Raises DomainError."""
    if project_id is None:
        return None
    found = Project.objects.filter(organization_id=organization_id, pk=project_id).first()
    if found is None:
        raise DomainError(
            "project: there is no such project in this organisation.", fields=["project"]
        )
    return found
