"""Small builders for decoder tests: OTLP requests from plain values, and the decoders with fixed time and limits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from traces.ingest.json_costs import decode_costs
from traces.ingest.json_traces import JsonTraceResult, decode_traces
from traces.ingest.limits import Limits, Window
from traces.ingest.otlp_decode import decode_otlp
from traces.ingest.span import Decoded, NormalSpan

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
WINDOW = Window.around(NOW, retention_days=400)
LIMITS = Limits()
START_NS = 1_795_000_000_000_000_000  # 2026-11-18
REAL = Path(__file__).parent / "corpus" / "real"


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    result = AnyValue()
    if isinstance(value, (list, tuple)):
        result.array_value.values.extend(any_value(item) for item in value)
        result.array_value.SetInParent()
    elif isinstance(value, dict):
        result.kvlist_value.values.extend(key_values(value))
        result.kvlist_value.SetInParent()
    elif value is not None:
        result.string_value = value
    return result


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def otlp_span(attributes: dict[str, Any] | None = None, number: int = 1, **fields: Any) -> Span:
    values = {
        "trace_id": bytes(15) + b"\x01",
        "span_id": number.to_bytes(8, "big"),
        "name": "chat gpt-5.5",
        "kind": 3,
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 1_500_000_000,
    }
    return Span(attributes=key_values(attributes or {}), **(values | fields))


def otlp_request(
    *spans: Span, scope: str = "test", version: str = "1.0", resource: dict[str, Any] | None = None
) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_values(resource or {}))
    scope_spans = group.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.scope.version = version
    scope_spans.spans.extend(spans)
    return request


def decode_protobuf(body: bytes, **limits: int) -> Decoded:
    return decode_otlp(
        body, content_type="protobuf", now=NOW, limits=Limits(**limits), window=WINDOW
    )


def decode_json(body: bytes) -> Decoded:
    return decode_otlp(body, content_type="json", now=NOW, limits=LIMITS, window=WINDOW)


def one(attributes: dict[str, Any], scope: str = "test", **fields: Any) -> NormalSpan:
    """The one span of a request with these attributes, after the whole way through the decoder."""
    decoded = decode_protobuf(
        otlp_request(otlp_span(attributes, **fields), scope=scope).SerializeToString()
    )
    assert decoded.rejections == []
    return decoded.spans[0]


def traces(body: bytes) -> list[JsonTraceResult]:
    return decode_traces(body, now=NOW, limits=LIMITS, window=WINDOW)


def costs(body: bytes) -> Any:
    return decode_costs(body, now=NOW, limits=LIMITS, window=WINDOW)


def real_spans(name: str) -> list[NormalSpan]:
    """Spans exported by a real instrumentation against a mock provider (see test_dialects)."""
    decoded = decode_protobuf((REAL / f"{name}.pb").read_bytes())
    assert decoded.rejections == []
    return decoded.spans


def at(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
