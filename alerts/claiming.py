"""Which message is sent next, by whom: one claim at a time in all workers, a lease, the order of each rule.

On one channel messages that share a lane (their rule) keep their order: one waits while an earlier one is open. At
most three are under way to one channel, one while it is failing, and a few to failing channels altogether, so that
dead receivers never hold the threads the others need.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Min, Q

from alerts.channels.registry import plugin_for
from alerts.models import Channel, Delivery, DeliveryState
from alerts.outcomes import KEPT_TRIES, OPEN, bury
from core import formats
from core.errors import DomainError

LEASE = dt.timedelta(seconds=60)
MOST_AT_ONCE = 3
# To failing channels, in all workers together; the notify worker has twelve threads.
MOST_PROBES = 6
MOST_MAILS = 2
MOST_DEATHS = 10
DIED = "The worker ended while sending; nothing is known of the answer."

# One at a time: what is under way to a channel is counted without anybody else claiming meanwhile.
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('alerts.claim'))"
_UNDER_WAY = """
SELECT f.channel_id, count(*), coalesce(bool_or(c.failing_since IS NOT NULL), false)
FROM alerts_delivery f LEFT JOIN alerts_channel c ON c.id = f.channel_id
WHERE f.state = 'sending' AND f.locked_until >= %(now)s GROUP BY 1
"""
# The inner question is answered in order, cheaply; the lanes are asked for only until the first free one. A subquery
# with LIMIT stays one; NOT EXISTS would become a join over all that is open.
_NEXT = """
SELECT d.id, d.channel_id FROM (
  SELECT d.id, d.channel_id, d.recipient, d.lanes FROM alerts_delivery d
  LEFT JOIN alerts_channel c ON c.id = d.channel_id
  WHERE d.state IN ('waiting', 'sending') AND d.next_attempt_at <= %(now)s
    AND (d.state = 'waiting' OR d.locked_until < %(now)s)
    AND (d.channel_id IS NULL OR d.channel_id <> ALL(%(passed)s::uuid[]))
    AND (d.channel_id IS NOT NULL OR %(may_mail)s)
    AND (c.failing_since IS NULL OR %(may_probe)s)
    AND (d.channel_id IS NULL OR d.action = 'test'
         OR (c.is_enabled AND (c.next_send_at IS NULL OR c.next_send_at <= %(now)s)))
  ORDER BY d.next_attempt_at, d.id OFFSET 0) d
WHERE (SELECT e.id FROM alerts_delivery e
       WHERE e.channel_id = d.channel_id AND e.id < d.id AND e.state IN ('waiting', 'sending')
         AND e.lanes && d.lanes LIMIT 1) IS NULL
  AND (d.channel_id IS NOT NULL OR (SELECT e.id FROM alerts_delivery e
       WHERE e.channel_id IS NULL AND e.id < d.id AND e.state IN ('waiting', 'sending')
         AND e.recipient = d.recipient AND e.lanes && d.lanes LIMIT 1) IS NULL)
LIMIT 1
"""
_SOONEST = """
SELECT min(at) FROM (
  SELECT greatest(d.next_attempt_at, c.next_send_at) AS at FROM alerts_delivery d
  LEFT JOIN alerts_channel c ON c.id = d.channel_id
  WHERE d.state = 'waiting' AND (d.channel_id IS NULL OR c.is_enabled OR d.action = 'test')) w
