"""Who hears of the installation's incidents: every active superuser by e-mail, and the operators' own channels."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import User
from alerts import queueing, wording
from alerts.models import SEVERITY_RANK, AlertEvent, Channel, DeliveryAction

# A hand-made list of people; more than these are no operators.
MOST_OPERATORS = 50


@dataclass(frozen=True)
class News:
    """One change of an incident that is worth a message."""

    event: AlertEvent
    action: str


def tell(news: Sequence[News], *, now: dt.datetime) -> None:
    """Queue the messages inside the caller's transaction. Three queries and those of queueing, none without news."""
    if not news:
        return
    people = list(
        User.objects.filter(is_superuser=True, is_active=True).order_by("pk")[:MOST_OPERATORS]
    )
    channels = list(Channel.objects.filter(organization=None).order_by("name", "pk"))
    for one in news:
        event = one.event
        if one.action == DeliveryAction.RESOLVE:
            queueing.queue(event=event, action=one.action, now=now)  # those that heard of it
        else:
            rank = SEVERITY_RANK[event.severity]
            wanted = [to for to in channels if rank >= SEVERITY_RANK[to.minimum_severity]]
            queueing.queue(event=event, action=one.action, now=now, channels=wanted)
        _mail(one, people, now)
        event.told_at = now
    AlertEvent.objects.bulk_update([one.event for one in news], ["told_at"])


def _mail(news: News, people: Sequence[User], now: dt.datetime) -> None:
    event = news.event
    notice = wording.notice_of(event, news.action, now)
    for person in people:
        queueing.queue_mail(
            organization=None,
            recipient=person.email,
            notice=notice,
            action=news.action,
            dedup_key=event.dedup_key,
            unique_key=f"{event.dedup_key}:{news.action}:{person.pk}:{now:%Y%m%dT%H%M%S}",
            lanes=[queueing.lane_of(event)],
            now=now,
        )
