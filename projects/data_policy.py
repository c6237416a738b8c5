"""What a project stores of contents and for how long: the one place that changes it."""

from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core import masking
from core.errors import DomainError
from projects.models import ContentCapture, Project

FIELDS = (
    "content_capture",
    "masking",
    "retention_days",
    "payload_retention_days",
    "retention_max_bytes",
)
GIB = 1024**3


@transaction.atomic
def change_data_policy(
    *, project: Project, actor: User | None, actor_label: str = "", **changes: Any
) -> Project:
    """Change some of FIELDS; what was stored before stays as it was stored. Audited with the old and new values.

    Raises DomainError (MaskingError for a pattern) naming field, value and rule.
    """
    locked = Project.objects.select_for_update().get(pk=project.pk)
    for name, value in changes.items():
        setattr(locked, name, _checked(name, value))
    if (
        locked.payload_retention_days is not None
        and locked.retention_days is not None
        and locked.payload_retention_days > locked.retention_days
    ):
        raise DomainError(
            f"payload_retention_days={locked.payload_retention_days} must not be more than"
            f" retention_days={locked.retention_days}: contents go with their trace at the latest.",
            fields=["payload_retention_days"],
        )
    before = {name: getattr(project, name) for name in FIELDS}
    changed = [name for name in FIELDS if getattr(locked, name) != before[name]]
    if changed:
        locked.save(update_fields=[*changed, "updated_at"])
        record_audit_event(
            organization_id=project.organization_id,
            actor=actor,
            actor_label=actor_label,
            action="project.data_policy_changed",
            target=project.name,
            data={
                "project": project.slug,
                **{name: {"from": before[name], "to": getattr(locked, name)} for name in changed},
            },
        )
        for name in changed:
            setattr(project, name, getattr(locked, name))
    return project


def _checked(name: str, value: Any) -> Any:
    if name == "masking":
        return masking.validate(value)
    if name == "content_capture":
        if value not in ContentCapture.values:
            raise DomainError(
                f"content_capture={str(value)[:40]!r} must be one of {', '.join(ContentCapture.values)}.",
                fields=[name],
            )
        return value
    if value is None:
        return None
    if name == "retention_max_bytes":
        return _bounded(name, value, least=GIB // 10, most=2**62)
    return _bounded(name, value, least=1, most=settings.LLMLAB_RETENTION_DAYS)


def _bounded(name: str, value: Any, *, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise DomainError(
            f"{name}={str(value)[:40]} must be a whole number from {least:,} to {most:,}, or empty.",
            fields=[name],
        )
    return value
