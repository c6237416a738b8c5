"""Which parts of a text are plain prose, and prose without the white space that says nothing (pure).

A text is cut at its blank lines. A paragraph counts as prose only where nothing in it, and nothing that begins before
it and ends after it, could be code, JSON, XML, a table or a quote; everything else is kept as it is, byte for byte.
"""

import re
from typing import NamedTuple

# A fence of a code block; its end must be at least as long and of the same sign.
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_TAG = re.compile(r"<[A-Za-z/!?]")
_OPENS = re.compile(r"<[A-Za-z!?]")
_CLOSES = re.compile(r"</[A-Za-z]|<[A-Za-z!?][^<>]*[/?-]>")
_PAIRS = ("«»", "‹›", "「」", "『』", "《》", "〈〉")
_QUOTES = '"“”„〝〞〟＂`' + "".join(_PAIRS)
# A single quote that opens or closes something; an apostrophe stands between two letters or after one.
_SINGLE = re.compile(r"(?<!\w)['‘‚’]")
# Indented lines are code or nested lists, tabs are columns.
_INDENTED = re.compile(r"(?m)^(?: {2,}|\t)|\t")
_MARKED = re.compile(
    r"(?m)[|=;\\$<>{}\[\]]|\w\(|::|->|//(?!\S)|^\s*#\w|^\s*(?:def|class|import|from|return)\s"
)
# Two blanks behind the end of a sentence are a typist's habit; elsewhere in two lines they are columns.
_COLUMN = re.compile(r"(?<=[^\s.!?:;,])[ \u00a0]{2,}(?=\S)")
_RUN = re.compile(r"(?<=\S) {2,}(?=\S)")
_TRAILING = re.compile(r"(?m)(?<=\S) +$")


class Part(NamedTuple):
    """A paragraph with the line ends that follow it."""

    text: str
    gap: str
    is_prose: bool


def parts_of(text: str, region: "Region | None" = None) -> list[Part]:
    """The text's paragraphs; joined, text by text and gap by gap, they are the text. `region`: what texts before it in
    the same message left open."""
    found = []
    region = region or Region()
    for lines, gap in _paragraphs(text):
        found.append(Part(lines, gap, not region.holds(lines)))
    return found


def joined(parts: list[Part]) -> str:
    return "".join(part.text + part.gap for part in parts)


def without_blanks(parts: list[Part]) -> list[Part]:
    """Runs of blanks in prose, and runs of blank lines between prose, cut to one."""
    parts = list(parts)
    for place, part in enumerate(parts):
        follows = parts[place + 1] if place + 1 < len(parts) else None
        if not part.is_prose:
            continue
        shown = _TRAILING.sub("", _RUN.sub(" ", part.text))
        gap = part.gap
        if follows is not None and follows.is_prose and gap.count("\n") > 2 and "\r" not in gap:
            gap = "\n\n"
        parts[place] = Part(shown, gap, True)
    return parts


def _paragraphs(text: str) -> list[tuple[str, str]]:
    """Runs of lines that are not blank, each with the blank lines behind it."""
    found: list[tuple[str, str]] = []
    lines: list[str] = []
    gap: list[str] = []
    for line in text.splitlines(keepends=True):
        if not line.strip():
            gap.append(line)
            continue
        if gap:
            found.append(_split(lines, gap))
            lines, gap = [], []
        lines.append(line)
    if lines or gap:
        found.append(_split(lines, gap))
    return found


def _split(lines: list[str], gap: list[str]) -> tuple[str, str]:
    """The last line's end belongs to the gap."""
    body = "".join(lines)
    bare = body.rstrip("\r\n")
    return bare, body[len(bare) :] + "".join(gap)


class Region:
    """What began in an earlier paragraph and has not ended. Where that is in doubt, it never ends."""

    def __init__(self) -> None:
        self._fence = ""
        self._depth = {"{}": 0, "[]": 0}
        self._tags = 0
        self._is_lost = False

    def holds(self, text: str) -> bool:
        """Whether this paragraph, the next one, must stay as it is."""
        if self._is_lost:
            return True
        was_open = self._tags > 0 or any(self._depth.values())
        has_fence = self._read_fences(text)
        if has_fence or self._fence:
            return True
        is_kept = was_open
        if any(sign in text for sign in _QUOTES) or _SINGLE.search(text):
            is_kept = True
            # A quote that does not end where it began may end anywhere.
            self._is_lost = self._is_lost or not _is_even(text)
        if _TAG.search(text):
            is_kept = True
            self._tags += len(_OPENS.findall(text)) - len(_CLOSES.findall(text))
            self._is_lost = self._is_lost or self._tags < 0
        for pair in self._depth:
            self._depth[pair] += text.count(pair[0]) - text.count(pair[1])
            self._is_lost = self._is_lost or self._depth[pair] < 0
        return is_kept or _looks_set(text)

    def _read_fences(self, text: str) -> bool:
        has_any = False
        for line in text.splitlines():
            match = _FENCE.match(line)
            if match is None:
                continue
            has_any = True
            mark = match[1]
            if not self._fence:
                self._fence = mark
            elif mark[0] == self._fence[0] and len(mark) >= len(self._fence):
                self._fence = ""
        return has_any


def _is_even(text: str) -> bool:
    return (
        text.count('"') % 2 == 0
        and text.count("`") % 2 == 0
        and text.count("“") + text.count("„") == text.count("”")
        and all(text.count(pair[0]) == text.count(pair[1]) for pair in _PAIRS)
        and not any(sign in text for sign in "〝〞〟＂")
        and not _SINGLE.search(text)
    )


def _looks_set(text: str) -> bool:
    """Whether the lines are set by hand: code, columns, a list with an indent."""
    if _INDENTED.search(text) or _MARKED.search(text) or text.lstrip().startswith(">"):
        return True
    return sum(1 for line in text.splitlines() if _COLUMN.search(line)) > 1
