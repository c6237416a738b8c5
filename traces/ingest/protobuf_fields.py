"""The fields of any protobuf message, found without reading them."""

from collections.abc import Iterator

from traces.ingest.otlp_raw import DamagedError


def varint(buf: bytes, pos: int, end: int) -> tuple[int, int]:
    """The unsigned number at `pos` and the position after it."""
    result = shift = 0
    while pos < end and shift < 70:
        byte = buf[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, pos
        shift += 7
    raise DamagedError("a number is cut off")


def fields(buf: bytes, pos: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, start, stop) of each field; numbers carry their value as
    `start`.
    """
    while pos < end:
        tag, pos = varint(buf, pos, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise DamagedError("a field has number 0")
        if wire == 2:
            size, pos = varint(buf, pos, end)
            stop = pos + size
            if stop > end:
                raise DamagedError("a field is longer than its message")
            yield number, wire, pos, stop
            pos = stop
        elif wire == 0:
            value, pos = varint(buf, pos, end)
            yield number, wire, value, pos
        elif wire in (1, 5):
            stop = pos + (8 if wire == 1 else 4)
            if stop > end:
                raise DamagedError("a number is cut off")
            yield number, wire, pos, stop
            pos = stop
        else:
            raise DamagedError(f"wire type {wire} is not used by OTLP")


def text(buf: bytes, start: int, stop: int) -> str:
    return str(buf[start:stop], "utf-8", "replace")
