"""A notice in the little markdown that Teams and Discord draw (pure); user data in it is text and nothing else."""

import re

from alerts.channels import words
from alerts.notices import Notice

# Inside what would be a mention, a link or a tag: nobody sees it, nothing is parsed.
BREAK = "\u200b"
_SIGNS = re.compile(r"([\\`*_~|#>\[\]()])")


def plain(text: str, limit: int) -> str:
    """`text` that mentions nobody, links nowhere and is not formatted."""
    cut = words.cut(text, limit)
    cut = cut.replace("@", f"@{BREAK}").replace("<", f"<{BREAK}")
    return _SIGNS.sub(r"\\\1", cut)


def link(label: str, url: str) -> str:
    place = url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
    return f"[{plain(' '.join(label.split()), 80)}]({place})"


def body_of(notice: Notice, limit: int) -> str:
    """Words, figures, course, causes, what to do and links, the last ones first to stay."""
    links = " · ".join(link(label, url) for label, url in notice.links[:4] if len(url) < 500)
    parts = [plain(notice.words, 1_200)]
    if notice.rows:
        parts.append(
            "\n".join(
                f"- {plain(label, 80)}: **{plain(figure, 200)}**"
                for label, figure in notice.rows[:10]
            )
        )
    if line := words.sparkline(notice.points):
        parts.append(f"`{line}`")
    if notice.causes:
        lines = [
            f"- {plain(name, 40)} **{plain(value, 80)}** {plain(told, 120)}"
            for name, value, told in notice.causes[:5]
        ]
        parts.append("\n".join(["Top causes", *lines]))
    if notice.items:
        lines = [
            f"- {link(title, url) if url else plain(title, 80)} {plain(told, 100)}"
            for title, told, url in notice.items[:10]
            if len(url) < 300
        ]
        more = len(notice.items) - len(lines)
        parts.append("\n".join([*lines, f"and {more} more"] if more else lines))
    if notice.note:
        parts.append(f"What to do: {plain(notice.note, 600)}")
    foot = [part for part in (links, plain(words.footer(notice), 200)) if part]
    return _joined(parts, foot, limit)


def _joined(parts: list[str], foot: list[str], limit: int) -> str:
    """Whole parts only, so that nothing is cut within an escape or a link; the foot always fits."""
    room = limit - sum(len(part.encode("utf-16-le")) // 2 + 2 for part in foot)
    kept = []
    for part in parts:
        size = len(part.encode("utf-16-le")) // 2 + 2
        if size > room:
            continue
        room -= size
        kept.append(part)
    return "\n\n".join([*kept, *foot])
