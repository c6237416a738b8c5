"""A whole answer as the stream it would have been: for answers out of a cache (pure)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.dialects.block_parts import json_text
from gateway.dialects.passing import STREAM_END
from gateway.structs import Dialect

PIECE_CHARS = 40
MAX_PIECES = 100

_encode = msgspec.json.encode
# What a choice's message holds in parts of its own; all else of it goes with the first chunk.
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def as_stream(dialect: Dialect, answer: bytes, *, wants_usage: bool = True) -> list[bytes]:
    """The events of `answer`, each ready for the wire. Raises ValueError for what has no stream or is no answer."""
    try:
        return list(_STREAMS[dialect](msgspec.json.decode(answer), wants_usage))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an answer that streams on {dialect}: {error!r}") from None


def pieces_of(text: str) -> Iterator[str]:
    """The text in pieces of a few words that add up to it."""
    size = max(PIECE_CHARS, len(text) // MAX_PIECES)
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text):
            space = text.find(" ", end, end + size)
            end = end if space < 0 else space
        yield text[start:end]
        start = end


def _data(document: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _encode(document)


def _named(kind: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **data}))


# --- Chat Completions, Completions


def _chat(answer: dict[str, Any], wants_usage: bool) -> Iterator[bytes]:
    head = {
        key: value for key, value in answer.items() if key not in ("choices", "usage", "object")
    }
    head["object"] = "chat.completion.chunk"
    yield from _choices(head, answer, wants_usage, _chat_deltas)


def _completions(answer: dict[str, Any], wants_usage: bool) -> Iterator[bytes]:
    head = {key: value for key, value in answer.items() if key not in ("choices", "usage")}
    yield from _choices(head, answer, wants_usage, _text_pieces)


def _choices(
    head: dict[str, Any], answer: dict[str, Any], wants_usage: bool, parts: Any
) -> Iterator[bytes]:
    rest: dict[str, Any] = {"usage": None} if wants_usage else {}
    for choice in answer["choices"]:
        # Log probabilities belong to tokens the pieces do not follow: they come once, with the first piece.
        index, logprobs = choice["index"], choice.get("logprobs")
        for piece in parts(choice):
            made = {"index": index, **piece, "logprobs": logprobs, "finish_reason": None}
            yield _data({**head, "choices": [made], **rest})
            logprobs = None
        empty: dict[str, Any] = {"delta": {}} if parts is _chat_deltas else {"text": ""}
        beside = {key: value for key, value in choice.items() if key not in ("message", "text")}
        yield _data({**head, "choices": [{**beside, **empty, "logprobs": logprobs}], **rest})
    if wants_usage and answer.get("usage"):
        yield _data({**head, "choices": [], "usage": answer["usage"]})
    yield STREAM_END


def _chat_deltas(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    message = choice["message"]
    first = {
        key: value for key, value in message.items() if key not in _TEXTS and key != "tool_calls"
    }
    yield {"delta": {"role": "assistant", "content": "", **first}}
    for name in ("reasoning_content", "reasoning", "content", "refusal"):
        text = message.get(name)
        if type(text) is str:
            for piece in pieces_of(text):
                yield {"delta": {name: piece}}
        elif text is not None:
            yield {"delta": {name: text}}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"delta": {"tool_calls": [{"index": index, **call}]}}


def _text_pieces(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in pieces_of(choice["text"]):
        yield {"text": piece}


# --- Messages

# What the last event says of the message, and of its usage.
_LAST = ("stop_reason", "stop_sequence", "stop_details", "container")
_COUNTED = (
    "input_tokens", "output_tokens", "server_tool_use", "output_tokens_details",
    "cache_creation_input_tokens", "cache_read_input_tokens",
)  # fmt: skip


def _messages(answer: dict[str, Any], wants_usage: bool) -> Iterator[bytes]:
    usage = answer.get("usage") or {}
    opening = {
        **answer,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield _named("message_start", {"message": opening})
    for index, block in enumerate(answer["content"]):
        start, deltas = _block(block)
        yield _named("content_block_start", {"index": index, "content_block": start})
        for delta in deltas:
            yield _named("content_block_delta", {"index": index, "delta": delta})
        yield _named("content_block_stop", {"index": index})
    delta = {name: answer[name] for name in _LAST if name in answer}
    final = {"output_tokens": 0, **{name: usage[name] for name in _COUNTED if name in usage}}
    yield _named("message_delta", {"delta": delta, "usage": final})
    yield _named("message_stop", {})


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block starts, and its deltas. Blocks of Anthropic's servers come whole."""
    kind = block["type"]
    if kind == "text":
        deltas: list[dict[str, Any]]
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces_of(block["text"])]
        cited = block.get("citations") or ()
        deltas += [{"type": "citations_delta", "citation": one} for one in cited]
        start = {**block, "text": ""}
        if cited:
            start["citations"] = []
        return start, deltas
    if kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces_of(block["thinking"])
        ]
        deltas.append({"type": "signature_delta", "signature": block.get("signature", "")})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        text = json_text(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of(text)]
        return {**block, "input": {}}, deltas
    return block, []


