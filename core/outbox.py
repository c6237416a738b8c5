"""Work that must happen: written in the transaction that decided it, run by a worker, swept up if the broker lost it.

Effect and "done" mark are one transaction; attempts are counted before the work, so a row that kills its worker is
quarantined after three tries instead of looping (reliability-cases §4.1, F3–F5). Rows are claimed one at a time: a
killed worker costs no other row an attempt.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models import F, Q
from kombu.exceptions import OperationalError
from psycopg.types.json import Jsonb

from core.ids import uuid7
from core.models import OutboxItem

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# Only bridges the moment between claim and work, which holds the row's lock: a killed worker's row is free soon after.
LEASE = dt.timedelta(seconds=30)
DRAIN_FOR = dt.timedelta(minutes=4)  # ends before the task's time limit; the sweeper goes on
RING_WITHIN_S = 300
KEEP_DONE = dt.timedelta(days=7)
# Topics whose rows wait for others (a provider's API): drained apart, so many at a time in all workers together, so
# that they never hold the threads that follow-up work of ingestion needs.
SLOW_AT_ONCE = 3


class Handler(Protocol):
    def __call__(self, *, payload: dict[str, Any], now: dt.datetime) -> None: ...


class DeadHandler(Protocol):
    def __call__(self, *, item: OutboxItem, error: str, now: dt.datetime) -> None: ...


_HANDLERS: dict[str, Handler] = {}
_SLOW: set[str] = set()
_DEAD_HANDLERS: dict[str, DeadHandler] = {}


def handler(topic: str, *, is_slow: bool = False) -> Callable[[Handler], Handler]:
    """Register the function that does the work of `topic` (call it from the app's `ready`); `is_slow` when it waits
    for others."""

    def register(function: Handler) -> Handler:
        _HANDLERS[topic] = function
        if is_slow:
            _SLOW.add(topic)
        return function

    return register


def dead_handler(topic: str) -> Callable[[DeadHandler], DeadHandler]:
    """Register what is told, in the transaction that gives a row of `topic` up, why it was."""

    def register(function: DeadHandler) -> DeadHandler:
        _DEAD_HANDLERS[topic] = function
        return function

    return register


_INSERT = (
    "INSERT INTO core_outboxitem (id, topic, key, payload, created_at, available_at, attempts, error)"
    " VALUES (%s, %s, %s, %s, %s, %s, 0, '') ON CONFLICT (key) DO NOTHING"
)


def enqueue(
    *,
    topic: str,
    key: str,
    payload: dict[str, Any],
    now: dt.datetime,
    available_at: dt.datetime | None = None,
) -> bool:
    """Write one outbox row; False when `key` was there already. Rings the doorbell on commit."""
    with connection.cursor() as cursor:  # bulk_create does not say whether it met a conflict
        document: Any = Jsonb(payload)
        cursor.execute(_INSERT, [uuid7(), topic, key, document, now, available_at or now])
        created: bool = cursor.rowcount == 1
    wait_s = max(0.0, (available_at - now).total_seconds()) if available_at else 0.0
    transaction.on_commit(lambda: ring(wait_s, is_slow=topic in _SLOW), robust=True)
    return created


def ring(wait_s: float = 0, *, is_slow: bool = False) -> None:
    """Best effort, when the row is due: a lost bell is picked up by the sweeper within 10 s.

    A long wait is left to the sweeper: the broker gives back what lies unacknowledged for ten minutes.
    """
    if wait_s > RING_WITHIN_S:
        return
    from celery import current_app  # the broker client is only needed once work is waiting

    try:
        current_app.send_task(
            "core.tasks.drain_slow_outbox" if is_slow else "core.tasks.drain_outbox",
            queue="sync" if is_slow else "ingest",
            countdown=wait_s + 0.1 if wait_s else None,
            retry=False,
            ignore_result=True,
        )
    except OperationalError as error:
        logger.warning("core.outbox.bell_lost: %s", type(error).__name__)


def _due(now: dt.datetime, is_slow: bool | None) -> "models.QuerySet[OutboxItem]":
    """Open rows that nobody has leased, of slow topics, of the others, or (None) of all."""
    rows = OutboxItem.objects.filter(done_at=None, dead_at=None, available_at__lte=now).filter(
        Q(locked_until=None) | Q(locked_until__lt=now)
    )
    if is_slow is None:
        return rows
    return rows.filter(topic__in=_SLOW) if is_slow else rows.exclude(topic__in=_SLOW)


def _is_full(now: dt.datetime) -> bool:
    """Whether as many slow rows are under way as may be. Claims of slow rows wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('core.outbox.slow'))")
    leased = OutboxItem.objects.filter(topic__in=_SLOW, done_at=None, dead_at=None)
    return leased.filter(locked_until__gte=now).count() >= SLOW_AT_ONCE


