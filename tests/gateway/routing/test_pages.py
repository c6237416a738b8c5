"""The pages of routes: list, editor with rows, one route, a dry run, and what others may not."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditEvent
from core.ids import uuid7
from gateway.models import ConfigVersion, LLMRequest, Route
from tests.factories.gateway import ConnectionFactory, RouteFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/routes/"
HTMX = {"HX-Request": "true"}


def form(*targets: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What a browser sends."""
    sent: dict[str, Any] = {
        "name": "smart", "note": "", "choose": "weight", "sticky": "", "tries": "2", "first_wait_s": "0.5",
        "longest_wait_s": "8", "fallback_on": ["error", "timeout"], "timeout_s": "60", "first_token_s": "",
        "hedge_after_s": "", "on_client_gone": "", "has_cache": "", "cache_ttl_s": "3600", "cache_namespace": "",
        "cache_threshold": "0.97", "cache_shadow_share": "0.05", "cache_wrong_limit": "0.01",
        "targets-TOTAL_FORMS": str(len(targets)), "targets-INITIAL_FORMS": "0",
    }  # fmt: skip
    for number, target in enumerate(targets):
        row = {"weight": "1", "step": "0", "model": "gpt-4o-mini"} | target
        sent |= {f"targets-{number}-{name}": value for name, value in row.items()}
    return sent | values


def rules_to(*connections: Any, **values: Any) -> dict[str, Any]:
    rows = [{"connection": one.pk.hex, "model": "gpt-4o-mini"} for one in connections]
    return {"targets": rows, **values}


def names(response: Any) -> list[str]:
    return [row.route.name for row in response.context["rows"]]


def called(project: Any, route: str, **values: Any) -> None:
    now = timezone.now()
    given = {"state": "done", "status_code": 200, "cost_usd": Decimal("0.25")} | values
    LLMRequest.objects.create(
        id=uuid7(), project=project, accepted_at=now - dt.timedelta(minutes=1), route=route,
        dialect="openai.chat", asked_model=route, trace_id="t", span_id="s", **given,
    )  # fmt: skip


def test_an_empty_list_says_what_to_do(admin: Client, viewer: Client, project: Any) -> None:
    assert b"Make the first route" in admin.get(ROOT).content
    seen = viewer.get(ROOT).content
    assert b"No routes yet" in seen
    assert b"routes/new/" not in seen
    assert b'aria-current="page">Routes</a>' in seen


def test_the_list_shows_chains_and_calls_filters_sorts_and_exports(
    admin: Client, project: Any, west: Any, east: Any
) -> None:
    smart = rules_to(west, east)
    smart["targets"][0]["weight"] = 4
    RouteFactory.create(project=project, name="smart", rules=smart)
    RouteFactory.create(
        project=project, name="=cheap", is_enabled=False, rules=rules_to(east, choose="cost")
    )
    RouteFactory.create(project=project, name="*", rules={"targets": [{"connection": uuid7().hex}]})
    RouteFactory.create(name="foreign")
    for _ in range(3):
        called(project, "smart")
    called(project, "smart", state="failed", status_code=502, cost_usd=None, fallbacks=1)
    called(ProjectFactory.create(organization=project.organization), "smart")
    page = admin.get(ROOT)
    assert names(page) == ["=cheap", "smart", "*"]
    row = page.context["rows"][1]
    assert (row.traffic.calls, row.traffic.failed, row.traffic.fallbacks) == (4, 1, 1)
    assert row.traffic.cost_usd == Decimal("0.75")
    for words in (b"80%", b"20%", b"West", b"Connection gone"):
        assert words in page.content
    for query, found in (
        ({"q": "WEST"}, ["smart"]), ({"state": "off"}, ["=cheap"]), ({"choose": "cost"}, ["=cheap"]),
        ({"connection": str(west.pk)}, ["smart"]), ({"sort": "-calls"}, ["smart", "=cheap", "*"]),
        ({"q": "nothing"}, []),
    ):  # fmt: skip
        assert names(admin.get(ROOT, query, headers=HTMX)) == found
    lines = admin.get(f"{ROOT}export.csv", {"sort": "-calls"}).content.decode().splitlines()
    assert len(lines) == 4
    assert "smart,true,weight,West/gpt-4o-mini 4 | East/gpt-4o-mini 1" in lines[1]
    assert ",'=cheap," in lines[2]
    for query in (
        {"state": "x"},
        {"sort": "x"},
        {"choose": "x"},
        {"connection": "x"},
        {"q": "a\0"},
    ):
        assert admin.get(ROOT, query).status_code == 400


