"""The API of channels: secrets go in and never out."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.channels.secrets import open_secret
from alerts.delivering import deliver_due
from alerts.models import Channel
from tests.alerts.channels.test_receivers import _receivers_url, receivers
from tests.factories.alerts import ChannelFactory
from tests.fakes.receivers import Receivers

__all__ = ["_receivers_url", "receivers"]
pytestmark = pytest.mark.django_db
ROOT = "/api/v1/organizations/acme/alerts/channels"
JSON = "application/json"


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def test_a_slack_channel_from_the_first_call_to_the_last(
    admin: Client, receivers: Receivers
) -> None:
    kinds = {one["kind"]: one for one in admin.get(f"{ROOT}/kinds").json()}
    assert set(kinds) == {"email", "slack", "pagerduty", "webhook", "teams", "discord"}
    assert [one["name"] for one in kinds["slack"]["fields"]] == ["service", "url"]
    body = {"kind": "slack", "name": "Ops", "values": {"service": "compatible", "url": receivers.slack}}  # fmt: skip
    made = admin.post(ROOT, body, JSON)
    assert made.status_code == 201
    told = made.json()
    assert (told["state"], told["hint"], told["signing_secret"]) == ("on", "127.0.0.1 …efgh", None)
    one = f"{ROOT}/{told['id']}"
    queued = admin.post(f"{one}/test").json()
    assert queued["state"] == "waiting"
    deliver_due(now=timezone.now)
    sent = admin.get(f"/api/v1/organizations/acme/alerts/deliveries/{queued['id']}").json()
    assert (sent["state"], sent["status_code"], sent["answer"]) == ("sent", 200, "ok")
    assert len(sent["tries"]) == 1
    assert admin.get(f"{one}/deliveries").json()["results"][0]["id"] == queued["id"]
    assert admin.get(f"{one}/deliveries", {"state": "dead"}).json()["results"] == []
    off = admin.patch(one, {"is_enabled": False, "minimum_severity": "error"}, JSON).json()
    assert (off["is_enabled"], off["minimum_severity"]) == (False, "error")
    assert receivers.slack not in str([told, off, admin.get(ROOT).json()])
    assert admin.post(f"{one}/secret").status_code == 409
    assert admin.delete(one).status_code == 204
    assert admin.get(one).status_code == 404


def test_a_webhooks_secret_is_told_when_it_is_made(admin: Client, receivers: Receivers) -> None:
    made = admin.post(ROOT, {"kind": "webhook", "name": "W", "values": {"url": receivers.webhook}}, JSON)  # fmt: skip
    channel = Channel.objects.get()
    assert made.json()["signing_secret"] == open_secret(channel)["signing"]
    one = f"{ROOT}/{channel.pk}"
    assert "signing_secret" not in admin.get(one).json()
    assert admin.patch(one, {"name": "V"}, JSON).json()["signing_secret"] is None
    rotated = admin.post(f"{one}/secret").json()["signing_secret"]
    channel.refresh_from_db()
    assert open_secret(channel)["signing"] == rotated


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"), ({"kind": "pigeon", "name": "x", "values": {}}, "kind"),
        ({"kind": "webhook", "name": "x", "values": []}, "values"),
        ({"kind": "webhook", "name": "", "values": {}}, "name"),
        ({"kind": "webhook", "name": "x", "values": {"url": "gopher://x"}}, "url"),
        ({"kind": "webhook", "name": "x", "values": {"url": "https://8.8.8.8/"}, "secret": 1}, "secret"),
        ({"kind": "email", "name": "x", "values": {"to": "a@b.example"}, "minimum_severity": "x"}, "minimum_severity"),
        ({"kind": "email", "name": "x", "values": {"to": [1]}}, "to"), ([], ""),
    ],
)  # fmt: skip
def test_bad_bodies_are_named(admin: Client, body: Any, field: str) -> None:
    answer = admin.post(ROOT, body, JSON)
    assert answer.status_code == 400
    assert not field or field in str(answer.json()["fields"])
    assert not Channel.objects.exists()


def test_messages_are_sent_again_and_cancelled(admin: Client, acme: SimpleNamespace) -> None:
    from tests.alerts.channels.test_channel_pages import delivery

    channel = ChannelFactory(organization=acme.organization)
    root = "/api/v1/organizations/acme/alerts/deliveries"
    dead = delivery(channel, 1, state="dead")
    assert admin.post(f"{root}/{dead.pk}/cancellation").status_code == 409
    assert admin.post(f"{root}/{dead.pk}/replay").json()["state"] == "waiting"
    assert admin.post(f"{root}/{dead.pk}/replay").status_code == 409
    assert admin.post(f"{root}/{dead.pk}/cancellation").json()["state"] == "cancelled"
    assert admin.get(f"{root}/999999999").status_code == 404


def test_lists_page_by_cursor_and_refuse_unknown_parameters(
    admin: Client, acme: SimpleNamespace
) -> None:
    for number in range(3):
        ChannelFactory(organization=acme.organization, name=f"C{number}")
    first = admin.get(ROOT, {"limit": 2}).json()
    assert [one["name"] for one in first["results"]] == ["C0", "C1"]
    assert [one["name"] for one in admin.get(first["next"]).json()["results"]] == ["C2"]
    for bad in ({"limit": 0}, {"nope": 1}, {"after": "x"}, {"sort": "x"}):
        assert admin.get(ROOT, bad).status_code == 400
