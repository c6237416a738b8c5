"""Where a stream's events hold pieces of text, and events to send what was held back (pure)."""

from collections.abc import Hashable
from typing import Any, NamedTuple

from gateway.structs import Dialect

_CHAT_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_BLOCK_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
_RESPONSES_TEXTS = (
    "response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
)  # fmt: skip
_RESPONSES_JSON = (
    "response.function_call_arguments.delta", "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
)  # fmt: skip


class Piece(NamedTuple):
    """A piece of one text: `holder[field]`. Pieces of one text have the same `group` and `key`; when the group ends,
    so do its texts."""

    group: Hashable
    key: Hashable
    holder: dict[str, Any]
    field: str
    is_json: bool = False


def pieces(dialect: Dialect, document: dict[str, Any]) -> list[Piece]:
    """The event's pieces of text."""
    if dialect in (Dialect.CHAT, Dialect.COMPLETIONS):
        return _of_choices(document)
    if dialect is Dialect.MESSAGES:
        return _of_block(document)
    kind = document.get("type")
    if (kind in _RESPONSES_TEXTS or kind in _RESPONSES_JSON) and type(document.get("delta")) is str:
        part = document.get("content_index", document.get("summary_index"))
        group = document.get("output_index")
        return [Piece(group, (group, kind, part), document, "delta", kind in _RESPONSES_JSON)]
    return []


def _of_choices(document: dict[str, Any]) -> list[Piece]:
    found = []
    for choice in _objects(document.get("choices")):
        index = choice.get("index", 0)
        if type(choice.get("text")) is str:
            found.append(Piece(index, (index, "text"), choice, "text"))
        delta = choice.get("delta")
        if type(delta) is not dict:
            continue
        for field in _CHAT_TEXTS:
            if type(delta.get(field)) is str:
                found.append(Piece(index, (index, field), delta, field))
        for call in _objects(delta.get("tool_calls")):
            function = call.get("function")
            if type(function) is dict and type(function.get("arguments")) is str:
                key = (index, "tool", call.get("index", 0))
                found.append(Piece(index, key, function, "arguments", True))
    return found


def _of_block(document: dict[str, Any]) -> list[Piece]:
    delta = document.get("delta")
    if document.get("type") != "content_block_delta" or type(delta) is not dict:
        return []
    kind = str(delta.get("type"))
    field = _BLOCK_TEXTS.get(kind, "")
    if type(delta.get(field)) is not str:
        return []
    index = document.get("index")
    return [Piece(index, (index, kind), delta, field, kind == "input_json_delta")]


def ending(dialect: Dialect, document: dict[str, Any]) -> list[Hashable] | None:
    """Groups whose texts end with this event, `None` for all of them."""
    if dialect in (Dialect.CHAT, Dialect.COMPLETIONS):
        return [
            choice.get("index", 0)
            for choice in _objects(document.get("choices"))
            if choice.get("finish_reason")
        ]
    kind = str(document.get("type"))
    if dialect is Dialect.MESSAGES:
        if kind == "content_block_stop":
            return [document.get("index")]
        return (
            []
            if kind in ("content_block_start", "content_block_delta", "ping", "message_start")
            else None
        )
    if kind.endswith(".delta") or kind in ("keepalive", "response.created", "response.in_progress"):
        return []
    if kind.endswith(".added"):
        return []
    return [document["output_index"]] if "output_index" in document else None


def carrier(dialect: Dialect, document: dict[str, Any], piece: Piece, text: str) -> dict[str, Any]:
    """An event like `document` with nothing in it but this piece, which is `text`."""
    if dialect is Dialect.MESSAGES:
        return {**document, "delta": {**piece.holder, piece.field: text}}
    if dialect is Dialect.RESPONSES:
        return {**document, "delta": text}
    made = {key: value for key, value in document.items() if key not in ("choices", "usage")}
    choice: dict[str, Any] = {"index": piece.group, "finish_reason": None}
    if piece.field == "text":
        choice["text"] = text
    elif piece.is_json:
        place = piece.key[2] if isinstance(piece.key, tuple) else 0
        choice["delta"] = {"tool_calls": [{"index": place, "function": {"arguments": text}}]}
    else:
        choice["delta"] = {piece.field: text}
    return {**made, "choices": [choice]}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []
