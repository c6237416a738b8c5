"""Messages are rows of the transaction that decided them (the delivery's outbox); the broker is only a doorbell.

Whoever decides calls these inside its transaction. A decision taken twice writes its messages once (`unique_key`).
"""

import datetime as dt
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from django.db import transaction
from django.db.models import Q, prefetch_related_objects
from kombu.exceptions import OperationalError

from accounts.models import Organization, User
from alerts import wording
from alerts.channels.registry import plugin_for
from alerts.models import (
    SEVERITY_RANK,
    Alert,
    AlertChannel,
    AlertEvent,
    Channel,
    Delivery,
    DeliveryAction,
    DeliveryState,
    EntryKind,
    EventEntry,
)
from alerts.notices import Notice
from core import formats
from core.errors import DomainError

logger = logging.getLogger(__name__)

# More triggers of one decision than this for one channel are one message, where the channel carries such.
MOST_SINGLY = 5
RING_WITHIN_S = 300
# A channel hears of these only when it heard of the incident before.
FOLLOWING = frozenset({DeliveryAction.ACKNOWLEDGE, DeliveryAction.RESOLVE})
TELLING = (
    DeliveryAction.TRIGGER, DeliveryAction.RAISE, DeliveryAction.REMIND, DeliveryAction.ESCALATE,
)  # fmt: skip


@dataclass(frozen=True)
class _Told:
    """One message to be: what of which incident, where."""

    event: AlertEvent
    action: str
    channel: Channel


def queue(
    *,
    event: AlertEvent,
    action: str,
    now: dt.datetime,
    channels: Iterable[Channel] | None = None,
) -> list[Delivery]:
    """The messages of `action`: to `channels`, else to the rule's channels that want this severity (ESCALATE: to those
    of its escalation; ACKNOWLEDGE and RESOLVE: to those that heard of it). Nine queries at most."""
    _load([event])
    wanted = list(channels) if channels is not None else _channels_of([event], action)[event.pk]
    return _write([_Told(event, action, one) for one in wanted], now)


def queue_group(
    *, events: Sequence[AlertEvent], now: dt.datetime, action: str = DeliveryAction.TRIGGER
) -> list[Delivery]:
    """The triggers (or recoveries) of one decision. More than five for one channel are one message there, if its kind
    carries such (PagerDuty wants each incident singly). The same queries for any number of incidents."""
    _load(events)
    by_channel: dict[Channel, list[AlertEvent]] = defaultdict(list)
    found = _channels_of(events, action)
    for event in events:
        for channel in found[event.pk]:
            by_channel[channel].append(event)
    told = []
    groups: list[Delivery] = []
    for channel, theirs in by_channel.items():
        if len(theirs) <= MOST_SINGLY or not _carries(channel, DeliveryAction.GROUP):
            told += [_Told(one, action, channel) for one in theirs]
        elif channel.is_enabled:
            groups += _group(channel, theirs, now, action)
        else:
            told += [_Told(one, action, channel) for one in theirs]
    return _write(told, now, groups)


def queue_test(
    *,
    channel: Channel,
    actor: User,
    now: dt.datetime,
    alert: Alert | None = None,
    words: str = "",
) -> Delivery:
    """A message that says it is a test, also to a disabled channel: sent once, its answer is on the row. `words`: what
    the rule says and sees now."""
    organization = channel.organization
    message_id = uuid4()
    notice = wording.trial_notice(
        channel_name=channel.name,
        organization=organization.name if organization else "",
        actor=actor.name or actor.email,
        alert=alert,
        words=words,
        now=now,
    )
    made = Delivery(
        message_id=message_id,
        organization=organization,
        channel=channel,
        lanes=[f"test:{message_id.hex}"],
        action=DeliveryAction.TEST,
        dedup_key=f"llmlab:test:{message_id}",
        unique_key=f"llmlab:test:{message_id}",
        payload=notice.to_json(),
        created_at=now,
        next_attempt_at=now,
    )
    return _insert([made])[0]


