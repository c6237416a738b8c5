"""What people do about incidents and rules, and what the clock does when nobody does anything."""

import datetime as dt
from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import (
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.lookups import LessThanOrEqual

from accounts.models import User
from accounts.services import record_audit_event
from alerts import telling
from alerts.deciding import close_rule
from alerts.incidents import announce
from alerts.models import Alert, AlertEvent, DeliveryAction, EntryKind, EventEntry, EventState
from alerts.quiet import quiet_at
from core.errors import ConflictError, DomainError

__all__ = [
    "acknowledge",
    "close_rule",
    "comment",
    "escalate_due",
    "mute",
    "remind_due",
    "snooze",
    "tell_after_quiet",
    "unacknowledge",
    "wake",
    "wake_due",
]

LONGEST_SNOOZE = dt.timedelta(days=30)
LONGEST_MUTE = dt.timedelta(days=365)
LONGEST_COMMENT = 5000
# The clock looks at incidents of this age when it asks who is still to be told of a recovery.
_RECENT = dt.timedelta(days=35)
_AT_ONCE = 500
_BY_CLOCK = (
    "state", "snoozed_until", "escalated_at", "acknowledged_at", "acknowledged_by", "waiting_since",
)  # fmt: skip


def acknowledge(*, event: AlertEvent, actor: User, now: dt.datetime) -> AlertEvent:
    """Somebody looks after it: no reminder, no escalation. Raises ConflictError when it is over or acknowledged."""

    def change(row: AlertEvent) -> None:
        if row.state == EventState.ACKNOWLEDGED:
            raise ConflictError("Somebody has acknowledged it already; open it again to see who.")
        row.state, row.snoozed_until = EventState.ACKNOWLEDGED, None
        row.acknowledged_at, row.acknowledged_by = now, actor

    return _act(event, change, EntryKind.ACKNOWLEDGED, actor, now, tells=True)


def unacknowledge(*, event: AlertEvent, actor: User, now: dt.datetime) -> AlertEvent:
    """Nobody looks after it after all: the time to escalation begins anew. Raises ConflictError."""

    def change(row: AlertEvent) -> None:
        if row.state != EventState.ACKNOWLEDGED:
            raise ConflictError("Nobody has acknowledged it; there is nothing to take back.")
        _wait_again(row, now)

    return _act(event, change, EntryKind.UNACKNOWLEDGED, actor, now)


def snooze(
    *, event: AlertEvent, until: dt.datetime | None, actor: User, now: dt.datetime
) -> AlertEvent:
    """Tell nobody until then (None: until it resolves), unless it becomes more severe. Raises ConflictError,
    DomainError for a time that is past or too far away."""
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        raise DomainError(
            f"until is {until.isoformat()}; it must lie in the next {LONGEST_SNOOZE.days} days.",
            fields=["until"],
        )

    def change(row: AlertEvent) -> None:
        row.state, row.snoozed_until = EventState.SNOOZED, until
        row.acknowledged_at = row.acknowledged_by = None

    words = f"Until {until.isoformat()}." if until else "Until it resolves."
    return _act(event, change, EntryKind.SNOOZED, actor, now, words=words)


def wake(*, event: AlertEvent, actor: User, now: dt.datetime) -> AlertEvent:
    """End a snooze: the time to escalation begins anew. Raises ConflictError."""

    def change(row: AlertEvent) -> None:
        if row.state != EventState.SNOOZED:
            raise ConflictError("It is not snoozed; there is nothing to end.")
        _wait_again(row, now)

    return _act(event, change, EntryKind.WOKEN, actor, now)


@transaction.atomic
def comment(*, event: AlertEvent, actor: User, words: str, now: dt.datetime) -> EventEntry:
    """Say something in its timeline, also when it is over. Raises DomainError for no or too many words."""
    words = words.strip()
    if not words or len(words) > LONGEST_COMMENT or "\x00" in words:
        raise DomainError(
            f"words has {len(words):,} characters; between 1 and {LONGEST_COMMENT:,}, and no NUL.",
            fields=["words"],
        )
    entry = EventEntry.objects.create(
        event=event, at=now, kind=EntryKind.COMMENT, actor=actor, words=words
    )
    announce([event], now)
    return entry


@transaction.atomic
def mute(*, alert: Alert, until: dt.datetime | None, actor: User, now: dt.datetime) -> Alert:
    """Tell nobody of a rule until then; None ends it. Raises DomainError for a time past or too far away."""
    if until is not None and not now < until <= now + LONGEST_MUTE:
        raise DomainError(
            f"until is {until.isoformat()}; it must lie in the next {LONGEST_MUTE.days} days.",
            fields=["until"],
        )
    row = Alert.objects.select_for_update(no_key=True).get(pk=alert.pk)
    row.muted_until = until
    row.save(update_fields=["muted_until", "updated_at"])
    record_audit_event(
        organization_id=row.organization_id,
        actor=actor,
        action="alerts.alert.muted" if until else "alerts.alert.unmuted",
        target=row.name,
        data={"alert": str(row.pk), "until": until.isoformat() if until else None},
    )
    return row


@transaction.atomic
def _act(
    event: AlertEvent,
    change: Callable[[AlertEvent], None],
    kind: str,
    actor: User,
    now: dt.datetime,
    *,
    words: str = "",
    tells: bool = False,
) -> AlertEvent:
    """Change one open incident under its lock, with a line in its timeline."""
    rows = AlertEvent.objects.select_for_update(of=("self",)).select_related("alert")
    row = rows.get(pk=event.pk)
    if not row.is_open:
        raise ConflictError("It is resolved already; there is nothing left to do about it.")
    change(row)
    row.save()
    EventEntry.objects.create(event=row, at=now, kind=kind, actor=actor, words=words)
    if tells and row.told_at is not None:
        telling.pass_on(row, DeliveryAction.ACKNOWLEDGE, now=now)
    announce([row], now)
    return row


def _wait_again(row: AlertEvent, now: dt.datetime) -> None:
    row.state, row.snoozed_until, row.escalated_at = EventState.FIRING, None, None
    row.acknowledged_at = row.acknowledged_by = None
    row.waiting_since = now


def escalate_due(now: dt.datetime) -> int:
    """Tell the second line of what nobody acknowledged in time, once per incident; returns how many. The clock's
    turns take a fixed number of queries and those of queueing."""
    rows = _due("waiting_since", "alert__escalate_minutes", dt.timedelta(minutes=1), now)
    rows = rows.filter(escalated_at=None, told_at__isnull=False)

    def change(row: AlertEvent) -> str:
        row.escalated_at = now
        return f"Nobody acknowledged it within {row.alert.escalate_minutes:,} minutes."  # type: ignore[union-attr]

    return _by_clock(rows, change, EntryKind.ESCALATED, DeliveryAction.ESCALATE, now)


def remind_due(now: dt.datetime) -> int:
    """Tell again of what goes on and nobody acknowledged; returns how many."""
    rows = _due("told_at", "alert__remind_hours", dt.timedelta(hours=1), now)
    return _by_clock(rows, lambda _: "It goes on.", EntryKind.REMINDED, DeliveryAction.REMIND, now)


def wake_due(now: dt.datetime) -> int:
    """End snoozes whose time has come, and tell again; returns how many."""
    rows = AlertEvent.objects.filter(state=EventState.SNOOZED, snoozed_until__lte=now)

    def change(row: AlertEvent) -> str:
        _wait_again(row, now)
        return "The snooze ended and it goes on."

    return _by_clock(rows, change, EntryKind.WOKEN, DeliveryAction.REMIND, now)


def tell_after_quiet(now: dt.datetime) -> int:
    """Tell what a quiet time kept back, once it is over: what still fires, what became more severe, and the recovery
    of what people had heard of before. Returns how many."""
    muted = EventEntry.objects.filter(
        Q(at__gt=OuterRef("told_at")) | Q(event__told_at=None),
        event=OuterRef("pk"),
        kind=EntryKind.MUTED,
    )
    kept = AlertEvent.objects.filter(
        Exists(muted),
        Q(state=EventState.FIRING)
        | Q(
            state=EventState.RESOLVED, resolved_at__gte=now - _RECENT, told_at__lt=F("resolved_at")
        ),
        organization__isnull=False,
    )
    with transaction.atomic():
        rows = _held(kept, now)
        telling.tell([telling.News(row, _kept_action(row)) for row in rows], now=now)
        announce(rows, now)
    return len(rows)


def _kept_action(row: AlertEvent) -> str:
    if row.state == EventState.RESOLVED:
        return str(DeliveryAction.RESOLVE)
    return str(DeliveryAction.RAISE if row.told_at else DeliveryAction.TRIGGER)


def _due(since: str, count: str, unit: dt.timedelta, now: dt.datetime) -> QuerySet[AlertEvent]:
    """What goes on and nobody looks after since so many units of time."""
    due_at = ExpressionWrapper(F(since) + F(count) * Value(unit), DateTimeField())
    return AlertEvent.objects.filter(LessThanOrEqual(due_at, now), state=EventState.FIRING)


def _held(found: QuerySet[AlertEvent], now: dt.datetime) -> list[AlertEvent]:
    """Lock some incidents that people may be told of now; those another worker holds are its."""
    ids = list(found.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE])
    if not ids:
        return []
    rows = AlertEvent.objects.select_for_update(of=("self",), skip_locked=True)
    held = list(rows.filter(pk__in=ids).select_related("alert").order_by("pk"))
    quiet = quiet_at({row.organization_id for row in held if row.organization_id}, now)
    # Before the lock was there somebody may have acknowledged it.
    still = set(found.filter(pk__in=ids).values_list("pk", flat=True))
    return [row for row in held if row.pk in still and not quiet.words(row.alert or row)]


def _by_clock(
    found: QuerySet[AlertEvent],
    change: Callable[[AlertEvent], str],
    kind: str,
    action: str,
    now: dt.datetime,
) -> int:
    """Change incidents that are due, with a line each, and tell."""
    with transaction.atomic():
        rows = _held(found, now)
        entries: Sequence[EventEntry] = [
            EventEntry(event=row, at=now, kind=kind, words=change(row)) for row in rows
        ]
        if rows:
            AlertEvent.objects.bulk_update(rows, _BY_CLOCK)
        EventEntry.objects.bulk_create(entries)
        telling.tell([telling.News(row, action) for row in rows], now=now)
        announce(rows, now)
    return len(rows)
