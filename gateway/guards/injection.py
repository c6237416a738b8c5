"""Prompt injection by its usual words: heuristics, not proof (pure).

Each rule that strikes a message adds its score once; a message at the threshold or above counts as an attempt. Users'
messages, tool results and documents in them are read, the project's own system prompt is not. Who words it otherwise
gets through: use it to flag, and let what a model may do be limited elsewhere.
"""

from typing import Any, NamedTuple

import re2

from core.masking_spelling import fold

THRESHOLD = 60
MAX_CHARS = 200_000


class Heuristic(NamedTuple):
    name: str
    score: int
    pattern: Any


def _rule(name: str, score: int, pattern: str) -> Heuristic:
    return Heuristic(name, score, re2.compile("(?i)" + pattern))


_WORD = r"(?:[\w,]+\s+){0,4}"
_ORDERS = r"(?:instructions?|prompts?|rules?|directives?|guidelines?|orders?|messages?)"
HEURISTICS = (
    _rule(
        "override",
        60,
        rf"\b(?:ignore|disregard|forget|override|bypass)\s+{_WORD}(?:previous|prior|above|earlier|preceding|"
        rf"system|original|your|all)\s+{_WORD}{_ORDERS}\b",
    ),
    _rule(
        "reveal",
        60,
        r"\b(?:reveal|print|show|repeat|output|leak|display|tell)\s+(?:[\w,]+\s+){0,4}"
        r"(?:system|hidden|initial|original|secret)\s+(?:prompt|instructions?|message|rules)\b",
    ),
    _rule(
        "new_role",
        40,
        r"\b(?:you are now|from now on,? you(?: are| will|'re)|act as|pretend (?:to be|you are))\s+(?:[\w,]+\s+){0,6}"
        r"(?:dan\b|jailbr\w+|unrestricted|unfiltered|developer mode|no (?:rules|restrictions|limits)|"
        r"without (?:any )?(?:rules|restrictions))",
    ),
    _rule("jailbreak", 40, r"\b(?:jailbreak|developer mode (?:enabled|on)|do anything now|god mode)\b"),
    _rule(
        "fake_turn",
        60,
        r"<\|(?:im_start|system|start_header_id)\|>|\[/?INST\]|<</?SYS>>|"
        r"(?:^|\n)\s*#{2,}\s*(?:system|new instructions?)\s*:",
    ),
    _rule(
        "new_orders",
        30,
        rf"\b(?:new|updated|real|actual|important)\s+(?:system\s+)?{_ORDERS}\s*(?:follow|:|are|is)",
    ),
    _rule(
        "secrecy",
        30,
        r"\b(?:do not|don't|never)\s+(?:tell|inform|mention|alert|notify)\s+"
        r"(?:this\s+|it\s+)?(?:to\s+)?(?:the\s+)?(?:user|anyone|human)",
    ),
    _rule(
        "exfiltration",
        40,
        r"\b(?:send|post|forward|upload|exfiltrate|email)\s+(?:[\w,']+\s+){0,6}(?:conversation|history|system prompt|"
        r"credentials|api keys?|passwords?|secrets?|tokens?)\b",
    ),
    _rule("encoded", 30, r"\b(?:decode|decrypt)\s+(?:[\w,']+\s+){0,6}(?:base64|hex|rot13)\b"
        r"(?:.|\n){0,80}\b(?:follow|execute|obey|run)\b"),
)  # fmt: skip
# Characters of the tag block, which show nothing and spell ASCII.
_HIDDEN = Heuristic("hidden_text", 60, re2.compile(r"[\x{E0020}-\x{E007E}]{4}"))


def score(text: str) -> tuple[int, tuple[str, ...]]:
    """The sum of the scores, and the names of the rules that struck."""
    text = text[:MAX_CHARS]
    if not text:
        return 0, ()
    folded = fold(text).encode("utf-8", "replace").decode()
    found = [one for one in (*HEURISTICS, _HIDDEN) if one.pattern.search(folded) is not None]
    return sum(one.score for one in found), tuple(one.name for one in found)
