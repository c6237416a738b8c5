"""Bodies for the doors' tests, and what the database holds afterwards."""

import datetime as dt
import gzip
import json
from typing import Any

from django.http import HttpResponse
from django.test import Client
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.traffic import attribute
from core.models import OutboxItem
from costs.models import CostAggregate, CostRecord, ProjectUsage, RecordKey
from projects.models import ApiKey
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, raw_key
from traces.models import Span as StoredSpan
from traces.models import SpanPayload, Trace

START = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=2)
TRACE = bytes(range(1, 17))
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_numbers = iter(range(900_000, 10**9))


def key_for(project: Any = None, **fields: Any) -> tuple[ApiKey, str]:
    """A key and its raw value."""
    raw = raw_key(next(_numbers))
    if project is not None:
        fields["project"] = project
    return ApiKeyFactory(raw=raw, **fields), raw


def ns(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 10**9


def call_span(number: int = 1, **fields: Any) -> Span:
    """A call of gpt-5-mini, one second long: 1,000 tokens in, 100 out cost $0.00045."""
    defaults: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": number.to_bytes(8, "big"),
        "name": "chat gpt-5-mini",
        "start_time_unix_nano": ns(START),
        "end_time_unix_nano": ns(START + dt.timedelta(seconds=1)),
    }
    span = Span(**{**defaults, **fields})
    for key, value in {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }.items():
        span.attributes.append(attribute(key, value))
    return span


def otlp(*spans: Span, resource: dict[str, str] | None = None) -> bytes:
    """A protobuf export request."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attribute(k, v) for k, v in (resource or {}).items())
    group.scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


def otlp_json_span(span_id: str = "eee19b7ec3c1b174", **fields: Any) -> dict[str, Any]:
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": span_id,
        "name": "chat gpt-5-mini",
        "startTimeUnixNano": str(ns(START)),
        "endTimeUnixNano": str(ns(START) + 10**9),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5-mini"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "100"}},
        ],
        **fields,
    }


def otlp_json(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def step(step_id: str = "s1", **fields: Any) -> dict[str, Any]:
    """An ended model call for the JSON door, $0.00045."""
    return {
        "id": step_id,
        "type": "llm",
        "provider": "openai",
        "model": "gpt-5-mini",
        "started_at": START.isoformat(),
        "latency_ms": 1000,
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }


def trace(trace_id: str = "t1", *steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "name": "refund-agent",
        "started_at": START.isoformat(),
        "duration_ms": 2000,
        "steps": list(steps),
        **fields,
    }


def send_otlp(client: Client, raw: str | None, body: bytes, **headers: Any) -> HttpResponse:
    """POST /v1/traces."""
    content_type = headers.pop("content_type", PROTOBUF)
    if raw is not None:
        headers.setdefault("Authorization", f"Bearer {raw}")
    headers["Content-Type"] = content_type  # the client itself leaves it out of an empty request
    return client.generic("POST", "/v1/traces", body, content_type, headers=headers)  # type: ignore[return-value]


def send_json(
    client: Client,
    raw: str | None,
    project: Any,
    body: Any,
    *,
    door: str = "traces",
    **headers: Any,
) -> HttpResponse:
    """POST /api/v1/projects/<slug or given text>/<door>."""
    ref = getattr(project, "slug", project)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    content_type = headers.pop("content_type", JSON)
    if raw is not None:
        headers.setdefault("Authorization", f"Bearer {raw}")
    headers["Content-Type"] = content_type
    path = f"/api/v1/projects/{ref}/{door}"
    return client.generic("POST", path, data, content_type, headers=headers)  # type: ignore[return-value]


def status_of(response: HttpResponse) -> Status:
    """A protobuf error body."""
    return Status.FromString(response.content)


def partial_of(response: HttpResponse) -> tuple[int, str]:
    """Rejected spans and message of a protobuf success body."""
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    return partial.rejected_spans, partial.error_message


def everything() -> tuple[Any, ...]:
    """Every row that ingestion may write; equal before and after a refused request."""
    return (
        sorted(
            StoredSpan.objects.values_list("project_id", "trace_id", "span_id", "status", "seq")
        ),
        sorted(
            Trace.objects.values_list("project_id", "trace_id", "seq", "span_count", "cost_usd")
        ),
        sorted(SpanPayload.objects.values_list("project_id", "trace_id", "span_id", "size")),
        sorted(
            CostRecord.objects.annotate(
                key=RecordKey("record_id", "trace_id", "span_id")
            ).values_list("project_id", "key", "cost_usd")
        ),
        sorted(
            CostAggregate.objects.values_list("project_id", "hour", "dimension", "value", "calls")
        ),
        sorted(ProjectUsage.objects.values_list("project_id", "version")),
        OutboxItem.objects.count(),
    )


def login_as(client: Client, project: Any) -> None:
    """Whoever may look at this project logs in."""
    membership = MembershipFactory(organization=project.organization, role="viewer")
    client.force_login(membership.user)


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body)
