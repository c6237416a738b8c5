"""Rules in the API: people change those of the organisation, keys those of their project."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Alert, AlertChannel, AlertState, Delivery
from alerts.rules import services
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("errors")]
READ, ADMIN = (
    "llmlab_sk_alertsread_000000000000000000000000",
    "llmlab_sk_alertsadmin_00000000000000000000000",
)
LIST, OF_PROJECT = "/api/v1/organizations/acme/alerts", "/api/v1/projects/checkout/alerts"
DRAFT = {
    "name": "Errors", "kind": "error_rate", "levels": [{"limit": "5.50", "severity": "warning"}],
    "window_minutes": 30, "minimum_sample": 20, "model": "gpt-5",
}  # fmt: skip


def send(client: Client, method: str, path: str, body: Any = None, raw: str = "") -> Any:
    headers = {"Authorization": f"Bearer {raw}"} if raw else {}
    data = json.dumps(body) if body is not None else b""
    return client.generic(method, path, data, content_type="application/json", headers=headers)


def rule(acme: Any, **values: Any) -> Alert:
    return AlertFactory.create(organization=acme.organization, **values)


def test_a_rule_is_made_read_changed_and_deleted(acme, project, admin) -> None:
    channel = ChannelFactory.create(organization=acme.organization)
    made = send(admin, "POST", LIST, DRAFT | {"project": "checkout", "channels": [str(channel.pk)]})
    assert made.status_code == 201, made.json()
    body = made.json()
    assert body["levels"] == [{"limit": "5.5", "severity": "warning"}]
    assert (body["project"], body["unit"], body["state"]) == ("checkout", "percent", "unknown")
    assert body["channels"] == [str(channel.pk)]
    assert body["recover_margin"] == "0.05"
    one = f"{LIST}/{body['id']}"
    changed = send(admin, "PATCH", one, {"window_minutes": 5, "is_enabled": False}).json()
    assert (changed["window_minutes"], changed["state"], changed["model"]) == (5, "off", "gpt-5")
    assert changed["channels"] == [str(channel.pk)]
    replaced = send(admin, "PUT", one, DRAFT).json()
    assert (replaced["project"], replaced["channels"], replaced["is_enabled"]) == (None, [], True)
    AlertState.objects.create(alert_id=body["id"], status="ok", value=3, since=timezone.now())
    found = send(admin, "GET", one).json()
    assert (found["value"], found["states"][0]["status"]) == ("3", "ok")
    assert send(admin, "DELETE", one).status_code == 204
    assert send(admin, "GET", one).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "", DRAFT | {"colour": "red"}, "colour"),
        ("POST", "", DRAFT | {"levels": [{"limit": 5.5, "severity": "info"}]}, "levels"),
        ("POST", "", DRAFT | {"percentile": 95}, "percentile"),
        ("POST", "", [], None),
        ("POST", "/previews", DRAFT | {"kind": "weather"}, "kind"),
        ("PATCH", "/{id}", {"kind": "latency"}, "kind"),
        ("PATCH", "/{id}", {"name": None}, "name"),
        ("PUT", "/{id}", {"name": "x"}, "kind"),
        ("PUT", "/{id}/mute", {"until": "2020-01-01"}, "until"),
        ("PUT", "/{id}/mute", {"until": 5}, "until"),
        ("PUT", "/{id}/mute", {"for": "1h"}, "for"),
        ("POST", "/{id}/test", None, "channels"),
        ("GET", "?sort=x", None, "sort"),
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?colour=red", None, "colour"),
        ("GET", "?after=x", None, "after"),
        ("GET", "/{id}?after=x", None, "after"),
        ("GET", "/{id}?limit=0", None, "limit"),
    ],
)
def test_what_is_wrong_is_named(acme, admin, method, path, body, field) -> None:
    made = rule(acme, name="There")
    answer = send(admin, method, LIST + path.format(id=made.pk), body)
    assert answer.status_code == 400, answer.content
    assert field is None or answer.json()["fields"] == [field]
    assert Alert.objects.get().name == "There"


def test_every_state_of_a_rule_can_be_read_what_fires_first(acme, admin) -> None:
    made = rule(acme)
    for place in range(7):
        status = "firing" if place in (2, 5) else "ok"
        AlertState.objects.create(alert=made, key=str(place), status=status)
    address, keys = f"{LIST}/{made.pk}?limit=3", []
    while address:
        page = send(admin, "GET", address).json()
        keys += [one["key"] for one in page["states"]]
        address = page["states_next"]
    assert keys == ["2", "5", "0", "1", "3", "4", "6"]


def test_a_taken_name_is_a_conflict_and_a_thousand_rules_are_enough(
    acme, admin, monkeypatch
) -> None:
    rule(acme, name="errors")
    assert send(admin, "POST", LIST, DRAFT).status_code == 409
    monkeypatch.setattr(services, "MAX_RULES", 1)
    assert send(admin, "POST", LIST, DRAFT | {"name": "Other"}).status_code == 409
    assert Alert.objects.count() == 1


def test_pages_kinds_and_previews(acme, admin, errors) -> None:
    for number in range(3):
        rule(acme, name=f"R{number}")
    page = send(admin, "GET", f"{LIST}?limit=2&sort=name").json()
    rest = send(admin, "GET", page["next"]).json()
    assert [one["name"] for one in page["results"] + rest["results"]] == ["R0", "R1", "R2"]
    assert rest["next"] is None
    kinds = {one["kind"]: one for one in send(admin, "GET", f"{LIST}/kinds").json()["results"]}
    assert "window_minutes" in kinds["error_rate"]["fields"]
    assert "percentile" not in kinds["error_rate"]["fields"]
    errors.past = ["1", "9", "1"]
    preview = send(admin, "POST", f"{LIST}/previews", DRAFT).json()
    assert (preview["times"], preview["words"]) == (
        1, "It would have fired once in the last 30 days.",
    )  # fmt: skip
    assert preview["firings"][0]["value"] == "9.0%"
    assert Alert.objects.count() == 3


def test_muting_and_testing(acme, admin) -> None:
    made = rule(acme)
    until = timezone.now() + dt.timedelta(hours=2)
    muted = send(admin, "PUT", f"{LIST}/{made.pk}/mute", {"until": until.isoformat()}).json()
    assert muted["muted_until"] is not None
    assert send(admin, "DELETE", f"{LIST}/{made.pk}/mute").json()["muted_until"] is None
    channel = ChannelFactory.create(organization=acme.organization, name="On call")
    for is_escalation in (False, True):
        AlertChannel.objects.create(alert=made, channel=channel, is_escalation=is_escalation)
    answer = send(admin, "POST", f"{LIST}/{made.pk}/test")
    assert answer.status_code == 202
    (sent,) = answer.json()["deliveries"]
    assert (sent["id"], sent["channel_name"]) == (Delivery.objects.get().pk, "On call")


def test_a_key_reads_and_with_admin_changes_its_projects_rules_alone(acme, project) -> None:
    ApiKeyFactory(project=project, raw=READ, scopes=["read"])
    ApiKeyFactory(project=project, raw=ADMIN, scopes=["admin"])
    rule(acme, name="Everything")
    rule(acme, name="Other", project=ProjectFactory(organization=acme.organization))
    client = Client()
    assert send(client, "POST", OF_PROJECT, DRAFT, READ).status_code == 403
    made = send(client, "POST", OF_PROJECT, DRAFT, ADMIN)
    assert made.status_code == 201, made.json()
    assert made.json()["project"] == "checkout"
    listed = send(client, "GET", OF_PROJECT, raw=READ).json()["results"]
    assert [one["name"] for one in listed] == ["Errors"]
    assert send(client, "GET", f"{OF_PROJECT}?project=x", raw=READ).status_code == 400
    one = f"{OF_PROJECT}/{made.json()['id']}"
    assert send(client, "GET", one, raw=READ).status_code == 200
    assert send(client, "PATCH", one, {"note": "Hi"}, READ).status_code == 403
    assert send(client, "PATCH", one, {"note": "Hi"}, ADMIN).json()["note"] == "Hi"
    assert send(client, "PUT", one, DRAFT | {"project": "other"}, ADMIN).status_code == 400
    for other in Alert.objects.exclude(name="Errors"):
        for method in ("GET", "DELETE"):
            raw = READ if method == "GET" else ADMIN
            path = f"{OF_PROJECT}/{other.pk}"
            assert send(client, method, path, raw=raw).status_code == 404
    assert send(client, "GET", LIST, raw=READ).status_code == 403
    assert send(client, "DELETE", one, raw=ADMIN).status_code == 204
    assert set(Alert.objects.values_list("name", flat=True)) == {"Everything", "Other"}
    trail = acme.organization.audit_events.filter(action="alerts.alert.created").get()
    assert trail.actor_label.startswith("API key ")


def test_others_see_and_change_nothing_denied(acme, globex, client_of) -> None:
    made = rule(acme, name="Secret")
    one = f"{LIST}/{made.pk}"
    writes = [
        ("POST", LIST, DRAFT), ("POST", f"{LIST}/previews", DRAFT), ("PUT", one, DRAFT), ("PATCH", one, {"note": "x"}),
        ("DELETE", one, None), ("PUT", f"{one}/mute", {"until": "2027-01-01"}), ("DELETE", f"{one}/mute", None),
        ("POST", f"{one}/test", None),
    ]  # fmt: skip
    stranger, viewer = client_of(globex.owner), client_of(acme.viewer)
    for path in (LIST, one, f"{LIST}/kinds"):
        assert send(stranger, "GET", path).status_code == 404
        assert send(viewer, "GET", path).status_code == 200
        assert send(Client(), "GET", path).status_code == 401
    for method, path, body in writes:
        assert send(stranger, method, path, body).status_code == 404
        assert send(viewer, method, path, body).status_code == 403
        assert send(Client(), method, path, body).status_code == 401
    theirs = f"/api/v1/organizations/globex/alerts/{made.pk}"
    assert send(stranger, "DELETE", theirs).status_code == 404
    found = Alert.objects.get()
    assert (found.name, found.note, found.muted_until) == ("Secret", "", None)
