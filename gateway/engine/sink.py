"""What one call's client gets, as numbered frames; nothing for a job, and nothing once the client has left."""

from gateway.dialects.errors import error_body
from gateway.queues.writing import FrameWriter
from gateway.structs import Call, Frame, FrameKind, Summary

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Sink:
    """The way back to the client of one call."""

    def __init__(self, writer: FrameWriter, call: Call) -> None:
        self._writer = writer
        self._call = call
        self._seq = 0
        self.status = 0
        # Something was sent: no other target may answer any more.
        self.has_begun = False
        self.has_left = not call.reply_to
        self._pending: Frame | None = None

    @property
    def is_full(self) -> bool:
        return self._writer.is_full

    async def drain(self) -> None:
        await self._writer.drain()

    def head(self, status: int, headers: dict[str, str]) -> None:
        """A stream begins."""
        self.status = status
        self.has_begun = True
        self._send(FrameKind.HEAD, b"", status, headers)

    def data(self, data: bytes) -> None:
        """A piece of the stream."""
        if data:
            self._send(FrameKind.DATA, data)

    def hold(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        """The whole answer; it is sent when `end` says what else is to be known."""
        self.status = status
        self.has_begun = True
        self._pending = Frame(self._call.id, 0, FrameKind.ALL, data, status, headers)

    def hold_error(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        """An error of our own, in the client's dialect."""
        body = error_body(
            self._call.dialect, status=status, code=code, message=message, request_id=self._call.id
        )
        self.hold(status, body, {**JSON, **(headers or {})})

    def end(self, summary: Summary) -> None:
        """Nothing more comes. Call it when what happened is in the journal."""
        if self.has_left:
            return
        if self._pending is not None:
            frame, self._pending = self._pending, None
            frame.summary = summary
            self._writer.send(self._call.reply_to, frame)
        else:
            self._send(FrameKind.END, b"", summary=summary)

    def _send(
        self,
        kind: FrameKind,
        data: bytes,
        status: int = 0,
        headers: dict[str, str] | None = None,
        summary: Summary | None = None,
    ) -> None:
        if self.has_left:
            return
        frame = Frame(self._call.id, self._seq, kind, data, status, headers or {}, summary)
        self._seq += 1
        self._writer.send(self._call.reply_to, frame)
