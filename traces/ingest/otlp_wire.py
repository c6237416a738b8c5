"""Read ExportTraceServiceRequest from protobuf, counting as it goes.

A general protobuf parser materialises everything before one can count: 4 MB of empty spans become
356 MB (F13), and
one bad byte in one span loses all of them. This reader finds the spans first, refuses by count,
then reads one span
at a time; a span that is damaged inside is reported alone. Field numbers:
opentelemetry/proto/trace/v1/trace.proto.
"""

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from traces.ingest.limits import BodyError, Limits, TooManyItemsError

_DOUBLE = struct.Struct("<d")
_NS = struct.Struct("<Q")
_MAX_GROUPS = 20_000  # resources and scopes


class DamagedError(Exception):
    """The bytes at hand are not the message they should be."""


class RawEvent(msgspec.Struct):
    name: str = ""
    time_ns: int = 0
    attributes: dict[str, Any] = {}


class RawSpan(msgspec.Struct):
    """A span as the wire said it, in Python values but unchecked."""

    trace_id: bytes = b""
    span_id: bytes = b""
    parent_span_id: bytes = b""
    name: str = ""
    start_ns: int = 0
    end_ns: int = 0
    status_code: int = 0
    status_message: str = ""
    attributes: dict[str, Any] = {}
    events: list[RawEvent] = []
    links: list[tuple[Any, Any]] = []
    is_cut: bool = False


class SpanGroup(msgspec.Struct):
    """Spans of one scope: where each of them lies in the body."""

    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    spans: list[tuple[int, int]]


