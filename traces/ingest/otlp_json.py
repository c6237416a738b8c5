"""Read ExportTraceServiceRequest from OTLP's JSON: hex ids, enums as numbers, 64-bit integers as
text or number.

Not protobuf's own JSON mapping (which wants base64 ids), so read by hand. Names may be
lowerCamelCase or snake_case;
unknown names are ignored.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from traces.ingest.json_body import BadNumber, load_json
from traces.ingest.limits import BodyError, TooManyItemsError
from traces.ingest.otlp_raw import Budget, DamagedError, RawEvent, RawSpan

_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_UINT64 = 2**64


def _get(mapping: dict[str, Any], camel: str, snake: str) -> Any:
    value = mapping.get(camel)
    return mapping.get(snake) if value is None else value


def _objects(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if type(value) is not list:
        raise BodyError(f"{where} must be a list.", fields=[where])
    return value


def read_groups(
    body: bytes, budget: Budget
) -> Iterator[tuple[dict[str, Any], str, str, list[Any]]]:
    """(resource attributes, scope name, scope version, unread spans) of each scope, after
    counting the spans.
    """
    request = load_json(body)
    if type(request) is not dict:
        raise BodyError("The body must be a JSON object with resourceSpans.")
    groups = []
    count = 0
    for resource_spans in _objects(
        _get(request, "resourceSpans", "resource_spans"), "resourceSpans"
    ):
        if type(resource_spans) is not dict:
            raise BodyError("Each of resourceSpans must be an object.", fields=["resourceSpans"])
        resource = resource_spans.get("resource")
        attributes = _resource(resource, budget)
        for scope_spans in _objects(
            _get(resource_spans, "scopeSpans", "scope_spans"), "scopeSpans"
        ):
            if type(scope_spans) is not dict:
                raise BodyError("Each of scopeSpans must be an object.", fields=["scopeSpans"])
            scope = scope_spans.get("scope")
            scope = scope if type(scope) is dict else {}
            spans = _objects(scope_spans.get("spans"), "spans")
            count += len(spans)
            groups.append(
                (attributes, _text(scope.get("name")), _text(scope.get("version")), spans)
            )
    if count > budget.limits.max_spans:
        raise TooManyItemsError(
            f"The upload holds {count} spans, more than {budget.limits.max_spans}: "
            "send fewer at a time.",
            items=count,
        )
    yield from groups


def _resource(resource: Any, budget: Budget) -> dict[str, Any]:
    try:
        return _attributes(resource.get("attributes") if type(resource) is dict else None, budget)
    except DamagedError as error:
        raise BodyError(
            f"The resource's attributes cannot be read: {error}.", fields=["resource"]
        ) from error


def read_span(item: Any, budget: Budget) -> RawSpan:
    """One span. Raises DamagedError naming the field that cannot be read."""
    if type(item) is not dict:
        raise DamagedError("the span is not an object")
    span = RawSpan(
        trace_id=_id(_get(item, "traceId", "trace_id"), "traceId"),
        span_id=_id(_get(item, "spanId", "span_id"), "spanId"),
        parent_span_id=_id(_get(item, "parentSpanId", "parent_span_id"), "parentSpanId"),
        name=_text(item.get("name")),
        start_ns=_uint64(
            _get(item, "startTimeUnixNano", "start_time_unix_nano"), "startTimeUnixNano"
        ),
        end_ns=_uint64(_get(item, "endTimeUnixNano", "end_time_unix_nano"), "endTimeUnixNano"),
        attributes=_attributes(item.get("attributes"), budget, budget.limits.max_attributes),
        events=[],
        links=[],
    )
    status = item.get("status")
    if type(status) is dict:
        span.status_message = _text(status.get("message"))
        code = status.get("code")
        span.status_code = (
            _STATUS.get(code, 0) if type(code) is str else code if type(code) is int else 0
        )
    for event in _list(item.get("events"), "events"):
        budget.take(1)
        if len(span.events) >= budget.limits.max_events:
            span.is_cut = True
        elif type(event) is dict:
            span.events.append(
                RawEvent(
                    name=_text(event.get("name")),
                    time_ns=_uint64(
                        _get(event, "timeUnixNano", "time_unix_nano"), "events.timeUnixNano"
                    ),
                    attributes=_attributes(event.get("attributes"), budget),
                )
            )
    for link in _list(item.get("links"), "links"):
        budget.take(1)
        if len(span.links) >= budget.limits.max_links:
            span.is_cut = True
        elif type(link) is dict:
            span.links.append((_get(link, "traceId", "trace_id"), _get(link, "spanId", "span_id")))
    return span


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if type(value) is not list:
        raise DamagedError(f"{where} is not a list")
    return value


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _id(value: Any, where: str) -> bytes:
    if value is None or value == "":
        return b""
    if type(value) is not str:
        raise DamagedError(f"{where} is not text")
    try:
        return bytes.fromhex(value) if value.isascii() and value.isalnum() else b"\x00"
    except ValueError:
        return b"\x00"  # refused by its length, with the id's own message


def _uint64(value: Any, where: str) -> int:
    if value is None:
        return 0
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if type(value) is Decimal and value == value.to_integral_value():
        value = int(value)
    if type(value) is not int or not 0 <= value < _UINT64:
        raise DamagedError(f"{where} is not a whole number from 0 to 2^64-1")
    return value


def _attributes(value: Any, budget: Budget, limit: int | None = None) -> dict[str, Any]:
    items = _list(value, "attributes")
    if limit is not None and len(items) > limit:
        raise TooManyItemsError(f"the span has {len(items)} attributes, more than {limit}")
    budget.take(len(items))
    attributes = {}
    for item in items:
        key = item.get("key", "") if type(item) is dict else None
        if type(key) is not str:
            raise DamagedError("an attribute is not an object with a key")
        attributes[key] = _any(item.get("value"), 0, budget)
    return attributes


def _any(value: Any, depth: int, budget: Budget) -> Any:
    """An AnyValue; anything unknown in it reads as None."""
    if type(value) is not dict:
        return None
    for name, item in value.items():
        reader = _READERS.get(name)
        if reader is not None:
            return reader(item, depth, budget)
    return None


def _whole(item: Any, depth: int, budget: Budget) -> Any:
    if (
        type(item) is str
        and len(item) <= 20
        and item.isascii()
        and item.removeprefix("-").isdigit()
    ):
        return int(item)
    return item if type(item) in (int, BadNumber) else None


def _real(item: Any, depth: int, budget: Budget) -> Any:
    if type(item) is str:
        # OTLP writes non-finite numbers as text; other spellings are not numbers.
        return item if item in ("NaN", "Infinity", "-Infinity") else None
    if type(item) is Decimal:
        return float(item)
    return item if type(item) in (int, BadNumber) else None


def _array(item: Any, depth: int, budget: Budget) -> Any:
    values = item.get("values") if type(item) is dict else None
    if type(values) is not list or depth > budget.limits.max_depth:
        return []
    budget.take(len(values))
    return [_any(value, depth + 1, budget) for value in values]


def _mapping(item: Any, depth: int, budget: Budget) -> Any:
    values = item.get("values") if type(item) is dict else None
    if type(values) is not list or depth > budget.limits.max_depth:
        return {}
    budget.take(len(values))
    return {
        entry.get("key", ""): _any(entry.get("value"), depth + 1, budget)
        for entry in values
        if type(entry) is dict and type(entry.get("key", "")) is str
    }


def _plain(kind: type) -> Any:
    return lambda item, depth, budget: item if type(item) is kind else None


_READERS = {
    "stringValue": _plain(str), "string_value": _plain(str),
    "boolValue": _plain(bool), "bool_value": _plain(bool),
    "intValue": _whole, "int_value": _whole,
    "doubleValue": _real, "double_value": _real,
    "arrayValue": _array, "array_value": _array,
    "kvlistValue": _mapping, "kvlist_value": _mapping,
    "bytesValue": _plain(str), "bytes_value": _plain(str),
}  # fmt: skip
