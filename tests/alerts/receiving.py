"""A receiver on this machine, channels that lead to it, and a clock that tests move."""

import datetime as dt
from dataclasses import dataclass, field
from uuid import UUID

from alerts.channels.secrets import seal_secret
from alerts.models import Channel, Delivery
from alerts.notices import Notice
from tests.factories.alerts import ChannelFactory
from tests.fakes.http_server import Answer, FakeServer, Received

START = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
SIGNING = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass
class Clock:
    """Called for the time, as the workers do."""

    at: dt.datetime = START

    def __call__(self) -> dt.datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += dt.timedelta(seconds=seconds)


@dataclass
class Receiver:
    """Answers as told: by message when one is named, else everybody the same."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    by_message: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Received, number: int) -> Answer:
        status = self.by_message.get(request.headers["webhook-id"], self.status)
        return status, self.headers, self.body


def hook(server: FakeServer, **fields: object) -> Channel:
    """A webhook channel to the receiver."""
    channel: Channel = ChannelFactory(kind="webhook", settings={}, **fields)
    secret = {"url": f"{server.url}/hook/of-a-team", "signing": SIGNING}
    channel.secret = seal_secret(channel.organization, channel.pk, secret)
    channel.save()
    return channel


def waiting(
    channel: Channel | None,
    number: int,
    *lanes: str,
    at: dt.datetime = START,
    action: str = "trigger",
    recipient: str = "",
) -> Delivery:
    """A message that was decided; without lanes it has one of its own."""
    notice = Notice(type="alert.fired", title=f"Alert {number}", words="w", severity="warning")
    return Delivery.objects.create(
        organization=channel.organization if channel else None,
        channel=channel,
        recipient=recipient,
        lanes=list(lanes) or [f"rule {number}"],
        action=action,
        dedup_key=f"key {number}",
        unique_key=f"unique {number} {channel and channel.pk} {recipient}",
        payload=notice.to_json(),
        created_at=at,
        next_attempt_at=at,
    )


def ids(server: FakeServer) -> list[str]:
    return [one.headers["webhook-id"] for one in server.received]


def hook_id(delivery: Delivery) -> str:
    return f"msg_{UUID(str(delivery.message_id)).hex}"


__all__ = ["START", "Clock", "Receiver", "hook", "hook_id", "ids", "waiting"]


def fresh(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)
