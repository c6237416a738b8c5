"""The ingestion doors through their URLs: who may enter, and what they say when storage is away."""

import base64
import datetime as dt
import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from costs.models import CostRecord
from projects.models import ApiKey, Project
from tests.factories.projects import ProjectFactory, raw_key
from tests.traces.uploads import (
    JSON,
    call_span,
    everything,
    key_for,
    otlp,
    otlp_json,
    otlp_json_span,
    send_json,
    send_otlp,
    status_of,
    step,
    trace,
)
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


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
