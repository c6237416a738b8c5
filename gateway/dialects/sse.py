"""Server-sent events as providers send them: cut into events as bytes arrive, each kept as it was (pure).

Line ends may be LF, CRLF or CR; comments (keep-alives) are events without data, so that they travel on.
"""

from typing import Any

import msgspec

# A single event this long is no answer of a model; generated images stay far below.
MAX_EVENT_BYTES = 64 * 1024 * 1024
DONE = b"[DONE]"

_decode = msgspec.json.decode
_UNREAD: Any = object()


class EventTooLongError(ValueError):
    """The provider sent `MAX_EVENT_BYTES` without ending an event."""


class Event(msgspec.Struct):
    """One event. `raw` is what came, blank line included; `data` its data lines joined."""

    name: str
    data: bytes
    raw: bytes
    _read: Any = _UNREAD

    @property
    def document(self) -> dict[str, Any] | None:
        """The data as a JSON object, parsed once; None when it is none (`[DONE]`, a comment, broken JSON)."""
        found = self._read
        if found is _UNREAD:
            found = None
            if self.data[:1] == b"{":
                try:
                    found = _decode(self.data)
                except (msgspec.DecodeError, RecursionError):
                    found = None
            self._read = found
        return found  # type: ignore[no-any-return]

    @property
    def is_broken(self) -> bool:
        """Whether it has data that is neither a JSON object nor the end mark."""
        return bool(self.data) and self.data != DONE and self.document is None


class Events:
    """Cuts a stream of bytes into events, wherever the network cut it."""

    __slots__ = ("_buffer", "_scanned")

    def __init__(self) -> None:
        self._buffer = b""
        # Up to here the buffer is known to hold no end of an event: what is fed in tiny pieces is not searched twice.
        self._scanned = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole now. Raises EventTooLongError."""
        buffer = self._buffer + chunk if self._buffer else chunk
        if b"\r" in buffer:
            return self._feed_any(buffer)
        found: list[Event] = []
        start = 0
        end = buffer.find(b"\n\n", self._scanned)
        while end >= 0:
            found.append(_event(buffer[start : end + 2]))
            start = end + 2
            end = buffer.find(b"\n\n", start)
        self._keep(buffer[start:] if start else buffer)
        return found

    def end(self) -> list[Event]:
        """What was left when the stream ended: an event whose blank line never came, or nothing."""
        rest, self._buffer, self._scanned = self._buffer, b"", 0
        if not rest.strip():
            return []
        is_whole = rest.endswith((b"\r\r", b"\n\n"))
        return [_parsed(rest if is_whole else rest.rstrip(b"\r\n") + b"\n\n")]

    def _keep(self, rest: bytes) -> None:
        if len(rest) > MAX_EVENT_BYTES:
            raise EventTooLongError(f"no end of an event in {len(rest)} bytes")
        self._buffer = rest
        self._scanned = max(0, len(rest) - 3)

    def _feed_any(self, buffer: bytes) -> list[Event]:
        """As `feed`, for streams with carriage returns. A last CR may be half of a CRLF, so it waits."""
        found: list[Event] = []
        start = position = 0
        is_blank = True
        size = len(buffer)
        while position < size:
            byte = buffer[position]
            if byte not in b"\r\n":
                is_blank = False
                position = _line_end(buffer, position)
                continue
            if byte == 13 and position + 1 == size:
                break
            position += 2 if buffer[position : position + 2] == b"\r\n" else 1
            if is_blank:
                if buffer[start:position].strip():
                    found.append(_parsed(buffer[start:position]))
                start = position
            is_blank = True
        self._keep(buffer[start:])
        self._scanned = 0
        return found


def _line_end(buffer: bytes, position: int) -> int:
    """Where the line that `position` is in ends: at a CR, an LF or the buffer's end."""
    feed, back = buffer.find(b"\n", position), buffer.find(b"\r", position)
    ends = [end for end in (feed, back) if end >= 0]
    return min(ends, default=len(buffer))


def _event(raw: bytes) -> Event:
    """The event in `raw`, which ends with its blank line."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2:
        return Event("", raw[6:-2], raw)
    return _parsed(raw)


def _parsed(raw: bytes) -> Event:
    """As `_event`, for lines that end in any way."""
    name = ""
    data: list[bytes] = []
    for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(data), raw)


def frame(data: bytes, name: str = "") -> bytes:
    """One event on the wire."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


def frame_json(document: Any, name: str = "") -> bytes:
    """One event on the wire, its data as compact JSON."""
    return frame(msgspec.json.encode(document), name)
