"""Billing connections by API: what pages do, programs can, with the same refusals; secrets never come back."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from costs.models import BillingAccount, BillingMapping, ProviderSync
from projects.connections import open_credentials
from projects.models import ProviderConnection
from tests.costs.billing.conftest import KEY
from tests.factories.billing import (
    BilledCostFactory,
    BilledRevisionFactory,
    BillingAccountFactory,
    ProviderSyncFactory,
)
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
BASE = "/api/v1/organizations/acme/billing"


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, f"{BASE}/{path}", json.dumps(body), "application/json")


@pytest.fixture
def body(access) -> dict[str, Any]:
    return {
        "provider": "openai",
        "name": "Main",
        "credentials": {"admin_key": access["admin_key"]},
        "settings": {"base_url": access["base_url"]},
    }


def test_a_connection_is_made_read_changed_and_deleted(admin, body) -> None:
    today = timezone.now().date()
    start = {"schedule": "hourly", "history_from": str(today - dt.timedelta(days=9))}
    answer = send(admin, "POST", "connections", body | start)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["hint"], made["is_set_up"]) == ("verified", "sk-admi…0042", True)
    assert (made["last_sync"]["days_done"], made["last_sync"]["days_total"]) == (0, 10)
    assert made["billed_this_month"] == {"usd": None, "lines": 0, "unconverted": []}
    assert made["coverage"]["gaps"][0]["days"] == 9
    one = f"connections/{made['id']}"
    changed = send(admin, "PATCH", one, {"name": "Other", "schedule": "daily", "is_paused": True})
    shown = changed.json()
    assert (shown["name"], shown["schedule"], shown["status"]) == ("Other", "daily", "paused")
    newer = "sk-admin-NEWERSECRETNEWERSECRET-0077"
    rotated = send(admin, "PATCH", one, {"credentials": {"admin_key": newer}})
    assert rotated.json()["hint"] == "sk-admi…0077"
    stored = ProviderConnection.objects.get()
    assert open_credentials(stored) == {"admin_key": newer}
    assert stored.settings["base_url"] == body["settings"]["base_url"]
    everything = b"".join(
        one.content
        for one in (
            answer,
            changed,
            rotated,
            admin.get(f"{BASE}/connections"),
            admin.get(f"{BASE}/{one}"),
        )
    ).decode() + str(list(AuditEvent.objects.values_list("data", flat=True)))
    assert KEY not in everything
    assert newer not in everything
    gone = send(admin, "DELETE", one)
    assert (gone.status_code, gone.json()["kind"]) == (202, "costs.delete_connection")
    assert send(admin, "DELETE", one).status_code == 409
    assert send(admin, "PATCH", one, {"name": "Again"}).status_code == 409


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"provider": "acme"}, 400, "provider"),
        ({"name": ""}, 400, "name"),
        ({"colour": "red"}, 400, "colour"),
        ({"credentials": {}}, 400, "admin_key"),
        ({"credentials": {"base_url": "http://x"}}, 400, "credentials.base_url"),
        ({"settings": {"admin_key": "x"}}, 400, "settings.admin_key"),
        ({"settings": []}, 400, "settings"),
        ({"credentials": {"admin_key": ["x"]}}, 400, "credentials.admin_key"),
        ({"schedule": "hourly"}, 400, "schedule"),
        ({"schedule": "hourly", "history_from": "1999-01-01"}, 400, "history_from"),
        ({"credentials": {"admin_key": "sk-proj-NOTADMINNOTADMIN-01"}}, 422, None),
    ],
)  # fmt: skip
def test_a_wrong_connection_is_refused_by_field(admin, body, change, status, field) -> None:
    answer = send(admin, "POST", "connections", body | change)
    assert answer.status_code == status, answer.content
    if field:
        assert field in answer.json()["fields"]
    assert not ProviderConnection.objects.exists()


@pytest.fixture
def account(acme) -> BillingAccount:
    return BillingAccountFactory(
        connection__organization=acme.organization, history_from=timezone.now().date()
    )


def test_runs_are_started_watched_cancelled_and_resumed(account, admin) -> None:
    one = f"connections/{account.connection_id}/syncs"
    made = send(admin, "POST", one, {})
    assert (made.status_code, made.json()["kind"]) == (202, "manual")
    assert send(admin, "POST", one, {}).status_code == 409
    run = made.json()["id"]
    assert send(admin, "GET", f"syncs/{run}").json()["state"] == "queued"
    assert send(admin, "POST", f"syncs/{run}/cancellation").status_code == 200
    ProviderSync.objects.filter(pk=run).update(state="cancelled")
    assert send(admin, "POST", f"syncs/{run}/resumption").status_code == 202
    ProviderSync.objects.filter(pk=run).update(state="done")
    assert send(admin, "POST", f"syncs/{run}/cancellation").status_code == 409
    wrong = send(admin, "POST", one, {"first_day": "2001-01-01"})
    assert (wrong.status_code, wrong.json()["fields"]) == (400, ["first_day"])
    listed = send(admin, "GET", f"syncs?connection={account.connection_id}&state=done").json()
    assert [row["id"] for row in listed["results"]] == [run]
    assert send(admin, "GET", "syncs?state=x").status_code == 400
    assert send(admin, "GET", "syncs?colour=red").status_code == 400


def test_lines_and_corrections_come_in_pages_with_every_digit(account, viewer, globex) -> None:
    BilledCostFactory(account__connection__organization=globex.organization)
    amount = Decimal("0.000000123456789012")
    BilledCostFactory(account=account, amount=amount, currency="EUR")
    BilledCostFactory.create_batch(2, account=account)
    BilledRevisionFactory(account=account, before=None)
    first = viewer.get(f"{BASE}/costs?limit=2").json()
    second = viewer.get(first["next"]).json()
    rows = first["results"] + second["results"]
    assert (len(rows), second["next"]) == (3, None)
    assert (rows[-1]["amount"], rows[-1]["amount_usd"]) == ("0.000000123456789012", None)
    assert len(viewer.get(f"{BASE}/costs?model=-").json()["results"]) == 0
    assert len(viewer.get(f"{BASE}/costs?model=gpt-5-mini").json()["results"]) == 3
    revisions = viewer.get(f"{BASE}/revisions?change=added").json()["results"]
    assert [(row["before"], row["after"]) for row in revisions] == [(None, "1.5")]
    for path in ("costs?from=soon", "revisions?kind=x", "costs?colour=red", "costs?cursor=x"):
        assert viewer.get(f"{BASE}/{path}").status_code == 400, path


def test_mappings_are_set_one_by_one(acme, account, admin) -> None:
    project = ProjectFactory(organization=acme.organization)
    one = f"connections/{account.connection_id}/mappings"
    answer = send(admin, "PATCH", one, {"mappings": [
        {"sub_account": "proj_1", "target": str(project.pk)}, {"key": "key_1", "target": "outside"},
    ]})  # fmt: skip
    assert answer.status_code == 200, answer.content
    assert {
        (row["sub_account"], row["key"], row["target"]) for row in answer.json()["results"]
    } == {
        ("proj_1", "", str(project.pk)),
        ("", "key_1", "outside"),
    }
    for wrong in ([], [{"target": "outside"}], [{"key": "k", "target": "nowhere"}], [{"key": "k"}]):
        assert send(admin, "PATCH", one, {"mappings": wrong}).status_code == 400
    assert BillingMapping.objects.count() == 2


def test_providers_say_what_they_need(viewer) -> None:
    found = {one["provider"]: one for one in viewer.get(f"{BASE}/providers").json()}
    assert set(found) == {"openai", "anthropic", "azure", "google"}
    key = found["openai"]["fields"][0]
    assert (key["name"], key["is_secret"], key["is_required"]) == ("admin_key", True, True)


@pytest.mark.parametrize(
    ("who", "status"), [("viewer", 403), ("member", 403), ("stranger", 404), ("anonymous", 401)]
)
def test_nobody_else_changes_anything(
    who, status, acme, globex, account, body, client_of, client
) -> None:
    run = ProviderSyncFactory(account=account, state="queued")
    other = {"stranger": globex.owner, "anonymous": None}.get(who, getattr(acme, who, None))
    asking = client_of(other) if other else client
    one = f"connections/{account.connection_id}"
    for method, path, sent in (
        ("POST", "connections", body), ("PATCH", one, {"name": "Hacked"}), ("DELETE", one, None),
        ("POST", f"{one}/check", None), ("POST", f"{one}/syncs", {}), ("POST", f"syncs/{run.pk}/cancellation", None),
        ("POST", f"syncs/{run.pk}/resumption", None), ("PATCH", f"{one}/mappings", {"mappings": []}),
    ):  # fmt: skip
        assert send(asking, method, path, sent).status_code == status, path
    account.connection.refresh_from_db()
    assert account.connection.name != "Hacked"
    assert ProviderConnection.objects.count() == 1
    assert ProviderSync.objects.get().state == "queued"
    if who == "stranger":
        theirs = BASE.replace("acme", "globex")
        assert asking.get(f"{theirs}/{one}").status_code == 404
        assert asking.get(f"{theirs}/syncs/{run.pk}").status_code == 404
        assert asking.get(f"{theirs}/costs").json()["results"] == []
