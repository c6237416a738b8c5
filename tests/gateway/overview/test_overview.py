"""The overview: its numbers are those of the lists behind them, and nobody else's."""

import datetime as dt
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from redis import Redis

from core.ids import uuid7
from gateway.models import Connection, LimitCounter, LLMRequest
from gateway.overview.panels import PANELS
from gateway.queues.link import script
from gateway.quotas.windows import window_start
from projects.models import Project
from tests.factories.budgets import BudgetFactory
from tests.factories.gateway import ConnectionFactory, LimitFactory, RouteFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/"
API = "/api/v1/projects/checkout/gateway/overview"
LIST = "/api/v1/projects/checkout/gateway/requests"


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


@pytest.fixture
def openai(project: Project) -> Connection:
    made: Connection = ConnectionFactory.create(organization=project.organization, name="Prod")
    return made


def made(project: Project, ago_s: float = 60, **values: Any) -> LLMRequest:
    given = {
        "id": uuid7(), "accepted_at": timezone.now() - dt.timedelta(seconds=ago_s), "state": "done",
        "dialect": "openai.chat", "asked_model": "fast", "model": "gpt-4o-mini-2024", "status_code": 200,
        "target_model": "gpt-4o-mini", "trace_id": "t", "span_id": "s", "attempts": 1,
    }  # fmt: skip
    return LLMRequest.objects.create(project=project, **(given | values))


def day(project: Project, openai: Connection) -> None:
    """One call of each sort, two of them with more than one try; and one of yesterday, and one of a neighbour."""
    first = {"connection": openai.pk.hex, "model": "gpt-4o-mini"}
    second = {"connection": openai.pk.hex, "model": "gpt-4o", "status": 200, "ms": 400.0}
    limited = first | {"status": 429, "error": "rate_limit", "ms": 20.0, "until": time.time() + 90}
    made(
        project,
        300,
        connection_id=openai.pk,
        input_tokens=10,
        output_tokens=5,
        cost_usd=Decimal("0.5"),
        provider_ms=100,
        queue_ms=4,
        cache="miss",
    )
    made(
        project,
        200,
        connection_id=openai.pk,
        input_tokens=20,
        provider_ms=300,
        queue_ms=8,
        priority=0,
    )
    made(
        project,
        100,
        connection_id=openai.pk,
        target_model="gpt-4o",
        model="gpt-4o",
        attempts=2,
        fallbacks=1,
        tries=[limited, second],
        cost_usd=Decimal(1),
    )
    made(
        project,
        90,
        connection_id=openai.pk,
        state="failed",
        status_code=502,
        error="overloaded",
        tries=[first | {"status": 503, "error": "error", "ms": 9.0}],
    )
    made(
        project,
        80,
        state="refused",
        status_code=429,
        error="rate_limit_exceeded",
        attempts=0,
        target_model="",
        model="",
    )
    made(project, 70, state="cached", cache="semantic", saved_usd=Decimal("0.25"), attempts=0)
    made(project, 86_400 * 2, connection_id=openai.pk)
    made(ProjectFactory.create(organization=project.organization), connection_id=openai.pk)


def test_numbers_are_those_of_the_lists_behind_them(
    viewer: Client, project: Project, openai: Connection
) -> None:
    day(project, openai)
    told = viewer.get(API).json()
    total = told["total"]
    wanted = {
        "calls": 6, "answered": 3, "cached": 1, "failed": 1, "refused": 1, "cancelled": 0, "fell_back": 1,
        "input_tokens": 30, "output_tokens": 5, "cost_usd": "1.5", "unpriced": 1, "cache_lookups": 2, "cache_hits": 1,
        "saved_usd": "0.25",
    }  # fmt: skip
    assert total == wanted
    assert sum(one["calls"] for one in told["bars"]) == 6
    page = viewer.get(ROOT)
    for card in page.context["cards"]:
        query = {name: value[0] for name, value in parse_qs(urlsplit(card["href"]).query).items()}
        counted = {"Went wrong": 2, "Cache hits": 1}.get(card["label"], 6)
        assert len(viewer.get(LIST, query).json()["results"]) == counted, card["label"]
    for one in page.context["chart"]["series"]:
        counted = sum(int(value) for value in one.values)
        query = {name: value[0] for name, value in parse_qs(urlsplit(one.href).query).items()}
        assert len(viewer.get(LIST, query).json()["results"]) == counted, one.label
    by_priority = {one["priority"]: one for one in told["queue"]["priorities"]}
    assert (by_priority["high"]["p50_ms"], by_priority["normal"]["p95_ms"]) == (8, 4)
    assert by_priority["low"] | {"priority": ""} == {
        "priority": "", "waiting": 0, "oldest_s": 0, "waited": 0, "p50_ms": None, "p95_ms": None,
    }  # fmt: skip
    assert viewer.get(API, {"range": "7d"}).json()["total"]["calls"] == 7


