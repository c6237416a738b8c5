"""What OpenAI's and Anthropic's files and batches look like, and how far a batch is (pure)."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.models import ProviderKind, Wire
from gateway.structs import Dialect

# What a batch of OpenAI's may ask for, and how its answers are read.
ENDPOINTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Dialect.CHAT,
    "/v1/responses": Dialect.RESPONSES,
    "/v1/completions": Dialect.COMPLETIONS,
    "/v1/embeddings": Dialect.EMBEDDINGS,
}
_OVER = frozenset({"completed", "failed", "expired", "cancelled"})
_ENDS = ("completed_at", "cancelled_at", "expired_at", "failed_at")
_STATUS = {"errored": "failed", "canceled": "cancelled", "expired": "expired"}
# An expired or cancelled request of OpenAI's is an error with one of these codes.
_NOT_MADE = {"batch_expired": "expired", "batch_cancelled": "cancelled"}


class Progress(msgspec.Struct, frozen=True):
    """How far a batch is, in words of both wires."""

    status: str
    is_over: bool
    is_cancelling: bool
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    ended_at: dt.datetime | None = None
    # Files at the provider that belong to whoever made the batch.
    files: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True):
    """What became of one request. `state` is a RequestState; `body` the answer, in its dialect's unstreamed shape."""

    custom_id: str
    state: str
    status: int
    body: bytes = b""
    code: str = ""
    message: str = ""
    request_id: str = ""


def wire_of(kind: str) -> str:
    """Which wire a connection's files and batches are on."""
    return Wire.ANTHROPIC if kind == ProviderKind.ANTHROPIC else Wire.OPENAI


def root_of(kind: str) -> str:
    """What paths begin with below a connection's address, as gateway.connections.providers has them."""
    return "/v1" if kind == ProviderKind.ANTHROPIC else ""


def progress_of(wire: str, document: Mapping[str, Any]) -> Progress:
    """Read a batch's own description; what is not there or is no count stays unknown."""
    counts = document.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    if wire == Wire.OPENAI:
        status = _text(document.get("status"))
        ended = next((document[name] for name in _ENDS if _count(document.get(name))), None)
        files = (_text(document.get(name)) for name in ("output_file_id", "error_file_id"))
        return Progress(
            status,
            status in _OVER,
            status == "cancelling",
            _count(counts.get("total")),
            _count(counts.get("completed")),
            _count(counts.get("failed")),
            dt.datetime.fromtimestamp(ended, dt.UTC) if ended else None,
            tuple(one for one in files if one),
        )
    status = _text(document.get("processing_status"))
    known = {name: _count(value) for name, value in counts.items()}
    bad = [known.get(name) or 0 for name in ("errored", "canceled", "expired")]
    return Progress(
        status,
        status == "ended",
        status == "canceling",
        sum(value or 0 for value in known.values()) if known else None,
        known.get("succeeded"),
        sum(bad) if known else None,
        _moment(document.get("ended_at")),
    )


def result_of(wire: str, line: bytes) -> Result | None:
    """One line of results; None when it is none (its provider's fault, nobody's call)."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(found) is not dict or type(found.get("custom_id")) is not str:
        return None
    return _openai(found) if wire == Wire.OPENAI else _anthropic(found)


def _openai(found: dict[str, Any]) -> Result:
    custom_id, error = found["custom_id"], found.get("error")
    response = found.get("response")
    if type(response) is dict and type(response.get("status_code")) is int:
        status, body = response["status_code"], response.get("body")
        is_done = 200 <= status < 300
        told = body.get("error") if type(body) is dict and not is_done else None
        told = told if type(told) is dict else {}
        return Result(
            custom_id,
            "done" if is_done else "failed",
            status,
            msgspec.json.encode(body),
            _text(told.get("code") or told.get("type")),
            _text(told.get("message")),
            _text(response.get("request_id")),
        )
    told = error if type(error) is dict else {}
    code = _text(told.get("code")) or "error"
    state = _NOT_MADE.get(code, "failed")
    return Result(custom_id, state, _CODES[state], b"", code, _text(told.get("message")))


_CODES = {"failed": 502, "cancelled": 499, "expired": 504}


def _anthropic(found: dict[str, Any]) -> Result:
    custom_id, result = found["custom_id"], found.get("result")
    result = result if type(result) is dict else {}
    kind = _text(result.get("type"))
    if kind == "succeeded":
        return Result(custom_id, "done", 200, msgspec.json.encode(result.get("message")))
    state = _STATUS.get(kind, "failed")
    if state != "failed":
        return Result(custom_id, state, _CODES[state], b"", f"batch_{state}")
    error = result.get("error")
    told = error.get("error") if type(error) is dict else None
    told = told if type(told) is dict else {}
    code = _text(told.get("type")) or "error"
    status = 400 if code == "invalid_request_error" else 500
    return Result(custom_id, state, status, b"", code, _text(told.get("message")))


def lines_in(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Lines of what comes in parts, without empty ones."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


def openai_list(documents: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page as OpenAI gives it."""
    return {"object": "list", "data": documents, **_ends(documents), "has_more": has_more}


def anthropic_list(documents: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page as Anthropic gives it; files name the next one by `next_page`."""
    ends = _ends(documents)
    following = f"page_{ends['last_id']}" if has_more else None
    return {"data": documents, "has_more": has_more, **ends, "next_page": following}


def _ends(documents: list[dict[str, Any]]) -> dict[str, Any]:
    if not documents:
        return {"first_id": None, "last_id": None}
    return {"first_id": documents[0].get("id"), "last_id": documents[-1].get("id")}


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _moment(value: Any) -> dt.datetime | None:
    if type(value) is not str:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
