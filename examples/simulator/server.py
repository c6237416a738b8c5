"""A small HTTP/1.1 server for one ASGI app: asyncio and h11, about 20 MB of memory.

Enough for the simulator: no websockets, keep-alive, streaming, and a connection that
breaks when the app raises in the middle of an answer.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

import h11

from examples.simulator.http import Receive, Scope, Send

logger = logging.getLogger(__name__)
READ_SIZE = 65_536
IDLE_SECONDS = 120


class _Connection:
    """One client connection; requests are answered one after the other."""

    def __init__(
        self, app: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.app, self.reader, self.writer = app, reader, writer
        self.wire = h11.Connection(h11.SERVER)

    async def next_event(self) -> Any:
        """The client's next event; raises TimeoutError when it stays silent too long."""
        while (event := self.wire.next_event()) is h11.NEED_DATA:
            data = await asyncio.wait_for(self.reader.read(READ_SIZE), IDLE_SECONDS)
            self.wire.receive_data(data)
        return event

    async def run(self) -> None:
        """Serves until the client leaves or asks to close."""
        while True:
            event = await self.next_event()
            if not isinstance(event, h11.Request):
                return
            await self.answer(event)
            if self.wire.our_state is h11.MUST_CLOSE or self.wire.their_state is not h11.DONE:
                return
            self.wire.start_next_cycle()

    async def answer(self, request: h11.Request) -> None:
        """Runs the app for one request."""
        target = urlsplit(request.target.decode("ascii"))
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": request.http_version.decode(),
            "method": request.method.decode(),
            "path": unquote(target.path),
            "raw_path": target.path.encode(),
            "query_string": target.query.encode(),
            "headers": list(request.headers),
        }
        if any(name == b"expect" for name, _ in request.headers):
            await self.send_event(h11.InformationalResponse(status_code=100, headers=[]))
        await self.app(scope, self._receive(), self._send())

    def _receive(self) -> Receive:
        async def receive() -> dict[str, Any]:
            event = await self.next_event()
            if isinstance(event, h11.Data):
                return {"type": "http.request", "body": bytes(event.data), "more_body": True}
            if isinstance(event, h11.EndOfMessage):
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.disconnect"}

        return receive

    def _send(self) -> Send:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
                await self.send_event(h11.Response(status_code=message["status"], headers=headers))
                return
            if message.get("body"):
                await self.send_event(h11.Data(data=message["body"]))
            if not message.get("more_body"):
                await self.send_event(h11.EndOfMessage())

        return send

    async def send_event(self, event: Any) -> None:
        """Writes one event and waits while the client is slow."""
        self.writer.write(self.wire.send(event) or b"")
        await self.writer.drain()


async def serve(
    app: Any, host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Starts serving; port 0 takes a free one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Connection(app, reader, writer).run()
        except (ConnectionError, TimeoutError, h11.ProtocolError) as error:
            logger.debug("simulator.connection.closed %s", error)
            writer.transport.abort()
        except asyncio.CancelledError:
            # The loop ends. Python 3.11 prints a traceback for a handler that lets this through.
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    return await asyncio.start_server(connected, host, port, ssl=tls)
