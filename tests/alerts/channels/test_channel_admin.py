"""Operators see how channels and messages stand, never a secret or what a message says."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.channel_pages import services
from alerts.models import Channel
from tests.alerts.channels.test_channel_pages import delivery
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def test_channels_are_shown_without_secrets_and_switched(
    operator: Client, acme: SimpleNamespace
) -> None:
    channel = services.create_channel(
        organization=acme.organization, kind="webhook", name="Ops", values={"url": "https://8.8.8.8/token-abcd"},
        actor=acme.admin.user, now=timezone.now(),
    ).channel  # fmt: skip
    pages = [
        operator.get(f"/admin/alerts/channel/{path}") for path in ("", f"{channel.pk}/change/")
    ]
    for page in pages:
        assert page.status_code == 200
        assert b"8.8.8.8" in page.content
        assert b"token-" not in page.content
    act: dict[str, Any] = {"_selected_action": [str(channel.pk)]}
    operator.post("/admin/alerts/channel/", act | {"action": "switch_off"})
    assert not Channel.objects.get().is_enabled
    assert operator.get("/admin/alerts/channel/", {"stands": "off"}).content.count(b"Ops") >= 1
    operator.post("/admin/alerts/channel/", act | {"action": "switch_on"})
    assert Channel.objects.get().is_enabled
    given_up = delivery(channel, 1, state="dead", error="no_service")
    for path in ("", f"{given_up.pk}/change/"):
        page = operator.get(f"/admin/alerts/delivery/{path}")
        assert page.status_code == 200
        assert b"no_service" in page.content
        assert b"Message 1" not in page.content
    again = {"_selected_action": [str(given_up.pk)], "action": "send_again"}
    operator.post("/admin/alerts/delivery/", again)
    given_up.refresh_from_db()
    assert given_up.state == "waiting"
    operator.post("/admin/alerts/delivery/", again | {"action": "take_back"})
    given_up.refresh_from_db()
    assert given_up.state == "cancelled"
