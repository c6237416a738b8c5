"""HTTP/1.1 with limits on top of daphne: body size while it arrives, deadlines per phase, lingering refusals."""

import asyncio
import io
import time
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.web.http import RESPONSES, HTTPChannel

from config.server.refusals import error_body, raw_response
from gateway.door.paths import FILES, is_gateway

if TYPE_CHECKING:
    from config.server.child import BoundedServer

# Twisted has no words for the younger ones, such as 429.
RESPONSES.update({status.value: status.phrase.encode() for status in HTTPStatus})
IN_MEMORY = 1024 * 1024  # bytes of a body; it is read whole before Django sees it anyway


class Phase(Enum):
    """Where a connection stands; each has its own deadline except while Django works."""

    IDLE = "idle"
    HEADER = "header"
    BODY = "body"
    HANDLING = "handling"
    REFUSED = "refused"


class BoundedRequest(WebRequest):
    """A request that is refused while it arrives instead of being spooled first."""

    channel: "BoundedChannel"
    content: Any
    received = 0
    max_body = 0
    # A file for a provider: it stays on disk, and the application reads it from there.
    is_file = False
    body_file: Any = None

    def gotLength(self, length: int | None) -> None:
        """All headers are here; `length` is None for a chunked body."""
        self.max_body, self.is_file = self.channel.max_body(), self.channel.brings_file()
        # Twisted would read forms into memory to parse them; who wants their fields parses them itself.
        self._parsePOSTFormSubmission = False
        if length and length > self.max_body:
            super().gotLength(0)
            self.channel.refuse_body()
            return
        super().gotLength(length)
        if length and length <= IN_MEMORY:
            self.content.close()
            self.content = io.BytesIO()  # Twisted makes a file of everything above 100 kB
        self.channel.enter(Phase.BODY)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body arrived."""
        if self.channel.phase is Phase.REFUSED:
            return
        server = self.channel.server
        self.received += len(data)
        self._count(len(data))
        if self.received > self.max_body:
            self.channel.refuse_body()
        elif (
            server.buffered > server.limits.max_buffered
            or server.spooled > server.limits.max_spooled
        ):
            detail = (
                "This server is busy receiving other large requests. Send it again in a moment."
            )
            self.channel.refuse(503, "busy", detail)
        else:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """The request is complete: hand it to Django."""
        self.channel.enter(Phase.HANDLING)
        if self.is_file:
            self.body_file, self.content = self.content, io.BytesIO()
            self.body_file.seek(0)
        if self.channel.server.draining:
            self.channel.close_after_response(self)
        return super().process()

    def finish(self) -> None:
        """The answer is complete."""
        self.forget_body()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        """The client left."""
        self.forget_body()
        super().connectionLost(reason)

    def forget_body(self) -> None:
        """The body no longer counts against the process."""
        self._count(-self.received)
        self.received = 0

    def _count(self, change: int) -> None:
        if self.is_file:
            self.server.spooled += change
        else:
            self.server.buffered += change

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """daphne's own failures, in the one error shape."""
        kind = self.requestHeaders.getRawHeaders(b"content-type", [b""])[0]
        path = self.path.decode("latin-1")
        content, content_type = error_body(status, f"http_{status}", body, kind, path)
        headers = [(b"Content-Type", content_type), (b"Content-Length", str(len(content)).encode())]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": content})


