"""The pages of channels: list, making one, its test and messages, and what others may not."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from alerts.channel_pages import replays
from alerts.channels.secrets import open_secret
from alerts.delivering import deliver_due
from alerts.models import AlertChannel, Channel, Delivery
from tests.alerts.channels.test_receivers import _receivers_url, receivers
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.fakes.receivers import Receivers

__all__ = ["_receivers_url", "receivers"]
pytestmark = pytest.mark.django_db
ROOT = "/organizations/acme/alerts/channels/"


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


def delivery(channel: Channel, number: int, **more: Any) -> Delivery:
    now = timezone.now()
    given: dict[str, Any] = {
        "organization": channel.organization, "channel": channel, "action": "trigger", "dedup_key": f"d{number}",
        "unique_key": f"{channel.pk}:{number}", "payload": {"title": f"Message {number}"}, "created_at": now,
        "next_attempt_at": now,
    }  # fmt: skip
    return Delivery.objects.create(**given | more)


def test_an_empty_list_says_what_to_do(
    admin: Client, acme: SimpleNamespace, client_of: Any
) -> None:
    assert b"Add a channel" in admin.get(ROOT).content
    seen = client_of(acme.viewer).get(ROOT).content
    assert b"Nobody is told yet" in seen
    assert b"channels/new/" not in seen


def test_the_list_filters_sorts_pages_and_exports(
    admin: Client, acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ChannelFactory(organization=acme.organization, name=f"Mail {number}", hint="a@example.com")
    off = ChannelFactory(organization=acme.organization, name="=Broken", kind="slack", is_enabled=False,
                         disabled_reason="no_service", disabled_at=timezone.now())  # fmt: skip
    assert admin.get(ROOT, {"q": "mail 1"}).content.count(b"data-row-link") == 1
    assert admin.get(ROOT, {"kind": "slack"}).content.count(b"data-row-link") == 1
    assert admin.get(ROOT, {"state": "disabled"}).content.count(b"data-row-link") == 1
    names = [row.channel.name for row in admin.get(ROOT, {"sort": "-name"}).context["rows"]]
    assert names == ["Mail 2", "Mail 1", "Mail 0", "=Broken"]
    for bad in (
        {"kind": "x"},
        {"state": "x"},
        {"sort": "x"},
        {"q": "x" * 300},
        {"after": "x"},
        {"q": "\x00"},
    ):
        assert admin.get(ROOT, bad).status_code == 400
    monkeypatch.setattr("alerts.channel_pages.selectors.PAGE", 2)
    page = admin.get(ROOT, {"sort": "created"})
    table = b"".join(admin.get(f"{ROOT}export.csv")).decode()  # type: ignore[arg-type]
    assert "'=Broken,slack" in table
    assert "no_service" in table
    assert off.disabled_reason.encode() in page.content  # the banner


def test_pages_of_the_list_join_without_gaps(acme: SimpleNamespace) -> None:
    from alerts.channel_pages.selectors import Asked, listed

    for number in range(5):
        ChannelFactory(organization=acme.organization, name=f"Same {number % 2}{number}")
    for sort in ("name", "-name", "created", "-created"):
        seen: list[str] = []
        after = ""
        while True:
            rows, after = listed(acme.organization.pk, Asked(sort=sort, after=after), limit=2)
            seen += [row.channel.name for row in rows]
            if not after:
                break
        assert len(seen) == len(set(seen)) == 5
        assert sorted(seen, reverse=sort == "-name") == seen if "name" in sort else True


def test_list_and_page_cost_the_same_for_any_number(
    admin: Client, acme: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    made = [ChannelFactory(organization=acme.organization) for _ in range(12)]
    for number in range(30):
        delivery(made[0], number, state="dead")
    with django_assert_max_num_queries(10):  # session, person, memberships and the shell among them
        admin.get(ROOT)
    with django_assert_max_num_queries(13):
        admin.get(f"{ROOT}{made[0].pk}/")


def test_a_webhook_is_added_tested_and_its_secret_shown_once(
    admin: Client, acme: SimpleNamespace, receivers: Receivers
) -> None:
    assert b"Microsoft Teams" in admin.get(f"{ROOT}new/").content
    sent = {"name": "Ops", "access_url": receivers.webhook, "minimum_severity": "warning"}
    made = admin.post(f"{ROOT}new/?kind=webhook", sent)
    assert made.status_code == 201
    channel = Channel.objects.get()
    secret = open_secret(channel)["signing"]
    assert secret in made.content.decode()
    page = f"{ROOT}{channel.pk}/"
    seen = admin.get(page).content.decode()
    assert secret not in seen
    assert "one-token" not in seen
    assert f"{channel.hint}" in seen
    assert admin.post(f"{page}test/").status_code == 302
    # Not while somebody reads the tries of a message, nor in a hidden tab: the element's own affair.
    assert b'id="channel-state" data-every="2" hx-get="' in admin.get(page).content
    deliver_due(now=timezone.now)
    seen = admin.get(page).content.decode()
    assert "Sent</span>" in seen
    assert "Only its status is shown" in seen
    assert 'id="channel-state">' in seen
    assert receivers.received("webhook")[0]["body"]["type"] == "channel.test"
    assert AuditEvent.objects.filter(action="alerts.channel.tested").count() == 1


def test_what_is_refused_is_shown_at_its_field_and_secrets_are_not_sent_back(
    admin: Client, acme: SimpleNamespace
) -> None:
    sent = {
        "name": "Ops",
        "access_url": "https://169.254.169.254/secret-token",
        "minimum_severity": "info",
    }
    page = admin.post(f"{ROOT}new/?kind=webhook", sent)
    assert page.status_code == 422
    assert b"private or reserved address" in page.content
    assert b"secret-token" not in page.content
    assert not Channel.objects.exists()
    assert admin.get(f"{ROOT}new/?kind=pigeon").status_code == 400


def test_a_channel_is_changed_switched_rotated_and_deleted(
    admin: Client, acme: SimpleNamespace, receivers: Receivers
) -> None:
    sent = {"name": "Ops", "access_url": receivers.webhook, "minimum_severity": "info"}
    admin.post(f"{ROOT}new/?kind=webhook", sent)
    channel = Channel.objects.get()
    page = f"{ROOT}{channel.pk}/"
    before = open_secret(channel)
    admin.post(f"{page}edit/", {"name": "Night", "minimum_severity": "error"})
    channel.refresh_from_db()
    assert (channel.name, channel.minimum_severity) == ("Night", "error")
    assert open_secret(channel) == before
    admin.post(f"{page}switch/", {"enabled": "0"})
    assert b"Switched off" in admin.get(page).content
    admin.post(f"{page}switch/", {"enabled": "1"})
    rotated = admin.post(f"{page}secret/")
    channel.refresh_from_db()
    assert open_secret(channel)["signing"] in rotated.content.decode()
    rule = AlertFactory(organization=acme.organization, name="Error share")
    AlertChannel.objects.create(alert=rule, channel=channel)
    assert b"Error share" in admin.get(page).content
    admin.post(f"{page}deletion/", {"confirmation": "Nigh"})
    assert Channel.objects.exists()
    admin.post(f"{page}deletion/", {"confirmation": "Night"})
    assert not Channel.objects.exists()


def test_given_up_messages_are_sent_again_and_waiting_ones_cancelled(
    admin: Client, acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = ChannelFactory(organization=acme.organization)
    dead = [delivery(channel, number, state="dead", error="no_service") for number in range(3)]
    later = timezone.now() + dt.timedelta(hours=1)
    waiting = delivery(channel, 9, next_attempt_at=later)
    page = f"{ROOT}{channel.pk}/"
    assert b"Send all given up again" in admin.get(page).content
    assert admin.get(page, {"state": "dead"}).content.count(b"Message ") >= 3
    assert admin.get(page, {"state": "nope"}).status_code == 400
    assert admin.get(page, {"before": "x"}).status_code == 400
    root = "/organizations/acme/alerts/messages/"
    admin.post(f"{root}{dead[0].pk}/replay/")
    dead[0].refresh_from_db()
    assert dead[0].state == "waiting"
    monkeypatch.setattr(replays, "MOST_REPLAYS", 1)
    told = admin.post(f"{page}replays/", follow=True).content.decode()
    assert "1 message is sent again, oldest first. Some are left" in told
    assert list(Delivery.objects.filter(state="dead")) == [dead[2]]
    told = admin.post(f"{page}replays/", follow=True).content.decode()
    assert "1 message is sent again, oldest first." in told
    assert "Some are left" not in told
    assert not Delivery.objects.filter(state="dead").exists()
    admin.post(f"{root}{waiting.pk}/cancellation/")
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"


def test_others_cannot_see_or_change_a_channel_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    channel = ChannelFactory(organization=acme.organization, name="Ours")
    message = delivery(channel, 1, state="dead")
    foreign = client_of(globex.owner)
    assert foreign.get(f"{ROOT}{channel.pk}/").status_code == 404
    mine = "/organizations/globex/alerts/"
    assert foreign.get(f"{mine}channels/{channel.pk}/").status_code == 404
    sent = {"confirmation": "Ours", "enabled": "0"}
    for path in ("switch", "test", "secret", "deletion", "replays", "edit"):
        assert foreign.post(f"{mine}channels/{channel.pk}/{path}/", sent).status_code == 404
    assert foreign.post(f"{mine}messages/{message.pk}/replay/").status_code == 404
    for role in ("viewer", "member"):
        person = client_of(getattr(acme, role))
        assert person.get(f"{ROOT}{channel.pk}/").status_code == 200
        assert person.post(f"{ROOT}{channel.pk}/test/").status_code == 403
        assert person.post(f"{ROOT}{channel.pk}/switch/", {"enabled": "0"}).status_code == 403
        assert person.post(f"/organizations/acme/alerts/messages/{message.pk}/replay/").status_code == 403  # fmt: skip
    assert Client().get(f"{ROOT}{channel.pk}/").status_code == 302
    channel.refresh_from_db()
    message.refresh_from_db()
    assert channel.is_enabled
    assert message.state == "dead"
    assert Delivery.objects.count() == 1
