"""OTLP trace requests in, normal spans out. One bad span is one rejection; a bad body is one
error.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from traces.ingest import otlp_json, otlp_wire
from traces.ingest.dialects.registry import understand
from traces.ingest.facts import EventFacts, ScopeFacts, SpanFacts
from traces.ingest.inherit import inherit
from traces.ingest.limits import NAME_LENGTH, Limits, TooManyItemsError, Window
from traces.ingest.otlp_raw import Budget, DamagedError, RawSpan
from traces.ingest.sanitize import TRUNCATED, Cleaner, clean_text, short_text
from traces.ingest.span import Decoded, Rejection

Encoding = Literal["protobuf", "json"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_TRACE, _ZERO_SPAN = bytes(16), bytes(8)

CLOCK_SKEW = "clock_skew"
END_BEFORE_START = "end_before_start"


class RefusedError(Exception):
    """This one span cannot be stored."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def decode_otlp(
    body: bytes,
    *,
    content_type: Encoding,
    now: datetime,
    limits: Limits,
    window: Window,
    keep: Callable[[SpanFacts], None] | None = None,
) -> Decoded:
    """Every span of an ExportTraceServiceRequest, understood or named as refused; one that came twice is there twice.

    `now` is when the request arrived; `keep` is shown every span before its dialect reads it.
    Raises BodyError (400) when the body is no such request and
    TooManyItemsError
    (413) when it holds more than `limits` allow; nothing of the body is usable then.
    """
    budget = Budget(limits)
    decoded = Decoded(spans=[], rejections=[])
    readers = (
        _protobuf_spans(body, budget) if content_type == "protobuf" else _json_spans(body, budget)
    )
    for index, (scope, read) in enumerate(readers):
        raw = RawSpan()
        try:
            raw = read()
            facts = _facts(raw, scope, limits, window)
            if keep is not None:
                keep(facts)
            decoded.spans.append(understand(facts, limits))
        except DamagedError as error:
            decoded.rejections.append(
                _rejection(index, raw, "malformed_span", f"The span cannot be read: {error}.")
            )
        except TooManyItemsError as error:
            if budget.left < 0:
                raise
            decoded.rejections.append(
                _rejection(index, raw, error.code, f"Not stored: {error.detail}.")
            )
        except RefusedError as error:
            decoded.rejections.append(_rejection(index, raw, error.code, str(error)))
    inherit(decoded.spans)
    return decoded


_Spans = Iterator[tuple[ScopeFacts, Callable[[], RawSpan]]]


def _protobuf_spans(body: bytes, budget: Budget) -> _Spans:
    resources: dict[int, dict[str, Any]] = {}
    for group in otlp_wire.find_spans(body, budget):
        key = id(group.resource)
        if key not in resources:
            resources[key] = _clean_resource(group.resource, budget.limits)
        scope = ScopeFacts(
            name=short_text(group.scope_name),
            version=short_text(group.scope_version, 64),
            resource=resources[key],
        )
        for start, stop in group.spans:
            yield scope, partial(otlp_wire.read_span, body, start, stop, budget)


def _json_spans(body: bytes, budget: Budget) -> _Spans:
    for resource, name, version, spans in otlp_json.read_groups(body, budget):
        scope = ScopeFacts(
            name=short_text(name),
            version=short_text(version, 64),
            resource=_clean_resource(resource, budget.limits),
        )
        for item in spans:
            yield scope, partial(otlp_json.read_span, item, budget)


def _clean_resource(resource: dict[str, Any], limits: Limits) -> dict[str, Any]:
    cleaned = Cleaner(limits).value(resource)
    return cleaned if type(cleaned) is dict else {}


def _rejection(index: int, raw: RawSpan, code: str, detail: str) -> Rejection:
    return Rejection(
        index=index,
        trace_id=_hex(raw.trace_id),
        span_id=_hex(raw.span_id),
        code=code,
        detail=detail,
    )


def _hex(value: Any) -> str:
    return value[:32].hex() if type(value) is bytes else ""


