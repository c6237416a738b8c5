"""The ingestion doors through their URLs: who may enter, what is refused and how, and what is stored."""

import base64
import datetime as dt
import gzip
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from costs.models import CostRecord
from projects.models import ApiKey, Project
from tests.factories.projects import ProjectFactory, raw_key
from tests.traces.spans import aggregate_sums, assert_ledger_is_exact
from tests.traces.uploads import (
    JSON,
    START,
    TRACE,
    call_span,
    everything,
    key_for,
    otlp,
    otlp_json,
    otlp_json_span,
    partial_of,
    send_json,
    send_otlp,
    status_of,
    step,
    trace,
)
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


@pytest.fixture
def key(project: Project) -> str:
    return key_for(project)[1]


# --- Who may enter


def _refused_keys(project: Project) -> Iterator[tuple[str, dict[str, str]]]:
    yield "none", {}
    yield "unknown", {"Authorization": f"Bearer {raw_key(1)}"}
    yield "revoked", {"Authorization": f"Bearer {key_for(project, revoked=True)[1]}"}
    yield "expired", {"Authorization": f"Bearer {key_for(project, expired=True)[1]}"}
    deleting = ProjectFactory(deleting=True)
    yield "project being deleted", {"Authorization": f"Bearer {key_for(deleting)[1]}"}
    yield "empty bearer", {"Authorization": "Bearer "}
    yield "huge bearer", {"Authorization": "Bearer " + "x" * 100_000}
    yield "injection", {"Authorization": "Bearer ' OR 1=1--"}
    yield "NUL", {"Authorization": "Bearer llmlab_sk_\x00"}
    yield "not ASCII", {"Authorization": "Bearer llmlab_sk_é"}
    yield "unknown scheme", {"Authorization": "Digest abc"}
    yield "broken basic", {"Authorization": "Basic %%%"}
    yield "x-api-key", {"x-api-key": raw_key(2)}


def test_every_kind_of_bad_key_gets_the_same_401_denied(client: Client, project: Project) -> None:
    cases = dict(_refused_keys(project))
    before = everything()
    by_otlp = {
        name: send_otlp(client, None, otlp(call_span()), **headers)
        for name, headers in cases.items()
    }
    by_json = {
        name: send_json(client, None, project, {"traces": [trace("t1", step())]}, **headers)
        for name, headers in cases.items()
    }
    for answers in (by_otlp, by_json):
        assert {name: a.status_code for name, a in answers.items()} == dict.fromkeys(cases, 401)
        assert len({answer.content for answer in answers.values()}) == 1
        assert {answer["WWW-Authenticate"] for answer in answers.values()} == {
            'Bearer realm="llmlab"'
        }
    assert status_of(by_otlp["none"]).code == 16
    assert by_json["none"].json() == {
        "detail": "Send a valid API key as 'Authorization: Bearer llmlab_sk_…' or 'x-api-key'.",
        "code": "invalid_api_key",
        "fields": [],
    }
    assert everything() == before


def test_a_key_in_query_or_body_is_no_key_denied(
    client: Client, project: Project, key: str
) -> None:
    before = everything()
    in_query = client.post(
        f"/v1/traces?api_key={key}&key={key}",
        otlp(call_span()),
        content_type="application/x-protobuf",
    )
    in_body = send_json(client, None, project, {"api_key": key, "traces": [trace("t1", step())]})
    assert (in_query.status_code, in_body.status_code) == (401, 401)
    assert key.encode() not in in_query.content + in_body.content
    assert everything() == before


@pytest.mark.parametrize(
    "spelling", ["bearer", "BEARER", "x-api-key", "basic user", "basic password"]
)
def test_every_spelling_of_the_key_opens_the_same_project(
    client: Client, project: Project, key: str, spelling: str
) -> None:
    headers = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "BEARER": {"Authorization": f"BEARER {key}"},
        "x-api-key": {"x-api-key": key},
        "basic user": {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()},
        "basic password": {
            "Authorization": "Basic " + base64.b64encode(f"any:{key}".encode()).decode()
        },
    }[spelling]
    assert send_otlp(client, None, otlp(call_span()), **headers).status_code == 200
    assert Span.objects.get().project_id == project.pk


def test_a_key_without_ingest_is_403_denied(client: Client, project: Project) -> None:
    _, raw = key_for(project, scopes=["read", "gateway", "admin"])
    before = everything()
    by_otlp = send_otlp(client, raw, otlp(call_span()))
    by_json = send_json(client, raw, project, {"traces": [trace("t1", step())]})
    assert (by_otlp.status_code, status_of(by_otlp).code) == (403, 7)
    assert (by_json.status_code, by_json.json()["code"]) == (403, "missing_scope")
    assert everything() == before


