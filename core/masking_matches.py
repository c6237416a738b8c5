"""Where masking rules strike in a text, and the text without what they found."""

import logging
import time
from collections import Counter
from typing import Any, NamedTuple

from core.masking_builtins import Check
from core.masking_spelling import Ruler

logger = logging.getLogger(__name__)


class Rule(NamedTuple):
    """One compiled rule; group 1 is replaced."""

    name: str
    replacement: bytes
    pattern: Any
    check: Check | None = None
    is_own: bool = False


Rules = tuple[Rule, ...]


class Found(NamedTuple):
    """A match: bytes from `start` to `end`."""

    start: int
    end: int
    rule: Rule


def matches_in_both(
    rules: Rules, value: str, folded: bytes, deadline: float
) -> list["Found"] | None:
    """Own patterns see the text as it is, built-in rules as `core.masking_spelling` folds it."""
    own = matches(tuple(rule for rule in rules if rule.is_own), value.encode(), deadline)
    builtin = tuple(rule for rule in rules if not rule.is_own)
    found = None if own is None else matches(builtin, folded, deadline)
    if own is None or found is None:
        return None
    ruler = Ruler(value, folded)
    ends = {at for match in found for at in (match.start, match.end)}
    places = {at: ruler.place(at) for at in sorted(ends)}
    return [Found(places[start], places[end], rule) for start, end, rule in found] + own


def matches(rules: Rules, data: bytes, deadline: float) -> list["Found"] | None:
    """All matches of these rules; None when the upload's time is used up."""
    found: list[Found] = []
    looks = 0
    for rule in rules:
        position = 0
        while (match := rule.pattern.search(data, position)) is not None:
            start, end = match.span(1)
            stop = rule.check(data, start, end) if rule.check else end
            if stop is None:
                position = start + 1
            else:
                found.append(Found(*_whole(data, start, stop), rule))
                position = max(stop, start + 1)
            looks += 1
            # Matches that each look far ahead are dear: the clock is asked often where they are.
            if (rule.is_own or looks % 64 == 0) and time.perf_counter() > deadline:
                logger.warning("core.masking.took_too_long: %s", rule.name)
                return None
    return found


def _whole(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Rules that count bytes may cut through a character: it goes as a whole."""
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end


def replaced(data: bytes, found: list[Found], hits: "Counter[str]") -> bytes:
    """Each run of overlapping matches becomes one replacement: that of the first, of the longer."""
    found.sort(key=lambda match: (match.start, -match.end))
    parts: list[bytes] = []
    position, reach = 0, -1
    for start, end, rule in found:
        if start < reach:
            reach = max(reach, end)
        else:
            if reach >= 0:
                position = reach
            parts += (data[position:start], rule.replacement)
            hits[rule.name] += 1
            reach = end
    parts.append(data[max(reach, 0) :])
    return b"".join(parts)
