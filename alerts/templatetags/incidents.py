"""Incidents in templates: how long they lasted, their timeline, and what is quiet now."""

import datetime as dt
import re
from typing import Any
from uuid import UUID

from django import template
from django.utils import timezone

from alerts import figures
from alerts.events.quiet_now import quiet_now
from alerts.models import AlertEvent, EntryKind, EventEntry
from core import formats

register = template.Library()

_ICONS: dict[str, str] = {
    EntryKind.FIRED: "bell",
    EntryKind.RAISED: "arrow-up",
    EntryKind.LOWERED: "arrow-down",
    EntryKind.ACKNOWLEDGED: "check",
    EntryKind.UNACKNOWLEDGED: "undo-2",
    EntryKind.SNOOZED: "clock",
    EntryKind.WOKEN: "bell",
    EntryKind.ESCALATED: "users",
    EntryKind.REMINDED: "bell",
    EntryKind.MUTED: "eye-off",
    EntryKind.UNDELIVERED: "circle-alert",
    EntryKind.COMMENT: "message-square",
    EntryKind.RESOLVED: "circle-check",
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")


@register.filter
def lasted(event: AlertEvent, now: dt.datetime | None = None) -> str:
    """`2 h 05 min`: from its beginning to its end, or to `now` while it goes on."""
    end = event.resolved_at or now or timezone.now()
    return figures.lasted(event.began_at, max(end, event.began_at))


@register.filter
def entry_icon(kind: str) -> str:
    """The icon of a timeline's line."""
    return _ICONS.get(kind, "circle")


@register.filter
def entry_words(entry: EventEntry) -> str:
    """Its words; instants that a program wrote, in the reader's zone. What people wrote stays as it is."""
    if entry.kind == EntryKind.COMMENT:
        return entry.words

    def written(found: re.Match[str]) -> str:
        at = iso_moment(found[0])
        return found[0] if at is None else formats.exact_time(at)

    return _INSTANT.sub(written, entry.words)


@register.filter
def iso_moment(text: Any) -> dt.datetime | None:
    """The instant an ISO 8601 text says; None for anything else."""
    try:
        at = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


@register.inclusion_tag("alerts/events/_quiet.html")
def quiet_note(organization: Any) -> dict[str, Any]:
    """What is quiet now, as a banner; nothing when everything is told. Two queries."""
    organization_id: UUID = organization.pk
    return {"organization": organization, "quiet": quiet_now(organization_id, timezone.now())}
