"""Values that dialects carry as JSON text, and conversations in the shapes SDKs keep them. Not a dialect."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from traces.ingest.messages import message, parse_clean
from traces.ingest.sanitize import Cleaner

_decoder = msgspec.json.Decoder()
_MAX_SCALAR = 100_000


def json_value(value: Any, cleaner: Cleaner) -> Any:
    """`value` out of its JSON text, whatever kind it is: `'"LLM"'`, `'5'`, `'{…}'`. Other text stays as it is."""
    if type(value) is not str or not value:
        return value
    if value[0] in "[{":
        return parse_clean(value, cleaner)
    if len(value) > _MAX_SCALAR and value[0] != '"':
        return value
    try:
        return cleaner.value(_decoder.decode(value))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return value


def taken(attributes: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The attributes that begin with `prefix`, taken out, under the rest of their names."""
    cut = len(prefix)
    return {
        key[cut:]: attributes.pop(key) for key in [k for k in attributes if k.startswith(prefix)]
    }


def as_mapping(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def as_list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def moment_of(value: Any) -> datetime | None:
    """An ISO time with its zone, as an aware UTC time; None for anything else."""
    if type(value) is not str or not 10 <= len(value) <= 40:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def milliseconds(value: Any, *, per_unit: float = 1.0) -> float | None:
    """A duration below a day, or None."""
    if type(value) is str:
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if type(value) not in (int, float):
        return None
    # Huge integers do not fit a float: compare first.
    return float(value * per_unit) if 0 <= value < 86_400_000 / per_unit else None


def chat_messages(value: Any, role: str, cleaner: Cleaner) -> Any:
    """A list of chat messages in OpenAI's shape as GenAI messages; anything else as it is."""
    items = as_list(value)
    if not items or not all(type(item) is dict and "role" in item for item in items):
        return value
    return [chat_message(item, role, cleaner) for item in items]


def chat_message(item: dict[str, Any], role: str, cleaner: Cleaner) -> dict[str, Any]:
    """One chat message; content parts in OpenAI's, Anthropic's and Vercel's words get GenAI's."""
    if type(item.get("parts")) is list:
        return item
    content = item.get("content")
    if type(content) is list:
        content = [part_of(part, cleaner) for part in content]
    calls = item.get("tool_calls")
    return message(
        item.get("role") or role,
        content,
        calls,
        cleaner,
        name=item.get("name"),
        tool_call_id=item.get("tool_call_id"),
        finish_reason=item.get("finish_reason"),
    )


def part_of(part: Any, cleaner: Cleaner) -> Any:
    """One piece of a message in GenAI's words."""
    if type(part) is not dict:
        return {"type": "text", "content": part}
    kind = part.get("type")
    if kind in ("text", "input_text", "output_text"):
        return {"type": "text", "content": part.get("text", part.get("content"))}
    if kind in ("reasoning", "thinking"):
        text = part.get("text", part.get("thinking", part.get("content")))
        return {"type": "reasoning", "content": text}
    if kind in ("tool-call", "tool_use"):
        arguments = part.get("input", part.get("args"))
        return _called(
            part, part.get("toolName", part.get("name")), parse_clean(arguments, cleaner)
        )
    if kind in ("tool-result", "tool_result"):
        said = part.get("output", part.get("result", part.get("content")))
        found = {"type": "tool_call_response", "response": said}
        return found | {"id": part.get("toolCallId", part.get("tool_use_id"))}
    if kind == "image_url":
        url = part.get("image_url")
        return {"type": "image", "uri": url.get("url") if type(url) is dict else url}
    return part


def _called(part: dict[str, Any], name: Any, arguments: Any) -> dict[str, Any]:
    made = {"type": "tool_call", "id": part.get("toolCallId", part.get("id")), "name": name}
    return made | {"arguments": arguments}


def answer_messages(answer: dict[str, Any], cleaner: Cleaner) -> Any:
    """What an OpenAI chat completion or an Anthropic message says, as GenAI messages; None when it is neither."""
    choices = as_list(answer.get("choices"))
    found = []
    for choice in choices:
        said = as_mapping(choice).get("message")
        if type(said) is dict:
            more = {"finish_reason": choice.get("finish_reason")}
            found.append(chat_message({**said, **more}, "assistant", cleaner))
    if found:
        return found
    if answer.get("role") == "assistant" and "content" in answer:
        return [chat_message(answer, "assistant", cleaner)]
    return None
