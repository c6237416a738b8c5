"""From bytes as they came over the wire to JSON values and events."""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, Optional

from .call import Call, Chunk, Json

Decoder = Callable[[bytes], bytes]
AMAZON_EVENTS = "application/vnd.amazon.eventstream"
_PRELUDE = 12  # length of all, length of headers, checksum
_CHECKSUM = 4


class Event(NamedTuple):
    """One server-sent event; `data` is its JSON object, or None for anything else (`is_done` for [DONE])."""

    at: float
    name: str
    data: Optional[Json]
    is_done: bool = False


def json_of(raw: bytes) -> Any:
    """The JSON value of some bytes; None when they are none."""
    try:
        return json.loads(raw.decode("utf-8", "replace")) if raw else None
    except (ValueError, RecursionError):
        return None


def object_of(raw: bytes) -> Json:
    """The JSON object of some bytes; empty when they are none."""
    value = json_of(raw)
    return value if isinstance(value, dict) else {}


def decoded(call: Call) -> list[Chunk]:
    """The answer's chunks without their content-encoding; what cannot be decoded is left out."""
    decode = decoder_of(call.header("content-encoding"))
    if decode is None:
        return []
    plain: list[Chunk] = []
    # Each encoding's module raises its own exceptions; what came before still counts.
    with suppress(Exception):
        for at, raw in call.chunks:
            plain.append((at, decode(raw)))
    return plain


def decoder_of(content_encoding: str) -> Optional[Decoder]:
    """What takes this header's encodings off, piece by piece; None when one is not known here."""
    steps: list[Decoder] = []
    for encoding in reversed(content_encoding.lower().split(",")):
        if encoding.strip() in ("", "identity"):
            continue
        step = _decoder(encoding.strip())
        if step is None:
            return None
        steps.append(step)

    def decode(raw: bytes) -> bytes:
        for step in steps:
            raw = step(raw)
        return raw

    return decode


def _decoder(encoding: str) -> Any:
    """A function of its own for each answer: it remembers what came before."""
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    if encoding == "deflate":
        return _deflate()
    try:
        # A client that asks for these has the module itself.
        if encoding == "br":
            return import_module("brotli").Decompressor().process
        if encoding == "zstd":
            return import_module("zstandard").ZstdDecompressor().decompressobj().decompress
    except (ImportError, AttributeError):
        return None
    return None


def _deflate() -> Any:
    """Servers send deflate with and without zlib's header; the first bytes tell."""
    chosen: list[Any] = []

    def decompress(raw: bytes) -> bytes:
        if not chosen and raw:
            has_header = raw[0] & 0x0F == 8 and raw[0] >> 4 <= 7
            chosen.append(zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS))
        result: bytes = chosen[0].decompress(raw) if chosen else b""
        return result

    return decompress


def events_of(chunks: Iterable[Chunk], content_type: str) -> Iterator[Event]:
    """The events of a stream, each with the time its last byte came."""
    if content_type.startswith(AMAZON_EVENTS):
        return _amazon_events(chunks)
    return _sent_events(chunks)


def _sent_events(chunks: Iterable[Chunk]) -> Iterator[Event]:
    name = ""
    data: list[bytes] = []
    for at, line in _lines(chunks):
        if not line:
            if data:
                yield _event(at, name, data)
            name, data = "", []
        elif line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")


def _lines(chunks: Iterable[Chunk]) -> Iterator[tuple[float, bytes]]:
    """Lines without their ends, and an empty one at last: some servers forget it after their last event."""
    rest, at = b"", 0.0
    for at, raw in chunks:
        rest += raw
        if rest.endswith(b"\r"):  # may be half of \r\n
            continue
        lines = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield at, line
    for line in rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        yield at, line
    yield at, b""


def _event(at: float, name: str, data: list[bytes]) -> Event:
    raw = b"\n".join(data)
    if raw.strip() == b"[DONE]":
        return Event(at, name, None, True)
    value = json_of(raw)
    if not isinstance(value, dict):
        return Event(at, name, None)
    kind = value.get("type")
    return Event(at, kind if isinstance(kind, str) and kind else name, value)


def _amazon_events(chunks: Iterable[Chunk]) -> Iterator[Event]:
    """Amazon's binary frames: each payload is `{"bytes": base64 of the provider's event}`."""
    rest = b""
    for at, raw in chunks:
        rest += raw
        while len(rest) >= _PRELUDE:
            size, header_size = int.from_bytes(rest[:4], "big"), int.from_bytes(rest[4:8], "big")
            if size < _PRELUDE + header_size + _CHECKSUM:
                return  # no such frame: what follows cannot be found
            if len(rest) < size:
                break
            payload = object_of(rest[_PRELUDE + header_size : size - _CHECKSUM])
            rest = rest[size:]
            yield _unpacked(at, payload)


def _unpacked(at: float, payload: Json) -> Event:
    packed = payload.get("bytes")
    if not isinstance(packed, str):
        message = payload.get("message")
        error = {"type": "error", "error": {"message": message}} if message else None
        return Event(at, "error" if error else "", error)
    try:
        raw = base64.b64decode(packed)
    except ValueError:
        return Event(at, "", None)
    return _event(at, "", [raw])
