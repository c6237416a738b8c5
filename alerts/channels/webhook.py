"""Signed webhooks after Standard Webhooks 1.0.0: the id stays through all tries, the timestamp is the try's own.

After a rotation both secrets sign for a day. Nothing of what a receiver answers is kept but its status: it is anybody's
server, and its words are not for us to show.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from alerts.channels.base import Message, Permanent, Secret, Sent, Settings
from alerts.channels.door import Door, failed
from alerts.channels.redaction import place
from alerts.models import DeliveryAction
from alerts.notices import Notice
from core.access_fields import Field
from core.errors import DomainError
from core.webhooks import (
    BEFORE,
    BEFORE_UNTIL,
    SIGNING,
    new_signing_secret,
    signed_headers,
    signing_secrets,
)

MOST_BYTES, MOST_POINTS = 20_000, 60
MOST_AUTHORIZATION = 1_000


def body_of(notice: Notice, action: str) -> bytes:
    """The same bytes on each try."""
    data = notice.to_json()
    data["points"] = list(notice.points)[-MOST_POINTS:]
    data["action"] = action
    event = {"type": data.pop("type"), "timestamp": data.pop("at"), "data": data}
    for name in ("extra", "points", "items", "causes", "rows"):  # Standard Webhooks: below 20 KB
        if len(_written(event)) < MOST_BYTES:
            break
        data[name] = {} if name == "extra" else []
    return _written(event)


def _written(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True)
class WebhookPlugin:
    """Any server of the organisation's."""

    door: Door = field(default_factory=Door)
    kind = "webhook"
    label = "Webhook"
    help = "Posts each alert as signed JSON (Standard Webhooks) to a server of yours."
    fields = (
        Field(
            "url", "URL",
            "An https:// address that takes a POST. It is kept encrypted, since such addresses often hold a token.",
            is_secret=True,
        ),
        Field(
            "authorization", "Authorization header",
            "Sent as it is, when your server wants one: Bearer and a token. Kept encrypted.",
            is_secret=True, is_required=False,
        ),
    )  # fmt: skip
    addresses = frozenset({"url"})
    makes_secret = SIGNING
    actions = frozenset(DeliveryAction.values)
    pause_s = 0.0

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        url, given = secret.get("url", "").strip(), secret.get("authorization", "").strip()
        self.door.check(url, "url")
        if len(given) > MOST_AUTHORIZATION or not (given.isascii() and given.isprintable()):
            raise DomainError(
                f"The Authorization header has at most {MOST_AUTHORIZATION} printable ASCII characters.",
                fields=["authorization"],
            )
        kept = {name: secret[name] for name in (SIGNING, BEFORE, BEFORE_UNTIL) if secret.get(name)}
        kept = kept or {SIGNING: new_signing_secret()}
        return {}, {"url": url, **kept, **({"authorization": given} if given else {})}

    def hint(self, settings: Settings, secret: Secret) -> str:
        return place(secret["url"])

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Raises Retryable, Permanent."""
        secrets = signing_secrets(secret, message.at)
        body = body_of(message.notice, message.action)
        identity = f"msg_{UUID(message.message_id).hex}"
        headers = signed_headers(identity, message.at, body, secrets)
        if given := secret.get("authorization"):
            headers["authorization"] = given
        reply = self.door.post(secret["url"], body, headers)
        if 200 <= reply.status < 300:
            return Sent(reply.status)
        if reply.status == 410:
            raise Permanent(
                "The receiver says that it is gone for good (410).", disables=True, status=410
            )
        raise failed("The receiver", reply, message.at)
