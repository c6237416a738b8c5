"""Slack incoming webhooks (Block Kit), and servers that take the same: Mattermost, Rocket.Chat.

The address is the secret. What Slack answers for good is a list of exact words (reference: api changelog 2016-05-17);
anything else is tried again.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from alerts.channels import words
from alerts.channels.base import Message, Permanent, Secret, Sent, Settings
from alerts.channels.door import Door, failed
from alerts.channels.redaction import answer_of, place
from alerts.models import DeliveryAction
from alerts.notices import Notice
from core.access_fields import Field
from core.errors import DomainError
from core.http import Reply

HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
SLACK, COMPATIBLE = "slack", "compatible"
# Status and words that mean: nothing will get through until somebody mends the channel.
GONE = {
    403: frozenset({"action_prohibited", "posting_to_general_channel_denied", "invalid_token"}),
    404: frozenset(
        {
            "channel_not_found",
            "no_service",
            "no_service_id",
            "no_team",
            "team_disabled",
            "no_active_hooks",
        }
    ),
    410: frozenset({"channel_is_archived"}),
}
BAD_MESSAGE = frozenset(
    {"invalid_payload", "no_text", "invalid_blocks", "too_many_attachments", "user_not_found"}
)
KNOWN = frozenset({"ok"}).union(BAD_MESSAGE, *GONE.values())
HEADER, SECTION, FIELD, BUTTON, URL, TEXT = 150, 3_000, 400, 75, 3_000, 3_000
MOST_FIELDS, MOST_BUTTONS = 10, 5
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = {"critical": "🔴", "error": "🟠", "warning": "🟡", "info": "🔵"}


def escaped(text: str, limit: int) -> str:
    """User data in mrkdwn: nothing in it mentions a channel or makes a link."""
    return words.cut(text, limit, lambda sign: _ESCAPES.get(sign, sign))


def text_of(notice: Notice) -> str:
    """What notifications show, and all there is where blocks are refused."""
    head = escaped(words.headline(notice), 300)
    parts = [head, escaped(notice.words, 1_500)]
    parts += [
        f"{escaped(title, 200)}: {escaped(told, 300)}" for title, told, _ in notice.items[:10]
    ]
    if notice.links:
        label, url = notice.links[0]
        parts.append(_link(url, label))
    return "\n".join(part for part in parts if part)


def _link(url: str, label: str) -> str:
    place = url.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace("&", "&amp;")
    return f"<{place}|{escaped(' '.join(label.split()), BUTTON).replace('|', '/')}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def blocks_of(notice: Notice) -> list[dict[str, Any]]:
    """The message as blocks, within Slack's limits: 50 blocks, about 13,200 characters."""
    mark = "✅" if notice.state == "resolved" else _MARKS.get(notice.severity, "")
    title = words.one_line(f"{mark} {words.headline(notice)}".strip(), HEADER)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}},
    ]
    if notice.words:
        blocks.append(_section(escaped(notice.words, 2_000)))
    if notice.rows:
        fields = [
            {
                "type": "mrkdwn",
                "text": f"*{escaped(label, 100)}*\n{escaped(figure, FIELD) or '-'}",
                "verbatim": True,
            }
            for label, figure in notice.rows[:MOST_FIELDS]
        ]
        blocks.append({"type": "section", "fields": fields})
    blocks += [_section(part[:SECTION]) for part in _parts(notice) if part]
    if buttons := _buttons(notice):
        blocks.append({"type": "actions", "elements": buttons})
    foot = escaped(words.footer(notice), 1_000)
    blocks.append(
        {"type": "context", "elements": [{"type": "mrkdwn", "text": foot, "verbatim": True}]}
    )
    return blocks


def _parts(notice: Notice) -> list[str]:
    """Course, causes, the alerts of a group, and what to do about it."""
    parts = []
    if line := words.sparkline(notice.points):
        parts.append(f"`{line}`")
    if notice.causes:
        lines = [
            f"• {escaped(name, 60)} *{escaped(value, 120)}* {escaped(told, 200)}"
            for name, value, told in notice.causes[:6]
        ]
        parts.append("\n".join(["*Top causes*", *lines]))
    if notice.items:
        lines = [
            f"• {_link(url, title) if url else escaped(title, BUTTON)} {escaped(told, 120)}"
            for title, told, url in notice.items[:10]
            if len(url) < 300
        ]
        more = len(notice.items) - len(lines)
        parts.append("\n".join([*lines, f"and {more} more"] if more else lines))
    if notice.note:
        parts.append(f"*What to do*\n{escaped(notice.note, 1_000)}")
    return parts


