"""Budgets in the API: people change them, keys read what applies, polling is cheap."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from costs.models import Budget
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import add_hour
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
RAW = "llmlab_sk_budgets_00000000000000000000000000"
LIST = "/api/v1/organizations/acme/budgets"
DRAFT = {
    "name": "Support", "scope": "organization", "period": "monthly", "amount_usd": "100.50", "thresholds": [50],
    "is_hard": True,
}  # fmt: skip


@pytest.fixture
def project(acme: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="checkout")


@pytest.fixture
def key(project: Any) -> Any:
    return ApiKeyFactory(project=project, raw=RAW, scopes=["read"])


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(
        method, path, json.dumps(body) if body is not None else b"", content_type="application/json"
    )


def ask(path: str = "", **headers: str) -> Any:
    found = {"Authorization": f"Bearer {RAW}"} | headers
    return Client().get(f"/api/v1/projects/checkout/budgets{path}", headers=found)


def budget(acme: Any, **values: Any) -> Budget:
    return BudgetFactory.create(organization=acme.organization, **values)


def spend(project: Any, usd: str, **values: Any) -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    add_hour(project.pk, now, cost_usd=Decimal(usd), **values)


def test_a_budget_is_made_read_changed_paused_and_deleted(acme, project, admin) -> None:
    spend(project, "60.3")
    made = send(admin, "POST", LIST, DRAFT)
    assert made.status_code == 201
    path = f"{LIST}/{made.json()['id']}"
    read = admin.get(path).json()
    assert (read["amount_usd"], read["spent_usd"], read["remaining_usd"], read["share"]) == (
        "100.5",
        "60.3",
        "40.2",
        "0.6",
    )
    assert (read["state"], read["crossed"], read["is_blocking"], read["project"]) == (
        "warning",
        [50],
        False,
        None,
    )
    changed = send(
        admin, "PUT", path, DRAFT | {"amount_usd": "60", "scope": "project", "project": "checkout"}
    )
    assert (changed.json()["state"], changed.json()["is_blocking"], changed.json()["project"]) == (
        "over",
        True,
        "checkout",
    )
    history = admin.get(f"{path}/history").json()
    assert [one["percent"] for one in history["crossings"]] == [100, 50]
    assert (history["periods"][0]["spent_usd"], history["periods"][0]["is_over"]) == ("60.3", True)
    assert send(admin, "PATCH", path, {"is_paused": True}).json()["state"] == "paused"
    assert send(admin, "PATCH", path, {"name": "x"}).status_code == 400
    assert send(admin, "DELETE", path).status_code == 204
    assert admin.get(path).status_code == 404
    assert send(admin, "DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (DRAFT | {"colour": "red"}, "colour"),
        (DRAFT | {"amount_usd": 1.5}, "amount_usd"),
        (DRAFT | {"scope": "user"}, "value"),
        ([], None),
    ],
)
def test_what_no_budget_can_be_is_a_400_naming_the_field(acme, admin, body, field) -> None:
    response = send(admin, "POST", LIST, body)
    assert response.status_code == 400
    assert field is None or field in response.json()["fields"]
    budget(acme, name="support")
    assert send(admin, "POST", LIST, DRAFT).status_code == 409
    assert Budget.objects.count() == 1


def test_the_list_filters_and_pages_and_a_preview_saves_nothing(acme, project, admin) -> None:
    spend(project, "60")
    for number in range(3):
        budget(acme, name=f"B{number}", amount_usd=Decimal(50 + number * 50))
    first = admin.get(f"{LIST}?limit=2&sort=name").json()
    assert [one["name"] for one in first["results"]] == ["B0", "B1"]
    assert [one["name"] for one in admin.get(first["next"]).json()["results"]] == ["B2"]
    assert [one["name"] for one in admin.get(f"{LIST}?state=over").json()["results"]] == ["B0"]
    for query in ("colour=red", "state=x", "limit=0", "after=x"):
        assert admin.get(f"{LIST}?{query}").status_code == 400
    found = send(admin, "POST", f"{LIST}/previews", DRAFT | {"amount_usd": "60"}).json()
    assert (found["times"], found["words"]) == (
        2,
        "It would have fired 2 times in the last 90 days.",
    )
    assert [(one["percent"], one["is_block"]) for one in found["crossings"]] == [
        (50, False),
        (100, True),
    ]
    assert Budget.objects.count() == 3


def test_a_key_reads_what_applies_with_the_strictest(acme, project, key) -> None:
    other = ProjectFactory(organization=acme.organization)
    calls = [
        ChargeableCall(record_id="a", occurred_at=timezone.now(), client_cost_usd=Decimal(8), user_id="ada",
                       model="gpt-5", tags=("team:core",)),
    ]  # fmt: skip
    record_costs(project_id=project.pk, calls=calls, now=timezone.now())
    budget(acme, name="soft", amount_usd=Decimal(9))
    budget(acme, name="hard", is_hard=True, amount_usd=Decimal(100))
    budget(acme, name="ada", scope="user", value="ada", is_hard=True, amount_usd=Decimal(8))
    budget(acme, name="core", scope="team", value="core", is_hard=True, amount_usd=Decimal(20))
    budget(acme, name="key", scope="key", value=str(key.pk), project=project, amount_usd=Decimal(1))
    budget(acme, name="elsewhere", scope="project", project=other)
    budget(acme, name="resting", is_paused=True)
    whole = ask().json()
    assert [one["name"] for one in whole["results"]] == ["ada", "core", "hard", "soft", "key"]
    assert [one["counts_every_call"] for one in whole["results"]] == [
        False,
        False,
        True,
        True,
        True,
    ]
    named = {one["id"]: one["name"] for one in whole["results"]}
    assert (named[whole["strictest"]], whole["remaining_usd"], whole["is_blocked"]) == (
        "hard",
        "92",
        False,
    )
    core = ask("?tag=team:core&tag=x&user=bob").json()
    assert [one["name"] for one in core["results"]] == ["core", "hard", "soft", "key"]
    assert (core["remaining_usd"], core["is_blocked"]) == ("12", False)
    assert ask("?user=ada").json()["is_blocked"]
    assert [one["name"] for one in ask("?model=gpt-4").json()["results"]] == ["hard", "soft", "key"]
    assert ask("?colour=red").status_code == 400
    assert ask("?user=%00").status_code == 400


def test_the_answer_has_what_the_sdks_contract_says(acme, project, key) -> None:
    budget(acme, is_hard=True)
    path = Path(__file__).resolve().parents[3] / "sdks" / "contract" / "budgets.json"
    said = json.loads(path.read_text(encoding="utf-8"))["answer"]
    real = ask().json()
    assert set(said) == set(real)
    assert set(said["results"][0]) <= set(real["results"][0])


def test_an_unchanged_answer_is_a_304_until_a_call_or_a_budget_comes(
    acme, project, key, django_assert_max_num_queries
) -> None:
    made = budget(acme, is_hard=True)
    first = ask()
    seen = first["ETag"]
    with django_assert_max_num_queries(4):
        again = ask(**{"If-None-Match": seen})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", seen)
    assert ask("?user=ada")["ETag"] != seen
    call = ChargeableCall(record_id="a", occurred_at=timezone.now(), client_cost_usd=Decimal(3))
    record_costs(project_id=project.pk, calls=[call], now=timezone.now())
    second = ask(**{"If-None-Match": seen})
    assert (second.status_code, second.json()["results"][0]["spent_usd"]) == (200, "3")
    made.amount_usd = Decimal(2)
    made.save()
    third = ask(**{"If-None-Match": second["ETag"]})
    assert (third.status_code, third.json()["is_blocked"]) == (200, True)
    with django_assert_max_num_queries(4):
        assert ask().json() == third.json()


def test_others_read_and_change_nothing_denied(acme, globex, project, key, client_of) -> None:
    made = budget(acme, name="Secret")
    viewer, stranger = client_of(acme.viewer), client_of(globex.owner)
    path = f"{LIST}/{made.pk}"
    for method, where, body in (
        ("POST", LIST, DRAFT), ("PUT", path, DRAFT), ("PATCH", path, {"is_paused": True}), ("DELETE", path, None),
        ("POST", f"{LIST}/previews", DRAFT),
    ):  # fmt: skip
        assert send(viewer, method, where, body).status_code == 403
        assert send(stranger, method, where, body).status_code == 404
        assert send(Client(), method, where, body).status_code == 401
    assert viewer.get(LIST).status_code == 200
    assert stranger.get(path).status_code == 404
    assert stranger.get(f"/api/v1/organizations/globex/budgets/{made.pk}").status_code == 404
    assert stranger.get("/api/v1/projects/checkout/budgets").status_code == 404
    keyed = Client().get(LIST, headers={"Authorization": f"Bearer {RAW}"})
    assert (keyed.status_code, "/budgets" in keyed.json()["detail"]) == (403, True)
    assert Client().get("/api/v1/projects/checkout/budgets").status_code == 401
    assert [(one.name, one.is_paused) for one in Budget.objects.all()] == [("Secret", False)]


def test_days_end_at_the_hour_of_their_zone_in_the_answer(acme, project, key) -> None:
    budget(acme, period="daily", time_zone="Asia/Kolkata")
    found = ask().json()["results"][0]
    start, end = (
        dt.datetime.fromisoformat(found[name]) for name in ("period_starts_at", "resets_at")
    )
    assert (end - start, start.hour, start.minute) == (dt.timedelta(days=1), 19, 0)
