"""The gateway's door: ASGI in front of Django. A call costs no thread and waits for nothing but its answer.

key → facts → caller and wishes → where it goes → the line → frames → client.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from core.ids import uuid7
from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.door import models
from gateway.door.answers import JSON, RefusalError, own_headers
from gateway.door.callers import caller_of
from gateway.door.choosing import choose
from gateway.door.figures import record_call
from gateway.door.headers import HeaderError, Said, read_headers
from gateway.door.keys import Keys, KeysAwayError, Opened
from gateway.door.paths import CALLS, MODELS, dialect_of, is_gateway
from gateway.door.relay import Relay
from gateway.door.wishes import followed, wishes_of
from gateway.queues.frames import FrameReader, Waiting
from gateway.queues.line import Full
from gateway.queues.link import LinkLostError
from gateway.structs import Call

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE = "gateway"
_WORDS = {
    "project": "waiting calls of this project",
    "calls": "waiting calls",
    "bytes": "bytes of waiting calls",
}


def with_gateway(http: Application) -> Application:
    """`http` for everything but the gateway's paths."""
    door = Door()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await (door if is_gateway(scope["path"]) else http)(scope, receive, send)

    return application


class ClientLeftError(Exception):
    """Nobody reads the answer any more."""


class Door:
    """One per process; what belongs to the event loop is made with the first request."""

    def __init__(self) -> None:
        self._keys: Keys | None = None
        self._reader: FrameReader | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/")
        request = Request(path, scope["method"], receive, send)
        try:
            request.said = read_headers(scope["headers"])
            request.dialect = dialect_of(path, is_anthropic=request.said.is_anthropic)
            await self._answer(request)
        except RefusalError as refusal:
            await request.refuse(refusal)
        except HeaderError as error:
            await request.refuse(
                RefusalError(400, "invalid_header", error.message, param=error.name)
            )
        except RequestError as error:
            text = error.message
            await request.refuse(RefusalError(400, "invalid_request", text, param=error.field))
        except ClientLeftError:
            request.status = request.status or 499
        except Exception:
            logger.exception("gateway.door.broken")
            text = "The gateway failed. Its log has the reason under this request's id."
            if not request.status:
                await request.refuse(RefusalError(500, "internal_error", text))
        finally:
            request.record()

    async def _answer(self, request: "Request") -> None:
        opened = await self._open(request.said.key)
        if request.path in CALLS:
            request.need("POST")
            await self._call(request, opened)
            return
        if request.path == MODELS or request.path.startswith(MODELS + "/"):
            request.need("GET")
            await self._models(request, opened)
            return
        raise RefusalError(404, "unknown_url", f"The gateway has no {request.path}.")

    async def _open(self, key: str) -> Opened:
        """The key's project. Raises RefusalError: 401, 403, or 503 when nobody can tell."""
        if not key:
            text = "Send an API key of a project: Authorization: Bearer llmlab_sk_…, or x-api-key."
            raise RefusalError(401, "invalid_api_key", text)
        if self._keys is None:
            self._keys = Keys()
        try:
            opened = await self._keys.open(key)
        except KeysAwayError as error:
            raise RefusalError(503, error.code, error.detail, retry_after_s=2) from None
        if opened is None:
            text = "This API key is unknown, expired or revoked."
            raise RefusalError(401, "invalid_api_key", text)
        if SCOPE not in opened.auth.scopes:
            text = "This API key may not call models: it needs the scope gateway."
            raise RefusalError(403, "missing_scope", text)
        return opened

    async def _models(self, request: "Request", opened: Opened) -> None:
        is_anthropic, snapshot = request.dialect.is_anthropic, opened.snapshot
        name = request.path[len(MODELS) + 1 :]
        body: bytes | None
        if name:
            body = models.one_model(snapshot, name, is_anthropic=is_anthropic)
        else:
            body = models.model_list(snapshot, is_anthropic=is_anthropic)
        if body is None:
            text = f"The model {name} does not exist here, or this project may not call it."
            raise RefusalError(404, "model_not_found", text, param="model")
        headers = [JSON, *own_headers(request.dialect, request.id)]
        headers.append((b"content-length", b"%d" % len(body)))
        await request.send_whole(200, headers, body)

    async def _call(self, request: "Request", opened: Opened) -> None:
        if opened.auth.is_archived:
            text = "This project is archived. It makes no calls any more."
            raise RefusalError(403, "project_archived", text)
        coding = request.said.values.get("content_encoding", "identity").lower()
        if coding not in ("identity", ""):
            text = "The gateway reads bodies as they are, without compression."
            raise RefusalError(415, "unsupported_encoding", text, param="content-encoding")
        body = await request.body()
        facts = facts_of(request.dialect, body)
        call = self._made(request, opened, facts, body)
        waiting = await self._push(call, opened.snapshot.rules.queue_limit)
        relay = Relay(call, waiting, request.send)
        try:
            await request.while_connected(relay)
        finally:
            request.status, request.first_at = relay.status or request.status, relay.first_at
            await waiting.aclose()

    def _made(self, request: "Request", opened: Opened, facts: RequestFacts, body: bytes) -> Call:
        said, snapshot = request.said, opened.snapshot
        caller = caller_of(opened.auth, said, facts)
        wishes = wishes_of(said, facts, snapshot.rules, caller.key_id)
        decision, rules = choose(snapshot, facts, dialect=request.dialect)
        return Call(
            id=request.id,
            dialect=request.dialect,
            body=body,
            model=facts.model,
            caller=caller,
            decision=decision,
            rules=followed(rules, said),
            is_stream=facts.is_stream,
            wants_usage=facts.wants_usage,
            priority=wishes.priority,
            accepted_at=request.began_at,
            deadline_at=request.began_at + wishes.deadline_s,
            on_client_gone=rules.on_client_gone or snapshot.rules.on_client_gone,
            headers=said.passed,
            flags=wishes.flags,
        )

    async def _push(self, call: Call, limit: int) -> Waiting:
        if self._reader is None:
            self._reader = FrameReader(settings.REDIS_URL)
        try:
            placed = await self._reader.ask(call, limit=limit, now=time.time())
        except LinkLostError:
            text = "The queue does not answer. Send it again in a moment."
            raise RefusalError(503, "queue_unavailable", text, retry_after_s=2) from None
        if isinstance(placed, Full):
            text = f"The queue is full: {placed.waiting} {_WORDS[placed.bound]}. Try again in {placed.retry_after_s} s."
            raise RefusalError(429, "queue_full", text, retry_after_s=placed.retry_after_s)
        return placed


