"""Reports on their way: one outbox row per recipient and slot, sent once, tried again later when the mail server is
away."""

import datetime as dt
import logging
from collections.abc import Sequence
from smtplib import SMTPException
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import Membership
from core import outbox
from core.errors import ConflictError, DomainError
from costs.explorer.mails import mail_of
from costs.exporting.schedules import next_run
from costs.models import ReportRecipient, ReportSchedule

logger = logging.getLogger(__name__)
TOPIC = "costs.report_mail"
MINUTE = dt.timedelta(minutes=1)
# How long a mail server may be away: then the next slot is next.
WAITS = tuple(MINUTE * minutes for minutes in (1, 5, 15, 60, 180))


def run_due(*, now: dt.datetime) -> int:
    """Queue what is due, with the next slot in one transaction; returns how many schedules that were."""
    count = 0
    due = ReportSchedule.objects.filter(is_active=True, next_run_at__lte=now)
    for pk in due.order_by("next_run_at").values_list("pk", flat=True):
        with transaction.atomic():
            rows = ReportSchedule.objects.select_for_update(skip_locked=True)
            schedule = rows.filter(pk=pk, is_active=True, next_run_at__lte=now).first()
            if schedule is None or schedule.next_run_at is None:
                continue
            queue(schedule, slot=schedule.next_run_at, now=now)
            schedule.next_run_at = next_run(schedule, now)
            schedule.save(update_fields=["next_run_at"])
            count += 1
    return count


@transaction.atomic
def send_now(*, schedule: ReportSchedule, now: dt.datetime) -> int:
    """Queue it for everybody it goes to; returns how many. Once a minute at most. Raises ConflictError."""
    count = queue(schedule, slot=now.replace(second=0, microsecond=0), now=now)
    if not count:
        raise ConflictError(
            "It was sent within this minute already, or everybody unsubscribed from it."
        )
    return count


def queue(schedule: ReportSchedule, *, slot: dt.datetime, now: dt.datetime) -> int:
    """A row for each recipient; those that are there already stay as they are."""
    listed: Sequence[UUID] = list(
        ReportRecipient.objects.filter(schedule=schedule, unsubscribed_at=None).values_list("pk", flat=True)
    )  # fmt: skip
    return sum(_enqueue(one, slot, attempt=0, now=now, at=now) for one in listed)


def _enqueue(
    recipient_id: UUID, slot: dt.datetime, *, attempt: int, now: dt.datetime, at: dt.datetime
) -> bool:
    return outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{recipient_id}:{slot.isoformat()}:{attempt}",
        payload={
            "recipient_id": str(recipient_id),
            "slot": slot.isoformat(),
            "attempt": attempt,
        },
        now=now,
        available_at=at if at > now else None,
    )


def handle_report_mail(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work: send a report to one person, unless they left, unsubscribed or have this slot already.

    A mail server that is away is asked again later, up to four hours; what cannot be answered is told on the page.
    """
    slot = dt.datetime.fromisoformat(payload["slot"])
    recipient = (
        ReportRecipient.objects.select_related("schedule__report__organization", "user")
        .filter(pk=payload["recipient_id"], unsubscribed_at=None, user__is_active=True)
        .first()
    )
    if recipient is None or recipient.has_slot(slot) or not _is_member(recipient):
        return
    schedules = ReportSchedule.objects.filter(pk=recipient.schedule_id)
    try:
        mail_of(recipient, slot=slot).send()
    except DomainError as error:
        schedules.update(last_error=error.detail)
        return
    except (SMTPException, OSError) as error:
        schedules.update(last_error=_tried(recipient, slot, int(payload["attempt"]), error, now))
        return
    ReportRecipient.objects.filter(pk=recipient.pk).update(last_slot_at=slot)
    schedules.update(last_sent_at=now, last_error="")


def _tried(
    recipient: ReportRecipient, slot: dt.datetime, attempt: int, error: Exception, now: dt.datetime
) -> str:
    """Queue another try unless it was the last; what to say of it."""
    logger.warning("costs.report_mail.failed: %s", type(error).__name__)
    said = f"The mail server did not take it ({type(error).__name__})"
    if attempt >= len(WAITS):
        return f"{said}, {attempt + 1} times; the next slot is next."
    _enqueue(recipient.pk, slot, attempt=attempt + 1, now=now, at=now + WAITS[attempt])
    return f"{said}; it is tried again."


def _is_member(recipient: ReportRecipient) -> bool:
    organization_id = recipient.schedule.report.organization_id
    return Membership.objects.filter(
        organization_id=organization_id, user_id=recipient.user_id
    ).exists()
