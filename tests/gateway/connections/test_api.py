"""The API of connections: keys go in and never out."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gateway.connections import checking
from gateway.models import Connection, KeyState
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/organizations/acme/gateway/connections"
JSON = "application/json"
SECRET = "sk-proj-abcdefghijklmnop-1234"


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def test_a_connection_from_the_first_call_to_the_last(admin: Client, acme: SimpleNamespace) -> None:
    kinds = {one["kind"]: one for one in admin.get(f"{ROOT}/kinds").json()}
    assert set(kinds) == {"openai", "anthropic", "azure", "gemini", "compatible"}
    assert [one["name"] for one in kinds["azure"]["settings"]] == ["api_version"]
    assert kinds["anthropic"]["dialects"] == ["anthropic.count_tokens", "anthropic.messages"]
    body = {
        "kind": "openai",
        "name": "Main",
        "secret": SECRET,
        "model_names": ["gpt-4o"],
        "weight": 2,
    }
    made = admin.post(ROOT, body, JSON)
    assert made.status_code == 201, made.json()
    told = made.json()
    one = f"{ROOT}/{told['id']}"
    assert (told["state"], told["base_url"], told["project"]) == (
        "never",
        "https://api.openai.com/v1",
        None,
    )
    assert [(key["hint"], key["weight"], key["share"]) for key in told["keys"]] == [
        ("sk-proj…1234", 2, 1.0)
    ]
    project = ProjectFactory.create(organization=acme.organization)
    changed = admin.patch(
        one, {"name": "Prod", "is_enabled": False, "project": str(project.pk)}, JSON
    ).json()
    assert (changed["name"], changed["state"], changed["project"]) == (
        "Prod",
        "off",
        str(project.pk),
    )
    assert changed["model_names"] == ["gpt-4o"]
    admin.patch(one, {"is_enabled": True, "project": None}, JSON)
    testing = admin.post(f"{one}/test", {"model": "gpt-4o-mini"}, JSON)
    assert (testing.status_code, testing.json()["state"]) == (202, "testing")
    assert admin.post(f"{one}/test", {}, JSON).status_code == 409
    two = admin.post(f"{one}/keys", {"secret": "sk-two-00000000000000"}, JSON).json()["keys"][1]
    weighed = admin.patch(f"{one}/keys/{two['id']}", {"weight": 6}, JSON).json()
    assert [key["share"] for key in weighed["keys"]] == [0.25, 0.75]
    rotated = admin.post(
        f"{one}/keys/{two['id']}/rotation", {"secret": "sk-three", "overlap": "24h"}, JSON
    )
    assert [key["state"] for key in rotated.json()["keys"]] == ["active", "retiring", "active"]
    assert admin.delete(f"{one}/keys/{two['id']}").status_code == 204
    listing = admin.get(ROOT).json()
    assert len(listing["results"][0]["keys"]) == 2
    said = str([told, changed, weighed, rotated.json(), listing])
    assert not any(one in said for one in (SECRET, "sk-two-00000000000000", "sk-three"))
    assert admin.delete(one).status_code == 204
    assert admin.get(one).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "x"}, "kind"),
        ({"base_url": "http://10.0.0.1/v1"}, "base_url"),
        ({"settings": {"nope": "x"}}, "nope"),
        ({"model_names": "gpt-4o"}, "model_names"),
        ({"project": "x"}, "project"),
        ({"weight": 101}, "weight"),
        ({"nope": 1}, "nope"),
    ],
)
def test_what_cannot_be_is_named(admin: Client, body: Any, field: str) -> None:
    answer = admin.post(ROOT, {"kind": "openai", "name": "Main", "secret": SECRET, **body}, JSON)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]
    assert not Connection.objects.exists()


def test_listing_refuses_misspelt_filters_and_pages(admin: Client, acme: SimpleNamespace) -> None:
    ConnectionFactory.create_batch(3, organization=acme.organization)
    assert admin.get(ROOT, {"knd": "openai"}).status_code == 400
    page = admin.get(ROOT, {"limit": 2}).json()
    rest = admin.get(page["next"]).json()
    assert (len(page["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)


def test_others_change_nothing(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    row = ConnectionFactory.create(organization=acme.organization)
    key = ConnectionKeyFactory.create(connection=row)
    one = f"{ROOT}/{row.pk}"
    for client, status in (
        (client_of(acme.viewer), 403),
        (client_of(globex.owner), 404),
        (Client(), 401),
    ):
        assert client.get(one).status_code == (200 if status == 403 else status)
        for answer in (
            client.post(ROOT, {"kind": "openai", "name": "x", "secret": "s"}, JSON),
            client.patch(one, {"is_enabled": False}, JSON),
            client.post(f"{one}/test", {}, JSON),
            client.post(f"{one}/keys", {"secret": "s"}, JSON),
            client.patch(f"{one}/keys/{key.pk}", {"weight": 9}, JSON),
            client.post(f"{one}/keys/{key.pk}/rotation", {"secret": "s", "overlap": "now"}, JSON),
            client.delete(f"{one}/keys/{key.pk}"),
            client.delete(one),
        ):
            assert answer.status_code == status
    row.refresh_from_db()
    assert (row.is_enabled, checking.is_testing(row, timezone.now())) == (True, False)
    assert list(row.keys.values_list("state", "weight")) == [(KeyState.ACTIVE, 1)]
