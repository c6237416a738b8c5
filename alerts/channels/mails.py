"""A notice as an e-mail: HTML that mail clients draw (tables, no style sheet), text, headers that thread incidents."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from alerts.channels import words
from alerts.channels.base import Message
from alerts.models import Severity
from alerts.notices import Notice

SUBJECT = 78
TALL = 96
MOST_BARS = 62
# Of the light theme (static/css/tokens.css); mail clients know no light-dark().
COLOURS = {
    "critical": "#b3261e",
    "error": "#b3261e",
    "warning": "#8a5a00",
    "info": "#4457d4",
    "resolved": "#0a7a4b",
}
_WORDS = dict(Severity.choices)


@dataclass(frozen=True)
class Bar:
    """One instant: its height in pixels, and its words."""

    height: int
    title: str
    is_known: bool


def bars_of(notice: Notice) -> tuple[list[Bar], int]:
    """The course as bars from zero up, the last of it, and where among them the limit lies, in pixels from below (0:
    nowhere); no bars when there is nothing to see."""
    points = [(at, words.number(value)) for at, value in notice.points[-MOST_BARS:]]
    known = [value for _, value in points if value is not None]
    limit = words.number(notice.limit) or Decimal(0)
    top = max([*known, limit])
    if len(known) < 2 or top <= 0:
        return [], 0
    bars = [
        Bar(
            0 if value is None else max(1, round(max(value, Decimal(0)) / top * TALL)),
            f"{_at(at)}: {'not known' if value is None else format(value.normalize(), 'f')}",
            value is not None,
        )
        for at, value in points
    ]
    return bars, max(0, round(limit / top * TALL))


def _at(text: str) -> str:
    return f"{text.replace('T', ' ')[:16]} UTC" if text else ""


def subject_of(notice: Notice) -> str:
    """One line of at most 78 characters, whatever names it quotes."""
    word = words.state_word(notice)
    word = word or (_WORDS.get(notice.severity, "") if notice.state else "")
    return words.one_line(f"[{word}] {notice.title}" if word else notice.title, SUBJECT)


def _domain() -> str:
    return urlsplit(settings.LLMLAB_BASE_URL).hostname or "llmlab.invalid"


def headers_of(message: Message) -> dict[str, str]:
    """The same id on each try; mails of one incident refer to one id, so that clients show them together."""
    domain = _domain()
    headers = {
        "Message-ID": f"<{UUID(message.message_id).hex}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if message.dedup_key and message.notice.state:
        thread = hashlib.sha256(message.dedup_key.encode("utf-8", "replace")).hexdigest()[:32]
        headers |= dict.fromkeys(("References", "In-Reply-To"), f"<{thread}@{domain}>")
    if stop := message.notice.extra.get("unsubscribe"):
        headers["List-Unsubscribe"] = f"<{stop}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def mail_of(message: Message) -> EmailMultiAlternatives:
    """The mail, to nobody yet: each address gets a copy of the same. No query."""
    notice = words.clipped(message.notice)
    bars, limit_height = bars_of(notice)
    colour = COLOURS["resolved"] if notice.state == "resolved" else COLOURS.get(notice.severity)
    context = {
        "notice": notice,
        "headline": words.headline(notice),
        "colour": colour or COLOURS["info"],
        "bars": bars,
        "limit_height": limit_height,
        "first_at": _at(notice.points[-MOST_BARS:][0][0]) if notice.points else "",
        "last_at": _at(notice.points[-1][0]) if notice.points else "",
        "since": _at(notice.began_at),
        "at": _at(notice.at),
        "sparkline": words.sparkline(notice.points),
        "unsubscribe": notice.extra.get("unsubscribe", ""),
        "why": notice.extra.get("why", ""),
    }
    text = render_to_string("alerts/channels/emails/notice.body.txt", context)
    mail = EmailMultiAlternatives(
        subject_of(notice), text.strip() + "\n", headers=headers_of(message)
    )
    html = render_to_string("alerts/channels/emails/notice.body.html", context)
    mail.attach_alternative(html, "text/html")
    return mail
