"""A step's input and output as messages and parts a person can read. Pure; any value gives something readable.

Knows the shapes of the OpenTelemetry GenAI conventions, OpenAI (chat, responses), Anthropic, Gemini and the Vercel AI
SDK; what it does not know is shown as JSON. Blobs have been taken out before (traces.media).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from traces.media import Media, parsed

CUT_AT = 32 * 1024
MAX_ITEMS = 2_000
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal"})
_THINKING_TYPES = frozenset({"reasoning", "thinking", "redacted_thinking"})
_CALL_TYPES = frozenset({"tool_call", "tool_use", "function_call", "server_tool_use", "tool-call"})
_RESULT_TYPES = frozenset(
    {"tool_call_response", "tool_result", "tool_call_output", "function_call_output", "tool-result"}
)
# Items of a conversation that have a type instead of a role (OpenAI's responses).
_TYPED = {
    "function_call": "assistant", "function_call_output": "tool", "reasoning": "assistant", "message": "assistant",
}  # fmt: skip
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
Kind = Literal["text", "thinking", "call", "result", "json", "media"]


@dataclass(frozen=True)
class Part:
    """One piece of a message: `text` for words, `value` for JSON, `media` for blobs (a result may bring some along)."""

    kind: Kind
    text: str = ""
    value: Any = None
    name: str = ""
    id: str = ""
    media: tuple[Media, ...] = ()


@dataclass(frozen=True)
class Message:
    """Who said it, and the pieces."""

    role: str
    words: str
    icon: str
    parts: list[Part] = field(default_factory=list)


def messages_of(value: Any, default_role: str) -> list[Message] | None:
    """`value` as messages, or None when it is no conversation (then it is JSON or text)."""
    value = unwrapped(value)
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) and _is_message(item) for item in items):
        return None
    return [_message(item, default_role) for item in items]


def unwrapped(value: Any) -> Any:
    """The list of messages inside a whole request or answer of a provider; anything else as it is."""
    if not isinstance(value, dict) or "role" in value:
        return value
    if isinstance(choices := value.get("choices"), list) and choices:
        said = [one.get("message") for one in choices if isinstance(one, dict)]
        return said if all(isinstance(one, dict) for one in said) else value
    if isinstance(found := value.get("candidates"), list) and found:
        said = [one.get("content") for one in found if isinstance(one, dict)]
        return said if all(isinstance(one, dict) for one in said) else value
    for key in ("messages", "contents", "input"):
        if isinstance(told := value.get(key), list) and told:
            system = value.get("system") or value.get("instructions")
            system = system or value.get("systemInstruction") or value.get("system_instruction")
            if isinstance(system, dict):
                system = system.get("parts")
            return [{"role": "system", "content": system}, *told] if system else told
    return value


def _is_message(item: dict[str, Any]) -> bool:
    if item.get("type") in _TYPED and "role" not in item:
        return True
    return isinstance(item.get("role"), str) and bool(
        {"content", "parts", "tool_calls", "function_call", "refusal"} & set(item)
    )


def _message(item: dict[str, Any], default_role: str) -> Message:
    typed = str(item.get("type") or "")
    role = str(item.get("role") or _TYPED.get(typed) or default_role)
    words, icon = ROLES.get(role.lower(), (role[:40], "message-square"))
    if typed in _TYPED and typed != "message" and "role" not in item:
        return Message(role, words, icon, [_part(item)])
    parts = _parts(item.get("reasoning_content"), "thinking")
    parts += _parts(item.get("parts")) + _parts(item.get("content")) + _parts(item.get("refusal"))
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        parts += [_call(call) for call in calls]
    if isinstance(item.get("function_call"), dict):
        parts.append(_call(item["function_call"]))
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


def _parts(content: Any, kind: Kind = "text") -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Part(kind, text=content)]
    if not isinstance(content, list):
        return [_part(content)]
    return [_part(item) for item in content]


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return Part("text", text=item)
    if isinstance(item, Media):
        return Part("media", media=(item,))
    if not isinstance(item, dict):
        return Part("json", value=item)
    kind = str(item.get("type") or "")
    said = _first_text(item, "text", "content", "thinking", "reasoning", "refusal", "summary")
    if kind in _THINKING_TYPES or item.get("thought") is True:
        said = said if said is not None else _summary(item)
        return Part("thinking", text=said or "(kept back by the provider)")
    if kind in _CALL_TYPES or "functionCall" in item or "function_call" in item:
        return _call(item)
    if kind in _RESULT_TYPES or "functionResponse" in item or "function_response" in item:
        return _result(item)
    if (kind in _TEXT_TYPES or not kind) and said is not None:
        return Part("text", text=said)
    return Part("json", value=item, name=kind[:40])


def _summary(item: dict[str, Any]) -> str:
    """The summary OpenAI gives of its reasoning: a list of texts."""
    found = item.get("summary") or item.get("content")
    if not isinstance(found, list):
        return ""
    return "\n\n".join(
        one["text"] for one in found if isinstance(one, dict) and isinstance(one.get("text"), str)
    )


def _first_text(item: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := item.get(name), str)), None)


def _call(item: Any) -> Part:
    if not isinstance(item, dict):
        return Part("call", value=item)
    inner = _inside(_inside(_inside(item, "tool_call"), "functionCall"), "function_call")
    function = _inside(inner, "function")
    arguments = next(
        (
            function[name]
            for name in ("arguments", "input", "args", "parameters")
            if name in function
        ),
        None,
    )
    call_id = inner.get("call_id") or inner.get("id") or inner.get("toolCallId") or ""
    return Part(
        "call",
        value=parsed(arguments),
        name=str(function.get("name") or function.get("toolName") or "")[:200],
        id=str(call_id)[:200],
    )


def _inside(item: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under `name`, or `item` itself where the shape is flat."""
    found = item.get(name)
    return found if isinstance(found, dict) else item


def _result(item: dict[str, Any]) -> Part:
    item = _inside(_inside(item, "functionResponse"), "function_response")
    value = next(
        (item[name] for name in ("response", "result", "content", "output") if name in item), None
    )
    call_id = (
        item.get("tool_use_id")
        or item.get("call_id")
        or item.get("toolCallId")
        or item.get("id")
        or ""
    )
    pieces: list[Any] = value if isinstance(value, list) else [value]
    media = tuple(one for one in pieces if isinstance(one, Media))
    pieces = [one for one in pieces if not isinstance(one, Media)]
    if isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("text"), str) for one in pieces
    ):
        value = "\n".join(one["text"] for one in pieces)
    elif media:
        value = pieces or None
    value = parsed(value)
    text = value if isinstance(value, str) else ""
    return Part(
        "result",
        text=text,
        value=None if text else value,
        name=str(item.get("name") or item.get("toolName") or "")[:200],
        id=str(call_id)[:200],
        media=media,
    )


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