def test_another_project_and_an_unknown_one_look_alike_denied(client: Client, key: str) -> None:
    other = ProjectFactory()
    before = everything()
    body = {"traces": [trace("t1", step())]}
    answers = [
        send_json(client, key, ref, body)
        for ref in (other, other.pk, other.pk.hex, "no-such", uuid4())
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "not_found"
    assert everything() == before


def test_the_project_may_be_named_by_slug_or_id(client: Client, project: Project, key: str) -> None:
    for number, ref in enumerate(
        (project.slug, project.pk, str(project.pk).upper(), project.pk.hex)
    ):
        answer = send_json(client, key, ref, {"traces": [trace(f"t{number}", step())]})
        assert answer.json()["results"][0]["result"] == "stored"
    assert Trace.objects.filter(project=project).count() == 4


def test_an_archived_project_takes_nothing_denied(client: Client) -> None:
    archived = ProjectFactory(archived=True)
    _, raw = key_for(archived)
    before = everything()
    by_otlp = send_otlp(client, raw, otlp(call_span()))
    by_json = send_json(client, raw, archived, {"traces": [trace("t1", step())]})
    assert (by_otlp.status_code, status_of(by_otlp).code) == (403, 7)
    assert (by_json.status_code, by_json.json()["code"]) == (403, "project_archived")
    assert everything() == before


def test_tenancy_comes_from_the_key_alone(client: Client, project: Project, key: str) -> None:
    other = ProjectFactory()
    naming = {"project_id": str(other.pk), "x-project-name": other.slug, "service.name": other.slug}
    send_otlp(client, key, otlp(call_span(), resource=naming), **{"x-project-name": other.slug})
    body = {
        "traces": [
            trace("t1", step(project_id=str(other.pk)), project_id=str(other.pk), organization="o")
        ]
    }
    send_json(client, key, project, body)
    assert set(Span.objects.values_list("project_id", flat=True)) == {project.pk}
    assert set(CostRecord.objects.values_list("project_id", flat=True)) == {project.pk}


def test_a_revoked_key_stops_at_once(client: Client, project: Project) -> None:
    stored, raw = key_for(project)
    assert send_otlp(client, raw, otlp(call_span(1))).status_code == 200
    ApiKey.objects.filter(pk=stored.pk).update(revoked_at=dt.datetime.now(dt.UTC))
    assert send_otlp(client, raw, otlp(call_span(2))).status_code == 401
    assert Span.objects.count() == 1


def test_over_the_rate_is_429_with_retry_after_denied(
    client: Client, project: Project, key: str, settings: Any
) -> None:
    settings.LLMLAB_INGEST_RATE_PER_MINUTE = 3
    answers = [send_otlp(client, key, otlp(call_span(n))) for n in range(1, 6)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[3]["Retry-After"]) <= 20
    assert status_of(answers[3]).code == 8
    by_json = send_json(client, key, project, {"traces": [trace("t1", step())]})
    assert (by_json.status_code, by_json.json()["code"]) == (429, "rate_limited")
    assert "Retry-After" in by_json
    assert Span.objects.count() == 3
    _, another = key_for(project)
    assert send_otlp(client, another, otlp(call_span(9))).status_code == 200


# --- Content types and packing


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/grpc",
     "application/json; charset=utf-16", "application/json; charset=utf-7", "", "application/jsonx"],
)  # fmt: skip
def test_other_content_types_are_415_denied(
    client: Client, project: Project, key: str, content_type: str
) -> None:
    before = everything()
    by_otlp = send_otlp(client, key, otlp(call_span()), content_type=content_type)
    by_json = send_json(
        client, key, project, {"traces": [trace("t1", step())]}, content_type=content_type
    )
    assert (by_otlp.status_code, by_json.status_code) == (415, 415)
    assert by_json.json()["code"] == "unsupported_media_type"
    assert everything() == before


def test_the_json_door_does_not_read_protobuf_denied(
    client: Client, project: Project, key: str
) -> None:
    answer = send_json(
        client, key, project, otlp(call_span()), content_type="application/x-protobuf"
    )
    assert answer.status_code == 415


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress),
     ("deflate", _raw_deflate), ("identity", bytes)],
)  # fmt: skip
def test_packed_bodies_are_read(
    client: Client, project: Project, key: str, encoding: str, pack: Any
) -> None:
    headers = {"Content-Encoding": encoding}
    assert send_otlp(client, key, pack(otlp(call_span())), **headers).status_code == 200
    as_json = send_otlp(
        client, key, pack(otlp_json(otlp_json_span())), content_type=JSON, **headers
    )
    assert (as_json.status_code, as_json.content) == (200, b"{}")
    answer = send_json(
        client,
        key,
        project,
        pack(json.dumps({"traces": [trace("t1", step())]}).encode()),
        **headers,
    )
    assert answer.json()["results"][0]["result"] == "stored"
    assert aggregate_sums(project)["calls"] == 3


