"""The texts in requests and answers of all wires, and documents with them changed (pure).

Texts are what people and models say: messages, prompts, tool arguments and results. Names, ids, media and what a
provider signed stay as they are.
"""

from collections.abc import Callable
from typing import Any, Protocol

REQUEST = ("messages", "input", "system", "instructions", "prompt", "suffix", "prediction")
ANSWER = ("choices", "content", "output")
# Of one event of a stream that repeats whole texts, or begins with one.
EVENT = ("text", "arguments", "input", "refusal", "part", "item", "code", "transcript")
BLOCK = ("content_block",)
FIXED = frozenset(
    {
        "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "item_id", "name", "signature",
        "encrypted_content", "data", "file_data", "file_id", "image_url", "url", "media_type", "detail",
        "status", "format", "cache_control", "input_audio", "audio", "file", "finish_reason",
        "stop_reason", "logprobs", "phase",
    }
)  # fmt: skip
MAX_DEPTH = 64


class Change(Protocol):
    """What is done to texts, and to JSON that a tool is given."""

    def text(self, value: str) -> str: ...

    def value(self, value: Any) -> Any: ...


def changed(document: dict[str, Any], fields: tuple[str, ...], change: Change) -> dict[str, Any]:
    """The document with the texts below these fields changed; itself when none was."""
    made = document
    for field in fields:
        if field in document:
            after = _walk(document[field], change, 0)
            if after is not document[field]:
                made = made if made is not document else dict(document)
                made[field] = after
    return made


def _walk(value: Any, change: Change, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        after = change.text(value)
        return value if after == value else after
    if depth > MAX_DEPTH:
        return value
    if kind is list:
        items = [_walk(item, change, depth + 1) for item in value]
        is_same = all(one is other for one, other in zip(items, value, strict=True))
        return value if is_same else items
    if kind is dict:
        return _walk_object(value, change, depth)
    return value


def _walk_object(value: dict[str, Any], change: Change, depth: int) -> dict[str, Any]:
    made = value
    for key, inner in value.items():
        after = inner
        if key == "input" and type(inner) is dict:  # a tool's
            masked = change.value(inner)
            after = inner if masked == inner else masked
        elif key == "source" and type(inner) is dict:
            after = _walk_source(inner, change, depth)
        elif key == "source" or key in FIXED or (key == "thinking" and value.get("signature")):
            continue
        else:
            after = _walk(inner, change, depth + 1)
        if after is not inner:
            made = made if made is not value else dict(value)
            made[key] = after
    return made


def _walk_source(source: dict[str, Any], change: Change, depth: int) -> dict[str, Any]:
    """A document that is given as text."""
    if source.get("type") == "text" and type(source.get("data")) is str:
        after = change.text(source["data"])
        return source if after == source["data"] else {**source, "data": after}
    if source.get("type") == "content":
        return _walk_object(source, change, depth + 1)
    return source


class Each:
    """A change that only looks."""

    def __init__(self, look: Callable[[str], object]) -> None:
        self._look = look

    def text(self, value: str) -> str:
        self._look(value)
        return value

    def value(self, value: Any) -> Any:
        if type(value) is dict:
            for inner in value.values():
                self.value(inner)
        elif type(value) is list:
            for inner in value:
                self.value(inner)
        elif type(value) is str:
            self._look(value)
        return value


def without_logprobs(value: Any, depth: int = 0) -> Any:
    """A copy without the answer's tokens beside its text, which would tell what was masked."""
    if depth > MAX_DEPTH:
        return value
    if type(value) is list:
        return [without_logprobs(item, depth + 1) for item in value]
    if type(value) is dict:
        return {
            key: ([] if type(inner) is list else None)
            if key == "logprobs"
            else without_logprobs(inner, depth + 1)
            for key, inner in value.items()
        }
    return value