def _facts(raw: RawSpan, scope: ScopeFacts, limits: Limits, window: Window) -> SpanFacts:
    """Check ids and times, clean everything else. Raises RefusedError."""
    if len(raw.trace_id) != 16 or raw.trace_id == _ZERO_TRACE:
        raise RefusedError("invalid_trace_id", _id_message("trace_id", raw.trace_id, 16))
    if len(raw.span_id) != 8 or raw.span_id == _ZERO_SPAN:
        raise RefusedError("invalid_span_id", _id_message("span_id", raw.span_id, 8))
    parent = raw.parent_span_id
    if parent and len(parent) != 8:
        raise RefusedError("invalid_parent_span_id", _id_message("parent_span_id", parent, 8))
    flags: list[str] = []
    started_at, ended_at = _times(raw, window, flags)
    cleaner = Cleaner(limits)
    attributes = _clean_attributes(raw.attributes, cleaner)
    events = [_event(event, raw.start_ns, cleaner) for event in raw.events] if raw.events else []
    if raw.links:
        attributes["links"] = [
            {"trace_id": _shown_id(trace_id), "span_id": _shown_id(span_id)}
            for trace_id, span_id in raw.links
        ]
    flags += cleaner.flags()
    if raw.is_cut and TRUNCATED not in flags:
        flags.append(TRUNCATED)
    return SpanFacts(
        trace_id=raw.trace_id.hex(),
        span_id=raw.span_id.hex(),
        parent_span_id=parent.hex() if parent and parent != _ZERO_SPAN else "",
        name=short_text(raw.name, NAME_LENGTH),
        started_at=started_at,
        ended_at=ended_at,
        status_code=raw.status_code,
        status_message=raw.status_message
        if not raw.status_message
        else cleaner.text(raw.status_message),
        attributes=attributes,
        events=events,
        scope=scope,
        flags=flags,
    )


def _id_message(field: str, value: bytes, length: int) -> str:
    if len(value) == length:
        return f"{field} is all zeros: every trace and span needs an id of its own."
    return (
        f"{field} has {len(value)} bytes: it must have {length}, "
        f"in JSON {2 * length} hexadecimal digits."
    )


def _times(raw: RawSpan, window: Window, flags: list[str]) -> tuple[datetime, datetime | None]:
    started_at = _moment(raw.start_ns, "start_time_unix_nano")
    complaint = window.complaint(started_at)
    if complaint:
        raise RefusedError("start_outside_window", f"start_time_unix_nano {complaint}.")
    if started_at > window.skew_after:
        flags.append(CLOCK_SKEW)
    if not raw.end_ns:
        return started_at, None
    if raw.end_ns < raw.start_ns:
        flags.append(END_BEFORE_START)
        return started_at, started_at
    ended_at = _moment(raw.end_ns, "end_time_unix_nano")
    complaint = window.complaint(ended_at)
    if complaint:
        raise RefusedError("end_outside_window", f"end_time_unix_nano {complaint}.")
    return started_at, ended_at


def _moment(nanoseconds: int, field: str) -> datetime:
    if not nanoseconds:
        raise RefusedError(
            "missing_time", f"{field} is missing or 0: it must be nanoseconds since 1970."
        )
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _clean_attributes(attributes: dict[str, Any], cleaner: Cleaner) -> dict[str, Any]:
    """Same as cleaner.value(), with the common case (short, plain text; numbers) decided in
    place.
    """
    result = {}
    for key, value in attributes.items():
        if len(key) > 256 or not key.isprintable():
            key = cleaner.text(key, 256)
        if type(value) is str and len(value) < 10_000 and "\x00" not in value and value.isascii():
            result[key] = value
        else:
            result[key] = cleaner.value(value)
    return result


def _event(event: Any, start_ns: int, cleaner: Cleaner) -> EventFacts:
    offset = (event.time_ns - start_ns) / 1e6
    # An event of another age says nothing about when; it is shown at the start.
    offset = offset if 0 <= offset < 1e12 else 0.0
    return EventFacts(
        name=short_text(event.name),
        offset_ms=offset,
        attributes=_clean_attributes(event.attributes, cleaner),
    )


def _shown_id(value: Any) -> str:
    return (
        value[:16].hex()
        if type(value) is bytes
        else clean_text(value)[:64]
        if type(value) is str
        else ""
    )
