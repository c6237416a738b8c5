"""Microsoft Teams by a Workflows (Power Automate) webhook, shaped by apprise (an adaptive card)."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from alerts.channels import markdown, words
from alerts.channels.apprise_door import answered, asset, plugin_module, posting, type_of
from alerts.channels.base import Message, Permanent, Secret, Sent, Settings
from alerts.channels.door import Door, failed
from alerts.channels.redaction import answer_of, place
from alerts.models import DeliveryAction
from core.access_fields import Field
from core.errors import DomainError
from core.http import Reply

SUFFIXES = (".logic.azure.com", ".logic.azure.us", ".api.powerplatform.com")
PATH = re.compile(
    r"(?:/powerautomate/automations/direct(?:/cu/\d+)?)?/workflows/([\w-]+)/triggers/manual/paths/invoke/?",
    re.ASCII,
)
SIGNATURE = re.compile(r"[\w-]+", re.ASCII)
TITLE, BODY = 250, 6_000
GONE = (401, 403, 404, 410)
_module = plugin_module("workflows")


def _parts(url: str) -> tuple[str, str] | None:
    """Workflow and signature of an address; None for any other address."""
    parts = urlsplit(url)
    found = PATH.fullmatch(parts.path)
    signature = parse_qs(parts.query).get("sig", [""])[0]
    return (found[1], signature) if found and SIGNATURE.fullmatch(signature) else None


def _as_it_is(_document: dict[str, Any]) -> None:
    """The card needs nothing more."""


@dataclass(frozen=True)
class TeamsPlugin:
    """One workflow that posts to a channel or chat."""

    door: Door = field(default_factory=Door)
    kind = "teams"
    label = "Microsoft Teams"
    help = "A workflow of Microsoft Teams that posts what a webhook receives to a channel or chat."
    fields = (
        Field(
            "url", "Workflow URL",
            "In Teams: the channel, Workflows, Post to a channel when a webhook request is received. Kept encrypted.",
            is_secret=True,
        ),
    )  # fmt: skip
    addresses = frozenset({"url"})
    makes_secret = ""
    actions = frozenset(DeliveryAction.values)
    pause_s = 1.0

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        url = secret.get("url", "").strip()
        host = self.door.check(url, "url")
        is_microsofts = host.endswith(SUFFIXES) or self.door.is_listed(url)
        if not is_microsofts or _parts(url) is None:
            raise DomainError(
                "The workflow URL must be one of *.logic.azure.com or *.api.powerplatform.com with /workflows/…/invoke"
                " and its sig. Addresses of the old connectors (webhook.office.com) no longer work.",
                fields=["url"],
            )
        return {}, {"url": url}

    def hint(self, settings: Settings, secret: Secret) -> str:
        return place(secret["url"])

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Raises Retryable, Permanent."""
        url = secret["url"]
        parts = _parts(url)
        if parts is None:
            raise Permanent("The workflow URL is none of Microsoft's.", disables=True)
        shaped = _module.NotifyWorkflows(
            workflow=parts[0], signature=parts[1], include_image=False, asset=asset(),
            host=urlsplit(url).hostname,
        )  # fmt: skip
        with posting(self.door, url, _as_it_is) as under_way:
            shaped.send(
                body=markdown.body_of(message.notice, BODY),
                title=markdown.plain(
                    words.one_line(words.headline(message.notice), TITLE), TITLE * 2
                ),
                notify_type=type_of(message),
            )
        return self._judged(answered(under_way), message, url, secret)

    def _judged(self, reply: Reply, message: Message, url: str, secret: Secret) -> Sent:
        is_known = (urlsplit(url).hostname or "").endswith(SUFFIXES)
        said = answer_of(reply, secret) if is_known else ""
        if 200 <= reply.status < 300:
            return Sent(reply.status, said)
        if reply.status in GONE:
            raise Permanent(
                f"Microsoft says that the workflow does not take this any more ({reply.status}).",
                disables=True, status=reply.status, answer=said,
            )  # fmt: skip
        if reply.status in (400, 413):
            raise Permanent(
                f"The workflow refuses this message ({reply.status}).",
                disables=False, status=reply.status, answer=said,
            )  # fmt: skip
        raise failed("The workflow", reply, message.at, said)
