"""A recorded step as a request of the playground: its messages, tools and parameters in Chat Completions' words (pure).

Whatever wire or program it came from, `traces.conversation` reads it; what has no word there stays as JSON in the
message's other fields, so that nothing is lost on the way.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from traces.conversation import Message, Part, messages_of

# More than this is no text to edit by hand.
MAX_CHARS = 1_000_000
MAX_MESSAGES = 200
_ROLES = {"model": "assistant", "function": "tool"}
ROLES = ("user", "assistant", "tool", "system", "developer")
# How a request is sent, not what it asks for.
_NO_PARAMETERS = frozenset({"stream_options", "n", "user", "store", "metadata"})


@dataclass
class Line:
    """A message of the form: text, and its other fields as JSON text."""

    role: str = "user"
    text: str = ""
    more: str = ""


@dataclass
class Opened:
    """What the form begins with beside models and numbers; `note` says why something is missing."""

    model: str = ""
    system: str = ""
    lines: list[Line] = field(default_factory=lambda: [Line()])
    tools: str = ""
    schema: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def other(self) -> str:
        return _json(self.parameters) if self.parameters else ""


def opened_of(content: dict[str, Any], *, model: str) -> Opened:
    """From a step's content (traces.payloads)."""
    made = Opened(model=model)
    said = content.get("input")
    if said in (None, "", [], {}):
        made.note = "What was said in this step was not kept, or has expired: only its model and parameters are here."
    elif len(_json(said)) > MAX_CHARS:
        made.note = "What was said in this step is too long to edit here: only its model and parameters are here."
    else:
        _take_messages(made, said)
    tools = _tools(content.get("tools"))
    made.tools = _json(tools) if tools else ""
    given = content.get("parameters")
    given = given if isinstance(given, dict) else {}
    made.parameters = {
        name: value
        for name, value in given.items()
        if name not in _NO_PARAMETERS and value not in (None, "")
    }
    _take_schema(made)
    return made


def _take_messages(made: Opened, said: Any) -> None:
    found = messages_of(said, "user")
    if found is None:
        made.lines = [Line(text=said if isinstance(said, str) else _json(said))]
        return
    lines = [line for message in found for line in _lines(message)]
    if len(lines) > MAX_MESSAGES:
        made.note = (
            f"This conversation has {len(lines)} messages; the last {MAX_MESSAGES} are here."
        )
        lines = lines[-MAX_MESSAGES:]
    if lines and lines[0].role in ("system", "developer") and not lines[0].more:
        made.system = lines.pop(0).text
    made.lines = lines or [Line()]


def _lines(message: Message) -> list[Line]:
    """One message, or one per tool's result that it carries."""
    role = _ROLES.get(message.role.lower(), message.role.lower())
    role = role if role in ROLES else "user"
    results = [part for part in message.parts if part.kind == "result"]
    rest = [part for part in message.parts if part.kind not in ("result", "thinking")]
    lines = [
        Line("tool", one.text or _json(one.value), _json({"tool_call_id": one.id}))
        for one in results
    ]
    if rest or not (results or message.parts):
        lines.append(_line("user" if role == "tool" else role, rest))
    return lines


def _line(role: str, parts: list[Part]) -> Line:
    calls = [_call(part, place) for place, part in enumerate(parts) if part.kind == "call"]
    said = [part for part in parts if part.kind != "call"]
    more: dict[str, Any] = {"tool_calls": calls} if calls else {}
    if all(part.kind == "text" for part in said):
        return Line(role, "\n".join(part.text for part in said), _json(more) if more else "")
    more["content"] = [
        {"type": "text", "text": part.text} if part.kind == "text" else _content(part.value)
        for part in said
    ]
    return Line(role, "", _json(more))


def _call(part: Part, place: int) -> dict[str, Any]:
    arguments = part.value if isinstance(part.value, str) else json.dumps(part.value or {})
    function = {"name": part.name, "arguments": arguments}
    return {"id": part.id or f"call_{place}", "type": "function", "function": function}


def _content(value: Any) -> Any:
    """A part that is no text. Anthropic's images are said in OpenAI's words; others stay as they are."""
    source = value.get("source") if isinstance(value, dict) else None
    if isinstance(value, dict) and value.get("type") == "image" and isinstance(source, dict):
        url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": url}}
    return value


def _tools(given: Any) -> list[Any]:
    """In Chat Completions' shape, whichever of the usual ones they came in."""
    if not isinstance(given, list):
        return []
    found: list[Any] = []
    for one in given:
        if not isinstance(one, dict) or isinstance(one.get("function"), dict):
            found.append(one)
            continue
        schema = next((one[n] for n in ("parameters", "input_schema") if one.get(n)), None)
        function = {"name": one.get("name"), "description": one.get("description")}
        function = {key: value for key, value in function.items() if value}
        if schema is not None:
            function["parameters"] = schema
        found.append({"type": "function", "function": function} if function.get("name") else one)
    return found


def _take_schema(made: Opened) -> None:
    form = made.parameters.get("response_format")
    inner = form.get("json_schema") if isinstance(form, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("schema"), dict):
        made.schema = _json(inner["schema"])
        made.parameters.pop("response_format")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
