"""A step's input and output as messages and parts a person can read. Pure; any value gives something readable.

Knows the shapes of the OpenTelemetry GenAI conventions, OpenAI and Anthropic; what it does not know is shown as JSON.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

CUT_AT = 32 * 1024
MAX_ITEMS = 2_000
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal"})
_THINKING_TYPES = frozenset({"reasoning", "thinking", "redacted_thinking"})
_CALL_TYPES = frozenset({"tool_call", "tool_use", "function_call", "server_tool_use"})
_RESULT_TYPES = frozenset(
    {"tool_call_response", "tool_result", "tool_call_output", "function_call_output"}
)
ROLES = {
    # role: (words, icon)
    "system": ("System", "settings"),
    "developer": ("Developer", "settings"),
    "user": ("User", "user"),
    "assistant": ("Assistant", "brain"),
    "model": ("Assistant", "brain"),
    "tool": ("Tool result", "corner-up-left"),
    "function": ("Tool result", "corner-up-left"),
}
Kind = Literal["text", "thinking", "call", "result", "json"]


@dataclass(frozen=True)
class Part:
    """One piece of a message: `text` for words, `value` for JSON."""

    kind: Kind
    text: str = ""
    value: Any = None
    name: str = ""
    id: str = ""


@dataclass(frozen=True)
class Message:
    """Who said it, and the pieces."""

    role: str
    words: str
    icon: str
    parts: list[Part] = field(default_factory=list)


def messages_of(value: Any, default_role: str) -> list[Message] | None:
    """`value` as messages, or None when it is no conversation (then it is JSON or text)."""
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) and _is_message(item) for item in items):
        return None
    return [_message(item, default_role) for item in items]


def _is_message(item: dict[str, Any]) -> bool:
    return isinstance(item.get("role"), str) and bool(
        {"content", "parts", "tool_calls"} & set(item)
    )


def _message(item: dict[str, Any], default_role: str) -> Message:
    role = str(item.get("role") or default_role)
    words, icon = ROLES.get(role.lower(), (role[:40], "message-square"))
    parts = _parts(item.get("parts")) + _parts(item.get("content"))
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        parts += [_call(call) for call in calls]
    if role.lower() in ("tool", "function"):
        name = str(item.get("name") or "")
        call_id = str(item.get("tool_call_id") or "")
        parts = [_as_result(part, name, call_id) for part in parts]
    return Message(role, words, icon, parts)


def _as_result(part: Part, name: str, call_id: str) -> Part:
    if part.kind != "text":
        return part
    value = parsed(part.text)
    text = "" if isinstance(value, dict | list) else part.text
    return Part("result", text=text, value=value if not text else None, name=name, id=call_id)


def _parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Part("text", text=content)]
    if not isinstance(content, list):
        return [_part(content)]
    return [_part(item) for item in content]


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return Part("text", text=item)
    if not isinstance(item, dict):
        return Part("json", value=item)
    kind = str(item.get("type") or "")
    said = _first_text(item, "text", "content", "thinking", "reasoning", "refusal", "summary")
    if kind in _THINKING_TYPES and said is not None:
        return Part("thinking", text=said)
    if kind in _CALL_TYPES:
        return _call(item)
    if kind in _RESULT_TYPES:
        return _result(item)
    if (kind in _TEXT_TYPES or not kind) and said is not None:
        return Part("text", text=said)
    return Part("json", value=item, name=kind[:40])


def _first_text(item: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := item.get(name), str)), None)


def _call(item: Any) -> Part:
    if not isinstance(item, dict):
        return Part("call", value=item)
    inner = _inside(item, "tool_call")
    function = _inside(inner, "function")
    arguments = next(
        (
            function[name]
            for name in ("arguments", "input", "args", "parameters")
            if name in function
        ),
        None,
    )
    call_id = inner.get("id") or inner.get("call_id") or ""
    return Part(
        "call",
        value=parsed(arguments),
        name=str(function.get("name") or "")[:200],
        id=str(call_id)[:200],
    )


def _inside(item: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under `name`, or `item` itself where the shape is flat."""
    found = item.get(name)
    return found if isinstance(found, dict) else item


def _result(item: dict[str, Any]) -> Part:
    value = next(
        (item[name] for name in ("response", "result", "content", "output") if name in item), None
    )
    call_id = item.get("id") or item.get("tool_use_id") or item.get("call_id") or ""
    if isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("text"), str) for one in value
    ):
        value = "\n".join(one["text"] for one in value)
    value = parsed(value)
    text = value if isinstance(value, str) else ""
    return Part(
        "result",
        text=text,
        value=None if text else value,
        name=str(item.get("name") or "")[:200],
        id=str(call_id)[:200],
    )


def parsed(value: Any) -> Any:
    """JSON text of an object or a list as that; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "[") and len(value) <= 1_000_000:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def cut(value: Any, budget: int = CUT_AT) -> tuple[Any, bool]:
    """`value` with its text shortened to about `budget` characters in all; whether anything was cut."""
    purse = _Purse(budget)
    return purse.spend(value), purse.is_short


class _Purse:
    def __init__(self, budget: int) -> None:
        self.left = budget
        self.items = MAX_ITEMS
        self.is_short = False

    def spend(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > self.left:
                self.is_short = True
                value = value[: max(self.left, 0)] + "…"
            self.left -= len(value)
            return value
        if isinstance(value, dict):
            return {key: self.spend(item) for key, item in value.items() if self._has_room()}
        if isinstance(value, list):
            return [self.spend(item) for item in value if self._has_room()]
        self.left -= 8
        return value

    def _has_room(self) -> bool:
        self.items -= 1
        if self.left > 0 and self.items > 0:
            return True
        self.is_short = True
        return False
