"""Who is told of a change: nobody in a quiet time, else the rule's channels through `alerts.queueing`."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from alerts import queueing
from alerts.models import AlertEvent, DeliveryAction, EntryKind, EventEntry
from alerts.quiet import quiet_at


@dataclass(frozen=True)
class News:
    """One change of an incident that is worth a message."""

    event: AlertEvent
    action: str


def tell(news: Sequence[News], *, now: dt.datetime) -> None:
    """Queue the messages of changes decided together, inside the caller's transaction, and remember that people were
    told; in a quiet time say so in the timeline instead. Two queries and those of queueing, none without news."""
    if not news:
        return
    quiet = quiet_at({one.event.organization_id for one in news if one.event.organization_id}, now)
    loud: list[News] = []
    muted: list[EventEntry] = []
    for one in news:
        event = one.event
        if why := quiet.words(event.alert or event):
            muted.append(EventEntry(event=event, at=now, kind=EntryKind.MUTED, words=why))
        else:
            loud.append(one)
    EventEntry.objects.bulk_create(muted)
    _queue(loud, now)
    _remember([one.event for one in loud], now)


def _queue(news: Sequence[News], now: dt.datetime) -> None:
    """What began together, and what ended together, is told together where it is too much to be told singly."""
    grouped = set()
    for action in (DeliveryAction.RESOLVE, DeliveryAction.TRIGGER):
        events = [one.event for one in news if one.action == action]
        if len(events) > queueing.MOST_SINGLY:
            queueing.queue_group(events=events, now=now, action=action)
            grouped.add(action)
    for one in news:
        if one.action not in grouped:
            queueing.queue(event=one.event, action=one.action, now=now)


def _remember(events: Sequence[AlertEvent], now: dt.datetime) -> None:
    for event in events:
        event.told_at = now
        event.waiting_since = event.waiting_since or now
    if events:
        AlertEvent.objects.bulk_update(events, ["told_at", "waiting_since"])


def pass_on(event: AlertEvent, action: str, *, now: dt.datetime) -> None:
    """Let receivers that keep incidents of their own know what a person did. Nobody counts as told by it."""
    queueing.queue(event=event, action=action, now=now)
