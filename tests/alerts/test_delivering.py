"""Messages on their way: what was taken, what failed and when it is tried again, what is given up."""

import datetime as dt
import json
from typing import Any

import pytest
from django.core import mail
from django.test import override_settings

from accounts.models import Membership
from alerts import delivering
from alerts.delivering import cancel, deliver_due, replay
from alerts.models import Channel, Delivery, DeliveryState, EventEntry
from core.errors import ConflictError
from tests.alerts.receiving import START, Clock, Receiver, fresh, hook, hook_id, ids, waiting
from tests.factories.accounts import OrganizationFactory, UserFactory
from tests.factories.alerts import AlertEventFactory
from tests.fakes.http_server import FakeServer
from tests.fakes.smtp import smtp_server

pytestmark = pytest.mark.django_db


def test_what_was_taken_is_recorded(server: FakeServer, clock: Clock) -> None:
    channel = hook(server)
    delivery = waiting(channel, 1)
    assert deliver_due(now=clock) == 1
    row = fresh(delivery)
    assert (row.state, row.status_code, row.attempts, row.error) == ("sent", 200, 1, "")
    assert row.ended_at == START
    assert row.tries == [{"at": "2026-11-21T12:00:00Z", "status": 200, "ms": 0, "error": ""}]
    assert Channel.objects.get(pk=channel.pk).last_sent_at == START
    assert ids(server) == [hook_id(delivery)]