_GOOD = gzip.compress(mtime=0, data=otlp(call_span()))


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", _GOOD[:-9], 400),
        ("gzip", _GOOD[:20], 400),
        ("gzip", _GOOD + b"trailing", 400),
        ("gzip", _GOOD[:-8] + struct.pack("<II", 1, len(otlp(call_span()))), 400),
        ("gzip", otlp(call_span()), 400),
        ("deflate", zlib.compress(otlp(call_span()))[:-3], 400),
        ("gzip", gzip.compress(b"\0" * 40_000_000, mtime=0), 413),
        ("deflate", zlib.compress(b"\0" * 40_000_000), 413),
        ("br", b"x", 415),
        ("zstd", b"x", 415),
        ("gzip, gzip", gzip.compress(_GOOD, mtime=0), 415),
    ],
)  # fmt: skip
def test_broken_packing_is_refused_denied(
    client: Client, key: str, encoding: str, body: bytes, status: int
) -> None:
    before = everything()
    answer = send_otlp(client, key, body, **{"Content-Encoding": encoding})
    assert answer.status_code == status
    assert (status_of(answer).code, status_of(answer).message != "") == (3, True)
    assert everything() == before


def test_a_body_over_the_limit_is_413_denied(
    client: Client, project: Project, key: str, settings: Any
) -> None:
    settings.LLMLAB_INGEST_MAX_BODY = 2048
    big = [call_span(n) for n in range(1, 40)]
    by_otlp = send_otlp(client, key, otlp(*big))
    by_json = send_json(client, key, project, {"traces": [trace("t1", step(input="x" * 3000))]})
    assert (by_otlp.status_code, by_json.status_code) == (413, 413)
    assert by_json.json()["code"] == "body_too_large"
    assert "2048" in by_json.json()["detail"]
    assert Span.objects.count() == 0


def test_too_many_spans_are_413_denied(
    client: Client, project: Project, key: str, settings: Any
) -> None:
    settings.LLMLAB_INGEST_MAX_SPANS = 3
    by_otlp = send_otlp(client, key, otlp(*(call_span(n) for n in range(1, 5))))
    as_json = send_otlp(
        client,
        key,
        otlp_json(*(otlp_json_span(f"{n:016x}") for n in range(1, 5))),
        content_type=JSON,
    )
    by_json = send_json(
        client, key, project, {"traces": [trace("t1", *(step(f"s{n}") for n in range(4)))]}
    )
    assert [a.status_code for a in (by_otlp, as_json, by_json)] == [413, 413, 413]
    assert "3" in status_of(by_otlp).message
    assert as_json.json()["code"] == 3
    assert by_json.json()["code"] == "too_many_items"
    assert Span.objects.count() == 0


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods_on_the_otlp_door_are_405(client: Client, key: str, method: str) -> None:
    answer = getattr(client, method)("/v1/traces", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


# --- OTLP bodies


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


# --- Storage away


@pytest.fixture
def postgres_away(transactional_db: None) -> Iterator[None]:
    """The application's connection points at a port where nobody listens."""
    real = connection.settings_dict["PORT"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    connection.close()
    connection.settings_dict["PORT"] = closed
    yield
    connection.close()
    connection.settings_dict["PORT"] = real


def test_without_postgresql_the_doors_say_503_never_500(
    client: Client, postgres_away: None
) -> None:
    by_otlp = send_otlp(client, raw_key(1), otlp(call_span()))
    as_json = send_otlp(client, raw_key(1), otlp_json(otlp_json_span()), content_type=JSON)
    traces = send_json(client, raw_key(1), "any", {"traces": [trace("t1", step())]})
    costs = send_json(client, raw_key(1), "any", {"costs": []}, door="costs")
    assert [a.status_code for a in (by_otlp, as_json, traces, costs)] == [503] * 4
    assert {a["Retry-After"] for a in (by_otlp, as_json, traces, costs)} == {"5"}
    assert (status_of(by_otlp).code, as_json.json()["code"]) == (14, 14)
    assert traces.json()["code"] == costs.json()["code"] == "storage_unavailable"
