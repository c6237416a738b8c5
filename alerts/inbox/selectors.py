"""What the bell counts for one person, and the incidents of their inbox."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    BooleanField,
    Count,
    DateTimeField,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Cast, Greatest

from accounts.models import Membership
from alerts.models import (
    SEVERITY_RANK,
    AlertEvent,
    EventRead,
    EventState,
    NotificationPreference,
    Severity,
)
from core.keyset import keyset_page

KEPT = dt.timedelta(days=30)
SHOWN = 20
MOST_COUNTED = 99
# An open page shows at most so many browser notifications of one reading.
MOST_NEWS = 5
_NEWEST = "-fired"


@dataclass(frozen=True)
class Bell:
    """`unread` counts at most one more than MOST_COUNTED. `open` are incidents that are not resolved, `firing` those
    nobody has acknowledged or snoozed, `worst` the highest severity of the open ones. `news`: the newest unread that
    are severe enough for this person's browser."""

    unread: int
    firing: int
    open: int
    worst: str
    news: Sequence[AlertEvent]

    @property
    def count(self) -> str:
        """`7`, `99+` or nothing."""
        if self.unread > MOST_COUNTED:
            return f"{MOST_COUNTED}+"
        return str(self.unread or "")


@dataclass(frozen=True)
class Page:
    """Some incidents (AlertEvent, each with `is_unread`), and where the next begin (empty: nowhere)."""

    rows: Sequence[Any]
    after: str


def severities_from(least: str) -> list[str]:
    """Those at least as severe as `least`."""
    return [one for one, rank in SEVERITY_RANK.items() if rank >= SEVERITY_RANK[least]]


def preference_of(membership: Membership) -> NotificationPreference:
    """What this person chose; unsaved defaults before they did. One query."""
    found = NotificationPreference.objects.filter(
        user_id=membership.user_id, organization_id=membership.organization_id
    ).first()
    return found or NotificationPreference(
        user_id=membership.user_id, organization_id=membership.organization_id
    )


def inbox_of(
    membership: Membership, preference: NotificationPreference, now: dt.datetime
) -> "QuerySet[Any]":
    """The incidents of the last 30 days this person was told of in the bell, each with `is_unread`, in no order.

    What fired in a quiet time, so that nobody was told, is not among them. Read is what was opened or marked, and what
    fired before the person joined; a higher severity, a return or the end of a snooze makes it unread again.
    """
    rows = AlertEvent.objects.filter(
        organization_id=membership.organization_id,
        fired_at__gte=now - KEPT,
        severity__in=severities_from(preference.inbox_severity),
        told_at__isnull=False,
    ).annotate(stirred_at=Greatest("fired_at", "waiting_since"))
    since = max(filter(None, (membership.created_at, preference.read_before)))
    seen = EventRead.objects.filter(
        user_id=membership.user_id,
        event_id=OuterRef("pk"),
        read_at__gte=OuterRef("stirred_at"),
    )
    unread = Q(stirred_at__gt=Value(since, output_field=DateTimeField())) & ~Exists(seen)
    return rows.annotate(is_unread=Cast(unread, BooleanField())).defer("evidence")


def bell_of(membership: Membership, preference: NotificationPreference, now: dt.datetime) -> Bell:
    """Two queries: the newest unread, and what is open."""
    rows = inbox_of(membership, preference, now).filter(is_unread=True)
    unread = list(rows.order_by("-fired_at", "-pk")[: MOST_COUNTED + 1])
    states = (
        AlertEvent.objects.filter(
            organization_id=membership.organization_id,
            severity__in=severities_from(preference.inbox_severity),
        )
        .exclude(state=EventState.RESOLVED)
        .values_list("state", "severity")
        .annotate(number=Count("pk"))
    )
    found = list(states)
    worst = max((severity for _, severity, _ in found), key=SEVERITY_RANK.__getitem__, default="")
    loud = severities_from(preference.browser_severity) if preference.has_browser else []
    return Bell(
        unread=len(unread),
        firing=sum(number for state, _, number in found if state == EventState.FIRING),
        open=sum(number for _, _, number in found),
        worst=worst,
        news=[one for one in unread if one.is_open and one.severity in loud][:MOST_NEWS],
    )


def inbox_page(
    membership: Membership,
    preference: NotificationPreference,
    *,
    now: dt.datetime,
    after: str = "",
    only_unread: bool = False,
    limit: int = SHOWN,
) -> Page:
    """Newest first, by keyset. One query. Raises InvalidCursorError."""
    rows = inbox_of(membership, preference, now).select_related("project")
    if only_unread:
        rows = rows.filter(is_unread=True)
    shown, following = keyset_page(
        rows, sort=_NEWEST, column="fired_at", kind=dt.datetime, after=after, limit=limit
    )
    return Page(shown, following)


def severity_choices() -> list[tuple[str, str]]:
    """For forms, in words."""
    return [
        (value, f"{label} and above" if value != Severity.CRITICAL else f"{label} only")
        for value, label in Severity.choices
    ]
