"""Messages on their way: claimed in one transaction, sent without any, recorded in another.

At least once: a worker that dies while sending leaves its lease, and the message goes again with the same id and key.
Secrets are opened before the sending, so that no database connection is held while a receiver takes its time.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Q

from accounts.models import User
from alerts.channels.base import Message, Retryable, SendError, Sent
from alerts.channels.email import send_to
from alerts.channels.registry import plugin_for
from alerts.channels.secrets import open_secret
from alerts.claiming import Claimed, claim, is_due, soonest
from alerts.models import Channel, Delivery, DeliveryState
from alerts.notices import Notice
from alerts.outcomes import KEPT_TRIES, Try, bury_silenced, record
from alerts.queueing import ring
from core import formats
from core.crypto import DecryptionError
from core.errors import ConflictError, DomainError

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]
Send = Callable[[Message], Sent]
DRAIN_FOR = dt.timedelta(minutes=4)  # ends before the task's time limit; the sweep goes on
KEEP = dt.timedelta(days=90)
FORGET_AT_ONCE = 1000
_LEAST_SECRET = 6


def deliver_due(*, now: Clock) -> int:
    """Send what is due until nothing may go (or time is up); returns how many tries that were.

    The first claim rings for another thread when more is due, so that a burst is spread over the worker's threads; the
    end rings for the next try.
    """
    done, end = 0, now() + DRAIN_FOR
    while (at := now()) < end and (claimed := claim(now=at)):
        done += 1
        if done == 1 and is_due(now=now()):
            ring()
        send(claimed, now=now)
    if done and (next_at := soonest(now=now())):
        ring(max(0.0, (next_at - now()).total_seconds()) + 0.05)
    return done


def send(claimed: Claimed, *, now: Clock) -> bool:
    """One try of a claimed message, recorded; whether it was taken."""
    delivery = claimed.delivery
    sent: Sent | None = None
    failure: SendError | None = None
    started, secrets = now(), ()  # type: tuple[dt.datetime, tuple[str, ...]]
    try:
        carry, secrets = _carrier(delivery)
        message = message_of(delivery, at=started)
        _let_go()
        sent = carry(message)
    except SendError as error:
        failure = error
    except (DecryptionError, ImproperlyConfigured) as error:
        logger.warning("alerts.delivery.sealed: %s", type(error).__name__)
        failure = Retryable(
            "The channel's secret cannot be opened with LLMLAB_ENCRYPTION_KEYS; give it anew on the channel's page."
        )
    except DomainError as error:
        failure = Retryable(error.detail)
    except Exception as error:  # process edge: the row records what went wrong
        logger.exception("alerts.delivery.failed", extra={"delivery_id": delivery.pk})
        failure = Retryable(f"LLMLab failed while sending ({type(error).__name__}).")
    record(
        Try(
            delivery=delivery,
            attempt=claimed.attempt,
            started=started,
            ended=now(),
            sent=sent,
            failure=failure,
            secrets=secrets,
        )
    )
    return failure is None


def _let_go() -> None:
    """Give the database connection back while a receiver takes its time."""
    if not connection.in_atomic_block:  # in tests the whole test is one
        connection.close()


def _carrier(delivery: Delivery) -> tuple[Send, tuple[str, ...]]:
    """Who sends it, and the secrets that what is kept of the answer must not show."""
    channel = delivery.channel
    if channel is None:
        return lambda message: send_to([delivery.recipient], message), ()
    plugin, secret, settings = plugin_for(channel.kind), open_secret(channel), channel.settings
    hidden = tuple(one for one in secret.values() if len(one) >= _LEAST_SECRET)
    return lambda message: plugin.send(message, settings, secret), hidden


def message_of(delivery: Delivery, *, at: dt.datetime) -> Message:
    """The stored message, said once more."""
    return Message(
        notice=Notice.from_json(delivery.payload),
        action=delivery.action,
        dedup_key=delivery.dedup_key,
        message_id=str(delivery.message_id),
        at=at,
        taken=frozenset(delivery.payload.get("taken") or ()),
    )


@transaction.atomic
def replay(*, deliveries: Iterable[Delivery], actor: User, now: dt.datetime) -> int:
    """Send given-up (or cancelled) messages again, with their ids; returns how many.

    Raises ConflictError when there is nothing to send, or a channel is disabled.
    """
    ids = [one.pk for one in deliveries]
    rows = list(
        Delivery.objects.filter(
            Q(state=DeliveryState.DEAD)
            | Q(state=DeliveryState.CANCELLED) & ~Q(payload__extra__has_key="group"),
            pk__in=ids,
        ).order_by("pk")
    )
    if not rows:
        raise ConflictError("Only messages that were given up or cancelled can be sent again.")
    channels = {one.channel_id for one in rows if one.channel_id}
    # The channel first, then its messages (alerts.outcomes).
    locked = list(Channel.objects.select_for_update().filter(pk__in=channels).order_by("pk"))
    if off := next((one for one in locked if not one.is_enabled), None):
        raise ConflictError(f"{off.name} is disabled. Enable it first, then send again.")
    said = {
        "at": formats.instant(now),
        "status": None,
        "ms": None,
        "error": f"Sent again by {actor.email}.",
    }
    count = 0
    for row in Delivery.objects.select_for_update().filter(pk__in=[one.pk for one in rows]):
        if row.state not in (DeliveryState.DEAD, DeliveryState.CANCELLED):
            continue
        row.state, row.attempts, row.next_attempt_at = DeliveryState.WAITING, 0, now
        # Its day to get through begins anew.
        row.first_failed_at, row.ended_at, row.error = now, None, ""
        row.tries = [*row.tries, said][-KEPT_TRIES:]
        row.save()
        count += 1
    # Somebody says that it is mended: it is tried now.
    Channel.objects.filter(pk__in=channels).update(next_send_at=None)
    transaction.on_commit(ring, robust=True)
    return count


@transaction.atomic
def cancel(*, deliveries: Iterable[Delivery], actor: User, now: dt.datetime) -> int:
    """Take back messages that are waiting; returns how many. Raises ConflictError when none of them is."""
    ids = [one.pk for one in deliveries]
    waiting = Delivery.objects.select_for_update(skip_locked=True).filter(
        pk__in=ids, state=DeliveryState.WAITING
    )
    count = Delivery.objects.filter(pk__in=list(waiting.values_list("pk", flat=True))).update(
        state=DeliveryState.CANCELLED, ended_at=now, error=f"Cancelled by {actor.email}."[:500]
    )
    if not count:
        raise ConflictError("Only messages that are waiting can be cancelled.")
    return count


def sweep(*, now: Clock) -> int:
    """What a lost bell, a killed worker or a switched-off channel left behind; returns how many tries that were."""
    bury_silenced(now=now())
    forget_old(now=now())
    return deliver_due(now=now)


_FORGET = """
DELETE FROM alerts_delivery WHERE id IN (
  SELECT id FROM (SELECT id, created_at, state FROM alerts_delivery ORDER BY id LIMIT %(most)s) oldest
  WHERE created_at < %(before)s AND state NOT IN ('waiting', 'sending'))
"""


def forget_old(*, now: dt.datetime) -> int:
    """Delete messages that ended long ago, a thousand at a time; returns how many. Looks at the oldest only."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"most": FORGET_AT_ONCE, "before": now - KEEP})
        return int(cursor.rowcount)
