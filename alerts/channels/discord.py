"""Discord webhooks, shaped by apprise (an embed with the severity's colour)."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from alerts.channels import markdown, words
from alerts.channels.apprise_door import answered, asset, plugin_module, posting, type_of
from alerts.channels.base import Message, Permanent, Secret, Sent, Settings
from alerts.channels.door import MAX_RETRY_AFTER_S, Door, failed
from alerts.channels.redaction import answer_of, place
from alerts.models import DeliveryAction
from core.access_fields import Field
from core.errors import DomainError
from core.http import Reply

HOSTS = frozenset({"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"})
PATH = re.compile(r"(?:/discord)?/api/(?:v\d+/)?webhooks/(\d+)/([\w-]+)/?", re.ASCII)
TITLE, BODY = 250, 3_800
GONE = (401, 403, 404, 410)
_module = plugin_module("discord")


def _mention_nobody(document: dict[str, Any]) -> None:
    """Whatever the text holds: apprise reads it for people to call."""
    document.pop("allow_mentions", None)
    document.pop("content", None)
    document["allowed_mentions"] = {"parse": []}


@dataclass(frozen=True)
class DiscordPlugin:
    """One webhook of a Discord channel."""

    door: Door = field(default_factory=Door)
    kind = "discord"
    label = "Discord"
    help = "A webhook of a channel in Discord."
    fields = (
        Field(
            "url", "Webhook URL",
            "In Discord: the channel's settings, Integrations, Webhooks, Copy Webhook URL. Kept encrypted.",
            is_secret=True,
        ),
    )  # fmt: skip
    addresses = frozenset({"url"})
    makes_secret = ""
    actions = frozenset(DeliveryAction.values)
    # 30 a minute per webhook.
    pause_s = 2.0

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        url = secret.get("url", "").strip()
        host = self.door.check(url, "url")
        if not PATH.fullmatch(urlsplit(url).path) or not (
            host in HOSTS or self.door.is_listed(url)
        ):
            raise DomainError(
                "The webhook URL must look like https://discord.com/api/webhooks/<number>/<token>.",
                fields=["url"],
            )
        return {}, {"url": url}

    def hint(self, settings: Settings, secret: Secret) -> str:
        return place(secret["url"])

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Raises Retryable, Permanent."""
        url = secret["url"]
        found = PATH.fullmatch(urlsplit(url).path)
        if found is None:
            raise Permanent("The webhook URL is none of Discord's.", disables=True)
        shaped = _module.NotifyDiscord(
            webhook_id=found[1],
            webhook_token=found[2],
            avatar=False,
            asset=asset(),
            format="markdown",
        )
        with posting(self.door, url, _mention_nobody) as under_way:
            shaped.send(
                body=markdown.body_of(message.notice, BODY),
                title=words.one_line(words.headline(message.notice), TITLE),
                notify_type=type_of(message),
            )
        return self._judged(answered(under_way), message, url, secret)

    def _judged(self, reply: Reply, message: Message, url: str, secret: Secret) -> Sent:
        is_known = urlsplit(url).hostname in HOSTS
        said = answer_of(reply, secret) if is_known else ""
        if 200 <= reply.status < 300:
            return Sent(reply.status, said)
        if reply.status in GONE or reply.status == 400:
            is_gone = reply.status in GONE
            what = (
                "the webhook is of no use any more" if is_gone else "this message is not accepted"
            )
            raise Permanent(
                f"Discord says that {what} ({reply.status}).",
                disables=is_gone, status=reply.status, answer=said,
            )  # fmt: skip
        error = failed("Discord", reply, message.at, said)
        if reply.status == 429 and error.retry_after_s is None:
            error.retry_after_s = _asked(reply)
        raise error


def _asked(reply: Reply) -> float | None:
    """Discord says it in its document, too."""
    try:
        return min(max(float(reply.json()["retry_after"]), 0.0), MAX_RETRY_AFTER_S)
    except (ValueError, KeyError, TypeError):
        return None
