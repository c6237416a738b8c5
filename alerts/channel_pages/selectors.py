"""Reads about channels: the list and how each stands, one channel, its deliveries, who uses it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Lower

from alerts.models import (
    Alert,
    AlertChannel,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryAction,
    DeliveryState,
)
from core.errors import DomainError, NotFoundError
from core.keyset import keyset_page
from core.list_query import read_choice, read_text

PAGE = 50
STATES = {
    "": "Any state",
    "on": "Sending",
    "failing": "Not getting through",
    "disabled": "Switched off",
}
KINDS = {"": "Every kind"} | dict(ChannelKind.choices)
SORTS = {
    "name": "By name",
    "-name": "By name, backwards",
    "-created": "Newest first",
    "created": "Oldest first",
}
DELIVERY_STATES = {"": "Every message"} | dict(DeliveryState.choices)


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by and how it is ordered; checked by `read_asked`."""

    q: str = ""
    kind: str = ""
    state: str = ""
    sort: str = "name"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.kind or self.state or self.after)


def read_asked(query: Mapping[str, Any]) -> Asked:
    """Raises DomainError."""
    return Asked(
        read_text(query, "q"),
        read_choice(query, "kind", KINDS),
        read_choice(query, "state", STATES),
        read_choice(query, "sort", SORTS) or "name",
        str(query.get("after", "")),
    )


@dataclass(frozen=True)
class Row:
    """A channel as the list shows it."""

    channel: Channel
    rules: int
    waiting: int
    dead: int

    @property
    def state(self) -> str:
        return state_of(self.channel)


def state_of(channel: Channel) -> str:
    """on, failing, disabled (by a person) or broken (by itself)."""
    if not channel.is_enabled:
        return "broken" if channel.disabled_reason else "disabled"
    return "failing" if channel.failing_since else "on"


def chosen(organization_id: UUID, asked: Asked) -> QuerySet[Channel]:
    """The organisation's channels, narrowed and ordered; `secret` is not read."""
    rows = Channel.objects.filter(organization_id=organization_id).defer("secret")
    rows = rows.annotate(lower_name=Lower("name"))
    if asked.q:
        rows = rows.filter(Q(name__icontains=asked.q) | Q(hint__icontains=asked.q))
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.state == "disabled":
        rows = rows.filter(is_enabled=False)
    elif asked.state == "failing":
        rows = rows.filter(is_enabled=True, failing_since__isnull=False)
    elif asked.state == "on":
        rows = rows.filter(is_enabled=True, failing_since=None)
    sign = "-" if asked.sort.startswith("-") else ""
    return rows.order_by(f"{sign}{_column(asked)[0]}", f"{sign}pk")


def _column(asked: Asked) -> tuple[str, type]:
    return ("created_at", dt.datetime) if asked.sort.endswith("created") else ("lower_name", str)


def listed(organization_id: UUID, asked: Asked, *, limit: int = PAGE) -> tuple[list[Row], str]:
    """A page of rows and the cursor of the next ("": no more). Three queries."""
    column, kind = _column(asked)
    found, after = keyset_page(
        chosen(organization_id, asked),
        sort=asked.sort, column=column, kind=kind, after=asked.after, limit=limit,
    )  # fmt: skip
    return rows_of(found), after


def rows_of(channels: Sequence[Channel]) -> list[Row]:
    """With the number of rules and of messages that wait or were given up. Two queries, none without channels."""
    if not channels:
        return []
    ids = [one.pk for one in channels]
    rules = dict(
        AlertChannel.objects.filter(channel__in=ids)
        .values_list("channel")
        .annotate(Count("alert", distinct=True))
    )
    open_states = (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.DEAD)
    counts: dict[tuple[UUID, str], int] = {
        (row["channel"], row["state"]): row["count"]
        for row in Delivery.objects.filter(channel__in=ids, state__in=open_states)
        .values("channel", "state")
        .annotate(count=Count("pk"))
    }
    return [
        Row(
            one,
            rules.get(one.pk, 0),
            sum(counts.get((one.pk, state), 0) for state in open_states[:2]),
            counts.get((one.pk, DeliveryState.DEAD), 0),
        )
        for one in channels
    ]


def channel_of(organization_id: UUID, channel_id: UUID) -> Channel:
    """With its organisation and who made it. One query. Raises NotFoundError."""
    row = (
        Channel.objects.select_related("organization", "created_by")
        .filter(organization_id=organization_id, pk=channel_id)
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such channel in this organisation.")
    return row


def broken_channels(organization_id: UUID) -> list[Channel]:
    """Channels that switched themselves off, for the banner of all alert pages. One query."""
    rows = Channel.objects.filter(organization_id=organization_id, is_enabled=False)
    return list(
        rows.exclude(disabled_reason="")
        .defer("secret", "settings")
        .order_by("-disabled_at", "pk")[:5]
    )


def deliveries_of(
    channel: Channel, *, state: str = "", before: int | None = None, limit: int = 20
) -> tuple[list[Delivery], int | None]:
    """A page of its messages with their incidents, newest first, and the last id when there are more. One query."""
    rows = Delivery.objects.filter(channel=channel, organization=channel.organization)
    if state:
        rows = rows.filter(state=state)
    else:  # without those that were told within another message
        rows = rows.exclude(state=DeliveryState.CANCELLED, payload__extra__has_key="group")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.select_related("event").defer("event__evidence").order_by("-pk")[: limit + 1])
    return found[:limit], found[limit - 1].pk if len(found) > limit else None


def delivery_of(organization_id: UUID, delivery_id: int) -> Delivery:
    """With its channel and incident. One query. Raises NotFoundError."""
    row = (
        Delivery.objects.select_related("channel", "event")
        .filter(organization_id=organization_id, pk=delivery_id, channel__isnull=False)
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such message in this organisation.")
    return row


def last_test(channel: Channel) -> Delivery | None:
    """The newest test message. One query."""
    rows = Delivery.objects.filter(channel=channel, organization=channel.organization)
    return rows.filter(action=DeliveryAction.TEST).order_by("-pk").first()


def rules_using(channel: Channel) -> list[Alert]:
    """Rules that are told here, by name. One query."""
    rows = Alert.objects.filter(organization=channel.organization, alert_channels__channel=channel)
    return list(rows.distinct().only("id", "name", "is_enabled", "project").order_by("name", "pk"))


def read_before(query: Mapping[str, Any]) -> int | None:
    """The id of a message that the page begins after. Raises DomainError."""
    text = str(query.get("before", ""))
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise DomainError(
            f"before is {text[:40]!r}; it must be a message's number.", fields=["before"]
        )
    return int(text)
