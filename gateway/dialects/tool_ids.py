"""Names of tool calls that survive the other wire (pure).

Anthropic takes letters, digits, `_` and `-`; OpenAI at most 40 characters; Kimi wants its own back. Google's signature
of a call (`extra_content`), without which it refuses the next turn, travels inside the name, which all clients keep.
"""

import base64
import hashlib
import re
from typing import Any

import msgspec

_MARK = "__extra__"
_Packed = tuple[str, Any]
_BAD = re.compile(r"[^a-zA-Z0-9_-]")
MAX_OPENAI_ID = 40
MAX_USER = 64
_OPAQUE = re.compile(r"[a-zA-Z0-9_-]{1,256}")


def packed_id(call: dict[str, Any]) -> str:
    """A chat tool call's name for a client of another wire, with what else must come back."""
    name, extra = str(call.get("id") or ""), call.get("extra_content")
    clean = _BAD.sub("_", name)
    if not extra and clean == name:
        return name
    text = base64.urlsafe_b64encode(msgspec.json.encode([name, extra])).rstrip(b"=")
    return f"{clean}{_MARK}{text.decode()}"


def unpacked(name: str) -> tuple[str, Any]:
    """The chat tool call's own name, and the `extra_content` that came with it or None."""
    _, mark, text = name.partition(_MARK)
    if mark:
        try:
            padded = text + "=" * (-len(text) % 4)
            own, extra = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Packed)
        except ValueError:
            return short_id(name), None
        return own, extra
    return short_id(name), None


def short_id(name: str) -> str:
    """The same name for the same call, never longer than OpenAI takes."""
    if len(name) <= MAX_OPENAI_ID:
        return name
    return f"call_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def anthropic_id(name: str) -> str:
    """The same name for the same call in the characters Anthropic takes."""
    return _BAD.sub("_", name) or "call"


def openai_user(user: str) -> str:
    """An end user's name as OpenAI takes it: Claude Code's are longer."""
    return user if len(user) <= MAX_USER else hashlib.sha256(user.encode()).hexdigest()


def anthropic_user(user: str) -> str:
    """An end user's name as Anthropic takes it: opaque, no mail address."""
    return user if _OPAQUE.fullmatch(user) else hashlib.sha256(user.encode()).hexdigest()
