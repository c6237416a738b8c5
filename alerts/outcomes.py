"""What came of a try, written with everything that follows from it: the next try, the channel's health, the news that a
message was given up."""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.models import Membership, Role, User
from alerts import wording
from alerts.channels.base import Permanent, Retryable, SendError, Sent
from alerts.models import (
    AlertEvent,
    Channel,
    Delivery,
    DeliveryAction,
    DeliveryState,
    EntryKind,
    EventEntry,
)
from alerts.queueing import queue_mail
from core import backoff, formats
from core.logging import redact

OPEN = (DeliveryState.WAITING, DeliveryState.SENDING)
KEPT_TRIES = 20
MOST_ANSWER = 1024
MOST_ERROR = 500
MOST_MAILED = 50
_SAVED = [
    "state", "next_attempt_at", "locked_until", "first_failed_at", "ended_at", "status_code", "duration_ms", "answer",
    "error", "tries", "payload",
]  # fmt: skip


@dataclass(frozen=True)
class Try:
    """One sending that came to an end. `failure` None: it was taken. `secrets` are taken out of what is kept."""

    delivery: Delivery
    attempt: int
    started: dt.datetime
    ended: dt.datetime
    sent: Sent | None = None
    failure: SendError | None = None
    secrets: tuple[str, ...] = ()

    @property
    def ms(self) -> int:
        return max(0, int((self.ended - self.started).total_seconds() * 1000))


@transaction.atomic(durable=True)
def record(done: Try) -> bool:
    """Write what came of it; False when the lease had ended and the message is somebody else's by now."""
    # The channel first, then its messages: whoever changes both does so in this order.
    channel = None
    if done.delivery.channel_id is not None:
        rows = Channel.objects.select_for_update(of=("self",)).select_related("organization")
        channel = rows.filter(pk=done.delivery.channel_id).first()
    row = (
        Delivery.objects.select_for_update()
        .filter(pk=done.delivery.pk, state=DeliveryState.SENDING, attempts=done.attempt)
        .first()
    )
    if row is None:
        return False
    _note(row, done)
    if done.failure is None:
        row.state, row.ended_at = DeliveryState.SENT, done.ended
        row.save(update_fields=_SAVED)
        _through(row, channel, done.ended, is_sent=True)
    elif isinstance(done.failure, Permanent):
        _refused(row, channel, done.failure, done.ended)
    else:
        _failed(row, channel, done)
    return True


def _note(row: Delivery, done: Try) -> None:
    """The try itself: status, duration, answer, words."""
    said: Sent | SendError = done.failure or done.sent or Sent()
    words = clean(done.failure.words, done.secrets, MOST_ERROR) if done.failure else ""
    row.locked_until = None
    row.status_code = said.status if said.status and 0 < said.status < 32_768 else None
    row.duration_ms = done.ms
    row.answer = clean(said.answer, done.secrets, MOST_ANSWER)
    row.error = words
    made = {"at": formats.instant(done.started), "status": row.status_code, "ms": done.ms, "error": words}  # fmt: skip
    row.tries = [*row.tries, made][-KEPT_TRIES:]


