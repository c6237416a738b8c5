"""Where a stream's events hold pieces of text, and events to send what was held back (pure)."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from gateway.guards.texts import FIXED, MAX_DEPTH
from gateway.structs import Dialect

_CHAT_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_BLOCK_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
# Deltas of Responses that are not text; all others are, also those of the future.
_RESPONSES_MEDIA = ("response.audio.delta",)
_RESPONSES_JSON = ("_arguments.delta", "_tool_call_input.delta")
# What of an object is repeated when a piece of it is sent alone; clients join all other texts.
_HEAD = ("type", "index")


class Piece(NamedTuple):
    """A piece of one text: `holder[field]`. Pieces of one text have the same `group` and `key`; when the group ends,
    so do its texts."""

    group: Hashable
    key: Hashable
    holder: Any
    field: Any
    is_json: bool = False
    # A choice's delta with nothing in it but a text in this place.
    alone: Callable[[str], dict[str, Any]] | None = None


def pieces(dialect: Dialect, document: dict[str, Any]) -> list[Piece]:
    """The event's pieces of text."""
    if dialect in (Dialect.CHAT, Dialect.COMPLETIONS):
        return _of_choices(document)
    if dialect is Dialect.MESSAGES:
        return _of_block(document)
    kind = str(document.get("type"))
    is_text = kind.endswith(".delta") and kind not in _RESPONSES_MEDIA
    if is_text and type(document.get("delta")) is str:
        part = _name(document.get("content_index", document.get("summary_index")))
        group = _name(document.get("output_index"))
        is_json = kind.endswith(_RESPONSES_JSON)
        return [Piece(group, (group, kind, part), document, "delta", is_json)]
    return []


def _of_choices(document: dict[str, Any]) -> list[Piece]:
    found = []
    for choice in _objects(document.get("choices")):
        index = _name(choice.get("index", 0))
        if type(choice.get("text")) is str:
            found.append(Piece(index, (index, "text"), choice, "text"))
        delta = choice.get("delta")
        if type(delta) is not dict:
            continue
        for field, value in delta.items():
            if type(value) is str:
                if field in _CHAT_TEXTS:
                    found.append(Piece(index, (index, field), delta, field))
            elif field == "tool_calls":
                found += _of_calls(index, value)
            elif value is not None and field not in FIXED:
                found += _of_parts(index, (index, field), value, _in_object({}, field), 0)
    return found


def _of_calls(index: Any, calls: Any) -> Iterator[Piece]:
    for call in _objects(calls):
        function = call.get("function")
        if type(function) is dict and type(function.get("arguments")) is str:
            key = (index, "tool", _name(call.get("index", 0)))
            yield Piece(index, key, function, "arguments", True)


_Alone = Callable[[Any], dict[str, Any]]


def _of_parts(
    group: Any, key: tuple[Any, ...], value: Any, alone: _Alone, depth: int
) -> Iterator[Piece]:
    """Texts in what some servers send in a delta: parts of content, details of reasoning, the call of before tools."""
    if depth > MAX_DEPTH:
        return
    if type(value) is list:
        for place, inner in enumerate(value):
            at = (*key, place)
            if type(inner) is dict:
                at = (*key, _name(inner.get("index", place)), _name(inner.get("type")))
            if type(inner) is str:
                yield Piece(group, at, value, place, False, lambda text: alone([text]))
            else:
                yield from _of_parts(group, at, inner, lambda made: alone([made]), depth + 1)
    elif type(value) is dict:
        for field, inner in value.items():
            if field in FIXED or (field == "thinking" and value.get("signature")):
                continue
            at, only = (*key, field), _in_object(value, field, alone)
            if type(inner) is str:
                yield Piece(group, at, value, field, field == "arguments", only)
            else:
                yield from _of_parts(group, at, inner, only, depth + 1)


def _in_object(holder: dict[str, Any], field: str, alone: _Alone | None = None) -> _Alone:
    """How to put one field of an object where the object stands, without its other texts."""
    head = {name: holder[name] for name in _HEAD if name in holder}

    def made(inner: Any) -> dict[str, Any]:
        one = {**head, field: inner}
        return alone(one) if alone is not None else one

    return made


def _of_block(document: dict[str, Any]) -> list[Piece]:
    delta = document.get("delta")
    if document.get("type") != "content_block_delta" or type(delta) is not dict:
        return []
    kind = str(delta.get("type"))
    field = _BLOCK_TEXTS.get(kind, "")
    if type(delta.get(field)) is not str:
        return []
    index = _name(document.get("index"))
    return [Piece(index, (index, kind), delta, field, kind == "input_json_delta")]


def ending(dialect: Dialect, document: dict[str, Any]) -> list[Hashable] | None:
    """Groups whose texts end with this event, `None` for all of them."""
    if dialect in (Dialect.CHAT, Dialect.COMPLETIONS):
        return [
            _name(choice.get("index", 0))
            for choice in _objects(document.get("choices"))
            if choice.get("finish_reason")
        ]
    kind = str(document.get("type"))
    if dialect is Dialect.MESSAGES:
        if kind == "content_block_stop":
            return [_name(document.get("index"))]
        return (
            []
            if kind in ("content_block_start", "content_block_delta", "ping", "message_start")
            else None
        )
    if kind.endswith(".delta") or kind in ("keepalive", "response.created", "response.in_progress"):
        return []
    if kind.endswith(".added"):
        return []
    return [_name(document["output_index"])] if "output_index" in document else None


def carrier(dialect: Dialect, document: dict[str, Any], piece: Piece, text: str) -> dict[str, Any]:
    """An event like `document` with nothing in it but this piece, which is `text`."""
    if dialect is Dialect.MESSAGES:
        return {**document, "delta": {**piece.holder, piece.field: text}}
    if dialect is Dialect.RESPONSES:
        return {**document, "delta": text}
    made = {key: value for key, value in document.items() if key not in ("choices", "usage")}
    choice: dict[str, Any] = {"index": piece.group, "finish_reason": None}
    if piece.alone is not None:
        choice["delta"] = piece.alone(text)
    elif piece.field == "text":
        choice["text"] = text
    elif piece.is_json:
        place = piece.key[2] if isinstance(piece.key, tuple) else 0
        choice["delta"] = {"tool_calls": [{"index": place, "function": {"arguments": text}}]}
    else:
        choice["delta"] = {piece.field: text}
    return {**made, "choices": [choice]}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []


def _name(value: Any) -> Hashable:
    """An index or a type, whatever a server sends there."""
    return value if value is None or type(value) in (int, str) else str(value)
