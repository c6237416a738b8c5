"""What a check finds in a text: personal data, secrets and banned patterns, by the rules of `core.masking` (pure)."""

import re
import time
from functools import lru_cache
from typing import NamedTuple

from core.masking import Masker, Rules, rules_of
from core.masking_builtins import BY_NAME
from core.masking_matches import matches, matches_in_both
from core.masking_spelling import fold
from gateway.structs import GuardRule

_KEYS = "api_key"
PERSONAL = tuple(name for name in BY_NAME if name != _KEYS)
LOOKS = ("pii", "secrets", "patterns")
BANNED = "[removed]"
FENCE = "```json"
_FENCED = re.compile(r"(?<=```json\n)(.*?)(?=\n```)", re.DOTALL)
# Of one request or answer. What takes longer is treated as if something had been found.
BUDGET_S = 1.0


class Span(NamedTuple):
    """Characters `start` to `end` of a text, and what is to stand there."""

    start: int
    end: int
    replacement: str
    name: str


@lru_cache(maxsize=1024)
def detectors(rule: GuardRule) -> Rules:
    """The compiled rules of a check. Raises MaskingError for patterns that cannot be used."""
    if rule.kind == "secrets":
        return rules_of({"builtin": [_KEYS]})
    if rule.kind == "pii":
        return rules_of({"builtin": list(rule.names or PERSONAL)})
    patterns = [
        {"name": f"pattern {place}", "pattern": pattern, "replacement": BANNED}
        for place, pattern in enumerate(dict.fromkeys(rule.patterns), 1)
    ]
    return rules_of({"patterns": patterns})


class Look(Masker):
    """Masks with a check's rules; `has_found` also when time ran out, since then nothing is known."""

    def __init__(self, rule: GuardRule) -> None:
        super().__init__(detectors(rule), budget=BUDGET_S)
        self.has_found = False

    def text(self, value: str) -> str:
        """`value` with every match replaced; JSON stays JSON, also between fences."""
        if FENCE not in value:
            return super().text(value)
        parts = _FENCED.split(value)
        return "".join(super(Look, self).text(part) for part in parts)

    def _plain(self, value: str) -> str:
        masked = super()._plain(value)
        if masked is not value and masked != value:
            self.has_found = True
        return masked

    @property
    def names(self) -> str:
        """What was found, never the text itself."""
        return ", ".join(sorted(self.hits))


def spans(rules: Rules, text: str) -> list[Span] | None:
    """Where the rules strike, in order, what overlaps joined; None when it took too long."""
    deadline = time.perf_counter() + BUDGET_S
    data = text.encode("utf-8", "replace")
    if len(data) == len(text):
        found = matches(rules, data, deadline)
    else:
        text = data.decode()
        found = matches_in_both(rules, text, fold(text).encode(), deadline)
    if found is None:
        return None
    joined: list[Span] = []
    for start, end, rule in sorted(found, key=lambda one: (one.start, -one.end)):
        if len(data) != len(text):
            start, end = len(data[:start].decode()), len(data[:end].decode())
        if joined and start < joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(end, joined[-1].end))
        else:
            joined.append(Span(start, end, rule.replacement.decode(), rule.name))
    return joined
