"""OTLP through its door: bodies refused, spans refused alone, and what is stored."""

import json
from base64 import b64encode
from decimal import Decimal

import pytest
from django.test import Client
from google.rpc.status_pb2 import Status
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from costs.models import CostRecord
from projects.models import Project
from tests.traces.spans import aggregate_sums, assert_ledger_is_exact
from tests.traces.uploads import (
    JSON,
    PROTOBUF,
    START,
    TRACE,
    call_span,
    everything,
    otlp,
    otlp_json,
    otlp_json_span,
    partial_of,
    send_otlp,
    status_of,
)
from traces.models import Span

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "body", [b"garbage", b"\xff" * 50, otlp(call_span())[:-7], b"\x0a\xff\xff\xff\xff\x0f"]
)
def test_a_body_that_is_no_request_is_a_400_status_denied(
    client: Client, key: str, body: bytes
) -> None:
    before = everything()
    answer = send_otlp(client, key, body)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/x-protobuf")
    assert status_of(answer).code == 3
    as_json = send_otlp(client, key, body, content_type=JSON)
    assert (as_json.status_code, as_json["Content-Type"]) == (400, "application/json")
    assert as_json.json()["code"] == 3
    assert everything() == before


def test_an_empty_request_is_a_success(client: Client, key: str) -> None:
    assert send_otlp(client, key, b"").status_code == 200
    assert send_otlp(client, key, otlp()).content == b""
    assert send_otlp(client, key, b"{}", content_type=JSON).content == b"{}"
    assert Span.objects.count() == 0


def test_refused_spans_are_counted_and_their_neighbours_stored(
    client: Client, project: Project, key: str
) -> None:
    bad = [
        call_span(2, trace_id=bytes(16)),
        call_span(3, trace_id=b"\x01" * 15),
        call_span(4, span_id=b"\x01" * 7),
        call_span(5, start_time_unix_nano=0),
        call_span(6, start_time_unix_nano=2**64 - 1, end_time_unix_nano=2**64 - 1),
    ]
    answer = send_otlp(client, key, otlp(call_span(1), *bad, call_span(7)))
    assert answer.status_code == 200
    rejected, message = partial_of(answer)
    assert rejected == 5
    assert "span 1: trace_id is all zeros" in message
    assert "span 3: span_id has 7 bytes" in message
    assert sorted(Span.objects.values_list("span_id", flat=True)) == [f"{1:016x}", f"{7:016x}"]
    as_json = send_otlp(
        client, key, otlp_json(otlp_json_span("00"), otlp_json_span()), content_type=JSON
    )
    assert as_json.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert "span 0: span_id has 1 bytes" in as_json.json()["partialSuccess"]["errorMessage"]
    assert_ledger_is_exact(project)


def test_the_same_export_twice_is_stored_once(client: Client, project: Project, key: str) -> None:
    body = otlp(call_span(1), call_span(2))
    assert send_otlp(client, key, body).content == b""
    before = everything()
    assert send_otlp(client, key, body).content == b""
    assert everything() == before
    assert aggregate_sums(project)["cost"] == Decimal("0.0009")


def test_protobuf_and_json_say_the_same(client: Client, project: Project, key: str) -> None:
    send_otlp(client, key, otlp(call_span(1)))
    upper = otlp_json_span("EEE19B7EC3C1B174", traceId="5B8EFFF798038103D269B633813FC60C")
    send_otlp(client, key, otlp_json(upper), content_type=JSON)
    first, second = Span.objects.order_by("span_id")
    assert (first.trace_id, first.span_id) == (TRACE.hex(), f"{1:016x}")
    assert (second.trace_id, second.span_id) == (
        "5b8efff798038103d269b633813fc60c",
        "eee19b7ec3c1b174",
    )
    for name in (
        "name",
        "kind",
        "provider",
        "request_model",
        "input_tokens",
        "cost_usd",
        "started_at",
        "duration_ms",
    ):
        assert getattr(first, name) == getattr(second, name)
    assert (first.cost_usd, first.started_at, first.duration_ms) == (
        Decimal("0.00045"),
        START,
        1000.0,
    )


@pytest.mark.parametrize(
    "value",
    [
        AnyValue(string_value="many"),
        AnyValue(int_value=-5),
        AnyValue(double_value=1e308),
        AnyValue(double_value=float("nan")),
        AnyValue(int_value=2**62),
    ],
)
def test_impossible_token_counts_leave_the_call_unpriced(
    client: Client, project: Project, key: str, value: AnyValue
) -> None:
    span = call_span(1)
    del span.attributes[3:]
    span.attributes.append(KeyValue(key="gen_ai.usage.input_tokens", value=value))
    span.attributes.append(KeyValue(key="gen_ai.response.id", value=AnyValue(string_value="r1")))
    assert send_otlp(client, key, otlp(span, call_span(2))).status_code == 200
    record = CostRecord.objects.get(project=project, span_id=f"{1:016x}")
    assert (record.cost_usd, record.price_status) == (None, "unpriced")
    assert aggregate_sums(project)["cost"] == Decimal("0.00045")
    assert_ledger_is_exact(project)


@pytest.mark.parametrize(
    "path",
    [
        "/api/public/otel/v1/traces",
        "/api/v1/otlp/v1/traces",
        "/api/v1/private/otel/v1/traces",
        "/otel/v1/traces",
        "/otlp/v1/traces",
        "/api/otel/v1/traces/",
    ],
)
def test_aliases_take_basic_auth(client: Client, project: Project, key: str, path: str) -> None:
    secret = b64encode(f"pk-lf-1:{key}".encode()).decode()
    response = client.post(
        path, otlp(call_span()), PROTOBUF, headers={"Authorization": f"Basic {secret}"}
    )
    assert (response.status_code, response.content) == (200, b"")
    assert CostRecord.objects.get(project=project).cost_usd == Decimal("0.00045")


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs", "/otel/v1/metrics"])
def test_other_signals_are_refused_in_words_and_not_sent_again(client: Client, path: str) -> None:
    signal = path.rsplit("/", 1)[1]
    response = client.post(path, b"", PROTOBUF)
    assert response.status_code == 404  # no exporter retries it
    status = Status.FromString(response.content)
    assert status.code == 5
    assert f"OTEL_{signal.upper()}_EXPORTER=none" in status.message
    answer = client.post(path, b"{}", JSON)
    assert json.loads(answer.content)["message"] == status.message
    assert client.get(path).status_code == 405