def queue_mail(
    *,
    organization: Organization | None,
    recipient: str,
    notice: Notice,
    action: str,
    dedup_key: str,
    unique_key: str,
    lanes: Sequence[str],
    now: dt.datetime,
) -> Delivery | None:
    """An e-mail to one person; None when `unique_key` was there already."""
    made = Delivery(
        organization=organization,
        recipient=recipient,
        lanes=[one[:64] for one in lanes],
        action=action,
        dedup_key=dedup_key[:255],
        unique_key=unique_key[:400],
        payload=notice.to_json(),
        created_at=now,
        next_attempt_at=now,
    )
    written = _insert([made])
    return written[0] if written else None


def ring(wait_s: float = 0) -> None:
    """Best effort, when a message is due: a lost bell is made up for by the sweep within 10 s."""
    if wait_s > RING_WITHIN_S:
        return
    from celery import (
        current_app,
    )  # the broker client is only needed once there is something to send

    try:
        current_app.send_task(
            "alerts.tasks.deliver",
            queue="notify",
            countdown=wait_s or None,
            retry=False,
            ignore_result=True,
        )
    except OperationalError as error:
        logger.warning("alerts.bell_lost: %s", type(error).__name__)


def lane_of(event: AlertEvent) -> str:
    """The rule it is of: the start of its key, so that it stays when the rule is deleted."""
    return ":".join(event.dedup_key.split(":")[:3])[:64]


def _load(events: Sequence[AlertEvent]) -> None:
    """What words are made of, for all at once: an incident that was just made has ids only. Three queries at most."""
    prefetch_related_objects(list(events), "alert", "organization", "project")


def _carries(channel: Channel, action: str) -> bool:
    """Whether its kind has such messages. Of a kind that is not there (yet) the message waits for it."""
    try:
        return action in plugin_for(channel.kind).actions
    except DomainError:
        return True


def _channels_of(events: Sequence[AlertEvent], action: str) -> dict[object, list[Channel]]:
    """Where each incident is told, by the incident's id. Two queries."""
    found: dict[object, dict[object, Channel]] = {one.pk: {} for one in events}
    if action in FOLLOWING:
        rows = (
            Delivery.objects.filter(event__in=events, channel__isnull=False, action__in=TELLING)
            .exclude(Q(state=DeliveryState.CANCELLED) & ~Q(payload__extra__has_key="group"))
            .select_related("channel__organization")
        )
        for row in rows:
            if row.channel:
                found[row.event_id][row.channel_id] = row.channel
        return {pk: list(channels.values()) for pk, channels in found.items()}
    of_rule: dict[object, list[AlertEvent]] = defaultdict(list)
    for event in events:
        if event.alert_id:
            of_rule[event.alert_id].append(event)
    links = AlertChannel.objects.filter(alert__in=list(of_rule)).order_by("channel__name", "pk")
    for link in _of_action(list(links.select_related("channel__organization")), action):
        for event in of_rule[link.alert_id]:
            if SEVERITY_RANK[event.severity] >= SEVERITY_RANK[link.channel.minimum_severity]:
                found[event.pk][link.channel_id] = link.channel
    return {pk: list(channels.values()) for pk, channels in found.items()}


def _of_action(links: list[AlertChannel], action: str) -> list[AlertChannel]:
    """Escalation has channels of its own; a rule without such is told where it was told before."""
    if action != DeliveryAction.ESCALATE:
        return [one for one in links if not one.is_escalation]
    escalating = {one.alert_id for one in links if one.is_escalation}
    return [one for one in links if one.is_escalation or one.alert_id not in escalating]


def _round(told: _Told, now: dt.datetime) -> str:
    """Which of its messages this is: an incident is told once, and once a day at most of the same level."""
    event = told.event
    match told.action:
        case DeliveryAction.RAISE:
            limit = "" if event.limit is None else formats.plain_decimal(event.limit)
            return f"{event.severity}:{limit}:{now:%Y%m%d}"
        case DeliveryAction.ACKNOWLEDGE:
            return f"{event.acknowledged_at or now:%Y%m%dT%H%M%S}"
        case DeliveryAction.REMIND:
            return f"{now:%Y%m%dT%H}"
    # It may begin and end again under the same key when it comes back soon after a recovery (alerts.evaluate).
    return "1" if event.told_at is None else f"{event.told_at:%Y%m%dT%H%M%S}"