class Budget:
    """How many attributes, events, links and nested values one upload may still bring."""

    __slots__ = ("left", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.max_entities

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooManyItemsError(
                f"The upload holds more than {self.limits.max_entities} attributes, events and nested "
                "values: send fewer spans at a time."
            )


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


def find_spans(body: bytes, budget: Budget) -> list[SpanGroup]:
    """All spans of the request, counted and located but not read. Raises BodyError or
    TooManyItemsError.
    """
    groups: list[SpanGroup] = []
    count = 0
    is_request = not body
    try:
        for number, wire, start, stop in fields(body, 0, len(body)):
            if number != 1 or wire != 2:
                continue
            is_request = True
            for group in _scopes(body, start, stop, budget):
                count += len(group.spans)
                groups.append(group)
                if count > budget.limits.max_spans:
                    raise TooManyItemsError(
                        f"The upload holds more than {budget.limits.max_spans} spans: "
                        "send fewer at a time."
                    )
                if len(groups) > _MAX_GROUPS:
                    raise TooManyItemsError(f"The upload holds more than {_MAX_GROUPS} scopes.")
    except DamagedError as error:
        raise BodyError(f"The body is not an OTLP trace request in protobuf: {error}.") from error
    if not is_request:
        raise BodyError(
            "The body is not an OTLP trace request in protobuf: it holds no resourceSpans."
        )
    return groups


def _scopes(buf: bytes, pos: int, end: int, budget: Budget) -> Iterator[SpanGroup]:
    resource: dict[str, Any] = {}
    scopes: list[tuple[int, int]] = []
    for number, wire, start, stop in fields(buf, pos, end):
        if wire != 2:
            continue
        if number == 1:
            resource |= _attributes_of(buf, start, stop, 1, budget)
        elif number == 2:
            scopes.append((start, stop))
            budget.take(1)
    for start, stop in scopes:
        yield _scope(buf, start, stop, resource, budget)


def _scope(buf: bytes, pos: int, end: int, resource: dict[str, Any], budget: Budget) -> SpanGroup:
    group = SpanGroup(resource=resource, scope_name="", scope_version="", spans=[])
    for number, wire, start, stop in fields(buf, pos, end):
        if wire != 2:
            continue
        if number == 2:
            group.spans.append((start, stop))
            if len(group.spans) > budget.limits.max_spans:
                break
        elif number == 1:
            for inner, inner_wire, inner_start, inner_stop in fields(buf, start, stop):
                if inner_wire == 2 and inner == 1:
                    group.scope_name = _text(buf, inner_start, inner_stop)
                elif inner_wire == 2 and inner == 2:
                    group.scope_version = _text(buf, inner_start, inner_stop)
    return group


def read_span(buf: bytes, pos: int, end: int, budget: Budget) -> RawSpan:
    """One span. Raises DamagedError when its own bytes are bad, TooManyItemsError when the
    upload's budget is spent.
    """
    span = RawSpan(attributes={}, events=[], links=[])
    attributes = span.attributes
    limits = budget.limits
    taken = 0
    while pos < end:
        # Most fields of a span are attributes: one-byte tag 0x4A, then a length.
        if buf[pos] == 0x4A:
            size = buf[pos + 1] if pos + 1 < end else 0x80
            pos += 2
            if size >= 0x80:
                size, pos = varint(buf, pos - 1, end)
            stop = pos + size
            if stop > end:
                raise DamagedError("an attribute is longer than its span")
            taken += 1
            if taken > limits.max_attributes:
                raise TooManyItemsError(
                    f"the span has more than {limits.max_attributes} attributes"
                )
            read_attribute(buf, pos, stop, attributes, budget)
            pos = stop
            continue
        tag = buf[pos]
        if (
            tag & 0x87 == 2 and pos + 1 < end and buf[pos + 1] < 0x80
        ):  # short bytes with a one-byte tag
            number, wire, start = tag >> 3, 2, pos + 2
            pos = stop = start + buf[pos + 1]
            if stop > end:
                raise DamagedError("a field is longer than its span")
        else:
            number, wire, start, stop = next(fields(buf, pos, end))
            pos = stop
        if wire == 2:
            _span_message(span, buf, number, start, stop, budget)
        elif wire == 1 and number == 7:
            span.start_ns = _NS.unpack_from(buf, start)[0]
        elif wire == 1 and number == 8:
            span.end_ns = _NS.unpack_from(buf, start)[0]
        elif wire == 0 and number in (10, 12, 14) and start:
            span.is_cut = True  # the sender itself dropped attributes, events or links
    budget.take(taken)
    return span


def _span_message(
    span: RawSpan, buf: bytes, number: int, start: int, stop: int, budget: Budget
) -> None:
    if number == 1:
        span.trace_id = buf[start:stop]
    elif number == 2:
        span.span_id = buf[start:stop]
    elif number == 4:
        span.parent_span_id = buf[start:stop]
    elif number == 5:
        span.name = _text(buf, start, stop)
    elif number == 11:
        budget.take(1)
        if len(span.events) < budget.limits.max_events:
            span.events.append(_event(buf, start, stop, budget))
        else:
            span.is_cut = True
    elif number == 13:
        budget.take(1)
        if len(span.links) < budget.limits.max_links:
            span.links.append(_link(buf, start, stop))
        else:
            span.is_cut = True
    elif number == 15:
        for inner, wire, value, inner_stop in fields(buf, start, stop):
            if inner == 2 and wire == 2:
                span.status_message = _text(buf, value, inner_stop)
            elif inner == 3 and wire == 0:
                span.status_code = value


def _event(buf: bytes, pos: int, end: int, budget: Budget) -> RawEvent:
    event = RawEvent(attributes={})
    for number, wire, start, stop in fields(buf, pos, end):
        if number == 1 and wire == 1:
            event.time_ns = _NS.unpack_from(buf, start)[0]
        elif number == 2 and wire == 2:
            event.name = _text(buf, start, stop)
        elif number == 3 and wire == 2:
            budget.take(1)
            read_attribute(buf, start, stop, event.attributes, budget)
    return event


def _link(buf: bytes, pos: int, end: int) -> tuple[bytes, bytes]:
    trace_id = span_id = b""
    for number, wire, start, stop in fields(buf, pos, end):
        if number == 1 and wire == 2:
            trace_id = buf[start:stop]
        elif number == 2 and wire == 2:
            span_id = buf[start:stop]
    return trace_id, span_id


def _attributes_of(buf: bytes, pos: int, end: int, field: int, budget: Budget) -> dict[str, Any]:
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
                value = _scalar(buf, inner, end)
                if value is not None:
                    into[str(buf[pos + 2 : start], "utf-8", "replace")] = value
                    return
    key, value = "", None
    for number, wire, start, stop in fields(buf, pos, end):
        if number == 1 and wire == 2:
            key = _text(buf, start, stop)
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
                value = _text(buf, start, stop)
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
                        key = _text(buf, part_start, part_stop)
                    elif part == 2 and part_wire == 2:
                        value = _any(buf, part_start, part_stop, depth + 1, budget)
                mapping[key] = value
    return items if number == 5 else mapping


def _text(buf: bytes, start: int, stop: int) -> str:
    return str(buf[start:stop], "utf-8", "replace")
