"""Messages are written with the decision: which channels, once, in groups when many fire together."""

import datetime as dt

import pytest
from django.utils import timezone

from alerts import queueing
from alerts.channels import registry
from alerts.models import AlertChannel, AlertEvent, Channel, Delivery, DeliveryState, EventEntry
from alerts.notices import Notice
from tests.factories.accounts import OrganizationFactory, UserFactory
from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 21, 14, 30, tzinfo=dt.UTC)


class Plain:
    """A kind that carries everything (or, of PagerDuty, no groups) and sends nothing."""

    label, help, fields, pause_s = "Plain", "", (), 0.0

    def __init__(self, kind: str, actions: str) -> None:
        self.kind, self.actions = kind, frozenset(actions.split())


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    every = "trigger raise remind escalate acknowledge resolve group test notice digest"
    kinds = {
        "email": Plain("email", every.replace("acknowledge ", "")),
        "slack": Plain("slack", every),
        "pagerduty": Plain("pagerduty", "trigger raise escalate acknowledge resolve test"),
    }
    monkeypatch.setattr(registry, "_PLUGINS", kinds)


def rule_on(*channels: Channel, escalation: Channel | None = None) -> AlertEvent:
    """A firing incident of a rule that tells these channels."""
    organization = channels[0].organization if channels else OrganizationFactory()
    alert = AlertFactory(organization=organization, note="Call Ann.")
    for one in channels:
        AlertChannel.objects.create(alert=alert, channel=one)
    if escalation:
        AlertChannel.objects.create(alert=alert, channel=escalation, is_escalation=True)
    event: AlertEvent = AlertEventFactory(
        organization=organization,
        alert=alert,
        dedup_key=f"llmlab:error_rate:{alert.pk}::1",
        began_at=NOW - dt.timedelta(minutes=20),
        fired_at=NOW,
    )
    return event


def test_each_channel_of_the_rule_gets_the_whole_message_once() -> None:
    mail, slack = ChannelFactory(), None
    slack = ChannelFactory(organization=mail.organization, kind="slack")
    event = rule_on(mail, slack)
    made = queueing.queue(event=event, action="trigger", now=NOW)
    again = queueing.queue(event=event, action="trigger", now=NOW + dt.timedelta(hours=1))
    assert {one.channel_id for one in made} == {mail.pk, slack.pk}
    assert again == []
    assert {one.dedup_key for one in made} == {event.dedup_key}
    assert len({one.message_id for one in made}) == 2
    notice = Notice.from_json(made[0].payload)
    assert (notice.type, notice.title, notice.note) == ("alert.fired", event.title, "Call Ann.")
    assert made[0].lanes == [f"llmlab:error_rate:{event.alert_id}"]


def test_what_is_not_severe_enough_is_not_told() -> None:
    channel = ChannelFactory(minimum_severity="error")
    event = rule_on(channel)
    assert queueing.queue(event=event, action="trigger", now=NOW) == []
    event.severity = "critical"
    assert len(queueing.queue(event=event, action="raise", now=NOW)) == 1


def test_a_disabled_channel_is_named_in_the_timeline_instead() -> None:
    off = ChannelFactory(is_enabled=False, disabled_reason="410 from the receiver.")
    event = rule_on(off)
    assert queueing.queue(event=event, action="trigger", now=NOW) == []
    entry = EventEntry.objects.get(event=event)
    assert off.name in entry.words
    assert "410 from the receiver." in entry.words


def test_recovery_and_acknowledgement_go_where_it_was_told() -> None:
    told, later = ChannelFactory(kind="slack"), None
    event = rule_on(told)
    later = ChannelFactory(organization=event.organization, kind="slack")
    queueing.queue(event=event, action="trigger", now=NOW)
    AlertChannel.objects.create(alert=event.alert, channel=later)
    for action in ("acknowledge", "resolve"):
        made = queueing.queue(event=event, action=action, now=NOW)
        assert [one.channel_id for one in made] == [told.pk]


def test_recovery_of_what_nobody_was_told_is_not_told() -> None:
    event = rule_on(ChannelFactory())
    assert queueing.queue(event=event, action="resolve", now=NOW) == []


def test_recovery_survives_the_rule() -> None:
    channel = ChannelFactory()
    event = rule_on(channel)
    lanes = queueing.queue(event=event, action="trigger", now=NOW)[0].lanes
    assert event.alert is not None
    event.alert.delete()
    event.refresh_from_db()
    made = queueing.queue(event=event, action="resolve", now=NOW)
    assert [one.lanes for one in made] == [lanes]


