"""A notice as an e-mail: HTML that mail clients draw (tables, no style sheet), text, headers that thread incidents."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from alerts.channels import words
from alerts.channels.base import Message
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
_WORDS = {"critical": "Critical", "error": "Error", "warning": "Warning", "info": "Info"}


@dataclass(frozen=True)
class Bar:
    """One instant: its height in pixels, and its words."""

    height: int
    title: str
    is_known: bool


def bars_of(notice: Notice) -> list[Bar]:
    """The course as bars from zero up, the last of it; empty when there is nothing to see."""
    points = [(at, _number(value)) for at, value in notice.points[-MOST_BARS:]]
    known = [value for _, value in points if value is not None]
    top = max([*known, _number(notice.limit) or Decimal(0)], default=Decimal(0))
    if len(known) < 2 or top <= 0:
        return []
    return [
        Bar(
            0 if value is None else max(1, round(max(value, Decimal(0)) / top * TALL)),
            f"{_at(at)}: {'not known' if value is None else format(value.normalize(), 'f')}",
            value is not None,
        )
        for at, value in points
    ]


def limit_height(notice: Notice) -> int:
    """Where among the bars the limit lies, in pixels from below; 0 for none."""
    limit = _number(notice.limit)
    values = [_number(value) for _, value in notice.points[-MOST_BARS:]]
    top = max(
        [*(one for one in values if one is not None), limit or Decimal(0)], default=Decimal(0)
    )
    return round(limit / top * TALL) if limit and limit > 0 and top > 0 else 0


def _number(text: str | None) -> Decimal | None:
    try:
        value = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    return value if value is None or value.is_finite() else None


def _at(text: str) -> str:
    return f"{text.replace('T', ' ')[:16]} UTC" if text else ""


def subject_of(notice: Notice) -> str:
    """One line of at most 78 characters, whatever names it quotes."""
    word = {"resolved": "Resolved", "acknowledged": "Acknowledged"}.get(notice.state)
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


def mail_of(message: Message, address: str) -> EmailMultiAlternatives:
    """The copy for one address. No query."""
    notice = words.clipped(message.notice)
    colour = COLOURS["resolved"] if notice.state == "resolved" else COLOURS.get(notice.severity)
    context = {
        "notice": notice,
        "headline": words.headline(notice),
        "colour": colour or COLOURS["info"],
        "bars": bars_of(notice),
        "limit_height": limit_height(notice),
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
        subject_of(notice), text.strip() + "\n", to=[address], headers=headers_of(message)
    )
    html = render_to_string("alerts/channels/emails/notice.body.html", context)
    mail.attach_alternative(html, "text/html")
    return mail
