"""Writing maintenance windows. Each change is audited; what keeps messages back must be told."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from alerts.events.maintenance_drafts import MaintenanceDraft
from alerts.models import Maintenance, Repeats
from alerts.quiet import goes_on, next_occurrence, occurrence_at
from core.errors import ConflictError, NotFoundError

# Of those that are not over: each judged rule looks at them.
MAX_WINDOWS = 200
_FIELDS = ("name", "project", "starts_at", "ends_at", "repeats", "time_zone")


@transaction.atomic
def create_maintenance(*, draft: MaintenanceDraft, author: User, now: dt.datetime) -> Maintenance:
    """Save a window. Raises ConflictError at MAX_WINDOWS."""
    # One writer of an organisation's windows at a time, so that MAX_WINDOWS holds.
    Organization.objects.select_for_update().get(pk=draft.organization_id)
    rows = Maintenance.objects.filter(organization_id=draft.organization_id)
    if rows.filter(goes_on(now)).count() >= MAX_WINDOWS:
        raise ConflictError(
            f"The organisation has {MAX_WINDOWS} windows, the most there can be. Delete ones nobody needs."
        )
    window = Maintenance(organization_id=draft.organization_id, author=author)
    _take(window, draft)
    window.save()
    _audit(window, author, "alerts.maintenance.created")
    return window


@transaction.atomic
def change_maintenance(*, window_id: UUID, draft: MaintenanceDraft, author: User) -> Maintenance:
    """Replace what a window says; nothing is written when it says the same. Raises NotFoundError."""
    window = _locked(draft.organization_id, window_id)
    before = _told(window)
    _take(window, draft)
    if _told(window) != before:
        window.save()
        _audit(window, author, "alerts.maintenance.changed", before=before)
    return window


@transaction.atomic
def end_maintenance(
    *, organization_id: UUID, window_id: UUID, author: User, now: dt.datetime
) -> Maintenance:
    """End what runs now: a single window is over, a repeated one goes on with its next turn. Raises NotFoundError,
    ConflictError when it does not run."""
    window = _locked(organization_id, window_id)
    running = occurrence_at(window, now)
    if running is None:
        raise ConflictError("It does not run now; delete it to keep it from running.")
    if window.repeats == Repeats.NEVER:
        window.ends_at = max(now, window.starts_at + dt.timedelta(microseconds=1))
    elif following := next_occurrence(window, running[1]):
        window.starts_at, window.ends_at = following
    window.save()
    _audit(window, author, "alerts.maintenance.ended")
    return window


@transaction.atomic
def delete_maintenance(*, organization_id: UUID, window_id: UUID, author: User) -> None:
    """Remove a window; the audit trail keeps what it said. Raises NotFoundError."""
    window = _locked(organization_id, window_id)
    _audit(window, author, "alerts.maintenance.deleted")
    window.delete()


def _locked(organization_id: UUID, window_id: UUID) -> Maintenance:
    rows = Maintenance.objects.select_for_update(of=("self",)).select_related("project")
    found = rows.filter(organization_id=organization_id, pk=window_id).first()
    if found is None:
        raise NotFoundError("There is no such maintenance window, or it was deleted.")
    return found


def _take(window: Maintenance, draft: MaintenanceDraft) -> None:
    for name in _FIELDS:
        setattr(window, name, getattr(draft, name))


def _told(window: Maintenance) -> dict[str, Any]:
    return {
        "name": window.name,
        "project": window.project.slug if window.project else None,
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
        "repeats": str(window.repeats),
        "time_zone": window.time_zone,
    }


def _audit(window: Maintenance, author: User, action: str, **more: Any) -> None:
    record_audit_event(
        organization_id=window.organization_id,
        actor=author,
        action=action,
        target=window.name,
        data={"maintenance": str(window.pk), **_told(window), **more},
    )
