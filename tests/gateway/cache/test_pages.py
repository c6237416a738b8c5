"""The cache's pages and API: figures, answers, one of them, purging, checks, and what others may not."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core import formats
from core.ids import uuid7
from gateway.cache.emptying import cap
from gateway.cache.selectors import figures_of
from gateway.cache.storing import store
from gateway.cache.tightening import consider
from gateway.models import CachedResponse, CacheThreshold, GatewaySettings, ShadowCheck
from gateway.structs import CacheRule, Decision
from gateway.sums import adding
from projects.models import Project
from tests.factories.gateway import RouteFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.gateway.cache.conftest import answer_of, ask, ended
from tests.gateway.cache.test_semantic import keep
from tests.gateway.recording import calls

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    return ProjectFactory(organization=acme.organization, slug="bot")


@pytest.fixture
def root(project: Project) -> str:
    return f"/projects/{project.slug}/gateway/cache/"


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def fill(project: Project, count: int = 3, **more: Any) -> list[CachedResponse]:
    at = timezone.now().timestamp() - 5
    for number in range(count):
        call = ask(project, f"Question {number}", model=f"m{number}", at=at + number, **more)
        call.decision = Decision(targets=(), route="faq" if number else "")
        store(
            [ended(call, answer=answer_of(f"Answer {number}"))],
            costs={call.id: Decimal("0.01")},
            vectors=None,
        )
    return list(CachedResponse.objects.filter(project=project.pk).order_by("created_at"))


def called(project: Project, cache: str, saved: str | None = None) -> None:
    usd = Decimal(saved) if saved else None
    one = calls.finished(project, cache=cache, attempts=[], saved_usd=usd)
    with connection.cursor() as cursor:
        adding.add(cursor, project.pk, [one])


def test_what_was_used_longest_ago_goes_first(project: Project) -> None:
    old, _, new = fill(project)
    other = fill(ProjectFactory.create())
    CachedResponse.objects.filter(project=project.pk, id=old.id).update(last_hit_at=timezone.now())
    assert cap() == 0
    GatewaySettings.objects.create(project=project, rules={"cache_entries": 2})
    assert cap() == 1
    left = CachedResponse.objects.filter(project=project.pk).values_list("id", flat=True)
    assert set(left) == {old.id, new.id}
    assert CachedResponse.objects.filter(id__in=[one.id for one in other]).count() == 3


def test_an_empty_cache_says_how_to_use_it(admin: Client, root: str) -> None:
    page = admin.get(root).content
    assert b"No answers are kept" in page
    assert b"Purge" not in page


def test_the_page_shows_figures_and_answers_in_few_queries(
    admin: Client,
    root: str,
    project: Project,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    fill(project)
    for cache, saved in (("exact", "0.01"), ("semantic", "0.02"), ("miss", None), ("exact", None)):
        called(project, cache, saved)
    ShadowCheck.objects.create(
        project=project, id=uuid7(), route="faq", cached_id=uuid7(), similarity=0.98, threshold=0.97,
        is_right=False, checked_at=timezone.now() - dt.timedelta(seconds=1),
    )  # fmt: skip
    consider(project=project, route="faq", rule=CacheRule(), now=timezone.now())
    RouteFactory(project=project, name="hr", rules={"cache": {"semantic": True, "threshold": 0.98}})
    with django_assert_max_num_queries(18):
        page = admin.get(root).content.decode()
    assert formats.percent(0.75) in page
    assert '<span class="num">0.98</span>' in page
    assert "Tightened to 0.9806" in page
    assert "saved an amount that is unknown" in page
    assert page.count("data-row-link") == 3
    figures = figures_of(project, "7d", now=timezone.now())
    assert (figures.asked, figures.hits, figures.saved_usd) == (4, 3, Decimal("0.03"))
    assert figures_of(ProjectFactory(), "24h", now=timezone.now()).rate is None


def test_the_list_filters_sorts_pages_and_exports(
    admin: Client, root: str, project: Project
) -> None:
    fill(project)
    part = admin.get(f"{root}?model=m1", HTTP_HX_REQUEST="true").content.decode()
    assert part.count("data-row-link") == 1
    assert "<h1>" not in part
    assert admin.get(f"{root}?route=-").content.count(b"data-row-link") == 1
    assert b"No kept answer matches" in admin.get(f"{root}?namespace=zz").content
    lines = admin.get(f"{root}export.csv?sort=created").getvalue().decode().splitlines()
    assert len(lines) == 4
    assert ",m0," in lines[1]
    for query in ("sort=zz", "range=zz", f"model={'x' * 201}", "after=zz"):
        assert admin.get(f"{root}?{query}").status_code == 400


def test_one_answer_can_be_read_as_the_project_allows(
    admin: Client, root: str, project: Project
) -> None:
    at = timezone.now().timestamp()
    keep(project, "What is the capital of France?", "Paris, write to ann@example.com", at=at)
    row = CachedResponse.objects.get(project=project.pk)
    page = admin.get(f"{root}{row.id}/").content.decode()
    assert "capital of France" in page
    assert "ann@example.com" in page
    Project.objects.filter(pk=project.pk).update(content_capture="masked")
    masked = admin.get(f"{root}{row.id}/").content.decode()
    assert "ann@example.com" not in masked
    assert "Paris" in masked
    Project.objects.filter(pk=project.pk).update(content_capture="off")
    assert "Paris" not in admin.get(f"{root}{row.id}/").content.decode()
    assert admin.get(f"{root}{uuid7()}/").status_code == 404


def test_purging_asks_first_and_spares_the_others(
    admin: Client, root: str, project: Project
) -> None:
    rows = fill(project)
    asked = admin.get(f"{root}purge/?route=faq").content.decode()
    assert "2 kept answers" in asked
    assert admin.post(f"{root}purge/", {"route": "faq"}).status_code == 302
    assert list(CachedResponse.objects.filter(project=project.pk)) == [rows[0]]
    assert admin.post(f"{root}purge/", {}).status_code == 400
    assert admin.post(f"{root}{rows[0].id}/deletion/").status_code == 302
    fill(project)
    admin.post(f"{root}purge/", {"all": "true"})
    assert not CachedResponse.objects.filter(project=project.pk).exists()


def test_a_tightened_threshold_is_lifted_by_admins(
    admin: Client, root: str, project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    CacheThreshold.objects.create(
        project=project,
        route="",
        threshold=1.1,
        before=1.0,
        checked=5,
        wrong=2,
        tightened_at=timezone.now(),
    )
    assert b"Switched off by itself" in admin.get(root).content
    member = client_of(acme.member)
    assert member.post(f"{root}thresholds/lift/", {"route": ""}).status_code == 403
    assert CacheThreshold.objects.filter(project=project).exists()
    assert admin.post(f"{root}thresholds/lift/", {"route": ""}).status_code == 302
    assert not CacheThreshold.objects.filter(project=project).exists()


def test_who_may_not_throw_away_changes_nothing(
    root: str, project: Project, acme: SimpleNamespace, client_of: Any, client: Client
) -> None:
    [row] = fill(project, 1)
    member = client_of(acme.member)
    assert b"Purge" not in member.get(root).content
    assert member.post(f"{root}purge/", {"all": "true"}).status_code == 403
    assert member.post(f"{root}{row.id}/deletion/").status_code == 403
    assert client.post(f"{root}purge/", {"all": "true"}).status_code == 302
    stranger = ProjectFactory()
    assert stranger.organization_id != project.organization_id
    assert CachedResponse.objects.filter(project=project.pk).count() == 1


def test_the_api_lists_reads_and_purges(project: Project, client: Client) -> None:
    rows = fill(project)
    mine, others = "llmlab_sk_cacheadmin1", "llmlab_sk_cachestranger"
    ApiKeyFactory(project=project, raw=mine, scopes=["read", "admin"])
    ApiKeyFactory(raw=others, scopes=["read", "admin"])
    api = f"/api/v1/projects/{project.slug}/gateway/cache"
    headers = {"authorization": f"Bearer {mine}"}
    page = client.get(f"{api}?limit=2", headers=headers).json()
    assert [one["model"] for one in page["results"]] == ["m2", "m1"]
    rest = client.get(page["next"], headers=headers).json()
    assert [one["model"] for one in rest["results"]] == ["m0"]
    one = client.get(f"{api}/{rows[0].id}", headers=headers).json()
    assert one["answer"] == "Answer 0"
    assert client.get(f"{api}/figures?range=24h", headers=headers).json()["asked"] == 0
    assert client.get(f"{api}/thresholds", headers=headers).json() == []
    assert client.delete(f"{api}/thresholds?route=faq", headers=headers).status_code == 400
    assert client.delete(api, headers=headers).status_code == 400
    assert client.delete(f"{api}?all=maybe", headers=headers).status_code == 400
    assert client.delete(f"{api}?zz=1", headers=headers).status_code == 400
    for path in (api, f"{api}/{rows[0].id}"):
        assert client.delete(f"{path}?all=true" if path == api else path,
            headers={"authorization": f"Bearer {others}"}).status_code == 404  # fmt: skip
    assert CachedResponse.objects.filter(project=project.pk).count() == 3
    assert client.delete(f"{api}?model=m2", headers=headers).json() == {"deleted": 1}
    assert client.delete(f"{api}/{rows[0].id}", headers=headers).status_code == 204
    assert client.delete(f"{api}?all=true", headers=headers).json() == {"deleted": 1}
