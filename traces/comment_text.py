"""Comments as people read them: text as written, addresses and mentions made clickable or marked; nothing else is HTML.

Pure: no database. Only http and https become links, so no `javascript:` can hide in a comment.
"""

import re
from collections.abc import Container, Iterable, Sequence
from typing import Protocol, TypeVar

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

_TOKENS = re.compile(
    r"\[(?P<words>[^\[\]\n]{1,200})\]\((?P<target>https?://[^\s()<>\"']{1,1000})\)"
    r"|(?P<url>https?://[^\s<>\"']{1,1000})"
    r"|(?<![\w@.])@(?P<handle>[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}(?:@[A-Za-z0-9.-]{1,190}[A-Za-z0-9])?)"
    r"|`(?P<code>[^`\n]{1,500})`"
)
_TRAILING = ".,;:!?)]}'"


class HasEmail(Protocol):
    """Anybody who can be mentioned."""

    @property
    def email(self) -> str: ...


P = TypeVar("P", bound=HasEmail)


def handles_of(people: Iterable[P]) -> dict[str, P]:
    """What to write after @ for each: the address up to its @, or all of it where two would share that."""
    listed = list(people)
    short = [person.email.partition("@")[0].lower() for person in listed]
    return {
        (name if short.count(name) == 1 else person.email.lower()): person
        for name, person in zip(short, listed, strict=True)
    }


def mentioned(text: str, handles: dict[str, P]) -> list[P]:
    """Who is mentioned, each once, in the order of the text; a whole address is understood, too."""
    by_email = {person.email.lower(): person for person in handles.values()}
    found: list[P] = []
    for match in _TOKENS.finditer(text):
        handle = (match["handle"] or "").lower().rstrip(_TRAILING + "-_")
        person = handles.get(handle) or by_email.get(handle)
        if person is not None and person not in found:
            found.append(person)
    return found


def render_comment(text: str, handles: Container[str] = ()) -> SafeString:
    """Escaped text with links, marked mentions of known `handles`, and `code`."""
    parts: list[SafeString | str] = []
    at = 0
    for match in _TOKENS.finditer(text):
        parts.append(escape(text[at : match.start()]))
        parts.extend(_token(match, handles))
        at = match.end()
    parts.append(escape(text[at:]))
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped


def _token(match: re.Match[str], handles: Container[str]) -> Sequence[SafeString | str]:
    if match["words"]:
        return [_link(match["target"], match["words"])]
    if match["url"]:
        url = match["url"].rstrip(_TRAILING)
        return [_link(url, url), escape(match["url"][len(url) :])]
    if match["code"]:
        return [format_html('<code class="mono">{}</code>', match["code"])]
    handle = match["handle"].rstrip(_TRAILING + "-_")
    if handle.lower() in handles:
        rest = escape(match["handle"][len(handle) :])
        return [format_html('<b class="mention">@{}</b>', handle), rest]
    return [escape(match[0])]


def _link(url: str, words: str) -> SafeString:
    return format_html(
        '<a class="link" href="{}" rel="nofollow noopener noreferrer" target="_blank">{}</a>',
        url,
        words,
    )