def _write(
    told: Sequence[_Told], now: dt.datetime, groups: Sequence[Delivery] = ()
) -> list[Delivery]:
    """Insert what enabled channels carry; disabled ones are named in the incident's timeline."""
    made = list(groups)
    notices: dict[object, Notice] = {}
    silent: dict[object, tuple[AlertEvent, list[Channel]]] = {}
    for one in told:
        if not _carries(one.channel, one.action):
            continue
        if not one.channel.is_enabled:
            silent.setdefault(one.event.pk, (one.event, []))[1].append(one.channel)
            continue
        if one.event.pk not in notices:
            notices[one.event.pk] = wording.notice_of(one.event, one.action, now)
        made.append(_delivery(one, notices[one.event.pk], now))
    _say_silent(list(silent.values()), now)
    return _insert(made)


def _delivery(told: _Told, notice: Notice, now: dt.datetime) -> Delivery:
    event = told.event
    return Delivery(
        organization_id=event.organization_id,
        channel=told.channel,
        event=event,
        lanes=[lane_of(event)],
        action=told.action,
        dedup_key=event.dedup_key,
        unique_key=f"{event.dedup_key}:{told.action}:{told.channel.pk}:{_round(told, now)}"[-400:],
        payload=notice.to_json(),
        created_at=now,
        next_attempt_at=now,
    )


def _group(
    channel: Channel, events: Sequence[AlertEvent], now: dt.datetime, action: str
) -> list[Delivery]:
    """One message about all of them, and a row on each incident that says where it was told."""
    keys = "\n".join(sorted(one.dedup_key for one in events))
    mark = hashlib.sha256(keys.encode()).hexdigest()[:32]
    dedup_key = f"llmlab:group:{channel.pk}:{mark}"
    severity = max((one.severity for one in events), key=SEVERITY_RANK.__getitem__)
    notice = wording.group_notice(
        events, severity=severity, dedup_key=dedup_key, now=now, action=action
    )
    first = min(events, key=lambda one: one.dedup_key)
    group = Delivery(
        organization_id=channel.organization_id,
        channel=channel,
        lanes=sorted({lane_of(one) for one in events}),
        action=DeliveryAction.GROUP,
        dedup_key=dedup_key,
        unique_key=f"{dedup_key}:{action}:{_round(_Told(first, action, channel), now)}",
        payload=notice.to_json(),
        created_at=now,
        next_attempt_at=now,
    )
    places = []
    for event in events:
        alone = wording.notice_of(event, action, now)
        alone = wording.with_extra(alone, group=str(group.message_id))
        place = _delivery(_Told(event, action, channel), alone, now)
        place.state, place.ended_at = DeliveryState.CANCELLED, now
        place.error = f"Told in one message with {len(events) - 1} other alerts."
        places.append(place)
    return [group, *places]


def _say_silent(found: Sequence[tuple[AlertEvent, list[Channel]]], now: dt.datetime) -> None:
    entries = []
    for event, channels in found:
        for channel in channels:
            why = f": {channel.disabled_reason}" if channel.disabled_reason else ""
            words = f"{channel.name} was not told, because it is disabled{why}"
            entries.append(EventEntry(event=event, at=now, kind=EntryKind.UNDELIVERED, words=words))
    EventEntry.objects.bulk_create(entries)


def _insert(made: Sequence[Delivery]) -> list[Delivery]:
    """Write those whose key is new, in their order, and ring on commit."""
    if not made:
        return []
    Delivery.objects.bulk_create(made, ignore_conflicts=True)
    ids = [one.message_id for one in made]
    written = list(Delivery.objects.filter(message_id__in=ids).order_by("pk"))
    if any(one.state == DeliveryState.WAITING for one in written):
        transaction.on_commit(ring, robust=True)
    return [one for one in written if one.state == DeliveryState.WAITING]
