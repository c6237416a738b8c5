"""Incidents and maintenance windows in the API."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Delivery, EventEntry, Maintenance
from tests.factories.alerts import (
    AlertEventFactory,
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    MaintenanceFactory,
)
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/organizations/acme/alerts"
WINDOW = {"name": "Upgrade", "starts_at": "2030-01-01T22:00", "ends_at": "2030-01-02T02:00"}


@pytest.fixture
def event(acme: Any) -> Any:
    return AlertEventFactory.create(
        organization=acme.organization,
        alert=AlertFactory.create(organization=acme.organization),
        evidence={
            "rows": [["Failed", "30"]],
            "points": [{"at": "2026-11-20T10:00:00+00:00", "value": "1.5"}],
            "causes": [{"dimension": "model", "value": "gpt-5", "words": "all", "share": "1"}],
            "url": "/projects/x/traces/",
        },
    )


@pytest.fixture
def member(acme: Any, client_of: Any) -> Client:
    return client_of(acme.member)


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    more = {} if body is None else {"data": body}
    if method != "get":
        more |= {"content_type": "application/json"}
    return getattr(client, method)(ROOT + path, **more)


def test_incidents_are_listed_filtered_paged_and_read(acme, globex, event, member) -> None:
    AlertEventFactory.create(organization=globex.organization)
    for number in range(3):
        AlertEventFactory.create(
            organization=acme.organization, state="resolved", resolved_at=timezone.now(),
            fired_at=event.fired_at - dt.timedelta(days=100 + number),
        )  # fmt: skip
    first = send(member, "get", "/events?limit=2").json()
    assert first["results"][0]["id"] == str(event.pk)
    rest = member.get(first["next"]).json()
    assert (len(rest["results"]), rest["next"]) == (2, None)
    found = send(member, "get", "/events?state=open&range=30d").json()["results"]
    assert [(one["value"], one["limit"], one["state"]) for one in found] == [("7.5", "5", "firing")]
    whole = send(member, "get", f"/events/{event.pk}").json()
    assert whole["evidence"]["points"] == [{"at": "2026-11-20T10:00:00Z", "value": "1.5"}]
    assert whole["evidence"]["causes"][0]["share"] == "1"
    assert whole["entries"] == []
    for query in ("state=x", "limit=0", "after=x", "colour=red", "project=x"):
        answer = send(member, "get", f"/events?{query}")
        assert (answer.status_code, answer.json()["fields"]) == (400, [query.partition("=")[0]])


def test_an_incident_is_acknowledged_snoozed_and_commented(acme, event, member) -> None:
    path, name = f"/events/{event.pk}", acme.member.user.display_name
    taken = send(member, "post", f"{path}/acknowledgement", {})
    assert (taken.json()["state"], taken.json()["acknowledged_by"]) == ("acknowledged", name)
    assert send(member, "post", f"{path}/acknowledgement").status_code == 409
    assert send(member, "post", f"{path}/acknowledgement", {"why": "x"}).status_code == 400
    assert send(member, "delete", f"{path}/acknowledgement").json()["state"] == "firing"
    assert send(member, "delete", f"{path}/acknowledgement").status_code == 409
    until = (timezone.now() + dt.timedelta(hours=3)).isoformat()
    assert send(member, "post", f"{path}/snooze", {"until": until}).json()["state"] == "snoozed"
    assert send(member, "post", f"{path}/snooze", {"until": None}).json()["snoozed_until"] is None
    assert send(member, "delete", f"{path}/snooze").json()["state"] == "firing"
    for body in (
        {},
        {"until": "x"},
        {"until": "2020-01-01T00:00:00Z"},
        {"until": None, "x": 1},
        [],
    ):
        assert send(member, "post", f"{path}/snooze", body).status_code == 400, body
    said = send(member, "post", f"{path}/comments", {"words": "Looking"})
    assert (said.status_code, said.json()["actor"]) == (201, name)
    for body in (
        {},
        {"words": ""},
        {"words": "a" * 5001},
        {"words": "a\0"},
        {"words": "a", "x": 1},
    ):
        assert send(member, "post", f"{path}/comments", body).status_code == 400, body
    kinds = [one["kind"] for one in send(member, "get", path).json()["entries"]]
    assert kinds == ["comment", "woken", "snoozed", "snoozed", "unacknowledged", "acknowledged"]


def test_messages_are_read_sent_again_and_cancelled(acme, globex, event, member) -> None:
    channel = ChannelFactory.create(organization=acme.organization, name="On call")
    dead = DeliveryFactory.create(event=event, channel=channel, state="dead", error="410 Gone")
    waiting = DeliveryFactory.create(event=event, channel=channel)
    path = f"/events/{event.pk}/deliveries"
    first = send(member, "get", f"{path}?limit=1").json()
    assert [one["id"] for one in first["results"]] == [waiting.pk]
    rest = member.get(first["next"]).json()
    assert [(one["error"], one["channel"]) for one in rest["results"]] == [("410 Gone", "On call")]
    assert send(member, "get", f"{path}?after=x").status_code == 400
    assert send(member, "post", f"{path}/{dead.pk}/replay").json()["state"] == "waiting"
    assert send(member, "post", f"{path}/{dead.pk}/replay").status_code == 409
    assert send(member, "post", f"{path}/{waiting.pk}/cancellation").json()["state"] == "cancelled"
    foreign = DeliveryFactory.create(
        event=AlertEventFactory.create(organization=globex.organization), state="dead"
    )
    for other in (foreign.pk, 2**62, 2**70):
        assert send(member, "post", f"{path}/{other}/replay").status_code == 404, other
    assert Delivery.objects.get(pk=foreign.pk).state == "dead"


def test_windows_are_planned_replaced_ended_and_deleted(acme, client_of) -> None:
    admin = client_of(acme.admin)
    ProjectFactory(organization=acme.organization, slug="checkout")
    made = send(admin, "post", "/maintenance", WINDOW | {"project": "checkout"})
    assert made.status_code == 201
    assert made.json() | {"id": ""} == {
        "id": "", "name": "Upgrade", "project": "checkout", "starts_at": "2030-01-01T22:00:00Z",
        "ends_at": "2030-01-02T02:00:00Z", "repeats": "never", "time_zone": "UTC", "state": "planned",
        "turn_starts_at": "2030-01-01T22:00:00+00:00", "turn_ends_at": "2030-01-02T02:00:00+00:00",
    }  # fmt: skip
    path = f"/maintenance/{made.json()['id']}"
    assert send(admin, "post", f"{path}/end").status_code == 409
    now = timezone.now()
    runs = WINDOW | {"starts_at": (now - dt.timedelta(hours=1)).isoformat()}
    runs |= {"ends_at": (now + dt.timedelta(hours=1)).isoformat(), "time_zone": "Europe/Berlin"}
    replaced = send(admin, "put", path, runs).json()
    assert (replaced["state"], replaced["project"]) == ("running", None)
    assert send(admin, "post", f"{path}/end").json()["state"] == "over"
    over = send(admin, "get", "/maintenance?state=over").json()["results"]
    assert [one["state"] for one in over] == ["over"]
    for body, field in (
        ({}, "name"), (WINDOW | {"x": 1}, "x"), (WINDOW | {"ends_at": "x"}, "ends_at"),
        (WINDOW | {"project": "no-such"}, "project"), (WINDOW | {"repeats": "x"}, "repeats"),
        (WINDOW | {"time_zone": "x"}, "time_zone"),
    ):  # fmt: skip
        answer = send(admin, "post", "/maintenance", body)
        assert (answer.status_code, field in answer.json()["fields"]) == (400, True), body
    assert send(admin, "delete", path).status_code == 204
    assert not Maintenance.objects.exists()


def test_a_key_reads_the_incidents_of_its_project_only(acme, event) -> None:
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    own = AlertEventFactory.create(organization=acme.organization, project=project)
    ApiKeyFactory.create(project=project, raw=raw_key(7))
    client = Client(headers={"Authorization": f"Bearer {raw_key(7)}"})
    path = "/api/v1/projects/checkout/alerts/events"
    assert [one["id"] for one in client.get(path).json()["results"]] == [str(own.pk)]
    assert client.get(f"{path}?project={own.project_id}").status_code == 400
    assert client.get(f"{path}/{own.pk}").json()["project"] == "checkout"
    assert client.get(f"{path}/{event.pk}").status_code == 404
    assert client.get(f"{ROOT}/events").status_code == 403


def test_lists_cost_the_same_however_long(acme, member, django_assert_max_num_queries) -> None:
    project = ProjectFactory(organization=acme.organization)
    event = AlertEventFactory.create(organization=acme.organization)
    for _ in range(50):
        AlertEventFactory.create(
            organization=acme.organization, project=project, acknowledged_by=acme.member.user,
            alert=AlertFactory.create(organization=acme.organization),
        )  # fmt: skip
        DeliveryFactory.create(event=event)
        MaintenanceFactory.create(organization=acme.organization, project=project)
    for path in ("/events", f"/events/{event.pk}/deliveries", "/maintenance"):
        with django_assert_max_num_queries(7):
            assert len(send(member, "get", path).json()["results"]) == 50


def test_viewers_and_strangers_change_nothing(acme, globex, event, client_of) -> None:
    dead = DeliveryFactory.create(event=event, state="dead")
    window = MaintenanceFactory.create(organization=acme.organization)
    path, quiet = f"/events/{event.pk}", f"/maintenance/{window.pk}"
    acts = (
        ("post", f"{path}/acknowledgement", {}), ("delete", f"{path}/acknowledgement", None),
        ("post", f"{path}/snooze", {"until": None}), ("delete", f"{path}/snooze", None),
        ("post", f"{path}/comments", {"words": "x"}), ("post", f"{path}/deliveries/{dead.pk}/replay", {}),
        ("post", f"{path}/deliveries/{dead.pk}/cancellation", {}), ("post", "/maintenance", WINDOW),
        ("put", quiet, WINDOW), ("delete", quiet, None), ("post", f"{quiet}/end", {}),
    )  # fmt: skip
    viewer, stranger = client_of(acme.viewer), client_of(globex.owner)
    for client, refused in ((viewer, 403), (stranger, 404), (Client(), 401)):
        for method, address, body in acts:
            assert send(client, method, address, body).status_code == refused, (method, address)
    for method, address, body in acts[-4:]:
        assert send(client_of(acme.member), method, address, body).status_code == 403
    event.refresh_from_db()
    assert event.state == "firing"
    assert not EventEntry.objects.exists()
    assert Delivery.objects.get().state == "dead"
    assert Maintenance.objects.get() == window
