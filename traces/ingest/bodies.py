"""Unpack a request body without ever holding more than the limit (F13: gzip packs 1,030 to 1)."""

import io
import zlib

from traces.ingest.limits import BodyError, BodyTooLargeError, UnsupportedEncodingError

_STEP = 256 * 1024
_GZIP = 31  # zlib's window bits: 15 plus 16 for the gzip header and its CRC
_ZLIB = 15
_RAW = -15
_BEST_RATIO = 1032


def read_body(raw: bytes, content_encoding: str, *, max_decompressed: int) -> bytes:
    """The plain body. Raises BodyError (400), BodyTooLargeError (413) or
    UnsupportedEncodingError (415).
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        if len(raw) > max_decompressed:
            raise _too_large(max_decompressed)
        return raw
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(raw, max_decompressed)
    if encoding == "deflate":
        return _inflate(raw, max_decompressed)
    raise UnsupportedEncodingError(
        f"Content-Encoding {encoding[:40]!r} is not supported: "
        "send gzip, deflate or identity, one of them once.",
        fields=["Content-Encoding"],
    )


def _gunzip(raw: bytes, limit: int) -> bytes:
    """All members of a gzip file, one after the other."""
    # The last four bytes state the size modulo 2^32: an honest bomb is refused before it is unpacked.
    # More than gzip's best ratio cannot be a size: those bytes belong to a damaged or truncated body.
    stated = int.from_bytes(raw[-4:], "little")
    if raw[:2] == b"\x1f\x8b" and limit < stated <= len(raw) * _BEST_RATIO:
        raise _too_large(limit)
    out = io.BytesIO()
    rest = raw
    while True:
        rest = _member(rest, _GZIP, out, limit)
        if not rest:
            return out.getvalue()
        if rest[:2] != b"\x1f\x8b":
            raise BodyError(f"The gzip body is followed by {len(rest)} bytes that are not gzip.")


def _inflate(raw: bytes, limit: int) -> bytes:
    """HTTP's deflate is zlib; many clients send the bare stream, so both are read."""
    looks_like_zlib = (
        len(raw) >= 2 and raw[0] & 0x0F == 8 and int.from_bytes(raw[:2], "big") % 31 == 0
    )
    out = io.BytesIO()
    rest = _member(raw, _ZLIB if looks_like_zlib else _RAW, out, limit)
    if rest:
        raise BodyError(f"The deflate body is followed by {len(rest)} bytes of something else.")
    return out.getvalue()


def _member(raw: bytes, window_bits: int, out: io.BytesIO, limit: int) -> bytes:
    """Unpack one stream into `out` in bounded steps; returns what follows it."""
    stream = zlib.decompressobj(window_bits)
    pending = raw
    try:
        while not stream.eof:
            chunk = stream.decompress(pending, _STEP)
            pending = stream.unconsumed_tail
            if out.tell() + len(chunk) > limit:
                raise _too_large(limit)
            out.write(chunk)
            if not chunk and not pending and not stream.eof:
                raise BodyError("The compressed body ends too early: it was cut off on the way.")
    except zlib.error as error:
        raise BodyError(f"The compressed body cannot be unpacked: {error}.") from error
    return stream.unused_data


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"The body is larger than {limit} bytes once unpacked: send it in smaller parts."
    )