WHERE at > %(now)s
"""


@dataclass(frozen=True)
class Claimed:
    """A message that is ours until `leased_until`, with all that sending it takes."""

    delivery: Delivery
    attempt: int
    leased_until: dt.datetime


@transaction.atomic(durable=True)
def claim(*, now: dt.datetime) -> Claimed | None:
    """Lease the message that is due longest and may go; the try is counted before it is made. None: nothing may go."""
    with connection.cursor() as cursor:
        cursor.execute(_ALONE)
    passed: list[UUID] = []
    while found := _next(now, passed):
        pk, channel_id = found
        channel = None
        if channel_id is not None:
            # Somebody who is changing the channel holds up nobody else's messages.
            rows = Channel.objects.select_for_update(skip_locked=True, of=("self",))
            channel = rows.select_related("organization").filter(pk=channel_id).first()
            if channel is None:
                passed.append(channel_id)
                continue
        row = (
            Delivery.objects.select_for_update(skip_locked=True)
            .filter(pk=pk, state__in=OPEN)
            .filter(Q(locked_until=None) | Q(locked_until__lt=now))
            .first()
        )
        if row is None:  # cancelled in between, or being cancelled
            if channel_id is None:
                return None
            passed.append(channel_id)
        elif claimed := _lease(row, channel, now):
            return claimed
    return None


def _next(now: dt.datetime, passed: list[UUID]) -> tuple[int, UUID | None] | None:
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, {"now": now})
        under_way: list[tuple[UUID | None, int, bool]] = cursor.fetchall()
        full = [
            pk for pk, number, fails in under_way if pk and number >= (1 if fails else MOST_AT_ONCE)
        ]
        mails = sum(number for pk, number, _ in under_way if pk is None)
        probes = sum(number for _, number, fails in under_way if fails)
        given: dict[str, Any] = {
            "now": now,
            "passed": [*passed, *full],
            "may_mail": mails < MOST_MAILS,
            "may_probe": probes < MOST_PROBES,
        }
        cursor.execute(_NEXT, given)
        found: tuple[int, UUID | None] | None = cursor.fetchone()
    return found


def _lease(row: Delivery, channel: Channel | None, now: dt.datetime) -> Claimed | None:
    """None when it has ended one worker too many: then it is given up, not tried for ever."""
    if row.state == DeliveryState.SENDING:
        died = {"at": formats.instant(now), "status": None, "ms": None, "error": DIED}
        row.tries = [*row.tries, died][-KEPT_TRIES:]
        if _deaths(row.tries) >= MOST_DEATHS:
            row.save(update_fields=["tries"])
            bury([row], f"{DIED} That happened {MOST_DEATHS} times in a row.", now)
            return None
    row.state, row.locked_until, row.attempts = DeliveryState.SENDING, now + LEASE, row.attempts + 1
    row.save(update_fields=["state", "locked_until", "attempts", "tries"])
    if channel is not None:
        row.channel = channel
        if pause := _pause_s(channel):
            Channel.objects.filter(pk=channel.pk).update(
                next_send_at=now + dt.timedelta(seconds=pause)
            )
    return Claimed(row, row.attempts, row.locked_until)


def _deaths(tries: list[dict[str, Any]]) -> int:
    """How many of the last tries in a row ended their worker."""
    count = 0
    for one in reversed(tries):
        if one.get("error") != DIED:
            break
        count += 1
    return count


def _pause_s(channel: Channel) -> float:
    try:
        return plugin_for(channel.kind).pause_s
    except DomainError:
        return 0.0


def is_due(*, now: dt.datetime) -> bool:
    """Whether something may go now. Two queries."""
    return _next(now, []) is not None


def soonest(*, now: dt.datetime) -> dt.datetime | None:
    """When the next waiting message is due, if later than now. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SOONEST, {"now": now})
        row = cursor.fetchone()
    found: dt.datetime | None = row[0] if row else None
    return found


def backlog(*, now: dt.datetime) -> dict[str, Any]:
    """Open messages, since when the oldest of them waits, and those given up in the last day. Two queries."""
    found = Delivery.objects.filter(state__in=OPEN).aggregate(
        open=Count("pk"), oldest=Min("created_at")
    )
    given_up = Delivery.objects.filter(
        state=DeliveryState.DEAD, ended_at__gte=now - dt.timedelta(days=1)
    )
    return {**found, "dead": given_up.count()}
