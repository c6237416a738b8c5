"""What people do about incidents, and what the clock does: escalation, reminders, snoozes, quiet times."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent
from alerts import acting
from alerts.deciding import decide
from alerts.measures.base import Reading
from alerts.models import Alert, AlertEvent, Delivery, EventEntry, Maintenance
from alerts.quiet import next_occurrence, occurrence_at, quiet_at
from core.errors import ConflictError, DomainError
from tests.factories.accounts import OrganizationFactory, UserFactory
from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
LEVELS = [{"limit": "80", "severity": "warning"}, {"limit": "100", "severity": "critical"}]
KEY = "01939f3e-0000-7000-8000-000000000001"


@pytest.fixture
def rule() -> Alert:
    """Two levels, one webhook."""
    alert: Alert = AlertFactory.create(kind="budget", levels=LEVELS)
    alert.channels.add(ChannelFactory.create(organization=alert.organization, kind="webhook"))
    return alert


@pytest.fixture
def person() -> Any:
    return UserFactory.create()


def see(alert: Alert, value: int, at: dt.datetime) -> AlertEvent | None:
    decide([Reading(alert, Decimal(value), key=KEY, subject="Ops")], now=at)
    return AlertEvent.objects.order_by("-fired_at").first()


def fire(alert: Alert, value: int = 85, at: dt.datetime = NOW) -> AlertEvent:
    event = see(alert, value, at)
    assert event is not None
    return event


def told() -> list[str]:
    return [one.action for one in Delivery.objects.order_by("pk")]


def lines(event: AlertEvent) -> list[str]:
    return [one.kind for one in event.entries.order_by("pk")]


def turn(at: dt.datetime) -> None:
    for act in (acting.wake_due, acting.tell_after_quiet, acting.escalate_due, acting.remind_due):
        act(at)


def test_acknowledging_says_who_and_stops_the_clock(rule: Alert, person: Any) -> None:
    Alert.objects.update(escalate_minutes=10, remind_hours=24)
    event = fire(rule)
    acting.acknowledge(event=event, actor=person, now=NOW + MINUTE)
    event.refresh_from_db()
    assert (event.state, event.acknowledged_by, event.acknowledged_at) == (
        "acknowledged",
        person,
        NOW + MINUTE,
    )
    turn(NOW + 48 * HOUR)
    assert (told(), lines(event)) == (["trigger", "acknowledge"], ["fired", "acknowledged"])
    with pytest.raises(ConflictError):
        acting.acknowledge(event=event, actor=person, now=NOW + 2 * MINUTE)


def test_acknowledgement_taken_back_begins_the_waiting_anew(rule: Alert, person: Any) -> None:
    Alert.objects.update(escalate_minutes=10)
    event = fire(rule)
    acting.acknowledge(event=event, actor=person, now=NOW + MINUTE)
    acting.unacknowledge(event=event, actor=person, now=NOW + 9 * MINUTE)
    turn(NOW + 18 * MINUTE)
    assert "escalate" not in told()
    turn(NOW + 19 * MINUTE)
    assert told()[-1] == "escalate"
    with pytest.raises(ConflictError):
        acting.unacknowledge(event=event, actor=person, now=NOW + 20 * MINUTE)


def test_escalation_is_told_once(rule: Alert) -> None:
    Alert.objects.update(escalate_minutes=10)
    event = fire(rule)
    for minutes in (9, 10, 11, 30):
        turn(NOW + minutes * MINUTE)
    event.refresh_from_db()
    assert (told(), event.escalated_at) == (["trigger", "escalate"], NOW + 10 * MINUTE)


def test_more_severe_takes_the_acknowledgement_back_and_may_escalate_again(
    rule: Alert, person: Any
) -> None:
    Alert.objects.update(escalate_minutes=10)
    event = fire(rule)
    acting.acknowledge(event=event, actor=person, now=NOW + MINUTE)
    fire(rule, 120, NOW + 5 * MINUTE)
    event.refresh_from_db()
    assert (event.state, event.acknowledged_by, event.severity) == ("firing", None, "critical")
    turn(NOW + 14 * MINUTE)
    assert told() == ["trigger", "acknowledge", "raise"]
    turn(NOW + 15 * MINUTE)
    assert told()[-1] == "escalate"


def test_reminders_come_once_a_day_while_nobody_acknowledges(rule: Alert) -> None:
    Alert.objects.update(remind_hours=24)
    event = fire(rule)
    for hours in range(1, 50):
        turn(NOW + hours * HOUR)
    assert told() == ["trigger", "remind", "remind"]
    assert lines(event) == ["fired", "reminded", "reminded"]


def test_snoozed_is_told_when_it_wakes(rule: Alert, person: Any) -> None:
    Alert.objects.update(escalate_minutes=1)
    event = fire(rule)
    acting.snooze(event=event, until=NOW + HOUR, actor=person, now=NOW)
    turn(NOW + 59 * MINUTE)
    assert told() == ["trigger"]
    turn(NOW + HOUR)
    event.refresh_from_db()
    assert (told(), event.state) == (["trigger", "remind"], "firing")
    assert lines(event) == ["fired", "snoozed", "woken"]


def test_snoozed_stays_quiet_unless_it_becomes_more_severe(person: Any) -> None:
    levels = [{"limit": str(limit), "severity": "warning"} for limit in (50, 80)]
    alert = AlertFactory.create(kind="budget", levels=[*levels, LEVELS[1]])
    alert.channels.add(ChannelFactory.create(organization=alert.organization, kind="webhook"))
    event = fire(alert, 60)
    acting.snooze(event=event, until=None, actor=person, now=NOW)
    see(alert, 85, NOW + MINUTE)
    assert told() == ["trigger"]
    see(alert, 120, NOW + 2 * MINUTE)
    event.refresh_from_db()
    assert (told(), event.state) == (["trigger", "raise"], "firing")


def test_snoozed_until_it_resolves_never_wakes_and_its_end_is_told(
    rule: Alert, person: Any
) -> None:
    event = fire(rule)
    acting.snooze(event=event, until=None, actor=person, now=NOW)
    turn(NOW + 20 * 24 * HOUR)
    see(rule, 10, NOW + 21 * 24 * HOUR)
    assert told() == ["trigger", "resolve"]


def test_nothing_is_done_about_what_is_over(rule: Alert, person: Any) -> None:
    event = fire(rule)
    see(rule, 10, NOW + MINUTE)
    for act in (
        lambda: acting.acknowledge(event=event, actor=person, now=NOW + HOUR),
        lambda: acting.snooze(event=event, until=None, actor=person, now=NOW + HOUR),
    ):
        with pytest.raises(ConflictError, match="resolved already"):
            act()
    acting.comment(event=event, actor=person, words=" It was the nightly job. ", now=NOW + HOUR)
    assert EventEntry.objects.get(kind="comment").words == "It was the nightly job."


@pytest.mark.parametrize("until", [NOW, NOW - HOUR, NOW + dt.timedelta(days=31)])
def test_snooze_of_a_wrong_length_changes_nothing(
    rule: Alert, person: Any, until: dt.datetime
) -> None:
    event = fire(rule)
    with pytest.raises(DomainError) as error:
        acting.snooze(event=event, until=until, actor=person, now=NOW)
    event.refresh_from_db()
    assert (error.value.fields, event.state) == (("until",), "firing")


@pytest.mark.parametrize("words", ["", "  ", "x" * 5001, "a\x00b"])
def test_comment_needs_words(rule: Alert, person: Any, words: str) -> None:
    with pytest.raises(DomainError, match="words has"):
        acting.comment(event=fire(rule), actor=person, words=words, now=NOW)
    assert not EventEntry.objects.filter(kind="comment").exists()


def test_muted_rule_is_recorded_and_told_when_the_muting_ends(rule: Alert, person: Any) -> None:
    acting.mute(alert=rule, until=NOW + HOUR, actor=person, now=NOW - HOUR)
    event = fire(rule)
    assert (told(), lines(event), event.told_at) == ([], ["fired", "muted"], None)
    turn(NOW + 59 * MINUTE)
    assert told() == []
    turn(NOW + HOUR)
    turn(NOW + HOUR + MINUTE)
    event.refresh_from_db()
    assert (told(), event.told_at) == (["trigger"], NOW + HOUR)
    assert AuditEvent.objects.get().action == "alerts.alert.muted"


def test_unmuting_tells_with_the_next_minute(rule: Alert, person: Any) -> None:
    acting.mute(alert=rule, until=NOW + 5 * HOUR, actor=person, now=NOW - HOUR)
    fire(rule)
    acting.mute(alert=rule, until=None, actor=person, now=NOW + MINUTE)
    turn(NOW + 2 * MINUTE)
    assert told() == ["trigger"]


def test_what_began_and_ended_in_the_quiet_is_never_told(rule: Alert, person: Any) -> None:
    acting.mute(alert=rule, until=NOW + HOUR, actor=person, now=NOW - HOUR)
    fire(rule)
    see(rule, 10, NOW + MINUTE)
    turn(NOW + 2 * HOUR)
    assert told() == []


def test_recovery_in_the_quiet_of_what_was_told_before_is_told_after_it(
    rule: Alert, person: Any
) -> None:
    event = fire(rule)
    acting.mute(alert=rule, until=NOW + HOUR, actor=person, now=NOW + MINUTE)
    see(rule, 10, NOW + 2 * MINUTE)
    assert (told(), lines(event)) == (["trigger"], ["fired", "resolved", "muted"])
    for minutes in (59, 60, 61):
        turn(NOW + minutes * MINUTE)
    assert told() == ["trigger", "resolve"]


def test_raise_in_the_quiet_is_told_after_it_once(rule: Alert, person: Any) -> None:
    fire(rule)
    acting.mute(alert=rule, until=NOW + HOUR, actor=person, now=NOW + MINUTE)
    see(rule, 120, NOW + 2 * MINUTE)
    for minutes in (59, 60, 61):
        turn(NOW + minutes * MINUTE)
    assert told() == ["trigger", "raise"]


def test_mute_is_checked(rule: Alert, person: Any) -> None:
    with pytest.raises(DomainError, match="next 365 days"):
        acting.mute(alert=rule, until=NOW, actor=person, now=NOW)


def is_quiet(alert: Alert, now: dt.datetime) -> bool:
    return bool(quiet_at([alert.organization_id], now).words(alert))


def test_maintenance_is_of_its_organisation_and_project_only(rule: Alert) -> None:
    project = ProjectFactory.create(organization=rule.organization)
    span = {"starts_at": NOW, "ends_at": NOW + HOUR, "name": "Move"}
    Maintenance.objects.create(organization=OrganizationFactory.create(), **span)
    assert not is_quiet(rule, NOW)
    window = Maintenance.objects.create(organization=rule.organization, project=project, **span)
    inside = AlertFactory.create(organization=rule.organization, project=project)
    assert [is_quiet(one, NOW) for one in (rule, inside)] == [False, True]
    Maintenance.objects.filter(pk=window.pk).update(project=None)
    assert [is_quiet(one, NOW + HOUR - MINUTE) for one in (rule, inside)] == [True, True]
    assert not is_quiet(rule, NOW + HOUR)


def test_maintenance_is_recorded_and_told_at_its_end(rule: Alert) -> None:
    Maintenance.objects.create(
        organization=rule.organization, starts_at=NOW, ends_at=NOW + HOUR, name="Move"
    )
    event = fire(rule)
    assert event.entries.get(kind="muted").words == "Maintenance: Move."
    turn(NOW + HOUR)
    assert told() == ["trigger"]


def window(repeats: str, start: dt.datetime, end: dt.datetime, zone: str) -> Any:
    return SimpleNamespace(
        starts_at=start.astimezone(dt.UTC),
        ends_at=end.astimezone(dt.UTC),
        repeats=repeats,
        time_zone=zone,
    )


def test_daily_window_keeps_its_wall_clock_over_summer_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = window(
        "daily",
        dt.datetime(2026, 10, 1, 22, tzinfo=berlin),
        dt.datetime(2026, 10, 2, 2, tzinfo=berlin),
        "Europe/Berlin",
    )
    for day, hour, is_in in (
        (2, 1, True),
        (2, 2, False),
        (20, 22, True),
        (28, 22, True),
        (29, 1, True),
        (29, 3, False),
    ):
        at = dt.datetime(2026, 10, day, hour, tzinfo=berlin)
        assert (occurrence_at(found, at) is not None) is is_in, at
    # Before the first one there is none; the night the clock goes back is an hour longer.
    assert occurrence_at(found, dt.datetime(2026, 10, 1, 1, tzinfo=berlin)) is None
    start, end = occurrence_at(found, dt.datetime(2026, 10, 25, 0, 30, tzinfo=berlin)) or (NOW, NOW)
    assert (end - start) == 4 * HOUR
    start, end = occurrence_at(found, dt.datetime(2026, 10, 25, 22, 30, tzinfo=berlin)) or (
        NOW,
        NOW,
    )
    assert start.astimezone(berlin).hour == 22


def test_weekly_window_may_be_longer_than_a_day() -> None:
    friday = dt.datetime(2026, 11, 6, 20, tzinfo=dt.UTC)
    found = window("weekly", friday, friday + dt.timedelta(days=2, hours=12), "UTC")
    assert occurrence_at(found, friday + dt.timedelta(days=9)) is not None
    assert occurrence_at(found, friday + dt.timedelta(days=10)) is None
    assert next_occurrence(found, friday + dt.timedelta(days=10)) == (
        friday + dt.timedelta(days=14), friday + dt.timedelta(days=16, hours=12),
    )  # fmt: skip


def test_window_that_does_not_repeat_happens_once() -> None:
    found = window("never", NOW, NOW + HOUR, "UTC")
    assert occurrence_at(found, NOW + 24 * HOUR) is None
    assert next_occurrence(found, NOW + 24 * HOUR) is None


def test_clock_takes_as_many_queries_for_fifty_incidents_as_for_one() -> None:
    organization = OrganizationFactory.create()
    counts = []
    for number, count in enumerate((1, 50)):
        at = NOW + number * 24 * HOUR
        alerts = AlertFactory.create_batch(count, organization=organization, escalate_minutes=5)
        for alert in alerts:
            AlertEventFactory.create(
                organization=organization, alert=alert, fired_at=at, told_at=at, waiting_since=at
            )
        with CaptureQueriesContext(connection) as captured:
            assert acting.escalate_due(at + 5 * MINUTE) == count
        counts.append(len(captured) - count * 2)  # what queueing asks for each
    assert counts[1] <= counts[0] + 1