class Request:
    """One HTTP request and what became of it."""

    def __init__(self, path: str, method: str, receive: Receive, send: Send) -> None:
        self.id = uuid7().hex
        self.began_at = time.time()
        self.path = path
        self.method = method
        self.send = send
        self.said = Said()
        self.dialect = dialect_of(path)
        self.status = 0
        self.first_at = 0.0
        self._receive = receive

    def need(self, method: str) -> None:
        """Raises RefusalError for another one."""
        if self.method != method:
            text = f"{self.path} answers {method} only."
            raise RefusalError(405, "method_not_allowed", text, headers={"allow": method})

    async def body(self) -> bytes:
        """The whole body; the launcher bounds it."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def while_connected(self, relay: Relay) -> None:
        """Relay the answer; raises ClientLeftError when the client leaves before it is whole."""
        task = asyncio.current_task()
        has_left = False

        def left(done: "asyncio.Future[Message]") -> None:
            nonlocal has_left
            if not done.cancelled() and not relay.is_over and task is not None:
                has_left = True
                task.cancel()

        watch = asyncio.ensure_future(self._receive())
        watch.add_done_callback(left)
        try:
            await relay.run()
        except asyncio.CancelledError:
            if has_left and task is not None and task.uncancel() == 0:
                raise ClientLeftError from None
            raise
        finally:
            watch.remove_done_callback(left)
            watch.cancel()

    async def refuse(self, refusal: RefusalError) -> None:
        """Say why not."""
        headers, body = refusal.answer(self.dialect, self.id)
        await self.send_whole(refusal.status, headers, body)

    async def send_whole(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        self.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def record(self) -> None:
        """Count it."""
        first = self.first_at - self.began_at if self.first_at else 0.0
        took = time.time() - self.began_at
        record_call(self.dialect.value, self.status or 499, took, first)
