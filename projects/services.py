"""Projects: create, rename, archive, delete. Keys live in projects.keys, the purge in
projects.purge.
"""

import datetime as dt
import secrets

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts.models import Organization, User
from accounts.services import clean_name, record_audit_event
from core import jobs, outbox
from core.errors import ConflictError, DomainError
from core.models import Job
from projects.access import parse_uuid
from projects.keys import create_api_key, revoke_api_key, rotate_api_key
from projects.models import Project
from projects.purge import GRACE
from projects.purge import TOPIC as PURGE_TOPIC

__all__ = [
    "PURGE_TOPIC",
    "archive_project",
    "cancel_project_deletion",
    "create_api_key",
    "create_project",
    "rename_project",
    "request_project_deletion",
    "revoke_api_key",
    "rotate_api_key",
    "unarchive_project",
]

SLUG_ATTEMPTS = 5
# Path segments under /projects/ that are pages of their own.
RESERVED_SLUGS = frozenset({"new", "spend", "archived", "deletions"})


def create_project(
    *,
    organization: Organization,
    name: str,
    actor: User | None,
    slug: str | None = None,
    actor_label: str = "",
) -> Project:
    """A project in `organization`. Without `slug` one is made from the name, with a random suffix
    when it is taken.

    Raises DomainError for an unusable name or slug, ConflictError when an asked-for slug is taken.
    """
    name = clean_name(name, limit=80)
    if slug is not None:
        return _create_exact(organization, name, check_slug(slug), actor, actor_label)
    base = slugify(name)[:60] or "project"
    unusable = base in RESERVED_SLUGS or parse_uuid(base) is not None
    for attempt in range(SLUG_ATTEMPTS):
        candidate = base if attempt == 0 and not unusable else f"{base}-{secrets.token_hex(3)}"
        try:
            return _create_exact(organization, name, candidate, actor, actor_label)
        except ConflictError:
            continue
    raise ConflictError(
        "No free slug was found for this name; choose another name.", fields=["name"]
    )


def check_slug(slug: str) -> str:
    """`slug` when it may stand in a URL; raises DomainError otherwise."""
    if slug != slugify(slug) or not 1 <= len(slug) <= 80:
        raise DomainError(
            f"slug={slug[:80]!r} must be 1 to 80 lower-case letters, digits, hyphens or underscores.",
            fields=["slug"],
        )
    if slug in RESERVED_SLUGS or parse_uuid(slug) is not None:
        raise DomainError(f"slug={slug!r} is reserved; choose another.", fields=["slug"])
    return slug


def _create_exact(
    organization: Organization, name: str, slug: str, actor: User | None, actor_label: str
) -> Project:
    try:
        with transaction.atomic():
            project = Project.objects.create(organization=organization, name=name, slug=slug)
            _audit(project, actor, "project.created", actor_label=actor_label)
            return project
    except IntegrityError:
        raise ConflictError(
            f"slug={slug!r} is taken in this organisation.", fields=["slug"]
        ) from None


@transaction.atomic
def rename_project(
    *, project: Project, name: str, actor: User | None, actor_label: str = ""
) -> Project:
    """Change the name; the slug stays, because programs hold it."""
    name = clean_name(name, limit=80)
    if name != project.name:
        old, project.name = project.name, name
        project.save(update_fields=["name", "updated_at"])
        _audit(project, actor, "project.renamed", {"from": old}, actor_label)
    return project


def archive_project(*, project: Project, actor: User | None, actor_label: str = "") -> Project:
    """Stop ingestion, keep everything readable."""
    return _set_status(project, Project.Status.ARCHIVED, "project.archived", actor, actor_label)


def unarchive_project(*, project: Project, actor: User | None, actor_label: str = "") -> Project:
    """Take new data again."""
    return _set_status(project, Project.Status.ACTIVE, "project.unarchived", actor, actor_label)


@transaction.atomic
def _set_status(
    project: Project, status: Project.Status, action: str, actor: User | None, actor_label: str
) -> Project:
    current = Project.objects.select_for_update().get(pk=project.pk).status
    if current == Project.Status.DELETING:
        raise ConflictError("This project is being deleted.")
    project.status = status
    if current != status:
        project.save(update_fields=["status", "updated_at"])
        _audit(project, actor, action, actor_label=actor_label)
    return project


@transaction.atomic
def request_project_deletion(
    *, project: Project, actor: User | None, now: dt.datetime, actor_label: str = ""
) -> Job:
    """Make the project unreachable now (pages 404, keys refused) and purge its data in the
    background.

    Returns the job people watch. Asked twice, it answers with the same job.
    """
    locked = Project.objects.select_for_update().get(pk=project.pk)
    if locked.status == Project.Status.DELETING:
        return Job.objects.filter(kind=PURGE_TOPIC, project_id=project.pk).latest("created_at")
    _audit(project, actor, "project.deletion_requested", actor_label=actor_label)
    before: dict[str, object] = {"slug": project.slug, "status": locked.status}
    project.status = Project.Status.DELETING
    # The name is free again at once, not only when the last row is gone.
    project.slug = f"{project.slug[:60]}-deleted-{secrets.token_hex(4)}"
    project.save(update_fields=["status", "slug", "updated_at"])
    job = jobs.create_job(
        kind=PURGE_TOPIC,
        title=f"Delete project {project.name}",
        organization_id=project.organization_id,
        project_id=project.pk,
        created_by_id=actor.pk if actor else None,
        params=before,
    )
    outbox.enqueue(
        topic=PURGE_TOPIC,
        key=f"{PURGE_TOPIC}:{project.pk}:{job.pk}",
        payload={"project_id": str(project.pk), "job_id": str(job.pk)},
        now=now,
        available_at=now + GRACE,
    )
    return job


@transaction.atomic
def cancel_project_deletion(*, job: Job, actor: User) -> Project:
    """Bring a project back whose purge has not begun: status, keys, and its slug unless another took it.

    Raises ConflictError once the first row may be gone.
    """
    locked = Job.objects.select_for_update().get(pk=job.pk)
    project = Project.objects.filter(
        id__in=[job.project_id], status=Project.Status.DELETING
    ).first()
    if locked.state != Job.State.QUEUED or project is None:
        raise ConflictError("The deletion has begun or ended; it can no longer be cancelled.")
    slug = str(locked.params["slug"])
    siblings = Project.objects.filter(organization_id=project.organization_id, slug=slug)
    project.slug = f"{slug[:60]}-{secrets.token_hex(2)}" if siblings.exists() else slug
    project.status = str(locked.params["status"])
    project.save(update_fields=["status", "slug", "updated_at"])
    jobs.finish(job.pk, state=Job.State.CANCELLED, message="Cancelled; nothing was deleted.")
    _audit(project, actor, "project.deletion_cancelled")
    return project


def _audit(
    project: Project,
    actor: User | None,
    action: str,
    data: dict[str, object] | None = None,
    actor_label: str = "",
) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action=action,
        target=project.name,
        data={"project": project.slug, "project_id": str(project.pk), **(data or {})},
        actor_label=actor_label,
    )
