"""Digests on their way: one message per person and slot, queued with the next slot in one transaction."""

import datetime as dt
import logging
from uuid import UUID

from django.db import transaction

from accounts.models import Membership, User
from alerts import queueing
from alerts.inbox import digest_times
from alerts.inbox.digest_facts import facts_of
from alerts.inbox.digest_mail import notice_of
from alerts.models import DeliveryAction, Digest, NotificationPreference
from core.errors import ConflictError

logger = logging.getLogger(__name__)
# One round of the clock queues so many; the next one goes on.
AT_ONCE = 200


def run_due(*, now: dt.datetime) -> int:
    """Queue the digests that are due; returns how many that were. One that cannot be made does not hold up others."""
    due = NotificationPreference.objects.filter(digest_next_at__lte=now).order_by("digest_next_at")
    count = 0
    for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]):
        try:
            count += _run_one(pk, now)
        except Exception:
            logger.exception("alerts.digest.failed", extra={"preference_id": str(pk)})
    return count


@transaction.atomic
def _run_one(pk: UUID, now: dt.datetime) -> bool:
    """Whether a digest was queued. Whoever left the organisation is sent nothing, and is not asked about again."""
    rows = NotificationPreference.objects.select_for_update(of=("self",), skip_locked=True)
    preference = rows.select_related("user").filter(pk=pk, digest_next_at__lte=now).first()
    if preference is None or preference.digest_next_at is None:
        return False
    user, slot = preference.user, preference.digest_next_at
    zone = digest_times.zone_of(user.time_zone)
    membership = _membership(preference, user)
    is_sent = False
    if membership is not None and preference.digest != Digest.NONE:
        # After an outage one digest tells of everything since the last one.
        last = _last_slot(preference, slot, zone, now)
        start = digest_times.before(preference.digest, slot, zone)
        is_sent = _queue(preference, membership, user, start, last, key=last.isoformat(), now=now)
    preference.digest_next_at = (
        _next(preference, zone, now) if membership is not None and user.is_active else None
    )
    preference.save(update_fields=["digest_next_at"])
    return is_sent


def send_now(*, membership: Membership, user: User, now: dt.datetime) -> None:
    """A digest of the day (of the week, for who has it weekly) up to now, whatever was sent before. Once a minute at
    most. Raises ConflictError."""
    with transaction.atomic():
        preference, _ = NotificationPreference.objects.get_or_create(
            user=user, organization_id=membership.organization_id
        )
        kind = _kind(preference)
        start = digest_times.before(kind, now, digest_times.zone_of(user.time_zone))
        key = f"now:{now:%Y%m%dT%H%M}"
        if not _queue(preference, membership, user, start, now, key=key, now=now):
            raise ConflictError("A digest was sent within this minute already; look at your mail.")


def _queue(
    preference: NotificationPreference,
    membership: Membership,
    user: User,
    start: dt.datetime,
    end: dt.datetime,
    *,
    key: str,
    now: dt.datetime,
) -> bool:
    """Whether it is new: the same slot is never sent twice."""
    facts = facts_of(
        membership.organization_id,
        severity=preference.inbox_severity,
        start=start,
        end=end,
        now=now,
    )
    notice = notice_of(
        preference,
        user=user,
        organization=membership.organization,
        facts=facts,
        kind=_kind(preference),
        now=now,
    )
    made = queueing.queue_mail(
        organization=membership.organization,
        recipient=user.email,
        notice=notice,
        action=DeliveryAction.DIGEST,
        dedup_key=f"llmlab:digest:{preference.pk}",
        unique_key=f"llmlab:digest:{preference.pk}:{key}",
        lanes=[f"digest:{preference.pk.hex}"],
        now=now,
    )
    return made is not None


def _kind(preference: NotificationPreference) -> str:
    return Digest.DAILY.value if preference.digest == Digest.NONE else preference.digest


def _membership(preference: NotificationPreference, user: User) -> Membership | None:
    if not user.is_active:
        return None
    rows = Membership.objects.select_related("organization")
    return rows.filter(user=user, organization_id=preference.organization_id).first()


def _next(
    preference: NotificationPreference, zone: dt.tzinfo, now: dt.datetime
) -> dt.datetime | None:
    return digest_times.next_slot(
        preference.digest,
        hour=preference.digest_hour,
        weekday=preference.digest_weekday,
        zone=zone,
        after=now,
    )


def _last_slot(
    preference: NotificationPreference, slot: dt.datetime, zone: dt.tzinfo, now: dt.datetime
) -> dt.datetime:
    """The newest slot up to now: `slot` itself unless the clock stood still."""
    following = _next(preference, zone, slot)
    if following is None or following > now:
        return slot
    upcoming = _next(preference, zone, now)
    return max(slot, digest_times.before(preference.digest, upcoming, zone)) if upcoming else slot
