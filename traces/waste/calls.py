"""A call as the detectors see it, and what its prompt is recognised by (pure).

Nothing of a prompt is kept: 16 bytes of a hash of the whole, and of each beginning of it, message by message.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from traces.conversation import unwrapped

# Beginnings of a prompt that are remembered: the first messages hold what repeats.
MAX_PREFIXES = 24
ZERO = Decimal(0)
OUTPUT_CLASSES = frozenset({"output", "reasoning", "output_audio", "output_image"})
INPUT_CLASSES = frozenset(
    {"input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"}
)  # fmt: skip
_encode = msgspec.json.Encoder(order="sorted", enc_hook=str, decimal_format="string").encode


@dataclass(frozen=True)
class Prompt:
    """`prefixes`: (hash, characters up to there) of each beginning, the shortest first; the last is the whole."""

    whole: bytes
    chars: int
    prefixes: tuple[tuple[bytes, int], ...]


@dataclass
class Call:
    """One charged call. `prompt` is None where nothing was captured; `has_output` where that is not known."""

    trace_id: str
    span_id: str
    at: dt.datetime
    provider: str
    model: str
    agent: str
    feature: str
    cost_usd: Decimal | None
    classes: dict[str, tuple[Decimal, Decimal, Decimal]] = field(default_factory=dict)
    is_error: bool = False
    error_type: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    finish_reason: str = ""
    parent_span_id: str = ""
    prompt: Prompt | None = None
    has_output: bool | None = None

    @property
    def place(self) -> tuple[str, str, str, str]:
        return (self.provider, self.model, self.agent, self.feature)

    def cost_of(self, classes: Iterable[str]) -> Decimal:
        """What some token classes of the call cost."""
        return sum((self.classes[name][2] for name in classes if name in self.classes), ZERO)


def read_prompt(content: dict[str, Any]) -> Prompt | None:
    """What a step's stored content says was asked; None when it holds no input."""
    if content.get("input") in (None, "", [], {}):
        return None
    value = unwrapped(content["input"])
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    tools = content.get("tools")
    if tools:
        items = [{"tools": tools}, *items]
    digest, chars = hashlib.blake2b(digest_size=16), 0
    prefixes: list[tuple[bytes, int]] = []
    for item in items:
        text = _encode(item)
        digest.update(len(text).to_bytes(4, "big") + text)
        chars += len(text)
        if len(prefixes) < MAX_PREFIXES:
            prefixes.append((digest.copy().digest(), chars))
    whole = digest.digest()
    if prefixes[-1][0] != whole:
        prefixes.append((whole, chars))
    return Prompt(whole, chars, tuple(prefixes))


def says_anything(content: dict[str, Any]) -> bool | None:
    """Whether the answer holds a word, a tool call or anything else; None when no output was captured."""
    if "output" not in content:
        return None
    return _has_words(content["output"], 0)


# Keys whose values are names and marks, not an answer.
_MUTE = frozenset(
    {
        "role",
        "type",
        "id",
        "finish_reason",
        "stop_reason",
        "index",
        "object",
        "created",
        "model",
        "usage",
    }
)


def _has_words(value: Any, depth: int) -> bool:
    if depth > 20:
        return True
    if isinstance(value, dict):
        kind = str(value.get("type", ""))
        if "tool" in kind or "function" in kind:
            return True
        if kind in ("reasoning", "thinking", "redacted_thinking"):
            return False
        return any(_has_words(one, depth + 1) for key, one in value.items() if key not in _MUTE)
    if isinstance(value, list):
        return any(_has_words(one, depth + 1) for one in value)
    return bool(value.strip()) if isinstance(value, str) else value is not None
