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

from traces.ingest.limits import BodyError, TooManyItemsError
from traces.ingest.otlp_raw import Budget, DamagedError, RawEvent, RawSpan
from traces.ingest.otlp_values import attributes_of, read_attribute
from traces.ingest.protobuf_fields import fields, text, varint

_NS = struct.Struct("<Q")
_MAX_GROUPS = 20_000  # resources and scopes


class SpanGroup(msgspec.Struct):
    """Spans of one scope: where each of them lies in the body."""

    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    spans: list[tuple[int, int]]


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
            resource |= attributes_of(buf, start, stop, 1, budget)
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
                    group.scope_name = text(buf, inner_start, inner_stop)
                elif inner_wire == 2 and inner == 2:
                    group.scope_version = text(buf, inner_start, inner_stop)
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
        span.name = text(buf, start, stop)
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
                span.status_message = text(buf, value, inner_stop)
            elif inner == 3 and wire == 0:
                span.status_code = value


def _event(buf: bytes, pos: int, end: int, budget: Budget) -> RawEvent:
    event = RawEvent(attributes={})
    for number, wire, start, stop in fields(buf, pos, end):
        if number == 1 and wire == 1:
            event.time_ns = _NS.unpack_from(buf, start)[0]
        elif number == 2 and wire == 2:
            event.name = text(buf, start, stop)
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
