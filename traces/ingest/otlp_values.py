"""OTLP's KeyValue and AnyValue from protobuf: the attributes of resources, spans and events."""

import struct
from typing import Any

from traces.ingest.otlp_raw import Budget
from traces.ingest.protobuf_fields import fields, text, varint

_DOUBLE = struct.Struct("<d")
# Attribute names as they were written, so that each is decoded once. Senders choose them: only so many are kept.
_NAMES: dict[bytes, str] = {}
_MAX_NAMES = 4096


def _name(raw: bytes) -> str:
    """The attribute's name, remembered when it is a short one."""
    name = str(raw, "utf-8", "replace")
    if len(raw) <= 64:
        if len(_NAMES) >= _MAX_NAMES:
            _NAMES.clear()
        _NAMES[raw] = name
    return name


def attributes_of(buf: bytes, pos: int, end: int, field: int, budget: Budget) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for number, wire, start, stop in fields(buf, pos, end):
        if number == field and wire == 2:
            budget.take(1)
            read_attribute(buf, start, stop, attributes, budget)
    return attributes


def read_attribute(buf: bytes, pos: int, end: int, into: dict[str, Any], budget: Budget) -> None:
    """Add the KeyValue at `pos` to `into`.

    First the shape every encoder writes (key, then a value of one scalar, short lengths), then any
    other.
    """
    if end - pos > 4 and buf[pos] == 0x0A and buf[pos + 1] < 0x80:
        start = pos + 2 + buf[pos + 1]
        if start + 1 < end and buf[start] == 0x12:
            size = buf[start + 1]
            inner = start + 2
            if size >= 0x80:
                size, inner = varint(buf, start + 1, end)
            if inner + size == end and size:
                # A short text, most of all: decided in place.
                if size > 1 and buf[inner] == 0x0A and buf[inner + 1] == size - 2 < 0x80:
                    value: Any = str(buf[inner + 2 : end], "utf-8", "replace")
                else:
                    value = _scalar(buf, inner, end)
                if value is not None:
                    raw = buf[pos + 2 : start]
                    into[_NAMES.get(raw) or _name(raw)] = value
                    return
    key, value = "", None
    for number, wire, start, stop in fields(buf, pos, end):
        if number == 1 and wire == 2:
            key = text(buf, start, stop)
        elif number == 2 and wire == 2:
            value = _any(buf, start, stop, 0, budget)
    into[key] = value


def _scalar(buf: bytes, pos: int, end: int) -> str | int | float | bool | None:
    """The AnyValue that is exactly one scalar field filling its bytes; None for every other
    shape.
    """
    tag = buf[pos]
    if tag == 0x0A:
        size, start = (buf[pos + 1], pos + 2) if pos + 1 < end else (0x80, pos)
        if size >= 0x80:
            size, start = varint(buf, pos + 1, end)
        return str(buf[start:end], "utf-8", "replace") if start + size == end else None
    if tag == 0x18:
        number, stop = varint(buf, pos + 1, end)
        if stop == end:
            return number - (1 << 64) if number >> 63 else number
    elif tag == 0x21 and end - pos == 9:
        return float(_DOUBLE.unpack_from(buf, pos + 1)[0])
    elif tag == 0x10 and end - pos == 2 and buf[pos + 1] < 2:
        return buf[pos + 1] == 1
    return None


def _any(buf: bytes, pos: int, end: int, depth: int, budget: Budget) -> Any:
    """Any AnyValue. One level deeper than the limit is kept, so that the cleaner sees it and
    marks the span.
    """
    value: Any = None
    for number, wire, start, stop in fields(buf, pos, end):
        if wire == 0:
            if number == 2:
                value = start != 0
            elif number == 3:
                value = start - (1 << 64) if start >> 63 else start
        elif wire == 1 and number == 4:
            value = _DOUBLE.unpack_from(buf, start)[0]
        elif wire == 2:
            if number == 1:
                value = text(buf, start, stop)
            elif number == 7:
                value = buf[start:stop]
            elif number in (5, 6):
                value = _container(buf, number, start, stop, depth, budget)
    return value


def _container(buf: bytes, number: int, pos: int, end: int, depth: int, budget: Budget) -> Any:
    items: list[Any] = []
    mapping: dict[str, Any] = {}
    if depth <= budget.limits.max_depth:
        for inner, wire, start, stop in fields(buf, pos, end):
            if inner != 1 or wire != 2:
                continue
            budget.take(1)
            if number == 5:
                items.append(_any(buf, start, stop, depth + 1, budget))
            else:
                key, value = "", None
                for part, part_wire, part_start, part_stop in fields(buf, start, stop):
                    if part == 1 and part_wire == 2:
                        key = text(buf, part_start, part_stop)
                    elif part == 2 and part_wire == 2:
                        value = _any(buf, part_start, part_stop, depth + 1, budget)
                mapping[key] = value
    return items if number == 5 else mapping