class BoundedChannel(HTTPChannel):
    """One client connection."""

    phase = Phase.IDLE
    phase_since = 0.0
    # Since when the client has not taken all that was written (0: it keeps up), and how much was written since.
    behind_since = 0.0
    owed = 0

    @property
    def server(self) -> "BoundedServer":
        return self.factory.server  # type: ignore[no-any-return]

    def is_open(self) -> bool:
        """False when the connection ended, or became a websocket (then this channel is not told the end)."""
        return getattr(self.transport, "protocol", None) is self

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.phase_since = time.monotonic()

    def connectionMade(self) -> None:
        self.requestFactory = BoundedRequest  # daphne's factory has set its own
        self.enter(Phase.IDLE)
        self.server.channels.add(self)
        self.caught_up = asyncio.Event()
        super().connectionMade()

    def pauseProducing(self) -> None:
        """The transport holds more than it likes: the client reads slowly."""
        if not self.behind_since:
            self.behind_since, self.owed = time.monotonic(), 0
            self.caught_up.clear()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client has taken everything."""
        self.behind_since = 0.0
        self.caught_up.set()
        super().resumeProducing()

    async def room(self, written: int) -> None:
        """Return once there is room for more of an answer of which `written` bytes were just written, or nobody to
        read it. Without it a download would wait in memory for its client."""
        self.owed += written
        if self.behind_since and self.owed > self.server.limits.answer_buffer:
            await self.caught_up.wait()

    def connectionLost(self, reason: Any) -> None:
        self.behind_since = 0.0
        self.caught_up.set()
        self.server.channels.discard(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self.phase is Phase.REFUSED:
            return  # read and thrown away until the client has taken our answer
        if self.phase is Phase.IDLE:
            self.enter(Phase.HEADER)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if self.phase is Phase.IDLE:  # a pipelined request that was waiting in the buffer
            self.enter(Phase.HEADER)
        if self.phase is not Phase.REFUSED:
            super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:
        try:
            return bool(super().headerReceived(line))
        except ValueError:  # a Content-Length of thousands of digits
            self._respondToBadRequestAndDisconnect()
            return False

    def allContentReceived(self) -> None:
        if self.phase is not Phase.REFUSED:
            super().allContentReceived()

    def requestDone(self, request: BoundedRequest) -> None:
        # Before super(): it may start the next, pipelined request at once.
        self.enter(Phase.IDLE)
        super().requestDone(request)

    def _send100Continue(self) -> None:
        if self.phase is not Phase.REFUSED:
            super()._send100Continue()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(431, "headers_too_large", "The request line or a header is longer than 16 KiB.")

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(
            400, "bad_request", "This is not a valid HTTP request, or its headers exceed 16 KiB."
        )

    def asked_path(self) -> str:
        """Of the request whose headers were read last."""
        return getattr(self, "_path", b"").partition(b"?")[0].decode("latin-1")

    def max_body(self) -> int:
        """What the request that is arriving may have."""
        limits = self.server.limits
        if self.brings_file():
            return limits.file_body
        return limits.gateway_body if is_gateway(self.asked_path()) else limits.max_body

    def brings_file(self) -> bool:
        """Whether the request that is arriving uploads a file to a provider."""
        return self.asked_path().rstrip("/") == FILES

    def refuse_body(self) -> None:
        limit = self.max_body()
        self.refuse(
            413,
            "body_too_large",
            f"The request body exceeds the limit of {limit} bytes. Send less at once.",
        )

    def refuse(self, status: int, code: str, detail: str) -> None:
        """Answer now, stop writing, and read on for a moment: closing at once could destroy the answer on its way."""
        if self.phase is Phase.REFUSED:
            return
        self.enter(Phase.REFUSED)
        kind = b""
        if self.requests:
            kind = self.requests[-1].requestHeaders.getRawHeaders(b"content-type", [b""])[0]
            self.requests[-1].forget_body()
        self.transport.write(raw_response(status, code, detail, kind, self.asked_path()))
        self.transport.loseWriteConnection()

    def close_after_response(self, request: BoundedRequest) -> None:
        self.persistent = False
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def check_deadline(self, now: float) -> None:
        """Called every second for every connection."""
        limits = self.server.limits
        passed = now - self.phase_since
        if self.phase is Phase.HEADER and passed > limits.header_seconds:
            self.refuse(
                408,
                "timeout",
                f"The request headers took longer than {limits.header_seconds:.0f} s.",
            )
        elif self.phase is Phase.BODY:
            received = self.requests[-1].received if self.requests else 0
            if passed > limits.body_seconds + received / limits.body_bytes_per_second:
                self.refuse(408, "timeout", "The request body arrived too slowly.")
        elif self.phase is Phase.HANDLING and self.behind_since:
            slowest = limits.body_seconds + self.owed / limits.body_bytes_per_second
            if now - self.behind_since > slowest:
                self.transport.abortConnection()
        elif self.phase is Phase.IDLE and passed > limits.idle_seconds:
            self.loseConnection()
        elif self.phase is Phase.REFUSED and passed > limits.linger_seconds:
            self.transport.abortConnection()


class BoundedFactory(HTTPFactory):
    """Builds bounded connections; daphne's factory holds the server."""

    protocol = BoundedChannel