def test_escalation_has_its_own_channels() -> None:
    first = ChannelFactory()
    boss = ChannelFactory(organization=first.organization, kind="pagerduty")
    event = rule_on(first, escalation=boss)
    assert {one.channel_id for one in queueing.queue(event=event, action="trigger", now=NOW)} == {
        first.pk
    }
    made = queueing.queue(event=event, action="escalate", now=NOW)
    assert {one.channel_id for one in made} == {boss.pk}
    ended = queueing.queue(event=event, action="resolve", now=NOW)
    assert {one.channel_id for one in ended} == {first.pk, boss.pk}


def test_a_kind_is_not_given_what_it_does_not_carry() -> None:
    event = rule_on(ChannelFactory(kind="email"))
    queueing.queue(event=event, action="trigger", now=NOW)
    assert queueing.queue(event=event, action="acknowledge", now=NOW) == []


def test_the_same_level_is_raised_once_a_day() -> None:
    event = rule_on(ChannelFactory())
    hours = (0, 1, 25)
    made = [
        queueing.queue(event=event, action="raise", now=NOW + dt.timedelta(hours=one))
        for one in hours
    ]
    assert [len(one) for one in made] == [1, 0, 1]


def test_six_together_are_one_message_but_for_pagerduty() -> None:
    slack = ChannelFactory(kind="slack")
    duty = ChannelFactory(organization=slack.organization, kind="pagerduty")
    events = [rule_on(slack, duty) for _ in range(6)]
    made = queueing.queue_group(events=events, now=NOW)
    on_slack = [one for one in made if one.channel_id == slack.pk]
    assert [one.action for one in on_slack] == ["group"]
    assert sorted(on_slack[0].lanes) == sorted(queueing.lane_of(one) for one in events)
    assert len(Notice.from_json(on_slack[0].payload).items) == 6
    assert [one.action for one in made if one.channel_id == duty.pk] == ["trigger"] * 6
    assert queueing.queue_group(events=events, now=NOW) == []
    # Each incident knows where it was told, and its recovery goes there.
    place = Delivery.objects.get(event=events[0], channel=slack)
    assert (place.state, place.error) == (
        DeliveryState.CANCELLED,
        "Told in one message with 5 other alerts.",
    )
    ended = queueing.queue(event=events[0], action="resolve", now=NOW)
    assert {one.channel_id for one in ended} == {slack.pk, duty.pk}


def test_five_together_are_five_messages() -> None:
    slack = ChannelFactory(kind="slack")
    made = queueing.queue_group(events=[rule_on(slack) for _ in range(5)], now=NOW)
    assert [one.action for one in made] == ["trigger"] * 5


def test_a_group_costs_the_same_for_any_number(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    slack = ChannelFactory(kind="slack")
    made = [rule_on(slack).pk for _ in range(20)]
    events = list(AlertEvent.objects.filter(pk__in=made))  # ids only, as the engine has them
    with django_assert_max_num_queries(7):
        queueing.queue_group(events=events, now=NOW)


def test_a_channel_is_tested_even_when_disabled() -> None:
    channel = ChannelFactory(is_enabled=False)
    actor = UserFactory(name="Ann")
    made = queueing.queue_test(channel=channel, actor=actor, now=timezone.now())
    again = queueing.queue_test(channel=channel, actor=actor, now=timezone.now())
    assert made.pk != again.pk
    assert "Ann" in Notice.from_json(made.payload).words


def test_a_test_of_a_rule_leads_to_the_rule() -> None:
    alert = AlertFactory()
    channel = ChannelFactory(organization=alert.organization)
    made = queueing.queue_test(channel=channel, actor=UserFactory(), now=NOW, alert=alert)
    [(label, url)] = Notice.from_json(made.payload).links
    assert label == "Open the rule"
    assert url.endswith(f"/organizations/{alert.organization.slug}/alerts/rules/{alert.pk}/")


def test_a_mail_is_written_once() -> None:
    organization = OrganizationFactory()
    for _ in range(2):
        queueing.queue_mail(
            organization=organization,
            recipient="ann@example.com",
            notice=Notice(type="channel.notice", title="t", words="w", severity="info"),
            action="notice",
            dedup_key="d",
            unique_key="u",
            lanes=["one"],
            now=NOW,
        )
    assert Delivery.objects.get(recipient="ann@example.com").organization == organization


def test_one_bell_when_the_transaction_ends(
    django_capture_on_commit_callbacks,  # type: ignore[no-untyped-def]
) -> None:
    one = ChannelFactory()
    event = rule_on(one, ChannelFactory(organization=one.organization))
    with django_capture_on_commit_callbacks() as bells:
        queueing.queue(event=event, action="trigger", now=NOW)
    assert len(bells) == 1
