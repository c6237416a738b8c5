"""What people decide about a kind of failure."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import DomainError, NotFoundError
from projects.models import Project
from traces.models import ErrorGroup, ErrorStatus


@transaction.atomic
def set_error_status(
    *,
    project: Project,
    fingerprint: str,
    status: str,
    actor: User | None,
    now: dt.datetime,
    in_next_release: bool = False,
    actor_label: str = "",
) -> ErrorGroup:
    """Open, resolve or ignore a group. A resolved one opens again when it is seen later; with `in_next_release` only
    when it is seen in another release than the last one so far. Raises NotFoundError, DomainError.
    """
    if status not in ErrorStatus.values:
        raise DomainError(
            f"status is {status[:40]!r}; it must be one of {', '.join(ErrorStatus.values)}.",
            fields=["status"],
        )
    group = _locked(project, fingerprint)
    if in_next_release and not group.last_release:
        raise DomainError(
            "in_next_release needs steps that say their release; the last one did not. Resolve it without.",
            fields=["in_next_release"],
        )
    is_resolved = status == ErrorStatus.RESOLVED
    group.status = status
    group.changed_by, group.changed_at = actor, now
    group.resolved_at = now if is_resolved else None
    group.resolved_release = group.last_release if is_resolved and in_next_release else ""
    group.reopened_at = None
    ErrorGroup.objects.filter(project=project.pk, fingerprint=fingerprint).update(
        status=status,
        changed_by=actor,
        changed_at=now,
        resolved_at=group.resolved_at,
        resolved_release=group.resolved_release,
        reopened_at=None,
    )
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action=f"error.{status}",
        target=str(group)[:200],
        data={"project": project.slug, "fingerprint": fingerprint},
    )
    return group


def _locked(project: Project, fingerprint: str) -> ErrorGroup:
    group = (
        ErrorGroup.objects.select_for_update(of=("self",))
        .filter(project=project.pk, fingerprint=fingerprint)
        .first()
    )
    if group is None:
        raise NotFoundError("There is no such error in this project.")
    return group
