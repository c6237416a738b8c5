"""Operators take incidents on, and make and test channels of their own; nobody else sees any of it."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from alerts import api_urls, urls
from alerts.channels.secrets import open_secret
from alerts.models import (
    AlertEvent,
    Channel,
    Delivery,
    EventEntry,
    EventState,
    OperatorChannel,
    WatchState,
)
from core import formats, heartbeats, partitions, system
from core.doctor.processes import QUEUES
from core.models import OutboxItem
from tests.factories.accounts import UserFactory
from tests.factories.alerts import AlertEventFactory, ChannelFactory

pytestmark = pytest.mark.django_db
INCIDENTS = "/admin/alerts/operatorincident/"
CHANNELS = "/admin/alerts/operatorchannel/"
HOOK = "https://8.8.8.8/hook-token-1234"
OF_INSTALLATION = {
    "organization": None,
    "kind": "platform.outbox_dead",
    "title": "Zebra in the outbox",
}


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(
        UserFactory.create(is_staff=True, is_superuser=True, email="root@example.com")
    )
    return client


def incident(**values: Any) -> AlertEvent:
    now = timezone.now()
    return AlertEventFactory.create(began_at=now, fired_at=now, **OF_INSTALLATION, **values)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()


def add_webhook(operator: Client, **values: str) -> Any:
    given = {"name": "Ops hook", "minimum_severity": "error", "access_url": HOOK, **values}
    return operator.post(f"{CHANNELS}add/?kind=webhook", given, follow=True)


@pytest.mark.parametrize("address", [INCIDENTS, CHANNELS, f"{CHANNELS}add/"])
def test_pages_are_for_operators_only(client: Client, address: str) -> None:
    assert client.get(address).status_code == 302
    client.force_login(UserFactory.create())
    assert client.get(address).status_code in (302, 403)
    client.force_login(UserFactory.create(is_staff=True))  # without permissions
    assert client.get(address).status_code == 403


def test_incidents_of_organisations_are_not_listed_here(operator: Client) -> None:
    mine, theirs = incident(), AlertEventFactory.create(title="A tenant's errors")
    text = text_of(operator.get(INCIDENTS))
    assert mine.title in text
    assert theirs.title not in text
    assert operator.get(f"{INCIDENTS}{theirs.pk}/change/").status_code == 302


def test_an_incident_shows_its_timeline_and_who_was_told(operator: Client) -> None:
    event, now = incident(), timezone.now()
    EventEntry.objects.create(event=event, at=now, kind="fired", words="<b>3</b> pieces")
    for key, who in ((event.dedup_key, "ann@example.com"), ("llmlab:other", "bob@example.com")):
        Delivery.objects.create(
            recipient=who, action="trigger", dedup_key=key, unique_key=f"{key}:trigger:1", payload={},
            created_at=now, next_attempt_at=now, state="dead", error="The mail server said 550.",
        )  # fmt: skip
    text = text_of(operator.get(f"{INCIDENTS}{event.pk}/change/"))
    assert "&lt;b&gt;3&lt;/b&gt; pieces" in text
    assert "ann@example.com" in text
    assert "The mail server said 550." in text
    assert "bob@example.com" not in text


def test_an_operator_acknowledges_and_who_may_only_look_cannot(operator: Client) -> None:
    event, over = incident(), incident(state="resolved", resolved_at=timezone.now())
    act = {"action": "acknowledge", "_selected_action": [str(event.pk), str(over.pk)]}
    said = text_of(operator.post(INCIDENTS, act, follow=True))
    assert "1 incident acknowledged." in said
    assert "It is resolved already" in said
    event.refresh_from_db()
    over.refresh_from_db()
    assert (event.state, event.acknowledged_by.email) == ("acknowledged", "root@example.com")
    assert over.state == "resolved"
    assert EventEntry.objects.get(event=event).kind == "acknowledged"


def test_a_channel_is_made_tested_changed_and_its_secret_never_shown(operator: Client) -> None:
    assert 'href="?kind=slack"' in text_of(operator.get(f"{CHANNELS}add/"))
    assert "access_url" in text_of(operator.get(f"{CHANNELS}add/?kind=webhook"))
    said = text_of(add_webhook(operator))
    channel = OperatorChannel.objects.get()
    secret = open_secret(channel)
    assert f"shown now and never again: {secret['signing']}" in said
    assert (channel.organization_id, channel.kind, channel.minimum_severity) == (None, "webhook", "error")  # fmt: skip
    assert (secret["url"], channel.created_by.email) == (HOOK, "root@example.com")
    assert b"hook-token" not in bytes(channel.secret)

    page = f"{CHANNELS}{channel.pk}/change/"
    text = text_of(operator.get(page))
    assert "hook-token" not in text
    assert secret["signing"] not in text
    given = {"name": "Renamed", "minimum_severity": "info", "access_url": ""}
    assert text_of(operator.post(page, given, follow=True))
    channel.refresh_from_db()
    assert (channel.name, channel.minimum_severity) == ("Renamed", "info")
    assert open_secret(channel) == secret

    act = {"action": "send_test", "_selected_action": [str(channel.pk)]}
    assert "on its way to Renamed" in text_of(operator.post(CHANNELS, act, follow=True))
    sent = Delivery.objects.get()
    assert (sent.channel_id, sent.organization_id, sent.action) == (channel.pk, None, "test")
    assert "Waiting" in text_of(operator.get(page))

    for action, is_on in (("switch_off", False), ("switch_on", True)):
        operator.post(CHANNELS, act | {"action": action})
        channel.refresh_from_db()
        assert channel.is_enabled is is_on
    operator.post(f"{CHANNELS}{channel.pk}/delete/", {"post": "yes"})
    assert not Channel.objects.exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"access_url": "http://127.0.0.1/x"}, "127.0.0.1"),
        ({"access_url": ""}, "This field is required."),
        ({"name": "TAKEN"}, "There is a channel named"),
        ({"name": ""}, "This field is required."),
    ],
)
def test_what_may_not_be_is_said_at_the_form(
    operator: Client, values: dict[str, str], said: str
) -> None:
    ChannelFactory.create(organization=None, name="Taken")
    assert said in text_of(add_webhook(operator, **values))
    assert Channel.objects.count() == 1


def test_operators_secrets_survive_a_new_master_key(operator: Client, settings: Any) -> None:
    add_webhook(operator)
    before = open_secret(OperatorChannel.objects.get())
    new = "bmV3LW1hc3Rlci1rZXktbmV3LW1hc3Rlci1rZXktMTI="
    settings.LLMLAB_ENCRYPTION_KEYS = [new, *settings.LLMLAB_ENCRYPTION_KEYS]
    call_command("rewrap_data_keys")
    settings.LLMLAB_ENCRYPTION_KEYS = [new]
    assert open_secret(OperatorChannel.objects.get()) == before


def test_the_system_page_has_every_check_with_its_limit(operator: Client, settings: Any) -> None:
    now = timezone.now()
    partitions.ensure_ahead(now.date())  # the test run may have begun before midnight
    heartbeats.beat("w1", list(QUEUES), now=now)
    OutboxItem.objects.create(topic="t", key="d", available_at=now, dead_at=now)
    WatchState.objects.create(
        kind="outbox_dead", status="firing", since=now - dt.timedelta(minutes=9), evaluated_at=now
    )
    settings.LLMLAB_WATCH_P95_MS = 0
    [section] = [one for one in system.sections(now=now) if one.title == "Watch"]
    rows = {row[0]: row[1:] for row in section.rows}
    assert rows["Follow-up work given up"] == (
        "1", "1 or more", "Firing since 9 min ago", "1 piece of follow-up work given up after three tries.",
    )  # fmt: skip
    assert rows["Slow answers"][1] == "not watched"
    assert rows["Redis"][:2] == ("answers", "no answer")
    assert rows["Alert messages late"] == (
        "0 s", "5m 0s or more", formats.DASH, "No message waits for being sent.",
    )  # fmt: skip
    assert rows["Day partitions ahead"][:2] == ("3", "1 or less")
    assert rows["Queue too long: notify"][:2] == ("0", "1,000 or more")
    assert section.warning.startswith("Follow-up work given up: Admin, Outbox items")
    assert "Disk space left: data" in text_of(operator.get("/admin/system/"))


def test_the_system_page_says_when_nobody_looks(operator: Client) -> None:
    now = timezone.now()
    WatchState.objects.create(kind="redis", evaluated_at=now - dt.timedelta(minutes=20))
    [section] = [one for one in system.sections(now=now) if one.title == "Watch"]
    assert "LLMLab last looked at itself 20 min ago" in section.warning


def test_tenants_never_meet_what_has_no_organisation(acme: Any, client_of: Any) -> None:
    """Every page and endpoint of alerts, also those that come later: an id of the installation's own is unknown."""
    event, channel = incident(), ChannelFactory.create(organization=None, name="Zebra channel")
    now = timezone.now()
    message = Delivery.objects.create(
        channel=channel, event=event, action="trigger", dedup_key="d", unique_key="d:1", payload={},
        created_at=now, next_attempt_at=now, state="dead", error="Zebra error",
    )  # fmt: skip
    ids = {"event": event.pk, "channel": channel.pk, "delivery": message.pk}
    client, asked = client_of(acme.admin), {"ids": 0, "lists": 0}
    for prefix, patterns in (("/", urls.urlpatterns), ("/api/v1/", api_urls.urlpatterns)):
        for pattern in patterns:
            path, has_id = str(pattern.pattern), False
            for name in ("slug:slug", "slug:organization"):
                path = path.replace(f"<{name}>", "acme")
            for converter in ("uuid", "int"):
                for name, pk in ids.items():
                    for spelt in (f"<{converter}:{name}_id>", f"<{converter}:{name}>"):
                        has_id |= spelt in path
                        path = path.replace(spelt, str(pk))
            if "<" in path:
                continue  # of a rule, a window, a project's key
            answer = client.get(f"{prefix}{path}")
            assert "Zebra" not in answer.getvalue().decode(errors="replace"), path
            if has_id:
                assert answer.status_code in (404, 405), path
                assert client.post(f"{prefix}{path}", {"until": "1h"}).status_code in (404, 405), (
                    path
                )
            asked["ids" if has_id else "lists"] += 1
    assert asked["ids"] >= 8
    assert asked["lists"] >= 6
    event.refresh_from_db()
    channel.refresh_from_db()
    message.refresh_from_db()
    assert (event.state, channel.is_enabled, message.state) == (EventState.FIRING, True, "dead")
