"""Control requests to a provider: through the official SDK's client of a connection, answered as they come."""

import datetime as dt
from collections.abc import AsyncIterable
from typing import Any
from uuid import UUID

import anthropic
import httpx2
import openai

from core import crypto
from core.errors import DomainError
from core.outbound import OutboundError
from gateway.batches.wires import wire_of
from gateway.connections.clients import Client, NoKeyError
from gateway.connections.keys import is_keyless, pick_key
from gateway.door.answers import RefusalError
from gateway.engine.providers import unanswered
from gateway.snapshot import ConnectionView, KeyView, Snapshot

ANSWER_S = 60.0
# Between two pieces of a file, sent or received.
SILENCE_S = 120.0
CONNECT_S = 5.0
_STATUS_ERRORS = (openai.APIStatusError, anthropic.APIStatusError)
_CONNECTION_ERRORS = (openai.APIConnectionError, anthropic.APIConnectionError)


class UnansweredError(Exception):
    """No answer came. `was_sent`: the provider may have done what was asked."""

    def __init__(self, message: str, *, was_sent: bool, is_late: bool) -> None:
        super().__init__(message)
        self.was_sent, self.is_late = was_sent, is_late

    @property
    def refusal(self) -> RefusalError:
        """What the client reads."""
        status, code = (504, "provider_timeout") if self.is_late else (502, "provider_unreachable")
        return RefusalError(status, code, str(self))


def chosen(snapshot: Snapshot, wire: str, named: str) -> ConnectionView:
    """The connection that `named` says by id or name, else the first of that wire. Raises RefusalError."""
    fitting = [one for one in snapshot.connections.values() if wire_of(one.kind) == wire]
    if named:
        wanted = named.replace("-", "").lower()
        for one in fitting:
            if one.id == wanted or one.name.lower() == named.lower():
                return one
        text = f"This project has no connection {named[:80]!r} that speaks this API."
        raise RefusalError(404, "connection_not_found", text, param="x-llmlab-connection")
    if not fitting:
        text = "This project has no connection that speaks this API. An admin of the organisation can add one."
        raise RefusalError(404, "no_connection", text)
    return fitting[0]


def key_of(view: ConnectionView, key_id: UUID | None, now: dt.datetime) -> KeyView | None:
    """The key an object was made with, else any that may be used. Raises NoKeyError."""
    if key_id is not None:
        for one in view.keys:
            if one.id == key_id.hex and (one.retires_at is None or one.retires_at > now):
                return one
    found = pick_key(view, now=now)
    if found is None and not is_keyless(view):
        raise NoKeyError(f"{view.name} has no key that may be used.")
    return found


def refused(error: Exception) -> RefusalError:
    """A connection that cannot be called as it is set up."""
    if isinstance(error, crypto.DecryptionError):
        return RefusalError(502, "no_key", "The connection's key cannot be opened; give it anew.")
    text = error.detail if isinstance(error, DomainError) else str(error)
    return RefusalError(502, "provider_unreachable", text)


NOT_CALLABLE = (NoKeyError, crypto.DecryptionError, OutboundError)


async def ask(
    client: Client,
    method: str,
    path: str,
    *,
    content: bytes | AsyncIterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    is_stream: bool = False,
    answer_s: float = ANSWER_S,
) -> httpx2.Response:
    """Whatever the provider answers, refusals too; a body that streams is unread. Raises UnansweredError."""
    options: Any = {
        "headers": headers or {},
        "params": params or {},
        "timeout": httpx2.Timeout(answer_s, connect=CONNECT_S),
    }
    more: dict[str, Any] = {}
    if is_stream:
        is_openai = isinstance(client, openai.AsyncOpenAI)
        more = {
            "stream": True,
            "stream_cls": openai.AsyncStream if is_openai else anthropic.AsyncStream,
        }
    if content is not None:
        more["content"] = content
    call: Any = {"GET": client.get, "POST": client.post, "DELETE": client.delete}[method]
    try:
        response: httpx2.Response = await call(
            path, cast_to=httpx2.Response, options=options, **more
        )
    except _STATUS_ERRORS as error:
        return error.response
    except _CONNECTION_ERRORS as error:
        told = unanswered(error, client.base_url.host)
        is_late = told.failure.reason == "timeout"
        raise UnansweredError(str(told), was_sent=told.was_sent, is_late=is_late) from None
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        # The SDK would not even send it.
        raise UnansweredError(str(error)[:500], was_sent=False, is_late=False) from None
    return response


async def upload(
    client: Client,
    path: str,
    content: AsyncIterable[bytes],
    *,
    headers: dict[str, str],
    params: dict[str, str],
) -> httpx2.Response:
    """A multipart form as it came: `post` of the SDKs would make a form of its own. Raises UnansweredError."""
    kind = headers.pop("Content-Type")
    models: Any = openai if isinstance(client, openai.AsyncOpenAI) else anthropic
    final = models._models.FinalRequestOptions
    options = final.construct(
        method="post",
        url=path,
        content=content,
        headers={**headers, "Content-Type": "application/octet-stream"},
        params=params,
        timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
    )
    options = await client._prepare_options(options)
    build: Any = client._build_request
    request: httpx2.Request = build(options, retries_taken=0)
    request.headers["Content-Type"] = kind
    try:
        return await client._client.send(request)
    except httpx2.HTTPError as error:
        told = unanswered(error, client.base_url.host)
        is_late = told.failure.reason == "timeout"
        raise UnansweredError(str(told), was_sent=told.was_sent, is_late=is_late) from None
