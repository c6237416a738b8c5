"""The request list: what it shows and hides, its order and pages, one call beside it, CSV and the API."""

import csv
import datetime as dt
import io
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from redis import Redis

from core.ids import uuid7
from gateway.models import LLMRequest
from gateway.recording.writer import record
from projects.models import Project
from tests.factories.gateway import RouteFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.gateway.recording import calls

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/requests/"
API = "/api/v1/projects/checkout/gateway/requests"
PEEK = {"HX-Request": "true", "HX-Target": "peek"}


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    made: Project = ProjectFactory.create(organization=acme.organization, slug="checkout")
    return made


@pytest.fixture
def viewer(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.viewer)
    return client


def made(project: Project, ago_s: float = 60, **values: Any) -> LLMRequest:
    given = {
        "id": uuid7(), "accepted_at": timezone.now() - dt.timedelta(seconds=ago_s), "state": "done",
        "dialect": "openai.chat", "asked_model": "fast", "model": "gpt-4o-mini", "status_code": 200,
        "trace_id": "t", "span_id": "s",
    }  # fmt: skip
    return LLMRequest.objects.create(project=project, **(given | values))


def shown(response: Any) -> list[Any]:
    return [row.id for row in response.context["rows"]]


def test_an_empty_list_says_what_to_do(viewer: Client, project: Project) -> None:
    page = viewer.get(ROOT).content
    assert b"No requests in this time" in page
    assert b"No call waits" in page
    assert b'aria-current="page">Requests</a>' in page


def test_filters_keep_what_they_name(viewer: Client, project: Project) -> None:
    key = ApiKeyFactory.create(project=project, name="Robot")
    plain = made(project, 5, api_key_id=key.pk)
    failed = made(project, 4, state="failed", status_code=502, error="overloaded", route="smart")
    kept = made(project, 3, state="cached", cache="semantic", asked_model="claude", model="opus")
    low = made(project, 2, priority=2, cache="miss")
    old = made(project, 2 * 86_400)
    made(ProjectFactory.create(organization=project.organization))
    everything = [low.id, kept.id, failed.id, plain.id]
    for query, ids in (
        ({}, everything),
        ({"state": "failing"}, [failed.id]),
        ({"state": "cached"}, [kept.id]),
        ({"route": "smart"}, [failed.id]),
        ({"route": "-"}, [low.id, kept.id, plain.id]),
        ({"model": "OPUS"}, [kept.id]),
        ({"model": "claude"}, [kept.id]),
        ({"key": str(key.pk)}, [plain.id]),
        ({"priority": "low"}, [low.id]),
        ({"cache": "hit"}, [kept.id]),
        ({"cache": "none"}, [failed.id, plain.id]),
        ({"range": "7d", "sort": "at"}, [old.id, *reversed(everything)]),
    ):
        assert shown(viewer.get(ROOT, query)) == ids, query
        api = viewer.get(API, query).json()["results"]
        assert [row["id"] for row in api] == [str(one) for one in ids], query
    wrong: tuple[dict[str, str], ...] = (
        {"state": "x"}, {"key": "x"}, {"priority": "x"}, {"cache": "x"}, {"sort": "x"}, {"range": "x"},
        {"after": "x"}, {"model": "\x00"}, {"route": "r" * 201},
    )  # fmt: skip
    for query in wrong:
        for path in (ROOT, API, f"{ROOT}export.csv"):
            if "after" not in query or path != f"{ROOT}export.csv":
                assert viewer.get(path, query).status_code == 400, (path, query)


@pytest.mark.parametrize("sort", ["-at", "at"])
def test_pages_follow_each_other_through_equal_times(
    viewer: Client, project: Project, sort: str
) -> None:
    at = timezone.now() - dt.timedelta(minutes=1)
    rows = [made(project, accepted_at=at) for _ in range(5)]
    rows.sort(key=lambda row: row.id, reverse=sort == "-at")
    seen, url = [], f"{API}?limit=2&sort={sort}"
    while url:
        answer = viewer.get(url).json()
        seen += [row["id"] for row in answer["results"]]
        url = answer["next"]
    assert seen == [str(row.id) for row in rows]


def test_it_asks_as_often_for_one_as_for_many(
    viewer: Client, project: Project, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    RouteFactory.create(project=project, name="smart")
    for number in range(12):
        made(project, number, route="smart", api_key_id=uuid7())
    with django_assert_max_num_queries(12):
        assert len(shown(viewer.get(ROOT))) == 12


def test_csv_holds_what_the_list_shows(viewer: Client, project: Project) -> None:
    made(project, 9, state="failed", asked_model="=cmd()", cost_usd=Decimal("0.000001"))
    made(project, 8)
    text = b"".join(viewer.get(f"{ROOT}export.csv", {"state": "failed"})).decode()  # type: ignore[call-overload]
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["asked_model"], row["state"]) == ("'=cmd()", "failed")
    assert Decimal(row["cost_usd"]) == Decimal("0.000001")


def test_one_call_shows_why_and_every_try_and_leads_to_its_step(
    viewer: Client, project: Project
) -> None:
    call = calls.call(project)
    tries = [
        calls.tried(call, took=0.2, status=429, error="rate_limit", message="slow down"),
        calls.tried(call, after=0.5),
    ]
    record([calls.finished(of=call, attempts=tries)], now=timezone.now())
    for answer in (
        viewer.get(
            f"{ROOT}{call.id}/".replace(call.id, str(LLMRequest.objects.get(project=project).id))
        ),
        viewer.get(ROOT, {"peek": call.id}, headers=PEEK),
        viewer.get(ROOT, {"peek": call.id}),
    ):
        page = answer.content.decode()
        assert "route fast: weight" in page
        assert "slow down" in page
        assert f"traces/{call.id}/?step={call.id[16:]}" in page
    walked = viewer.get(ROOT, {"peek": call.id, "walk": "1"}, headers=PEEK)
    assert walked["HX-Replace-Url"] == f"{ROOT}?peek={call.id}"
    for wrong in ("x", str(uuid7())):
        told = viewer.get(ROOT, {"peek": wrong}, headers=PEEK)
        assert b"Not here" in told.content
    assert viewer.get(f"{ROOT}{uuid7()}/").status_code == 404
    one = viewer.get(
        f"{API}/{call.id}".replace(call.id, str(LLMRequest.objects.get(project=project).id))
    ).json()
    assert (one["attempts"], one["priority"], one["trace_id"]) == (2, "normal", call.id)


def test_others_see_nothing(client_of: Any, acme: SimpleNamespace, project: Project) -> None:
    row = made(project)
    other = ApiKeyFactory.create(project=ProjectFactory.create(), raw="llmlab_sk_other", scopes=["read"])  # fmt: skip
    headers = {"Authorization": "Bearer llmlab_sk_other"}
    assert other.project_id != project.pk
    for path in (API, f"{API}/{row.id}"):
        assert Client().get(path, headers=headers).status_code == 404
        assert Client().get(path).status_code in (401, 403)
    assert Client().get(f"{ROOT}{row.id}/").status_code == 302
