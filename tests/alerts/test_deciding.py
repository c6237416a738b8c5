"""Readings become incidents, timelines and messages, once, against the real database."""

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from alerts.acting import tell_after_quiet
from alerts.deciding import close_rule, decide
from alerts.measures.base import Reading
from alerts.models import Alert, AlertEvent, AlertState, Delivery, EventEntry
from alerts.signals import events_changed
from tests.factories.accounts import OrganizationFactory
from tests.factories.alerts import AlertFactory, ChannelFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
# A budget that was deleted meanwhile: there is no evidence, and an incident all the same.
KEY = "01939f3e-0000-7000-8000-000000000001"
LEVELS = [
    {"limit": "50", "severity": "info"},
    {"limit": "80", "severity": "warning"},
    {"limit": "100", "severity": "critical"},
]


@pytest.fixture
def rule() -> Alert:
    """Three levels, one webhook."""
    alert: Alert = AlertFactory.create(kind="budget", levels=LEVELS)
    alert.channels.add(ChannelFactory.create(organization=alert.organization, kind="webhook"))
    return alert


def seen(alert: Alert, value: Any, **more: Any) -> Reading:
    return Reading(
        alert, None if value is None else Decimal(str(value)), key=KEY, subject="Ops", **more
    )


def told() -> list[str]:
    return [one.action for one in Delivery.objects.order_by("pk")]


def lines() -> list[str]:
    return [one.kind for one in EventEntry.objects.order_by("pk")]


