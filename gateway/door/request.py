"""One HTTP request at the door: its body, its client's leaving, its answer, its figures."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import IO, Any

from core.ids import uuid7
from gateway.door.answers import Headers, RefusalError
from gateway.door.figures import record_call
from gateway.door.headers import Said
from gateway.door.paths import dialect_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientLeftError(Exception):
    """Nobody reads the answer any more."""


class Request:
    """One HTTP request and what became of it."""

    def __init__(self, path: str, method: str, receive: Receive, send: Send) -> None:
        self.id = uuid7().hex
        self.began_at = time.time()
        self.path = path
        self.method = method
        self.said = Said()
        self.dialect = dialect_of(path)
        # What stands behind the path's question mark, and how the client came.
        self.query = b""
        self.scheme = "http"
        # The body, where the server has it on disk already.
        self.body_file: IO[bytes] | None = None
        self.status = 0
        # Of a job with an idempotency key (gateway.requests.accepting).
        self.fingerprint = ""
        # Whom a job is to tell that it ended (gateway.requests.webhooks.Wanted).
        self.webhook: Any = None
        self.first_at = 0.0
        # The answer's last part is on its way: that the connection ends now means nothing.
        self.is_over = False
        self._receive = receive
        self._send = send

    def need(self, method: str) -> None:
        """Raises RefusalError for another one."""
        if self.method != method:
            text = f"{self.path} answers {method} only."
            raise RefusalError(405, "method_not_allowed", text, headers={"allow": method})

    async def body(self) -> bytes:
        """The whole body; the launcher bounds it. Raises ClientLeftError."""
        parts = [part async for part in self.parts()]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ClientLeftError."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def while_connected(self, work: Awaitable[None]) -> None:
        """Answer; raises ClientLeftError when the client leaves before the answer is whole."""
        task = asyncio.current_task()
        has_left = False

        def left(done: "asyncio.Future[Message]") -> None:
            nonlocal has_left
            if not done.cancelled() and not self.is_over and task is not None:
                has_left = True
                task.cancel()

        watch = asyncio.ensure_future(self._receive())
        watch.add_done_callback(left)
        try:
            await work
        except asyncio.CancelledError:
            if has_left and task is not None and task.uncancel() == 0:
                raise ClientLeftError from None
            raise
        finally:
            watch.remove_done_callback(left)
            watch.cancel()

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer that comes in parts."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, is_last: bool) -> None:
        """A part of the answer; waits while the client does not take it."""
        self.first_at = self.first_at or time.time()
        self.is_over = is_last
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer."""
        headers.append((b"content-length", b"%d" % len(body)))
        await self.start(status, headers)
        await self.write(body, is_last=True)

    async def refuse(self, refusal: RefusalError) -> None:
        """Say why not."""
        headers, body = refusal.answer(self.dialect, self.id)
        await self.answer(refusal.status, headers, body)

    def record(self) -> None:
        """Count it."""
        first = self.first_at - self.began_at if self.first_at else 0.0
        record_call(self.dialect.value, self.status or 499, time.time() - self.began_at, first)
