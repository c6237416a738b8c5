"""What was said in a call, in the shapes the conversation view reads (pure)."""

from contextlib import suppress
from typing import Any

import msgspec

from gateway.structs import Dialect

_decode = msgspec.json.decode
# Fields that are shown elsewhere, or are how a call is sent rather than what it asks for.
_NO_PARAMETERS = frozenset(
    {
        *("model", "messages", "input", "prompt", "system", "instructions", "tools", "functions"),
        *("metadata", "user", "stream_options", "service_tier", "prompt_cache_key"),
    }
)


def document_of(body: bytes) -> dict[str, Any]:
    """The body as an object, empty when it is none."""
    if body:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = _decode(body)
            if type(document) is dict:
                return document
    return {}


def input_of(dialect: Dialect, document: dict[str, Any]) -> Any:
    """Messages where the dialect has some, with what is said to the model first on top."""
    if dialect is Dialect.CHAT:
        return document.get("messages")
    if dialect in (Dialect.MESSAGES, Dialect.COUNT_TOKENS):
        return _with_system(document.get("system"), document.get("messages"))
    if dialect is Dialect.RESPONSES:
        told = document.get("input")
        if type(told) is str:
            told = [{"role": "user", "content": told}]
        return _with_system(document.get("instructions"), told)
    return document.get("prompt" if dialect is Dialect.COMPLETIONS else "input")


def output_of(dialect: Dialect, answer: bytes) -> Any:
    """What the model said; nothing for vectors and for errors."""
    if dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS):
        return None
    document = document_of(answer)
    if dialect is Dialect.RESPONSES:
        return document.get("output")
    if dialect is Dialect.MESSAGES:
        said = document.get("content")
        return [{"role": "assistant", "content": said}] if said else None
    choices = document.get("choices")
    if type(choices) is not list:
        return None
    said = [_said(choice) for choice in choices if type(choice) is dict]
    return [one for one in said if one is not None] or None


def tools_of(document: dict[str, Any]) -> Any:
    return document.get("tools") or document.get("functions")


def parameters_of(document: dict[str, Any]) -> dict[str, Any]:
    """Temperature, limits, formats and whatever else shaped the answer."""
    return {name: value for name, value in document.items() if name not in _NO_PARAMETERS}


def _with_system(system: Any, told: Any) -> Any:
    if not system:
        return told
    return [{"role": "system", "content": system}, *(told if type(told) is list else ())]


def _said(choice: dict[str, Any]) -> Any:
    message = choice.get("message")
    if type(message) is dict:
        return message
    text = choice.get("text")
    return {"role": "assistant", "content": text} if type(text) is str else None
