"""The little HTTP that the simulated providers need, on plain ASGI."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_BODY = 8 * 1024 * 1024


@dataclass
class Request:
    """A request whose JSON or form body was read."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int = 0
    query: list[tuple[str, str]] = field(default_factory=list)
    # What a route's pattern found in the path.
    path_values: dict[str, str] = field(default_factory=dict)
    # The body as it came, for who signs it.
    raw: bytes = b""

    def values(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        return [value for key, value in self.query if key == name]


@dataclass
class Reply:
    """A JSON answer (Decimals become numbers, every digit; bytes are sent as they are), or with `events` a server-sent
    event stream of ready-made frames."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    events: AsyncIterator[bytes] | None = None


class HttpError(Exception):
    """An answer other than the one asked for; each provider shapes it in its own way."""

    def __init__(
        self, status: int, kind: str, message: str, code: str | None = None, **headers: str
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.code = status, kind, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class StreamCutError(ConnectionAbortedError):
    """The provider's connection breaks in the middle of a stream, as asked for."""


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Reads the whole body; raises HttpError for one that is too large or neither a JSON object nor a form."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise StreamCutError("the client left")
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HttpError(413, "invalid_request_error", "The body is larger than 8 MiB.")
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    raw, body = b"".join(chunks), {}
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))
    elif raw and not headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            body = json.loads(raw)
        except ValueError:
            raise HttpError(400, "invalid_request_error", "The body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise HttpError(400, "invalid_request_error", "The body must be a JSON object.")
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Request(scope["method"], scope["path"], headers, body, query=query, raw=raw)


_EXACT = msgspec.json.Encoder(decimal_format="number")


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else _EXACT.encode(body)


async def send_reply(send: Send, reply: Reply) -> None:
    """Sends a JSON body or streams the events."""
    kind = "text/event-stream" if reply.events else "application/json"
    headers = {"content-type": kind, **reply.headers}
    payload = b"" if reply.events else _encoded(reply.body)
    if not reply.events:
        headers["content-length"] = str(len(payload))
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [
                (name.encode(), value.encode("latin-1")) for name, value in headers.items()
            ],
        }
    )
    if reply.events:
        async for frame in reply.events:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": payload})


def frame(data: Any, event: str = "") -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()
