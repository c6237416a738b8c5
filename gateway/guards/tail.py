"""One text of a stream, let through as far as nothing in it can still turn out to be something (pure)."""

import re

import msgspec

from gateway.guards.finding import FENCE, Look, Span, spans
from gateway.structs import GuardRule

# Held back: what a check looks for may begin in one piece and end in the next. Longer matches are found where they are
# one word, a private key, or end within it.
TAIL = 200
CONTEXT = 256
# A word without a blank is held back whole up to this; what is longer is data nobody reads as words.
LONGEST_WORD = 8_192
LONGEST_KEY = 16_384
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN", re.compile(r"-----END [A-Z ]{0,60}-----")
_IN_WORDS = frozenset("_-./+=~@%&#;:!$*?^{|}'")


class Tail:
    """`push` gives what may go out now; `names` is what was found so far in text that masks or blocks."""

    def __init__(
        self, rules: tuple[GuardRule, ...], looks: dict[GuardRule, Look], *, is_json: bool
    ) -> None:
        self._rules = rules
        self._looks = looks
        self._raw = ""
        self._sent = 0
        # JSON is let through when it is whole: replaced in pieces it might not be JSON any more.
        self._is_json: bool | None = True if is_json else None
        # A tool's arguments are whole before their text ends: servers that number no calls send the next one after.
        self._is_arguments = is_json
        self._depth = 0
        self.found: set[GuardRule] = set()

    def push(self, text: str, *, is_last: bool) -> str:
        """The next piece; what goes out for it."""
        self._raw += text
        if self._is_json is None and (begins := self._raw.lstrip()):
            if len(begins) < len(FENCE) and FENCE.startswith(begins) and not is_last:
                return ""
            self._is_json = begins[0] in "{[" or begins.startswith(FENCE)
        if not is_last and (self._is_json is None or (self._is_json and not self._has_all(text))):
            return ""
        return self._whole() if self._is_json else self._piece(is_last=is_last)

    def _has_all(self, text: str) -> bool:
        """Whether a tool's arguments have come to their end with this piece of them."""
        if not self._is_arguments:
            return False
        self._depth += text.count("{") - text.count("}")
        if self._depth or "}" not in text or not self._raw.rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode(self._raw)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False
        return True

    def _whole(self) -> str:
        text, self._raw = self._raw, ""
        for rule in self._rules:
            look = self._looks[rule]
            masked = look.text(text)
            if masked != text:
                self.found.add(rule)
                text = masked
        return text

    def _piece(self, *, is_last: bool) -> str:
        raw, found = self._raw, self._find()
        cut = len(raw) if is_last else self._cut(found)
        out: list[str] = []
        position = self._sent
        for start, end, replacement, _name in found:
            if end <= self._sent or start >= cut:
                continue
            out += (raw[position : max(start, position)], replacement)
            position = max(position, end)
        out.append(raw[position:cut])
        drop = max(0, cut - CONTEXT)
        self._raw, self._sent = raw[drop:], cut - drop
        return "".join(out)

    def _find(self) -> list[Span]:
        """What all rules find in what is known, what overlaps joined."""
        every: list[Span] = []
        for rule in self._rules:
            hits = spans(self._looks[rule].rules, self._raw)
            if hits is None:
                hits = [Span(self._sent, len(self._raw), "[masking took too long]", "time")]
            hits = [hit for hit in hits if hit.end > self._sent]
            if hits:
                self.found.add(rule)
                self._looks[rule].hits.update(hit.name for hit in hits)
            every += hits
        joined: list[Span] = []
        for hit in sorted(every, key=lambda one: (one.start, -one.end)):
            if joined and hit.start < joined[-1].end:
                joined[-1] = joined[-1]._replace(end=max(hit.end, joined[-1].end))
            else:
                joined.append(hit)
        return joined

    def _cut(self, found: list[Span]) -> int:
        """How far the text may go out: not into a match, nor into what may grow to be one."""
        raw, end = self._raw, len(self._raw)
        cut = end - TAIL
        if cut <= self._sent:
            return self._sent
        least = max(self._sent, end - LONGEST_WORD)
        place = cut
        while place > least and _in_word(raw[place - 1]) and _in_word(raw[place]):
            place -= 1
        if place > least or least == self._sent:
            cut = place
        key = raw.rfind(_KEY_BEGINS, self._sent)
        if key >= 0 and not _KEY_ENDS.search(raw, key) and end - key < LONGEST_KEY:
            cut = min(cut, key)
        for hit in reversed(found):
            if hit.start < cut < hit.end or (hit.end == end and hit.start < cut):
                cut = hit.start
        return max(self._sent, cut)


def _in_word(sign: str) -> bool:
    """Whether it may be in the middle of an address or a key. Scripts that write no blanks have no such words."""
    return sign in _IN_WORDS or (sign.isalnum() and ord(sign) < 0x2E80)
