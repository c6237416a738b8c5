"""What a person or program may ask for as a maintenance window, checked. The form and the API both go through here."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from alerts.models import Repeats
from core.errors import DomainError
from core.person_formats import time_zones
from projects.access import parse_uuid
from projects.models import Project

DAY = dt.timedelta(days=1)
LONGEST: dict[str, tuple[dt.timedelta, str]] = {
    Repeats.NEVER: (31 * DAY, "31 days after its start"),
    Repeats.DAILY: (DAY, "24 hours after its start, as it repeats every day"),
    Repeats.WEEKLY: (7 * DAY, "7 days after its start, as it repeats every week"),
}
FIRST, LAST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


class InvalidMaintenanceError(DomainError):
    """A window that cannot be; the detail says what to change."""

    code = "invalid_maintenance"


@dataclass(frozen=True, kw_only=True)
class MaintenanceDraft:
    """A checked window that is not saved (yet)."""

    organization_id: UUID
    name: str
    project: Project | None
    starts_at: dt.datetime
    ends_at: dt.datetime
    repeats: str
    time_zone: str


def read_draft(
    organization_id: UUID, data: Mapping[str, Any], *, now: dt.datetime
) -> MaintenanceDraft:
    """Times without an offset are wall clock of `time_zone`. At most one query. Raises InvalidMaintenanceError naming
    the field, its value and the rule."""
    zone = _zone(data)
    starts_at, ends_at = _moment(data, "starts_at", zone), _moment(data, "ends_at", zone)
    repeats = str(data.get("repeats") or Repeats.NEVER)
    if repeats not in Repeats.values:
        raise _invalid("repeats", repeats, f"one of {', '.join(Repeats.values)}")
    if ends_at <= starts_at:
        raise _invalid("ends_at", data.get("ends_at"), "after the start")
    longest, words = LONGEST[repeats]
    if ends_at - starts_at > longest:
        raise _invalid("ends_at", data.get("ends_at"), f"at most {words}")
    if repeats == Repeats.NEVER and ends_at <= now:
        raise _invalid("ends_at", data.get("ends_at"), "in the future")
    return MaintenanceDraft(
        organization_id=organization_id,
        name=_name(data),
        project=_project(organization_id, data),
        starts_at=starts_at,
        ends_at=ends_at,
        repeats=repeats,
        time_zone=zone,
    )


def _invalid(field: str, value: object, rule: str) -> InvalidMaintenanceError:
    return InvalidMaintenanceError(
        f"{field} is {str('' if value is None else value)[:80]!r}; it must be {rule}.",
        fields=[field],
    )


def _name(data: Mapping[str, Any]) -> str:
    name = str(data.get("name") or "").strip()
    if not 1 <= len(name) <= 120 or "\x00" in name:
        raise _invalid("name", name, "between 1 and 120 characters, without NUL")
    return name


def _zone(data: Mapping[str, Any]) -> str:
    name = str(data.get("time_zone") or "UTC")
    if name not in time_zones():
        raise _invalid("time_zone", name, "a time zone such as UTC or Europe/Berlin")
    return name


def _moment(data: Mapping[str, Any], field: str, zone: str) -> dt.datetime:
    value = data.get(field)
    try:
        at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value)[:40])
        at = (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise _invalid(field, value, "a date and time such as 2026-11-20T22:00") from None
    if not FIRST <= at <= LAST:
        raise _invalid(field, value, "between the years 2000 and 2100")
    return at.replace(second=0, microsecond=0)


def _project(organization_id: UUID, data: Mapping[str, Any]) -> Project | None:
    """By id or slug; empty: all."""
    text = str(data.get("project") or "")
    if not text:
        return None
    rows = Project.objects.filter(organization_id=organization_id)
    rows = rows.exclude(status=Project.Status.DELETING)
    found = None
    if "\x00" not in text:
        key = parse_uuid(text)
        found = rows.filter(pk=key).first() if key else rows.filter(slug=text[:80]).first()
    if found is None:
        raise _invalid("project", text, "a project of the organisation by id or slug, or empty")
    return found
