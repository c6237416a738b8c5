"""Routes, dry runs and settings by programs."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent
from gateway.models import GatewaySettings, Route
from tests.factories.gateway import RouteFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/projects/checkout/gateway"
JSON = {"content_type": "application/json"}


def by_key(project: Any, *scopes: str) -> Client:
    raw = f"llmlab_sk_{'_'.join(scopes)}_000000000000000000000000"
    ApiKeyFactory.create(project=project, raw=raw, scopes=list(scopes))
    return Client(headers={"Authorization": f"Bearer {raw}"})


def test_a_key_makes_changes_copies_and_deletes_a_route(project: Any, west: Any) -> None:
    client = by_key(project, "read", "admin")
    target = {"connection": str(west.pk), "model": "gpt-4o"}
    draft = {"name": "smart", "rules": {"targets": [target]}, "is_enabled": False}
    made = client.post(f"{ROOT}/routes", draft, **JSON)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["version"], body["is_enabled"], body["last_24h"]["calls"]) == (1, False, 0)
    one = f"{ROOT}/routes/{body['id']}"
    changed = client.patch(
        one, {"rules": {"choose": "cost"}, "note": "n", "is_enabled": True}, **JSON
    )
    assert changed.json()["rules"]["choose"] == "cost"
    assert changed.json()["rules"]["targets"][0]["connection"] == west.pk.hex
    assert (changed.json()["version"], changed.json()["is_enabled"]) == (2, True)
    put = client.put(one, {"name": "wise", "rules": {"targets": [target]}}, **JSON).json()
    assert (put["name"], put["note"], "choose" in put["rules"]) == ("wise", "", False)
    assert client.post(f"{one}/copy").json()["name"] == "wise-copy"
    names = [row["name"] for row in client.get(f"{ROOT}/routes", {"state": "on"}).json()["results"]]
    assert names == ["wise"]
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404
    events = AuditEvent.objects.filter(action__startswith="gateway.route.")
    assert all(event.actor_label.startswith("API key") for event in events)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "rules"),
        ({"name": 5, "rules": {}}, "name"),
        ({"name": "x", "rules": {"targets": []}}, "targets"),
        ({"name": "x", "rules": {"targets": [{"connection": "c"}]}}, "targets.0.connection"),
        ({"name": "x", "rules": {"targets": [{"connection": 5}]}}, "targets.0.connection"),
        ({"name": "x", "rules": {"choose": "dice"}}, "choose"),
        ({"name": "x", "rules": {"retry": {"tries": 2.5}}}, "retry.tries"),
        ({"name": "x", "rules": {"surprise": 1}}, "rules"),
        ({"name": "x", "rules": {}, "surprise": 1}, "surprise"),
        ({"name": "x", "rules": {}, "is_enabled": "yes"}, "is_enabled"),
        ([], None),
    ],
)
def test_what_cannot_be_is_named(project: Any, body: Any, field: str | None) -> None:
    response = by_key(project, "admin").post(f"{ROOT}/routes", body, **JSON)
    assert response.status_code == 400
    assert response.json()["fields"] == ([field] if field else [])
    assert not Route.objects.exists()


def test_a_guard_must_be_one(project: Any, west: Any) -> None:
    client = by_key(project, "admin")
    rules: dict[str, Any] = {"targets": [{"connection": west.pk.hex}]}
    rules["guards"] = [{"kind": "patterns", "patterns": ["("]}]
    answer = client.post(f"{ROOT}/routes", {"name": "x", "rules": rules}, **JSON)
    assert answer.json()["fields"] == ["guards.0.patterns"]


def test_a_dry_run_needs_only_the_scope_read(project: Any, west: Any) -> None:
    target = {"connection": west.pk.hex, "model": "gpt-4o"}
    RouteFactory.create(project=project, name="smart", rules={"targets": [target]})
    client = by_key(project, "read")
    found = client.post(
        f"{ROOT}/dry-runs", {"model": "smart", "text": "Hi", "draw": 0.1}, **JSON
    ).json()
    assert (found["route"], found["targets"][0]["connection"]) == ("smart", "West")
    assert float(found["targets"][0]["cost_usd"]) > 0
    refused = client.post(f"{ROOT}/dry-runs", {"model": "nobody"}, **JSON).json()
    assert (refused["error"]["status"], refused["targets"]) == (404, [])
    for body in (
        {},
        {"model": "m", "draw": 1},
        {"model": "m", "x": 1},
        {"model": "m", "tags": "a"},
        [],
    ):
        assert client.post(f"{ROOT}/dry-runs", body, **JSON).status_code == 400


def test_settings_change_field_by_field(project: Any) -> None:
    client = by_key(project, "read", "admin")
    assert client.get(f"{ROOT}/settings").json()["queue_limit"] == 1000
    client.patch(f"{ROOT}/settings", {"queue_limit": 5}, **JSON)
    body = client.patch(f"{ROOT}/settings", {"cache": {"exact": True}}, **JSON).json()
    assert (body["queue_limit"], body["cache"]["exact"]) == (5, True)
    for wrong in ({"queue_limit": 0}, {"surprise": 1}, {"key_priorities": {"x": "high"}}, []):
        assert client.patch(f"{ROOT}/settings", wrong, **JSON).status_code == 400


def test_keys_do_what_their_scope_says_in_their_project(project: Any, west: Any) -> None:
    route = RouteFactory.create(
        project=project, name="smart", rules={"targets": [{"connection": west.pk.hex}]}
    )
    foreign = by_key(ProjectFactory.create(), "admin", "read")
    reader = by_key(project, "read")
    one = f"{ROOT}/routes/{route.pk}"
    for client, status in ((reader, 403), (foreign, 404), (Client(), 401)):
        for verb, path in (("post", f"{ROOT}/routes"), ("put", one), ("patch", one), ("delete", one),
                           ("post", f"{one}/copy"), ("patch", f"{ROOT}/settings")):  # fmt: skip
            assert getattr(client, verb)(path, {}, **JSON).status_code == status, (verb, path)
    assert Route.objects.get().version == 1
    assert not GatewaySettings.objects.exists()
