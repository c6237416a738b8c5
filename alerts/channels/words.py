"""Texts of messages (pure): cut to what a receiver takes, escaped, courses drawn with block letters."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from alerts.notices import Notice

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
MOST_BLOCKS = 40
STATE_WORDS = {"acknowledged": "Acknowledged", "resolved": "Resolved"}


def cut(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """`text` without control characters, each letter written by `escape`, in at most `limit` UTF-16 units (what Slack,
    Teams and Discord count); a cut never falls into an escape."""
    parts: list[str] = []
    size = fits = 0
    for sign in text:
        part = escape(sign if sign.isprintable() or sign == "\n" else " ")
        size += _units(part)
        if size > limit:
            return "".join(parts[:fits]) + "…"
        parts.append(part)
        if size < limit:
            fits = len(parts)
    return "".join(parts)


def _units(text: str) -> int:
    return sum(2 if ord(sign) > 0xFFFF else 1 for sign in text)


def one_line(text: str, limit: int) -> str:
    """For subjects and summaries: every kind of blank, line ends among them, is one space."""
    return cut(" ".join(text.split()), limit)


def sparkline(points: Sequence[tuple[str, str | None]]) -> str:
    """The last of a course as block letters from zero up; a gap where nothing is known."""
    values = [number(value) for _, value in points[-MOST_BLOCKS:]]
    known = [value for value in values if value is not None]
    top = max(known, default=Decimal(0))
    if len(known) < 2 or top <= 0:
        return ""
    return "".join(
        GAP
        if value is None
        else BLOCKS[min(len(BLOCKS) - 1, int(max(value, Decimal(0)) / top * len(BLOCKS)))]
        for value in values
    )


def number(text: str | None) -> Decimal | None:
    """A figure of a notice; None when it is not there or no number."""
    try:
        value = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    return value if value is None or value.is_finite() else None


def clipped(notice: Notice) -> Notice:
    """The notice with every text and list within what somebody reads."""
    return replace(
        notice,
        title=one_line(notice.title, 300),
        words=cut(notice.words, 4_000),
        note=cut(notice.note, 4_000),
        organization=one_line(notice.organization, 200),
        project=one_line(notice.project, 200),
        rows=[(one_line(label, 100), one_line(told, 500)) for label, told in notice.rows[:40]],
        causes=[
            (one_line(name, 60), one_line(value, 200), one_line(told, 300))
            for name, value, told in notice.causes[:20]
        ],
        items=[
            (one_line(title, 200), one_line(told, 500), url)
            for title, told, url in notice.items[:100]
        ],
        links=[(one_line(label, 80), url) for label, url in notice.links[:10]],
    )


def footer(notice: Notice) -> str:
    """Whose message it is, and when."""
    at = notice.at.replace("T", " ")[:16]
    parts = ["LLMLab", notice.organization, notice.project, f"{at} UTC" if at else ""]
    return " · ".join(part for part in parts if part)


def state_word(notice: Notice) -> str:
    """Where the alert stands; empty while it fires, which the message itself says."""
    return STATE_WORDS.get(notice.state, "")


def headline(notice: Notice) -> str:
    """The title with where the alert stands, for receivers that show one line."""
    word = state_word(notice)
    return f"{word}: {notice.title}" if word else notice.title