def test_crossing_is_one_incident_with_line_message_and_news(
    rule: Alert, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[dict[str, Any]] = []

    def hear(sender: Any, **news: Any) -> None:
        heard.append(news)

    events_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            decide([seen(rule, 85)], now=NOW)
            decide([seen(rule, 86)], now=NOW + MINUTE)
    finally:
        events_changed.disconnect(hear)
    event = AlertEvent.objects.get()
    assert (event.alert, event.organization, event.kind) == (rule, rule.organization, "budget")
    assert (event.severity, event.limit, event.value) == ("warning", Decimal(80), Decimal(85))
    assert (event.key, event.subject, event.fired_at, event.told_at) == (KEY, "Ops", NOW, NOW)
    assert event.title
    assert event.words
    assert event.dedup_key == f"llmlab:budget:{rule.pk}:{KEY}:1"
    assert (told(), lines()) == (["trigger"], ["fired"])
    assert [(one["organization_id"], one["event_ids"]) for one in heard] == [
        (rule.organization_id, [event.pk])
    ]


def test_raise_lower_and_recovery_stay_in_one_incident(rule: Alert) -> None:
    for number, value in enumerate((55, 85, 120, 60, 20)):
        decide([seen(rule, value)], now=NOW + number * MINUTE)
    event = AlertEvent.objects.get()
    assert (event.state, event.resolved_at) == ("resolved", NOW + 4 * MINUTE)
    assert event.resolve_reason == "Back within the limit."
    assert lines() == ["fired", "raised", "raised", "lowered", "resolved"]
    assert told() == ["trigger", "raise", "raise", "resolve"]
    assert {one.dedup_key for one in Delivery.objects.all()} == {event.dedup_key}


def test_quick_return_opens_the_same_incident_and_tells_nobody(rule: Alert) -> None:
    for number, value in enumerate((85, 20, 85)):
        decide([seen(rule, value)], now=NOW + number * MINUTE)
    event = AlertEvent.objects.get()
    assert (event.state, event.resolved_at, event.resolve_reason) == ("firing", None, "")
    assert (told(), lines()) == (["trigger", "resolve"], ["fired", "resolved", "fired"])


def test_quick_return_that_stays_is_told_and_so_is_its_end(rule: Alert) -> None:
    for number, value in enumerate((85, 20, *[85] * 16, 20)):
        decide([seen(rule, value)], now=NOW + number * MINUTE)
    assert AlertEvent.objects.count() == 1
    assert told() == ["trigger", "resolve", "trigger", "resolve"]


def test_return_after_the_window_is_another_incident_with_another_key(rule: Alert) -> None:
    for number in (0, 1, 20):
        decide([seen(rule, 20 if number == 1 else 85)], now=NOW + number * MINUTE)
    first, second = AlertEvent.objects.order_by("fired_at")
    assert (first.state, second.state) == ("resolved", "firing")
    assert first.dedup_key != second.dedup_key


def test_month_rollover_resolves_with_its_reason_and_the_new_month_is_its_own(rule: Alert) -> None:
    decide([seen(rule, 85, period="October 2026")], now=NOW)
    decide([seen(rule, 1, period="November 2026")], now=NOW + MINUTE)
    decide([seen(rule, 55, period="November 2026")], now=NOW + 2 * MINUTE)
    old, new = AlertEvent.objects.order_by("fired_at")
    assert old.resolve_reason.startswith("The period ended")
    assert (old.period, new.period) == ("October 2026", "November 2026")
    assert old.dedup_key.endswith(":october-2026/1")


def test_disabled_or_foreign_rule_decides_nothing(rule: Alert) -> None:
    Alert.objects.filter(pk=rule.pk).update(is_enabled=False)
    decide([seen(rule, 85)], now=NOW)
    rule.organization_id = OrganizationFactory.create().pk
    decide([seen(rule, 85)], now=NOW)
    assert not AlertEvent.objects.exists()
    assert not AlertState.objects.exists()


def test_rule_that_was_edited_meanwhile_is_judged_by_what_it_says_now(rule: Alert) -> None:
    Alert.objects.filter(pk=rule.pk).update(levels=[{"limit": "90", "severity": "error"}])
    decide([seen(rule, 85)], now=NOW)
    assert not AlertEvent.objects.exists()


def test_what_is_not_read_any_more_ends(rule: Alert) -> None:
    decide([seen(rule, 85)], now=NOW, watched=[rule])
    decide([], now=NOW + MINUTE)
    assert AlertEvent.objects.get().is_open
    decide([], now=NOW + 2 * MINUTE, watched=[rule])
    assert AlertEvent.objects.get().resolve_reason == "What it watched is not there any more."


def test_closing_ends_incidents_and_a_rule_that_is_switched_on_again_is_told_anew(
    rule: Alert,
) -> None:
    decide([seen(rule, 85)], now=NOW)
    close_rule(alert=rule, reason="The alert was disabled.", actor=None, now=NOW + MINUTE)
    event = AlertEvent.objects.get()
    assert (event.state, event.resolve_reason) == ("resolved", "The alert was disabled.")
    decide([seen(rule, 85)], now=NOW + 2 * MINUTE)
    assert told() == ["trigger", "resolve", "trigger"]
    assert AlertEvent.objects.count() == 2


def test_deleted_rule_leaves_its_ended_incident_with_its_words(rule: Alert) -> None:
    decide([seen(rule, 85)], now=NOW)
    close_rule(alert=rule, reason="The alert was deleted.", actor=None, now=NOW + MINUTE)
    rule.delete()
    event = AlertEvent.objects.get()
    assert (event.alert, event.name, event.state) == (None, rule.name, "resolved")


def test_older_reading_that_comes_later_is_not_taken(rule: Alert) -> None:
    decide([seen(rule, 85)], now=NOW)
    decide([seen(rule, 10)], now=NOW - MINUTE)
    assert AlertEvent.objects.get().is_open


def test_missing_data_is_an_incident_where_it_was_asked_for() -> None:
    alert = AlertFactory.create(kind="budget", on_no_data="alert", minimum_sample=20)
    decide([seen(alert, "0.1", sample=3)], now=NOW)
    event = AlertEvent.objects.get()
    assert "at least 20" in event.words
    assert (event.limit, event.severity) == (None, "warning")
    decide([seen(alert, "0.1", sample=30)], now=NOW + MINUTE)
    assert AlertEvent.objects.get().resolve_reason == "There is something to judge again."


def test_swinging_between_a_limit_and_missing_data_is_told_once_each(rule: Alert) -> None:
    Alert.objects.update(on_no_data="alert", minimum_sample=20, window_minutes=15)
    minute = 0
    for _ in range(3):
        for value, sample in ((85, 30), (10, 30), (0, 3)):
            decide([seen(rule, value, sample=sample)], now=NOW + minute * MINUTE)
            tell_after_quiet(NOW + minute * MINUTE)
            minute += 1
    assert told() == ["trigger", "resolve", "trigger", "resolve"]
    quiet = AlertEvent.objects.filter(told_at=None)
    assert (quiet.count(), quiet.filter(resolved_at=None).count()) == (4, 1)
    decide([seen(rule, 0, sample=3)], now=NOW + (minute + 15) * MINUTE)
    assert told()[4:] == ["trigger"]


def test_many_at_once_are_grouped_by_the_queue() -> None:
    organization = OrganizationFactory.create()
    channel = ChannelFactory.create(organization=organization, kind="slack")
    alerts = AlertFactory.create_batch(8, organization=organization, kind="budget", levels=LEVELS)
    for alert in alerts:
        alert.channels.add(channel)
    decide([seen(one, 85) for one in alerts], now=NOW)
    assert AlertEvent.objects.count() == 8
    assert Delivery.objects.filter(action="group", state="waiting").count() == 1
    assert Delivery.objects.filter(state="waiting").count() == 1


def test_fifty_rules_cost_as_many_queries_as_one() -> None:
    organization = OrganizationFactory.create()
    alerts = AlertFactory.create_batch(50, organization=organization, kind="budget", levels=LEVELS)
    decide([seen(one, 20) for one in alerts], now=NOW, watched=alerts)
    counts = []
    for number, some in enumerate((alerts[:1], alerts)):
        at = NOW + (number + 1) * MINUTE
        with CaptureQueriesContext(connection) as captured:
            decide([seen(one, 40 + number) for one in some], now=at, watched=some)
        counts.append(len(captured))
    assert counts == [5, 5]  # savepoint, rules, states, states written, release


def test_quiet_minute_writes_no_state_again(rule: Alert) -> None:
    decide([seen(rule, 40)], now=NOW)
    with CaptureQueriesContext(connection) as captured:
        decide([seen(rule, 40)], now=NOW + dt.timedelta(seconds=10))
    assert not [one for one in captured.captured_queries if "INSERT" in one["sql"]]


def test_figure_that_moves_with_every_batch_is_written_every_few_seconds(rule: Alert) -> None:
    second = dt.timedelta(seconds=1)
    decide([seen(rule, 10)], now=NOW)
    decide([seen(rule, 11)], now=NOW + 7 * second)
    assert AlertState.objects.get().value == 10
    decide([seen(rule, 12)], now=NOW + 8 * second)
    assert AlertState.objects.get().value == 12
    decide([seen(rule, None)], now=NOW + 9 * second)
    assert AlertState.objects.get().value is None
    decide([seen(rule, 85)], now=NOW + 10 * second)
    assert (AlertState.objects.get().value, AlertState.objects.get().status) == (85, "firing")


def test_figures_of_an_organisation_become_old_together() -> None:
    organization = OrganizationFactory.create()
    rules = AlertFactory.create_batch(2, organization=organization, kind="budget", levels=LEVELS)
    second = dt.timedelta(seconds=1)
    decide([seen(rules[0], 10)], now=NOW)
    decide([seen(rules[1], 11)], now=NOW + 5 * second)
    decide([seen(one, 11) for one in rules], now=NOW + 7 * second)
    assert sorted(one.value for one in AlertState.objects.all()) == [10, 11]
    decide([seen(one, 12) for one in rules], now=NOW + 8 * second)
    assert sorted(one.value for one in AlertState.objects.all()) == [12, 12]


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_see_the_same_crossing_make_one_incident(
    rule: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            barrier.wait(5)
            decide([seen(rule, 85)], now=NOW + number * dt.timedelta(seconds=1), watched=[rule])
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert AlertEvent.objects.count() == 1
    assert told() == ["trigger"]
    # They waited for each other; no constraint had to stop one of them.
    assert "alerts.deciding.failed" not in caplog.text
