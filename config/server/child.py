"""One web process: daphne's server with our connections, on an inherited socket, drained on SIGTERM."""

import asyncio
import logging
import signal
import socket
import time
from typing import Any

# daphne.server installs Twisted's asyncio reactor, so it comes before everything of Twisted, and only in a child.
from daphne.server import Server  # isort: skip
from twisted.internet import defer, reactor

from config.server.gate import Application, Gate
from config.server.http import BoundedChannel, BoundedFactory, Phase
from config.server.limits import Limits
from config.server.sockets import SERVICE_RESTART, BoundedWebSocket, BoundedWebSocketFactory

logger = logging.getLogger(__name__)

# What the application may take to end: the launcher waits three for a process that is late already.
CLOSE_SECONDS = 2.5


class BoundedServer(Server):
    """daphne's server with limits, deadlines and an end that answers what it has begun."""

    def __init__(self, application: Application, limits: Limits) -> None:
        super().__init__(
            Gate(application, limits),
            endpoints=["inherited"],
            request_buffer_size=64 * 1024,
            websocket_timeout=8 * 3600,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            websocket_max_message_size=limits.socket_message,
            websocket_max_frame_size=limits.socket_message,
            application_close_timeout=30,
            server_name="",
        )
        self.limits = limits
        self.channels: set[BoundedChannel] = set()
        self.connections: dict[Any, dict[str, Any]] = {}
        self.buffered = 0
        self.spooled = 0
        self.draining = False
        self.drain_until = 0.0
        self.port: Any = None

    def serve(self, listening: socket.socket) -> None:
        """Serve until drained. Replaces daphne's `run`, which opens sockets by description and knows no drain."""
        self.http_factory = BoundedFactory(self)
        self.http_factory.timeOut = self.limits.idle_seconds
        self.ws_factory = BoundedWebSocketFactory(self, server=self.server_name)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,  # the origin is checked by AllowedHostsOriginValidator
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=self.websocket_max_message_size,
            maxFramePayloadSize=self.websocket_max_frame_size,
        )
        self.port = reactor.adoptStreamPort(listening.fileno(), listening.family, self.http_factory)
        loop = reactor._asyncioEventloop
        asyncio.set_event_loop(loop)
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self.drain)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.callLater(1, self._check_deadlines)
        reactor.addSystemEventTrigger("before", "shutdown", self.kill_all_applications)
        reactor.run(installSignalHandlers=False)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Give the application a file that was received as the file it is."""
        if getattr(protocol, "body_file", None) is not None:
            scope["llmlab.body"] = protocol.body_file
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Pass a part of an answer on; the application goes on with the next once the client can take it."""
        await super().handle_reply(protocol, message)
        channel = getattr(protocol, "channel", None)
        if channel is not None and message.get("more_body"):
            await channel.room(len(message.get("body", b"")))

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for channel in list(self.channels):
            if channel.is_open():
                channel.check_deadline(now)
            else:
                self.channels.discard(channel)
        reactor.callLater(1, self._check_deadlines)

    def kill_all_applications(self) -> Any:
        """Cancel what still runs (daphne's own version fails on a connection that has no application yet)."""
        instances = [details.get("application_instance") for details in self.connections.values()]
        pending = [instance for instance in instances if instance and not instance.done()]
        for instance in pending:
            instance.cancel()
        ended = defer.Deferred.fromFuture(asyncio.ensure_future(self._ended(pending)))
        ended.addErrback(lambda _: None)
        return ended

    async def _ended(self, pending: list[Any]) -> None:
        """Wait for them, then let the application end what it has open: ASGI's lifespan, of which nothing else is
        used."""
        await asyncio.gather(*pending, return_exceptions=True)
        messages = iter(("lifespan.startup", "lifespan.shutdown"))

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            return None

        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.application({"type": "lifespan"}, receive, send)
        except Exception:
            logger.exception("server.lifespan.failed")

    def drain(self) -> None:
        """Accept nothing new, answer what has begun, send live pages elsewhere, then end."""
        if self.draining:
            return
        self.draining = True
        self.drain_until = time.monotonic() + self.limits.drain_seconds
        self.port.stopListening()
        for channel in list(self.channels):
            if channel.phase is Phase.IDLE:
                channel.loseConnection()
            elif channel.requests:
                channel.close_after_response(channel.requests[0])
        for protocol, details in list(self.connections.items()):
            if isinstance(protocol, BoundedWebSocket) and "disconnected" not in details:
                protocol.close_with(SERVICE_RESTART)
        self._end_when_drained()

    def _end_when_drained(self) -> None:
        open_connections = [d for d in self.connections.values() if "disconnected" not in d]
        busy = [c for c in self.channels if c.phase is not Phase.REFUSED and c.is_open()]
        late = time.monotonic() > self.drain_until
        if late and (open_connections or busy):
            logger.warning("server.drain.cut %d connections after the time limit", len(busy))
        if late or not (open_connections or busy):
            reactor.stop()
        else:
            reactor.callLater(0.05, self._end_when_drained)


def serve(application: Application, listening: socket.socket, limits: Limits) -> None:
    """Run one web process on the socket until it is told to end."""
    listening.setblocking(False)
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([lambda _: None], redirectStandardIO=False, discardBuffer=True)
    BoundedServer(application, limits).serve(listening)
