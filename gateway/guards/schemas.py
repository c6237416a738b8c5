"""Whether an answer is the JSON its request asked for, and how to ask again when it is not (pure)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from gateway.structs import Dialect, GuardRule

MAX_SCHEMA_BYTES = 256 * 1024
MAX_MESSAGE = 300
_AGAIN = (
    "That answer cannot be used: %s Answer again, with nothing but JSON that is valid against the schema you"
    " were given."
)

# The most that asking again adds to the request beside the answer: both sentences, and what they are wrapped in.
AGAIN_BYTES = 2_048

_encode = msgspec.json.encode
_decode = msgspec.json.decode


def asked_for(dialect: Dialect, document: dict[str, Any]) -> dict[str, Any] | None:
    """The schema the request asks its answer to follow; `{}` for any JSON object, None when it asks for none."""
    if dialect is Dialect.CHAT:
        asked = _dict(document.get("response_format"))
        asked = {**_dict(asked.get("json_schema")), "type": asked.get("type")}
    elif dialect is Dialect.RESPONSES:
        asked = _dict(_dict(document.get("text")).get("format"))
    elif dialect is Dialect.MESSAGES:
        asked = _dict(_dict(document.get("output_config")).get("format"))
        asked = asked or _dict(document.get("output_format"))
    else:
        return None
    if asked.get("type") == "json_schema":
        return _dict(asked.get("schema"))
    return {"type": "object"} if asked.get("type") == "json_object" else None


def may_ask_again(
    guards: Iterable[GuardRule], dialect: Dialect, document: dict[str, Any], *, is_stream: bool
) -> bool:
    """Whether a call may be made twice: its answer is judged, and the check asks again for one that is wrong."""
    is_checked = any(one.kind == "json_schema" and one.action != "flag" for one in guards)
    return is_checked and not is_stream and asked_for(dialect, document) is not None


def wrong_with(dialect: Dialect, schema: dict[str, Any], answer: bytes) -> str:
    """What is wrong with the answer's text, for the model that gave it; empty when nothing is, or nothing was said (it
    calls a tool, or refused)."""
    try:
        document = _decode(answer)
    except (msgspec.DecodeError, RecursionError):
        return ""
    for text in _texts(dialect, document):
        try:
            value = _decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            return f"it is no JSON ({error})."
        said = _judged(schema, value)
        if said:
            return said
    return ""


def _judged(schema: dict[str, Any], value: Any) -> str:
    raw = _encode(schema)
    if len(raw) > MAX_SCHEMA_BYTES:
        return ""
    try:
        error = next(iter(_validator(raw).iter_errors(value)), None)
    except ValueError:
        return ""  # no schema: the provider has judged it
    if error is None:
        return ""
    place = "/".join(str(step) for step in error.instance_path)
    return f"at “{place}”: {error.message[:MAX_MESSAGE]}."


def _never(address: str) -> Any:
    raise ValueError(f"{address} is not read")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    """Reads no other addresses, and its patterns run in linear time: schemas come from clients."""
    return jsonschema_rs.validator_for(
        schema.decode(), retriever=_never, pattern_options=jsonschema_rs.RegexOptions()
    )


def _texts(dialect: Dialect, answer: Any) -> list[str]:
    """What the model said as its answer, one text per choice."""
    if type(answer) is not dict:
        return []
    if dialect is Dialect.CHAT:
        messages = [_dict(one.get("message")) for one in _dicts(answer.get("choices"))]
        said = [one.get("content") for one in messages if not one.get("tool_calls")]
        return [text for text in said if type(text) is str]
    if dialect is Dialect.MESSAGES:
        blocks = _dicts(answer.get("content"))
        if answer.get("stop_reason") in ("tool_use", "refusal", "pause_turn"):
            return []
        texts = [
            one["text"]
            for one in blocks
            if one.get("type") == "text" and type(one.get("text")) is str
        ]
        return ["".join(texts)] if texts else []
    items = _dicts(answer.get("output"))
    if any(str(one.get("type")).endswith("_call") for one in items):
        return []
    parts = [
        part for one in items if one.get("type") == "message" for part in _dicts(one.get("content"))
    ]
    texts = [one["text"] for one in parts if type(one.get("text")) is str]
    return ["".join(texts)] if texts else []


def asked_again(
    dialect: Dialect, document: dict[str, Any], answer: bytes, wrong: str
) -> dict[str, Any]:
    """The request with the answer and what is wrong with it behind it."""
    said = "\n".join(_texts(dialect, _decode(answer)))
    field = "input" if dialect is Dialect.RESPONSES else "messages"
    before = document.get(field)
    if type(before) is str:
        before = [{"role": "user", "content": before}]
    turns = [
        *(before or []),
        {"role": "assistant", "content": said or "…"},
        {"role": "user", "content": _AGAIN % wrong},
    ]
    return {**document, field: turns}


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []
