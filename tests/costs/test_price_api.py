"""Price rules by API: people act with their role, keys read."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from core.models import Job
from costs.models import CostRecord, PriceRule
from tests.costs.repricing import finish, override, save
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, context_for, llm
from tests.traces.uploads import key_for
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
NOW = START + dt.timedelta(hours=3)
BASE = "/api/v1/organizations/acme/prices"
RULE: dict[str, Any] = {
    "kind": "override",
    "provider": "acme",
    "model": "acme-*",
    "prices": [
        {"token_class": "input", "price_usd": "4"},
        {"token_class": "output", "price_usd": "10", "per": 1_000_000,
         "tiers": [{"above_input_tokens": 200_000, "price_usd": "15.5"}]},
    ],
    "note": "Quote 17",
}  # fmt: skip


@pytest.fixture
def project(acme: Any) -> Any:
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    spans = [llm("a"), llm("b", model="acme-llama-70b", provider="acme")]
    write_spans(context_for(project), spans, now=NOW)
    return project


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, path, json.dumps(body), content_type="application/json")


def test_a_rule_is_previewed_applied_read_and_removed(project, admin):
    preview = send(admin, "POST", f"{BASE}/previews", {"rule": RULE})
    assert preview.status_code == 201
    shown = preview.json()
    assert (shown["state"], shown["is_applied"]) == ("done", False)
    assert shown["result"] == {
        "read": 2, "changed": 1, "priced": 1, "lost": 0,
        "before_usd": "0", "after_usd": "0.005", "change_usd": "0.005",
    }  # fmt: skip
    assert not PriceRule.objects.exists()
    applied = send(admin, "POST", f"{BASE}/previews/{shown['id']}/application")
    assert applied.status_code == 201
    rule = applied.json()["rule"]
    assert (rule["number"], rule["model"], rule["author"]) == (1, "acme-*", "admin@acme.example")
    assert rule["prices"][1] == RULE["prices"][1]
    finish(Job.objects.get(pk=applied.json()["job"]["id"]))
    assert CostRecord.objects.get(project=project, span_id="b").cost_usd == Decimal("0.005")
    assert send(admin, "POST", f"{BASE}/previews/{shown['id']}/application").status_code == 409
    assert admin.get(f"{BASE}/previews/{shown['id']}").json()["is_applied"] is True

    removed = send(admin, "DELETE", f"{BASE}/1")
    finish(Job.objects.get(pk=removed.json()["job"]["id"]))
    assert CostRecord.objects.get(project=project, span_id="b").cost_usd is None
    assert admin.get(f"{BASE}/1").json()["is_removed"] is True
    assert send(admin, "DELETE", f"{BASE}/1").status_code == 404
    assert admin.get(BASE).json() == {"results": [], "next": None}
    assert [r["number"] for r in admin.get(f"{BASE}?state=all").json()["results"]] == [1]


def test_a_rule_is_created_and_replaced_at_once(project, admin):
    made = send(admin, "POST", BASE, {"kind": "discount", "model": "*", "percent_off": "12.5"})
    assert made.status_code == 201
    assert (made.json()["rule"]["factor"], made.json()["job"]["total"]) == ("0.875", 2)
    changed = send(
        admin, "PUT", f"{BASE}/1", {"kind": "discount", "model": "*", "percent_off": "50"}
    )
    assert (changed.status_code, changed.json()["rule"]["number"]) == (200, 2)
    for job in Job.objects.filter(kind="costs.reprice"):
        finish(job)
    assert CostRecord.objects.get(project=project, span_id="a").cost_usd == Decimal("0.000225")


def test_a_long_list_pages(acme, project, admin):
    for n in range(103):
        save(project, override(f"house-{n}"))
    first = admin.get(BASE).json()
    second = admin.get(first["next"].removeprefix("http://testserver")).json()
    numbers = [rule["number"] for rule in first["results"] + second["results"]]
    assert (numbers, second["next"]) == (list(range(103, 0, -1)), None)


def test_models_say_which_rules_their_price_has(project, admin):
    save(project, override("gpt-5-mini", valid_from="2026-01-01"))
    found = admin.get("/api/v1/projects/checkout/models").json()["results"]
    price = next(one["price"] for one in found if one["model"] == "gpt-5-mini")
    assert (price["source"], price["override"], price["discount"]) == ("override #1", 1, None)
    assert (price["valid_from"], price["valid_to"]) == ("2026-01-01", None)
    assert price["classes"][0]["price_usd"] == "4"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "gift"}, "kind"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"model": "a\x00"}, "model"),
        ({"provider": "x" * 65}, "provider"),
        ({"service_tier": "gold"}, "service_tier"),
        ({"prices": []}, "prices"),
        ({"prices": "4"}, "prices"),
        ({"prices": [{"token_class": "input", "price_usd": 0.1}]}, "prices[0].price_usd"),
        ({"prices": [{"token_class": "input", "price_usd": "-1"}]}, "prices[0].price_usd"),
        ({"prices": [{"token_class": "smell", "price_usd": "1"}]}, "prices[0].class"),
        ({"prices": [{"token_class": "input", "price_usd": "1", "per": 5}]}, "prices[0].per"),
        ({"prices": [RULE["prices"][0], RULE["prices"][0]]}, "prices[1].class"),
        ({"prices": [{"token_class": "input", "price_usd": "1", "tiers": [{}]}]},
         "prices[0].tiers[0].above_input_tokens"),
        ({"valid_from": "soon"}, "valid_from"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-31"}, "valid_to"),
        ({"percent_off": "5"}, "percent_off"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_by_field(project, admin, change, field):
    response = send(admin, "POST", BASE, {**RULE, **change})
    assert response.status_code == 400, response.content
    assert list(response.json()["fields"]) == [field]
    assert not PriceRule.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize("body", [[], 5, {"number": "1"}, {"rule": []}, {"zebra": 1}])
def test_a_wrong_preview_is_refused(project, admin, body):
    assert send(admin, "POST", f"{BASE}/previews", body).status_code == 400


def test_a_tie_is_refused_and_names_the_other_rule(project, admin):
    send(admin, "POST", BASE, RULE)
    tie = send(admin, "POST", BASE, {**RULE, "valid_from": "2026-01-01"})
    assert (tie.status_code, tie.json()["code"]) == (409, "price_rules_overlap")
    assert "Own price #1 (acme · acme-*, always)" in tie.json()["detail"]
    assert PriceRule.objects.count() == 1
    ended = send(admin, "PUT", f"{BASE}/1", {**RULE, "valid_to": "2025-12-31"})
    assert ended.status_code == 200
    assert send(admin, "POST", BASE, {**RULE, "valid_from": "2026-01-01"}).status_code == 201


def test_a_key_reads_its_own_organisations_rules_and_changes_none(project, globex):
    save(project, override())
    _, raw = key_for(project, scopes=["read", "admin"])
    _, foreign = key_for(ProjectFactory(organization=globex.organization), scopes=["read", "admin"])
    mine = Client(headers={"Authorization": f"Bearer {raw}"})
    theirs = Client(headers={"Authorization": f"Bearer {foreign}"})
    assert [
        r["number"] for r in mine.get("/api/v1/projects/checkout/prices").json()["results"]
    ] == [1]
    assert theirs.get("/api/v1/projects/checkout/prices").status_code == 404
    for client in (mine, theirs):
        assert client.get(BASE).status_code == 403
        assert send(client, "POST", BASE, RULE).status_code == 403
        assert send(client, "DELETE", f"{BASE}/1").status_code == 403
    assert PriceRule.objects.filter(removed_at=None).count() == 1


def test_viewers_read_and_strangers_find_nothing(project, acme, globex, client_of):
    save(project, override())
    viewer, stranger = client_of(acme.viewer), client_of(globex.owner)
    assert viewer.get(f"{BASE}/1").status_code == 200
    for client, status in ((viewer, 403), (stranger, 404), (Client(), 401)):
        assert send(client, "POST", BASE, RULE).status_code == status
        assert send(client, "PUT", f"{BASE}/1", RULE).status_code == status
        assert send(client, "POST", f"{BASE}/previews", {}).status_code == status
    assert stranger.get(f"{BASE}/1").status_code == 404
    assert PriceRule.objects.count() == 1
    assert not Job.objects.exists()