# --- Responses


def _responses(answer: dict[str, Any], wants_usage: bool) -> Iterator[bytes]:
    opening = {**answer, "status": "in_progress", "output": [], "usage": None}
    opening["incomplete_details"] = None
    events = [("response.created", {"response": opening})]
    events.append(("response.in_progress", {"response": opening}))
    for place, item in enumerate(answer["output"]):
        events += _item_events(place, item)
    status = answer["status"] if answer["status"] in ("incomplete", "failed") else "completed"
    events.append((f"response.{status}", {"response": answer}))
    for number, (kind, data) in enumerate(events):
        yield _named(kind, {"sequence_number": number, **data})


def _item_events(place: int, item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    where = {"item_id": item.get("id"), "output_index": place}
    kind = item["type"]
    started = {**item}
    if "status" in item:
        started["status"] = "in_progress"
    made: list[tuple[str, dict[str, Any]]] = []
    if kind == "message":
        started["content"] = []
        for index, part in enumerate(item["content"]):
            made += _part_events({**where, "content_index": index}, part)
    elif kind == "function_call":
        started["arguments"] = ""
        name = "response.function_call_arguments"
        made += [
            (f"{name}.delta", {**where, "delta": piece}) for piece in pieces_of(item["arguments"])
        ]
        made.append(
            (f"{name}.done", {**where, "name": item["name"], "arguments": item["arguments"]})
        )
    return [
        ("response.output_item.added", {"output_index": place, "item": started}),
        *made,
        ("response.output_item.done", {"output_index": place, "item": item}),
    ]


def _part_events(where: dict[str, Any], part: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    field = "refusal" if part["type"] == "refusal" else "text"
    name = "response.refusal" if field == "refusal" else "response.output_text"
    rest: dict[str, Any] = {} if field == "refusal" else {"logprobs": []}
    empty = {**part, field: ""}
    if part.get("annotations"):
        empty["annotations"] = []
    return [
        ("response.content_part.added", {**where, "part": empty}),
        *((f"{name}.delta", {**where, "delta": piece, **rest}) for piece in pieces_of(part[field])),
        *(
            (
                "response.output_text.annotation.added",
                {**where, "annotation_index": index, "annotation": annotation},
            )
            for index, annotation in enumerate(part.get("annotations") or ())
        ),
        (f"{name}.done", {**where, field: part[field], **rest}),
        ("response.content_part.done", {**where, "part": part}),
    ]


_STREAMS = {
    Dialect.CHAT: _chat,
    Dialect.COMPLETIONS: _completions,
    Dialect.MESSAGES: _messages,
    Dialect.RESPONSES: _responses,
}
