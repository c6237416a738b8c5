"""Reading incidents, one or all."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from accounts.models import Membership, User
from alerts.inbox import hints
from alerts.models import AlertEvent, EventRead, NotificationPreference
from core.errors import NotFoundError


def mark_read(*, user: User, event: AlertEvent, now: dt.datetime) -> None:
    """This person has seen the incident as it is now. Their other pages are told, unless it was read before: a page
    that reads itself again on each hint would go round for ever. One query or two."""
    stirred_at = max(filter(None, (event.fired_at, event.waiting_since)))
    if EventRead.objects.filter(user=user, event=event, read_at__gte=stirred_at).exists():
        return
    EventRead.objects.bulk_create(
        [EventRead(user=user, event=event, read_at=now)],
        update_conflicts=True,
        unique_fields=["user", "event"],
        update_fields=["read_at"],
    )
    if event.organization_id is not None:
        hints.tell_person(event.organization_id, user.pk)


def mark_events_read(
    *, membership: Membership, user: User, ids: Sequence[UUID], now: dt.datetime
) -> None:
    """The same for several. Two queries. Raises NotFoundError when one of them is no incident of the organisation;
    then nothing is marked."""
    wanted = set(ids)
    rows = AlertEvent.objects.filter(organization_id=membership.organization_id, pk__in=wanted)
    found = set(rows.values_list("pk", flat=True))
    if missing := sorted(map(str, wanted - found)):
        raise NotFoundError(f"There is no incident {missing[0]} in this organisation.")
    EventRead.objects.bulk_create(
        [EventRead(user=user, event_id=pk, read_at=now) for pk in sorted(found)],
        update_conflicts=True,
        unique_fields=["user", "event"],
        update_fields=["read_at"],
    )
    hints.tell_person(membership.organization_id, user.pk)


def mark_all_read(*, membership: Membership, until: dt.datetime, now: dt.datetime) -> None:
    """Everything that fired up to `until` is read: when the person's list was made, so that what they have not seen
    stays unread. Never takes a later mark back. Two queries or three."""
    until = min(until, now)
    preference, is_new = NotificationPreference.objects.get_or_create(
        user_id=membership.user_id,
        organization_id=membership.organization_id,
        defaults={"read_before": until},
    )
    if not is_new and (preference.read_before is None or preference.read_before < until):
        preference.read_before = until
        preference.save(update_fields=["read_before", "updated_at"])
    # What was read one by one before says nothing more.
    EventRead.objects.filter(
        user_id=membership.user_id,
        event__organization_id=membership.organization_id,
        read_at__lte=until,
    ).delete()
    hints.tell_person(membership.organization_id, membership.user_id)
