"""What people do about an incident on its pages."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.models import AlertEvent, Delivery, EventEntry
from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory, DeliveryFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(name: str, *args: Any) -> str:
    return reverse(f"alerts:{name}", args=args)


@pytest.fixture
def event(acme: Any) -> AlertEvent:
    rule = AlertFactory.create(organization=acme.organization)
    return AlertEventFactory.create(organization=acme.organization, alert=rule)


@pytest.fixture
def member(acme: Any, client_of: Any) -> Client:
    return client_of(acme.member)


def kinds(event: AlertEvent) -> list[str]:
    return list(event.entries.order_by("pk").values_list("kind", flat=True))


def now_of(event: AlertEvent) -> AlertEvent:
    event.refresh_from_db()
    return event


def test_a_messages_link_asks_first_and_one_button_acknowledges(acme, event, member) -> None:
    address = url("event_acknowledge", "acme", event.pk)
    asked = member.get(address).content.decode()
    assert "I look after it" in asked
    assert now_of(event).state == "firing"
    assert member.post(address)["Location"] == url("event_detail", "acme", event.pk)
    assert (now_of(event).state, event.acknowledged_by) == ("acknowledged", acme.member.user)
    assert "already" in member.get(address).content.decode()
    page = member.get(url("event_detail", "acme", event.pk)).content.decode()
    assert "looks after it" in page
    assert "Take back" in page
    again = member.post(address, follow=True)
    assert "has acknowledged it already" in again.content.decode()
    member.post(address, {"take_back": "1"})
    assert (now_of(event).state, event.acknowledged_by) == ("firing", None)
    assert kinds(event) == ["acknowledged", "unacknowledged"]


@pytest.mark.parametrize(
    ("span", "until"),
    [("1h", dt.timedelta(hours=1)), ("1d", dt.timedelta(days=1)), ("resolved", None)],
)
def test_a_snooze_lasts_as_long_as_chosen_and_ends_by_hand(
    acme, event, member, span, until
) -> None:
    address = url("event_snooze", "acme", event.pk)
    assert "until it resolves" in member.get(address).content.decode()
    before = timezone.now()
    member.post(address, {"for": span})
    assert now_of(event).state == "snoozed"
    if until is None:
        assert event.snoozed_until is None
    else:
        assert before + until <= event.snoozed_until <= timezone.now() + until
    page = member.get(url("event_detail", "acme", event.pk)).content.decode()
    assert "End the snooze" in page
    member.post(address, {"for": "end"})
    assert (now_of(event).state, event.snoozed_until) == ("firing", None)
    assert "not snoozed" in member.post(address, {"for": "end"}, follow=True).content.decode()
    assert member.post(address, {"for": "3h"}).status_code == 400


def test_an_act_answers_htmx_with_the_part_and_a_toast(event, member) -> None:
    response = member.post(
        url("event_comment", "acme", event.pk), {"words": "Switched off"}, headers=HTMX
    )
    text = response.content.decode()
    assert "Switched off" in text
    assert 'id="incident"' in text
    assert "<html" not in text
    assert "Comment added." in response["HX-Trigger"]
    assert kinds(event) == ["comment"]
    assert member.post(url("event_comment", "acme", event.pk), {"words": " "}).status_code == 400
    assert member.post(url("event_comment", "acme", event.pk), {"words": "\0"}).status_code == 400


def test_what_is_over_can_only_be_commented(acme, event, member) -> None:
    AlertEvent.objects.filter(pk=event.pk).update(state="resolved", resolved_at=timezone.now())
    for name, sent in (("event_acknowledge", {}), ("event_snooze", {"for": "1h"})):
        response = member.post(url(name, "acme", event.pk), sent, follow=True)
        assert "resolved already" in response.content.decode()
        assert "It is over" in member.get(url(name, "acme", event.pk)).content.decode()
    assert "act-take" not in member.get(url("event_detail", "acme", event.pk)).content.decode()
    member.post(url("event_comment", "acme", event.pk), {"words": "It was the proxy."})
    assert kinds(event) == ["comment"]


def test_an_admin_mutes_the_rule_and_every_page_says_so(acme, event, client_of, member) -> None:
    admin, address = client_of(acme.admin), url("event_mute", "acme", event.pk)
    admin.post(address, {"for": "1d"})
    event.alert.refresh_from_db()
    assert event.alert.muted_until > timezone.now() + dt.timedelta(hours=23)
    assert "Its rule is muted" in member.get(url("event_detail", "acme", event.pk)).content.decode()
    assert "1 rule is muted" in member.get(url("firing", "acme")).content.decode()
    admin.post(address, {"for": "none"})
    event.alert.refresh_from_db()
    assert event.alert.muted_until is None
    assert admin.post(address, {"for": "x"}).status_code == 400
    event.alert.delete()
    gone = admin.post(address, {"for": "1h"}, follow=True)
    assert gone.status_code == 409


def test_the_chosen_are_acknowledged_together(acme, globex, event, member) -> None:
    taken = AlertEventFactory.create(organization=acme.organization, state="acknowledged")
    other = AlertEventFactory.create(organization=acme.organization)
    foreign = AlertEventFactory.create(organization=globex.organization)
    ids = [str(one.pk) for one in (event, taken, foreign)]
    response = member.post(
        url("bulk_acknowledge", "acme"), {"ids": [*ids, "x"], "query": "severity=warning"}
    )
    assert response["Location"] == url("firing", "acme") + "?severity=warning"
    page = member.get(response["Location"]).content.decode()
    assert "1 incident acknowledged. 1 had been acknowledged or resolved before." in page
    assert [now_of(one).state for one in (event, other, foreign)] == ["acknowledged", "firing", "firing"]  # fmt: skip
    member.post(url("bulk_acknowledge", "acme"), {"only": str(other.pk), "ids": ids})
    assert now_of(other).state == "acknowledged"
    none = member.post(url("bulk_acknowledge", "acme"), follow=True)
    assert "Choose the incidents first." in none.content.decode()


def test_messages_are_sent_again_or_given_up(
    acme, globex, event, member, django_capture_on_commit_callbacks
) -> None:
    channel = ChannelFactory.create(organization=acme.organization)
    made = {
        state: DeliveryFactory.create(event=event, channel=channel, state=state)
        for state in ("dead", "waiting", "sent")
    }
    folded = DeliveryFactory.create(
        event=event, channel=channel, state="cancelled",
        payload={"extra": {"group": str(made["sent"].message_id)}},
    )  # fmt: skip
    foreign = DeliveryFactory.create(
        event=AlertEventFactory.create(organization=globex.organization), state="dead"
    )
    address = url("event_messages", "acme", event.pk)
    page = member.get(url("event_detail", "acme", event.pk)).content.decode()
    assert "in one message with other alerts" in page
    assert f"replay-{made['dead'].pk}" in page
    assert f"replay-{folded.pk}" not in page
    member.post(address, {"act": "cancel", "delivery": made["waiting"].pk})
    with django_capture_on_commit_callbacks():
        member.post(
            address, {"act": "replay", "delivery": [made["dead"].pk, foreign.pk, folded.pk]}
        )
    states = dict(Delivery.objects.values_list("pk", "state"))
    assert [states[one.pk] for one in (made["dead"], made["waiting"], made["sent"], folded, foreign)] == [
        "waiting", "cancelled", "sent", "cancelled", "dead",
    ]  # fmt: skip
    nothing = member.post(address, {"act": "replay"}, follow=True).content.decode()
    assert "Only messages that were given up" in nothing
    for sent in (
        {"act": "x"},
        {"act": "replay", "delivery": "x"},
        {"act": "replay", "delivery": "²"},
    ):
        assert member.post(address, sent).status_code == 400


@pytest.mark.parametrize(
    "name", [f"event_{one}" for one in ("acknowledge", "snooze", "comment", "mute", "messages")]
)
def test_viewers_and_strangers_change_nothing(acme, globex, event, client_of, name) -> None:
    sent = {"words": "x", "for": "1h", "act": "replay"}
    address = url(name, "acme", event.pk)
    assert client_of(acme.viewer).post(address, sent).status_code == 403
    assert client_of(globex.owner).post(address, sent).status_code == 404
    assert "/accounts/login/" in Client().post(address, sent)["Location"]
    if name == "event_mute":
        assert client_of(acme.member).post(address, sent).status_code == 403
    assert (now_of(event).state, event.alert.muted_until) == ("firing", None)
    assert not EventEntry.objects.exists()


def test_a_viewer_following_a_messages_link_is_told_what_the_role_may(
    acme, event, client_of
) -> None:
    text = client_of(acme.viewer).get(url("event_acknowledge", "acme", event.pk)).content.decode()
    assert "Your role reads only" in text
    assert "I look after it" not in text