def test_providers_are_judged_by_every_try(
    viewer: Client, project: Project, openai: Connection
) -> None:
    day(project, openai)
    told = viewer.get(API).json()
    rows = {one["model"]: one for one in told["targets"]}
    mini = rows["gpt-4o-mini"]
    assert (mini["tries"], mini["failed"], mini["limited"]) == (4, 1, 1)
    assert (mini["p50_ms"], mini["name"], mini["circuit"]) == (200, "Prod", "closed")
    until = dt.datetime.fromisoformat(mini["limited_until"])
    assert until > timezone.now() + dt.timedelta(seconds=60)
    assert (rows["gpt-4o"]["tries"], rows["gpt-4o"]["p50_ms"]) == (1, 400)
    [way] = told["fallbacks"]
    wanted = {"model": "gpt-4o-mini", "next_model": "gpt-4o", "error": "rate_limit", "calls": 1}
    assert {name: way[name] for name in wanted} == wanted
    assert [one["key"] for one in told["attention"]] == ["no_worker", "rate_limited"]
    narrow = {"connection": str(openai.pk), "target": "gpt-4o-mini"}
    assert len(viewer.get(LIST, narrow).json()["results"]) == 4
    assert len(viewer.get(LIST, narrow | {"fallback": "yes"}).json()["results"]) == 1
    assert "Tried at" in viewer.get(f"{ROOT}requests/", narrow).content.decode()
    assert viewer.get(LIST, {"connection": "x"}).status_code == 400


def test_open_circuits_and_full_limits_come_first(
    viewer: Client, project: Project, openai: Connection
) -> None:
    foreign = ConnectionFactory.create()
    failures = [("f", 0, -1, "w", "status 503", 0)] * 5
    batch = f'[["{openai.pk.hex}|gpt-4o",{_json(failures)}],["{foreign.pk.hex}|gpt-4o",{_json(failures)}]]'
    rests = [("l", 0, -1, "w", "", 60_000)]
    batch = f'{batch[:-1]},["{openai.pk.hex}|o3",{_json(rests)}]]'
    with Redis.from_url(settings.REDIS_URL) as client:
        client.eval(script("health_report").source, 1, "{gw}", 0, batch)
        client.zadd("{gw}:workers", {"w@host": time.time() * 1000})
    limit = LimitFactory.create(organization=project.organization, name="Per minute", window="day")
    key = ApiKeyFactory.create(project=ProjectFactory.create(organization=project.organization))
    given = {"window": "day", "scope": "key", "value": str(key.pk)}
    hidden = LimitFactory.create(organization=project.organization, **given)
    for one in (limit, hidden):
        LimitCounter.objects.create(
            organization=project.organization, key=f"{one.pk.hex}:{project.pk.hex}",
            window_start=window_start("day", timezone.now()), used=100,
        )  # fmt: skip
    told = viewer.get(API).json()
    assert [one["key"] for one in told["attention"]] == [
        "circuit_open",
        "limit_full",
        "rate_limited",
    ]
    assert "5 failures in a row" in told["attention"][0]["why"]
    assert [one["name"] for one in told["limits"]] == ["Per minute"]
    assert (told["queue"]["workers"], told["targets"][0]["circuit"]) == (1, "open")
    assert viewer.get(told["attention"][0]["url"]).status_code == 200


def test_hard_budgets_stand_among_the_limits(viewer: Client, project: Project) -> None:
    organization = project.organization
    other = ProjectFactory.create(organization=organization)
    BudgetFactory.create(organization=organization, name="Ceiling", is_hard=True)
    BudgetFactory.create(organization=organization, name="Tells only", is_hard=False)
    BudgetFactory.create(
        organization=organization, name="Elsewhere", is_hard=True, scope="project", project=other
    )
    page = viewer.get(f"{ROOT}panels/limits/").content.decode()
    assert page.count("Hard budget of") == 1
    assert "Ceiling" in page
    assert "Tells only" not in page
    assert "Elsewhere" not in page
    (told,) = viewer.get(API).json()["budgets"]
    assert (told["name"], told["limit_usd"], told["share"]) == ("Ceiling", "100", 0.0)


def _json(value: Any) -> str:
    return str([list(one) for one in value]).replace("'", '"')


def test_a_project_that_never_called_sees_how_to(viewer: Client, project: Project) -> None:
    RouteFactory.create(project=project, name="smart")
    page = viewer.get(ROOT).content.decode()
    assert f"curl {settings.LLMLAB_BASE_URL}/v1/chat/completions" in page
    assert "&quot;model&quot;: &quot;smart&quot;" in page
    assert viewer.get("/gateway/")["Location"] == ROOT
    made(project, 86_400 * 3)
    assert "No calls in this time" in viewer.get(ROOT).content.decode()


def test_parts_and_page_ask_little(
    viewer: Client, project: Project, openai: Connection,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for number in range(30):
        made(project, number * 3000, connection_id=openai.pk, target_model=f"model-{number}", queue_ms=1)  # fmt: skip
        LimitFactory.create(organization=project.organization)
        RouteFactory.create(project=project)
    with django_assert_max_num_queries(19):
        assert viewer.get(ROOT, {"range": "7d", "show": "tokens"}).status_code == 200
    for panel in PANELS:
        with django_assert_max_num_queries(14):
            assert viewer.get(f"{ROOT}panels/{panel}/", {"range": "1h"}).status_code == 200
    for wrong in ({"range": "x"}, {"show": "x"}):
        assert viewer.get(ROOT, wrong).status_code == 400
    assert viewer.get(f"{ROOT}panels/x/").status_code == 404


def test_others_see_nothing(client_of: Any, globex: SimpleNamespace, project: Project) -> None:
    key = ApiKeyFactory.create(project=ProjectFactory.create(), raw="llmlab_sk_other", scopes=["read"])  # fmt: skip
    assert key.project_id != project.pk
    headers = {"Authorization": "Bearer llmlab_sk_other"}
    assert Client().get(API, headers=headers).status_code == 404
    stranger = client_of(globex.owner)
    for path in (ROOT, f"{ROOT}panels/traffic/", API):
        assert stranger.get(path).status_code == 404
        assert Client().get(path).status_code in (302, 401, 403)
