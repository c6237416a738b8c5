"""The door to Django in one web process: some requests inside, some waiting, the rest told to come back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from config.server.limits import Limits
from config.server.refusals import error_body
from core import metrics
from gateway.door.paths import is_gateway

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Liveness must answer also when every place is taken.
UNGATED = {"/healthz"}


class Gate:
    """ASGI middleware. Under ASGI Django starts a thread per request; the database pool has places for a few.

    The place is given back when the answer starts, so a long stream does not keep it.
    """

    def __init__(self, application: Application, limits: Limits) -> None:
        self.application = application
        self.limits = limits
        self.places = asyncio.Semaphore(limits.concurrency)
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The gateway's calls wait for providers, without a thread or a database connection, and count for themselves.
        if scope["type"] != "http" or is_gateway(scope["path"]):
            await self.application(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            if scope["path"] in UNGATED:
                await self.application(scope, receive, counted)
            elif self.places.locked() and self.waiting >= self.limits.waiting:
                await self._turn_away(scope, counted)
            else:
                await self._pass(scope, receive, counted)
        finally:
            metrics.record_request(scope["method"], status, time.perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += 1
        try:
            await self.places.acquire()
        finally:
            self.waiting -= 1
        held = True

        async def releasing(message: Message) -> None:
            nonlocal held
            if held and message["type"] == "http.response.start":
                held = False
                self.places.release()
            await send(message)

        try:
            await self.application(scope, receive, releasing)
        finally:
            if held:
                self.places.release()

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        kind = dict(scope["headers"]).get(b"content-type", b"")
        body, content_type = error_body(
            503, "busy", "The server is busy. Send it again in a moment.", kind
        )
        headers = [(b"content-type", content_type), (b"retry-after", b"1")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