def _buttons(notice: Notice) -> list[dict[str, Any]]:
    return [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": words.one_line(label, BUTTON), "emoji": False},
            "url": url,
        }
        for label, url in notice.links[:MOST_BUTTONS]
        if len(url) <= URL
    ]


@dataclass(frozen=True)
class SlackPlugin:
    """One incoming webhook."""

    door: Door = field(default_factory=Door)
    kind = "slack"
    label = "Slack"
    help = "An incoming webhook of a Slack app, for one channel of Slack, or of Mattermost or Rocket.Chat."
    fields = (
        Field(
            "service", "Service",
            "Mattermost and Rocket.Chat take the same messages at an address of their own.",
            choices=((SLACK, "Slack"), (COMPATIBLE, "Slack-compatible (Mattermost, Rocket.Chat)")),
            default=SLACK,
        ),
        Field(
            "url", "Webhook URL",
            "In Slack: your app, Incoming Webhooks, Add New Webhook. It starts with"
            " https://hooks.slack.com/services/. Whoever knows it can post, so it is kept encrypted.",
            is_secret=True,
        ),
    )  # fmt: skip
    addresses = frozenset({"service", "url"})
    makes_secret = ""
    actions = frozenset(DeliveryAction.values)
    pause_s = 1.0

    def clean(self, settings: Settings, secret: Secret) -> tuple[dict[str, Any], dict[str, str]]:
        """Raises DomainError."""
        service, url = settings.get("service") or SLACK, secret.get("url", "").strip()
        if service not in (SLACK, COMPATIBLE):
            raise DomainError(
                f"service is {str(service)[:40]!r}; it must be slack or compatible.",
                fields=["service"],
            )
        host = self.door.check(url, "url")
        if service == SLACK:
            parts = urlsplit(url)
            if host not in HOSTS or not parts.path.startswith("/services/") or parts.port:
                raise DomainError(
                    "The webhook URL must start with https://hooks.slack.com/services/ (addresses with /triggers/ or"
                    " /workflows/ belong to Slack's workflow builder, which takes other messages).",
                    fields=["url"],
                )
        return {"service": service}, {"url": url}

    def hint(self, settings: Settings, secret: Secret) -> str:
        return place(secret["url"])

    def send(self, message: Message, settings: Settings, secret: Secret) -> Sent:
        """Raises Retryable, Permanent."""
        text = text_of(message.notice)
        whole = {"text": text, "blocks": blocks_of(message.notice)}
        reply, said = self._post(whole, settings, secret)
        is_cut = reply.status == 400
        if is_cut:  # our blocks are refused: the words alone, once
            reply, said = self._post({"text": text}, settings, secret)
        if 200 <= reply.status < 300 and (
            settings.get("service") == COMPATIBLE or _word(reply) == "ok"
        ):
            return Sent(
                reply.status, said + (" (as text: the blocks were refused)" if is_cut else "")
            )
        if _word(reply) in GONE.get(reply.status, ()) or reply.status == 410:
            raise Permanent(
                f"Slack says the webhook is of no use any more: {said or reply.status}.",
                disables=True, status=reply.status, answer=said,
            )  # fmt: skip
        if reply.status == 400:
            raise Permanent(
                f"Slack refuses this message: {said or reply.status}.",
                disables=False, status=reply.status, answer=said,
            )  # fmt: skip
        name = "Slack" if settings.get("service") != COMPATIBLE else "The server"
        if 200 <= reply.status < 300:
            name += " did not say ok; it"
        raise failed(name, reply, message.at, said)

    def _post(
        self, document: dict[str, Any], settings: Settings, secret: Secret
    ) -> tuple[Reply, str]:
        content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        reply = self.door.post(secret["url"], content, {"content-type": "application/json"})
        if settings.get("service") == COMPATIBLE:  # not ours to know: its words are not shown
            return reply, _word(reply) if _word(reply) in KNOWN else ""
        return reply, answer_of(reply, secret)


def _word(reply: Reply) -> str:
    return reply.text(200).strip()