def claim(*, now: dt.datetime, is_slow: bool | None = None) -> OutboxItem | None:
    """Lease the row that is due longest and count the attempt, in one transaction; None when nothing is due (or, of
    slow topics, enough is under way)."""
    while True:
        with transaction.atomic():
            if is_slow and _is_full(now):
                return None
            rows = _due(now, is_slow).select_for_update(skip_locked=True)
            item = rows.order_by("available_at").first()
            if item is None:
                return None
            row = OutboxItem.objects.filter(pk=item.pk)
            if item.attempts < MAX_ATTEMPTS:
                row.update(locked_until=now + LEASE, attempts=F("attempts") + 1)
                return item
            _give_up(item, "The worker died three times while doing this.", now)


def run(item_id: UUID, *, now: dt.datetime) -> bool:
    """Do one claimed row; True when it is done. A failing handler leaves the row for later or for the operator."""
    try:
        with transaction.atomic():
            # A row somebody else is at is theirs, also when their lease has ended.
            item = OutboxItem.objects.select_for_update(skip_locked=True).get(
                pk=item_id, done_at=None, dead_at=None
            )
            _HANDLERS[item.topic](payload=item.payload, now=now)
            OutboxItem.objects.filter(pk=item_id).update(done_at=now, locked_until=None, error="")
    except OutboxItem.DoesNotExist:
        return False
    except Exception as error:  # process edge: the row records what went wrong
        logger.exception("core.outbox.failed", extra={"outbox_id": str(item_id)})
        _record_failure(item_id, error, now)
        return False
    return True


def _record_failure(item_id: UUID, error: Exception, now: dt.datetime) -> None:
    text = f"{type(error).__name__}: {error}"[:2000].replace("\x00", "\ufffd")
    item = OutboxItem.objects.get(pk=item_id)
    if item.attempts >= MAX_ATTEMPTS:
        with transaction.atomic():
            _give_up(item, text, now)
    else:
        wait = dt.timedelta(seconds=5 * 4**item.attempts)
        OutboxItem.objects.filter(pk=item_id).update(
            available_at=now + wait, error=text, locked_until=None
        )


def _give_up(item: OutboxItem, error: str, now: dt.datetime) -> None:
    OutboxItem.objects.filter(pk=item.pk).update(dead_at=now, error=error, locked_until=None)
    if told := _DEAD_HANDLERS.get(item.topic):
        told(item=item, error=error, now=now)


def drain(*, now: Callable[[], dt.datetime], is_slow: bool | None = None) -> int:
    """Claim and run due rows until none is left (or time is up); returns how many were done."""
    done, end = 0, now() + DRAIN_FOR
    while (at := now()) < end and (item := claim(now=at, is_slow=is_slow)):
        done += run(item.pk, now=now())
    return done


def ring_for_slow(*, now: dt.datetime) -> None:
    """Ring again for slow rows whose bell was lost, or that found enough under way."""
    if _due(now, is_slow=True).exists():
        ring(is_slow=True)


def replay(item_ids: list[UUID], *, now: dt.datetime) -> int:
    """Give dead rows a fresh start; returns how many."""
    return OutboxItem.objects.filter(pk__in=item_ids, dead_at__isnull=False).update(
        dead_at=None, attempts=0, available_at=now, error="", locked_until=None
    )


def forget_done(*, now: dt.datetime) -> int:
    """Delete rows done long ago; returns how many."""
    return OutboxItem.objects.filter(done_at__lt=now - KEEP_DONE).delete()[0]


def depth() -> dict[str, Any]:
    """Open and dead rows and the oldest open one, in one query that leaves out the many that are done."""
    return OutboxItem.objects.filter(done_at=None).aggregate(
        open=models.Count("id", filter=Q(dead_at=None)),
        dead=models.Count("id", filter=Q(dead_at__isnull=False)),
        oldest=models.Min("available_at", filter=Q(dead_at=None)),
    )