def test_the_list_costs_the_same_however_many_routes(
    admin: Client, project: Any, west: Any, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        called(project, RouteFactory.create(project=project, rules=rules_to(west)).name)
    admin.get(ROOT)
    with django_assert_max_num_queries(11):
        admin.get(ROOT)


def test_a_saved_form_is_the_route_and_its_history(
    admin: Client, project: Any, west: Any, east: Any
) -> None:
    conditions = {
        "tags": "beta, gold", "users": "ann", "prompt_contains": "hello", "min_input_tokens": "5",
        "hour_from": "22", "hour_until": "6", "weekdays": ["1", "5"], "is_stream": "yes", "has_tools": "no",
    }  # fmt: skip
    sent = form(
        {"connection": west.pk.hex, "weight": "80", **conditions},
        {"connection": east.pk.hex, "weight": "20", "is_canary": "on", "model": ""},
        has_cache="own", cache_exact="on", hedge_after_s="1.5",
    )  # fmt: skip
    response = admin.post(f"{ROOT}new/", sent)
    made = Route.objects.get()
    assert response["Location"] == f"{ROOT}{made.pk}/"
    first, second = made.rules["targets"]
    assert first["when"] == {
        "tags": ["beta", "gold"], "users": ["ann"], "prompt_contains": "hello", "min_input_tokens": 5,
        "hours": [22, 6], "weekdays": [1, 5], "is_stream": True, "has_tools": False,
    }  # fmt: skip
    assert (second["weight"], second["is_canary"]) == (20, True)
    assert (made.rules["cache"]["exact"], made.rules["hedge_after_s"]) == (True, 1.5)
    assert made.updated_by.email == "admin@acme.example"
    assert ConfigVersion.objects.get(pk=project.organization_id).version >= 1
    page = admin.get(f"{ROOT}{made.pk}/edit/")
    assert b'value="beta, gold"' in page.content
    assert admin.post(f"{ROOT}{made.pk}/edit/", sent).status_code == 302
    made.refresh_from_db()
    assert made.version == 1  # nothing changed
    admin.post(f"{ROOT}{made.pk}/edit/", sent | {"targets-0-weight": "50", "name": "Smarter"})
    made.refresh_from_db()
    assert (made.version, made.name, made.rules["targets"][0]["weight"]) == (2, "Smarter", 50)
    late = admin.post(f"{ROOT}{made.pk}/edit/", sent | {"seen": "1"})  # would undo version 2
    assert (late.status_code, late.context["seen"]) == (422, 2)
    assert b"Version 2 was saved since you opened this page" in late.content
    assert b'name="seen" value="2"' in late.content
    detail = admin.get(f"{ROOT}{made.pk}/")
    assert [one.what for one in detail.context["changes"]] == ["Changed", "Created"]
    older = detail.context["changes"][1].id
    again = admin.get(f"{ROOT}{made.pk}/edit/?version={older}")
    assert again.context["draft"].targets.forms[0]["weight"].value() == 80
    assert admin.get(f"{ROOT}{made.pk}/edit/?version=nonsense").status_code == 200


@pytest.mark.parametrize(
    ("row", "values", "words"),
    [
        ({}, {"name": ""}, "This field is required"),
        ({}, {"name": "with space"}, "no spaces"),
        ({}, {"name": "TAKEN"}, "already has a route"),
        ({"weight": "1001"}, {}, "targets.0.weight"),
        ({"weight": "x"}, {}, "Enter a whole number"),
        ({"step": "-1"}, {}, "targets.0.step"),
        ({"connection": ""}, {}, "This field is required"),
        ({"connection": "0" * 32}, {}, "Select a valid choice"),
        ({"hour_from": "3"}, {}, "both hours"),
        ({"hour_from": "3", "hour_until": "25"}, {}, "hours go from"),
        ({"min_input_tokens": "9", "max_input_tokens": "3"}, {}, "at least min_input_tokens"),
        ({"tags": "a" * 300}, {}, "at most 200 characters"),
        ({}, {"tries": "0"}, "retry.tries"),
        ({}, {"timeout_s": "nan"}, "Enter a number"),
        ({}, {"choose": "x"}, "Select a valid choice"),
        ({}, {"fallback_on": ["x"]}, "Select a valid choice"),
        ({}, {"cache_threshold": "2", "has_cache": "own"}, "cache.threshold"),
        ({}, {"targets-TOTAL_FORMS": "0"}, "a route has 1 to 20 targets"),
        ({}, {"targets-TOTAL_FORMS": "x"}, "ManagementForm data is missing"),
        ({}, {"targets-TOTAL_FORMS": "999999"}, "at most 20"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    admin: Client, project: Any, west: Any, row: dict[str, Any], values: dict[str, Any], words: str
) -> None:
    RouteFactory.create(project=project, name="taken")
    sent = form({"connection": west.pk.hex} | row) | values
    response = admin.post(f"{ROOT}new/", sent)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert Route.objects.filter(project=project).count() == 1


def test_rows_are_added_and_removed_without_javascript_and_with(
    admin: Client, project: Any, west: Any
) -> None:
    rows = [{"connection": west.pk.hex, "model": f"m{n}"} for n in range(3)]
    rows[1]["is_canary"] = "on"
    sent = form(*rows)
    added = admin.post(f"{ROOT}new/", sent | {"add_target": "1"})
    assert added.status_code == 200
    assert b"This field is required" not in added.content
    models = [row["model"].value() for row in added.context["draft"].targets.forms]
    assert models == ["m0", "m1", "m2", None]
    removed = admin.post(f"{ROOT}new/", sent | {"remove_target": "0"}, headers=HTMX)
    assert "gateway/routes/_targets.html" in [one.name for one in removed.templates]
    forms = removed.context["draft"].targets.forms
    assert [row["model"].value() for row in forms] == ["m1", "m2"]
    assert [bool(row["is_canary"].value()) for row in forms] == [True, False]
    assert not Route.objects.exists()


def test_a_dry_run_of_the_form_is_not_saved(admin: Client, project: Any, west: Any) -> None:
    sent = form({"connection": west.pk.hex}, dry_run="1", try_model="smart", try_text="Hi")
    page = admin.post(f"{ROOT}new/", sent)
    assert page.status_code == 200
    text = page.content.decode()
    assert "This request would go to <b>West</b> as <code>gpt-4o-mini</code>" in text
    part = admin.post(f"{ROOT}new/", sent, headers=HTMX)
    assert part.context["outcome"].chain[0].cost_usd > 0
    wrong = admin.post(f"{ROOT}new/", sent | {"tries": "99"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "retry.tries" in wrong.content.decode()
    assert not Route.objects.exists()


def test_a_dry_run_says_where_and_why_and_what_was_passed_by(
    viewer: Client, project: Any, west: Any, east: Any
) -> None:
    rules = rules_to(west, east)
    rules["targets"][0]["when"] = {"tags": ["gold"]}
    rules["targets"][1]["model"] = "claude-3-5-haiku-latest"
    RouteFactory.create(project=project, name="smart", rules=rules)
    url = f"{ROOT}dry-run/"
    assert b"Nothing is sent" in viewer.get(url).content
    page = viewer.get(url, {"try_model": "SMART", "try_text": "Hi", "try_is_stream": "on"})
    outcome = page.context["outcome"]
    assert [one.connection for one in outcome.chain] == ["East"]
    assert outcome.skipped == ("West (gpt-4o-mini): only for calls tagged gold",)
    gold = viewer.get(url, {"try_model": "smart", "try_tags": "gold"}, headers=HTMX)
    assert {one.connection for one in gold.context["outcome"].chain} == {"West", "East"}
    refused = viewer.get(url, {"try_model": "nobody"})
    assert b"would be refused" in refused.content
    assert refused.context["outcome"].status == 404
    direct = viewer.get(url, {"try_model": "gpt-4o", "try_at": "2026-01-01T10:00"})
    assert direct.context["outcome"].chain[0].connection == "West"
    for query in ({"try_model": ""}, {"try_model": "m", "try_dialect": "x"},
                  {"try_model": "m", "try_max_output_tokens": "0"}):  # fmt: skip
        assert viewer.get(url, query).status_code == 422


def test_routes_are_switched_copied_and_deleted(admin: Client, project: Any, west: Any) -> None:
    made = RouteFactory.create(project=project, name="smart", rules=rules_to(west))
    one = f"{ROOT}{made.pk}/"
    admin.post(f"{one}enabled/", {"enabled": "0"})
    made.refresh_from_db()
    assert not made.is_enabled
    assert admin.post(f"{one}enabled/", {"enabled": "x"}).status_code == 400
    admin.post(f"{one}copy/")
    admin.post(f"{one}copy/")
    copies = Route.objects.exclude(pk=made.pk)
    assert {copy.name for copy in copies} == {"smart-copy", "smart-copy1"}
    assert not any(copy.is_enabled for copy in copies)
    admin.post(f"{one}deletion/", {"confirmation": "wrong"})
    assert Route.objects.count() == 3
    admin.post(f"{one}deletion/", {"confirmation": "smart"})
    assert not Route.objects.filter(pk=made.pk).exists()
    verbs = AuditEvent.objects.filter(action__startswith="gateway.route.").order_by("created_at")
    assert [event.action.rpartition(".")[2] for event in verbs] == [
        "disabled", "created", "created", "deleted",
    ]  # fmt: skip


def test_what_others_may_not(
    viewer: Client, client_of: Any, acme: SimpleNamespace, globex: Any, project: Any, west: Any
) -> None:
    made = RouteFactory.create(project=project, name="smart", rules=rules_to(west))
    foreign = ConnectionFactory.create()
    other = ProjectFactory.create(organization=acme.organization)
    only = ConnectionFactory.create(organization=acme.organization, project=other)
    one, sent = f"{ROOT}{made.pk}/", form({"connection": west.pk.hex})
    for client, status in (
        (viewer, 403), (client_of(acme.member), 403), (client_of(globex.owner), 404),
    ):  # fmt: skip
        for path in (
            f"{ROOT}new/",
            f"{one}edit/",
            f"{one}enabled/",
            f"{one}copy/",
            f"{one}deletion/",
        ):
            given = sent | {"enabled": "0", "confirmation": "smart"}
            assert client.post(path, given).status_code == status, path
    assert Client().post(f"{one}copy/").status_code == 302
    admin = client_of(acme.admin)
    for connection in (foreign, only):
        wrong = admin.post(f"{ROOT}new/", form({"connection": connection.pk.hex}, name="x"))
        assert wrong.status_code == 422
    assert admin.get(f"/projects/{other.slug}/gateway/routes/{made.pk}/").status_code == 404
    assert list(Route.objects.values_list("name", "version", "is_enabled")) == [("smart", 1, True)]