def test_what_fails_is_tried_again_by_the_clock(
    server: FakeServer, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.outcomes.random.random", lambda: 0.0)
    channel = hook(server)
    receiver.status = 503
    delivery = waiting(channel, 1)
    gaps = []
    for _ in range(6):
        deliver_due(now=clock)
        row = fresh(delivery)
        gaps.append((row.next_attempt_at - clock.at).total_seconds())
        clock.at = row.next_attempt_at
    assert gaps == [5, 5, 5, 7.5, 11.25, 16.875]
    assert [one["status"] for one in row.tries] == [503] * 6


def test_nothing_else_is_tried_while_the_channel_waits(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    receiver.status = 500
    for number in range(10):
        waiting(channel, number)
    deliver_due(now=clock)
    deliver_due(now=clock)
    assert len(server.received) == 1
    failing = Channel.objects.get(pk=channel.pk)
    assert (failing.failing_since, failing.failures) == (START, 1)
    clock.forward(5)
    receiver.status = 200
    assert deliver_due(now=clock) == 10
    healthy = Channel.objects.get(pk=channel.pk)
    assert (healthy.failing_since, healthy.failures, healthy.next_send_at) == (None, 0, None)
    assert not Delivery.objects.exclude(state=DeliveryState.SENT).exists()


def test_the_first_success_makes_all_that_failed_due(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    receiver.status = 500
    failed = waiting(channel, 1)
    deliver_due(now=clock)
    clock.forward(5 * 3600)
    deliver_due(now=clock)
    assert fresh(failed).next_attempt_at > clock.at + dt.timedelta(minutes=4)
    receiver.status = 200
    trial = waiting(channel, 2, action="test", at=clock.at)
    assert deliver_due(now=clock) == 2
    assert ids(server)[-2:] == [hook_id(trial), hook_id(failed)]


def test_retry_after_is_honoured_up_to_an_hour(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    receiver.status, receiver.headers = 429, {"retry-after": "120"}
    delivery = waiting(channel, 1)
    deliver_due(now=clock)
    assert fresh(delivery).next_attempt_at == START + dt.timedelta(seconds=120)
    assert Channel.objects.get(pk=channel.pk).next_send_at == START + dt.timedelta(seconds=120)
    clock.forward(119)
    assert deliver_due(now=clock) == 0
    receiver.headers = {"retry-after": "999999"}
    clock.forward(1)
    deliver_due(now=clock)
    assert fresh(delivery).next_attempt_at == clock.at + dt.timedelta(hours=1)


def test_a_receiver_that_is_gone_switches_its_channel_off_and_mails_the_admins_once(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    organization = OrganizationFactory()
    for role in ("owner", "admin", "member", "viewer"):
        Membership.objects.create(
            organization=organization, user=UserFactory(email=f"{role}@example.com"), role=role
        )
    event = AlertEventFactory(organization=organization)
    channel = hook(server, organization=organization)
    receiver.status = 410
    first, second = waiting(channel, 1), waiting(channel, 2)
    Delivery.objects.filter(pk=second.pk).update(event=event)
    deliver_due(now=clock)
    off = Channel.objects.get(pk=channel.pk)
    assert (off.is_enabled, off.disabled_at) == (False, START)
    assert "410" in off.disabled_reason
    for one in (first, second):
        row = fresh(one)
        assert (row.state, row.error) == (DeliveryState.DEAD, off.disabled_reason)
    assert "was not told" in EventEntry.objects.get(event=event).words
    assert len(server.received) == 1
    assert sorted(one.to[0] for one in mail.outbox) == ["admin@example.com", "owner@example.com"]
    assert off.name in mail.outbox[0].subject


def test_a_message_that_is_refused_for_good_ends_alone(
    server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alerts.channels import registry
    from alerts.channels.base import Permanent

    def refuse(*_: Any) -> None:
        raise Permanent("400 invalid_payload", disables=False, status=400)

    monkeypatch.setattr(type(registry.plugin_for("webhook")), "send", refuse)
    channel = hook(server)
    delivery = waiting(channel, 1)
    deliver_due(now=clock)
    assert fresh(delivery).state == DeliveryState.DEAD
    assert Channel.objects.get(pk=channel.pk).is_enabled


def test_a_day_without_success_is_the_end_of_all_that_waited(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    owner = UserFactory(email="owner@example.com")
    organization = OrganizationFactory()
    Membership.objects.create(organization=organization, user=owner, role="owner")
    channel = hook(server, organization=organization)
    receiver.status = 500
    old = [waiting(channel, number) for number in range(3)]
    deliver_due(now=clock)
    clock.forward(12 * 3600)
    young = waiting(channel, 9, at=clock.at)
    deliver_due(now=clock)
    clock.forward(12 * 3600 - 1)
    deliver_due(now=clock)
    assert not Delivery.objects.filter(state=DeliveryState.DEAD).exists()
    clock.forward(700)
    deliver_due(now=clock)
    assert {fresh(one).state for one in old} == {DeliveryState.DEAD}
    assert fresh(old[0]).error.startswith("Nothing got through for 24 hours.")
    assert fresh(young).state == DeliveryState.WAITING
    assert [one.to for one in mail.outbox] == [["owner@example.com"]]
    assert Channel.objects.get(pk=channel.pk).is_enabled


def test_a_message_sent_again_keeps_its_id_and_has_a_new_time(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    delivery = waiting(channel, 1)
    receiver.status = 410
    deliver_due(now=clock)
    actor = UserFactory()
    with pytest.raises(ConflictError, match="is disabled"):
        replay(deliveries=[delivery], actor=actor, now=clock.at)
    Channel.objects.filter(pk=channel.pk).update(is_enabled=True)
    receiver.status = 200
    clock.forward(3600)
    assert replay(deliveries=[delivery], actor=actor, now=clock.at) == 1
    deliver_due(now=clock)
    one, two = server.received
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 3600
    assert one.body == two.body
    assert fresh(delivery).state == DeliveryState.SENT
    with pytest.raises(ConflictError, match="given up"):
        replay(deliveries=[delivery], actor=actor, now=clock.at)


def test_a_test_is_tried_once_and_does_no_harm(
    server: FakeServer, receiver: Receiver, clock: Clock
) -> None:
    channel = hook(server)
    for status in (500, 410):
        receiver.status = status
        delivery = waiting(channel, status, action="test")
        deliver_due(now=clock)
        row = fresh(delivery)
        assert (row.state, row.status_code) == (DeliveryState.DEAD, status)
    channel.refresh_from_db()
    assert (channel.is_enabled, channel.failing_since) == (True, None)


def test_no_secret_is_kept(server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from alerts.channels import registry
    from alerts.channels.base import Retryable

    channel = hook(server)
    url = f"{server.url}/hook/of-a-team"

    def echo(*_: Any) -> None:
        words = f"No route to {url}\x00 with Authorization: Bearer abcdef " + "é" * 900
        raise Retryable(words, status=502, answer=words)

    monkeypatch.setattr(type(registry.plugin_for("webhook")), "send", echo)
    delivery = waiting(channel, 1)
    deliver_due(now=clock)
    row = fresh(delivery)
    kept = row.error + row.answer + json.dumps(row.tries)
    assert "of-a-team" not in kept
    assert "abcdef" not in kept
    assert "[redacted]" in row.answer
    assert len(row.answer.encode()) <= 1024


def test_a_bug_of_ours_is_a_try_that_failed(
    server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alerts.channels import registry

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(registry.plugin_for("webhook")), "send", fail)
    delivery = waiting(hook(server), 1)
    deliver_due(now=clock)
    row = fresh(delivery)
    assert row.state == DeliveryState.WAITING
    assert "ZeroDivisionError" in row.error


def test_a_mail_to_one_person_goes_through_the_mail_server(clock: Clock) -> None:
    with smtp_server() as smtp, override_settings(**smtp.settings()):
        smtp.refuse = {"busy@example.com": "451 later", "gone@example.com": "550 no such user"}
        rows = {
            name: waiting(None, number, recipient=f"{name}@example.com", action="notice")
            for number, name in enumerate(("ann", "busy", "gone"))
        }
        deliver_due(now=clock)
        states = {name: fresh(row).state for name, row in rows.items()}
        assert states == {"ann": "sent", "busy": "waiting", "gone": "dead"}
        (address, told), *rest = smtp.taken
        assert (address, rest) == ("ann@example.com", [])
        assert told["Auto-Submitted"] == "auto-generated"
        assert told.get_content_type() == "multipart/alternative"
        smtp.refuse = {}
        clock.forward(5)
        deliver_due(now=clock)
        assert fresh(rows["busy"]).state == DeliveryState.SENT


def test_waiting_messages_can_be_cancelled(server: FakeServer, clock: Clock) -> None:
    delivery, actor = waiting(hook(server), 1), UserFactory()
    assert cancel(deliveries=[delivery], actor=actor, now=clock.at) == 1
    assert deliver_due(now=clock) == 0
    with pytest.raises(ConflictError):
        cancel(deliveries=[delivery], actor=actor, now=clock.at)


def test_only_old_messages_are_forgotten(server: FakeServer, clock: Clock) -> None:
    channel = hook(server)
    long_ago = START - dt.timedelta(days=91)
    old, is_open = waiting(channel, 1, at=long_ago), waiting(channel, 2, at=long_ago)
    recent = waiting(channel, 3)
    Delivery.objects.filter(pk=old.pk).update(state=DeliveryState.SENT)
    assert delivering.forget_old(now=clock.at) == 1
    assert set(Delivery.objects.values_list("pk", flat=True)) == {is_open.pk, recent.pk}
