"""The ingestion doors: content types, packed bodies, limits of size and methods."""

import gzip
import json
import struct
import zlib
from typing import Any

import pytest
from django.test import Client

from projects.models import Project
from tests.traces.spans import aggregate_sums
from tests.traces.uploads import (
    JSON,
    call_span,
    everything,
    otlp,
    otlp_json,
    otlp_json_span,
    send_json,
    send_otlp,
    status_of,
    step,
    trace,
)
from traces.models import Span

pytestmark = pytest.mark.django_db


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
    # The bytes hold the hour: without names of their own, two workers would collect different tests.
    ids=["cut", "head_only", "trailing", "wrong_sum", "not_gzip", "deflate_cut", "bomb",
         "deflate_bomb", "br", "zstd", "twice"],
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
