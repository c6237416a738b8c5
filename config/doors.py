"""POSTs to the ingestion doors go through the same middleware on a thread that stays, not one made for each request.

Django's own ASGI handler starts a thread per request and hops four times between it and the event loop: half of what
the web process spends on an upload. A door is a plain function that needs neither, so its whole chain runs in one call.
"""

import asyncio
import io
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What traces.door_urls gives to a door when it is POSTed.
_DOOR = re.compile(
    r"/(?:(?:api/public/otel|api/v1/otlp|api/v1/private/otel|otel|otlp|api/otel)/)?v1/traces/?"
    r"|/api/public/ingestion/?|/api/v1/projects/[^/]+/(?:traces|costs)/?"
)
THREADS = 16  # more than the gate lets in


class DoorHandler(BaseHandler):
    """Django without its asynchronous half."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware(is_async=False)
        # Threads begin with the first request, that is after the fork.
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="door")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        loop = asyncio.get_running_loop()
        # A context of its own: nothing one request sets is seen by the next on the same thread.
        work = copy_context().run
        status, headers, content = await loop.run_in_executor(
            self.threads, work, self._answer, scope, b"".join(parts)
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The whole request, on one thread; its database connection goes back to the pool at the end."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        try:
            request = ASGIRequest(scope, io.BytesIO(body))
        except UnicodeDecodeError:
            logger.warning("config.doors.bad_path")
            response: HttpResponseBase = HttpResponseBadRequest()
        else:
            response = self.get_response(request)
        try:
            content = b"".join(response)
            headers = [(k.encode("ascii"), v.encode("latin1")) for k, v in response.items()]
            headers += [
                (b"Set-Cookie", cookie.output(header="").encode("ascii").strip())
                for cookie in response.cookies.values()
            ]
            return response.status_code, headers, content
        finally:
            response.close()


def with_doors(http: Application) -> Application:
    """`http` for everything but POSTs to the doors."""
    doors = DoorHandler()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_door = scope["method"] == "POST" and _DOOR.fullmatch(scope["path"])
        await (doors if is_door else http)(scope, receive, send)

    return application