def clean(text: str, secrets: Sequence[str], limit: int) -> str:
    """`text` without the channel's secrets and what looks like a credential, in at most `limit` bytes."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    text = redact(text).replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _through(row: Delivery, channel: Channel | None, now: dt.datetime, *, is_sent: bool) -> None:
    """Something got through: what waits for this receiver is due now."""
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING, next_attempt_at__gt=now)
    if channel is None:
        # No answer at all is the mail server's; an answer is about one address, which keeps its own time.
        waiting.filter(
            channel=None, first_failed_at__isnull=False, status_code=None
        ).update(next_attempt_at=now)  # fmt: skip
        return
    fields: dict[str, Any] = {"last_sent_at": now} if is_sent else {}
    if channel.failing_since is not None:
        fields |= {"failing_since": None, "failures": 0, "next_send_at": None}
        waiting.filter(channel=channel).update(next_attempt_at=now)
    if fields:
        Channel.objects.filter(pk=channel.pk).update(**fields)


def _refused(row: Delivery, channel: Channel | None, failure: Permanent, now: dt.datetime) -> None:
    """Never this message again; and when the receiver is gone, nothing until somebody mends the channel."""
    row.save(update_fields=_SAVED)
    bury([row], row.error, now)
    if channel is None or row.action == DeliveryAction.TEST:
        return
    if not failure.disables:
        if failure.status is not None:  # it did answer
            _through(row, channel, now, is_sent=False)
        return
    if not channel.is_enabled:
        return
    Channel.objects.filter(pk=channel.pk).update(
        is_enabled=False,
        disabled_at=now,
        disabled_reason=row.error,
        failing_since=None,
        failures=0,
        next_send_at=None,
    )
    bury(list(_waiting_on(channel)), row.error, now)
    _tell_admins(channel, f"{channel.name} was switched off", row.error, f"off:{row.pk}", now)


def _waiting_on(channel: Channel) -> "Any":
    rows = Delivery.objects.select_for_update(of=("self",)).filter(
        channel=channel, state=DeliveryState.WAITING
    )
    return rows.exclude(action=DeliveryAction.TEST).order_by("pk")


def _failed(row: Delivery, channel: Channel | None, done: Try) -> None:
    """Later again; a test is only tried once, because somebody is waiting for its answer."""
    if row.action == DeliveryAction.TEST:
        row.save(update_fields=_SAVED)
        bury([row], row.error, done.ended)
        return
    was_failing = channel.failing_since if channel else None
    retry_after = done.failure.retry_after_s if isinstance(done.failure, Retryable) else None
    if row.first_failed_at is None:
        row.first_failed_at = max(row.created_at, was_failing) if was_failing else done.started
    if isinstance(done.failure, Retryable) and done.failure.taken:
        row.payload = {**row.payload, "taken": sorted(done.failure.taken)}

    def again(since: dt.datetime) -> dt.datetime:
        return backoff.next_try(
            since=since,
            started=done.started,
            ended=done.ended,
            retry_after_s=retry_after,
            chance=random.random(),  # noqa: S311 - spreads tries, guards nothing
        )

    row.state, row.next_attempt_at = DeliveryState.WAITING, again(row.first_failed_at)
    row.save(update_fields=_SAVED)
    if channel is not None:
        since = was_failing or done.started
        Channel.objects.filter(pk=channel.pk).update(
            failing_since=since, failures=channel.failures + 1, next_send_at=again(since)
        )
        channel.failing_since = since
    _give_up(row, channel, done.ended)


def _give_up(row: Delivery, channel: Channel | None, now: dt.datetime) -> None:
    """End what has waited for a day: this message, and the others of a channel that nothing reached for so long."""
    before = now - backoff.GIVE_UP_AFTER
    late = [row] if row.first_failed_at and row.first_failed_at <= before else []
    since = channel.failing_since if channel else None
    if channel is not None and since is not None and since <= before:
        rows = _waiting_on(channel).annotate(since=Coalesce("first_failed_at", "created_at"))
        late = list(rows.filter(since__lte=before))
    if not late:
        return
    words = f"Nothing got through for 24 hours. The last try: {row.error}"[:MOST_ERROR]
    bury(late, words, now)
    if channel is not None and since is not None and since <= before:
        title = f"{channel.name} does not take messages"
        _tell_admins(channel, title, words, f"failing:{since:%Y%m%dT%H%M%S}", now)


def bury(rows: Sequence[Delivery], words: str, now: dt.datetime) -> None:
    """Give messages up, visibly: they can be sent again, and their incidents say who was not told. Four queries."""
    if not rows:
        return
    for row in rows:
        row.state, row.ended_at, row.locked_until = DeliveryState.DEAD, now, None
        row.error = words[:MOST_ERROR]
    Delivery.objects.bulk_update(rows, ["state", "ended_at", "locked_until", "error"], 500)
    names = dict(
        Channel.objects.filter(pk__in={one.channel_id for one in rows if one.channel_id}).values_list("pk", "name")
    )  # fmt: skip
    told: dict[Any, dict[str, None]] = {}
    for row in rows:
        events = [str(row.event_id)] if row.event_id else _grouped(row.payload)
        name = names.get(row.channel_id, row.recipient) if row.channel_id else row.recipient
        if row.action != DeliveryAction.TEST:
            said = f"{name} was not told ({row.get_action_display()}): {row.error}"
            for event in events:
                told.setdefault(event, {})[said] = None
    there = AlertEvent.objects.filter(pk__in=list(told)).values_list("pk", flat=True)
    EventEntry.objects.bulk_create(
        EventEntry(event_id=pk, at=now, kind=EntryKind.UNDELIVERED, words=words)
        for pk in there
        for words in told[str(pk)]
    )


def _grouped(payload: Mapping[str, Any]) -> list[str]:
    """The incidents of a group's message."""
    return [str(one) for one in (payload.get("extra") or {}).get("events") or ()]


def _tell_admins(channel: Channel, title: str, words: str, mark: str, now: dt.datetime) -> None:
    """One e-mail to each owner and admin (of an operators' channel: to each operator)."""
    if channel.organization_id is None:
        people = User.objects.filter(is_active=True, is_superuser=True)
    else:
        admins = Membership.objects.filter(
            organization=channel.organization_id, role__in=(Role.OWNER, Role.ADMIN)
        )
        people = User.objects.filter(is_active=True, pk__in=admins.values("user"))
    notice = wording.channel_notice(channel=channel, title=title, words=words, now=now)
    key = f"llmlab:channel:{channel.pk}:{mark}"
    for email in people.order_by("email").values_list("email", flat=True)[:MOST_MAILED]:
        queue_mail(
            organization=channel.organization,
            recipient=email,
            notice=notice,
            action=DeliveryAction.NOTICE,
            dedup_key=key,
            unique_key=f"{key}:{email}",
            lanes=[f"channel:{channel.pk}"],
            now=now,
        )


def bury_silenced(*, now: dt.datetime) -> int:
    """Give up what waits for channels that somebody switched off; returns how many (500 at a time)."""
    with transaction.atomic():
        rows = list(
            Delivery.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("channel")
            .filter(Q(channel__is_enabled=False), state=DeliveryState.WAITING)
            .exclude(action=DeliveryAction.TEST)
            .order_by("pk")[:500]
        )
        by_reason: dict[str, list[Delivery]] = {}
        for row in rows:
            reason = row.channel.disabled_reason if row.channel else ""
            by_reason.setdefault(reason, []).append(row)
        for reason, theirs in by_reason.items():
            bury(theirs, f"The channel is disabled{f': {reason}' if reason else '.'}", now)
    return len(rows)
