"""Rules about nothing arriving, and about what arrives late."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alerts.measures.registry import measure_for
from costs.models import MinuteRoll, MinuteSum
from tests.alerts.measures.traffic import HOUR, MINUTE, NOON, NOW, call, calls, roll, rule, send
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)


def silence(alert: Any, now: dt.datetime = NOW) -> Decimal | None:
    roll(now)
    found: Decimal | None = measure_for("no_data").read([alert], now)[0].value
    return found


def test_no_data_counts_the_full_minutes_since_the_last_call() -> None:
    project = ProjectFactory()
    alert = rule(project, "no_data")
    assert silence(alert) is None
    send(project, [call(NOON - 5 * MINUTE + SECOND)])
    assert silence(alert) == 4
    assert silence(alert, NOW + 40 * MINUTE) == 44
    assert silence(rule(project, "no_data", agent="support")) is None
    send(project, calls(1, end=NOON + 40 * MINUTE), now=NOW + 40 * MINUTE)
    assert silence(alert, NOW + 40 * MINUTE) == 0


def test_no_data_of_an_hour_without_minutes_counts_from_its_end() -> None:
    project = ProjectFactory()
    alert = rule(project, "no_data", user_id="ann")
    send(project, calls(1, end=NOON - 30 * HOUR, user_id="ann"), now=NOON - 30 * HOUR)
    assert silence(alert) == 30 * 60
    found = measure_for("no_data").read([alert], NOW)[0]
    assert found.facts["is_exact"] is False
    course = measure_for("no_data").history(alert, NOON - 48 * HOUR, NOON)
    values = {one.at: one.value for one in course.points}
    assert (values[NOON - 31 * HOUR], values[NOON - 30 * HOUR], values[NOON]) == (None, 0, 1800)


def test_no_data_of_an_organisation_is_of_its_last_project() -> None:
    project = ProjectFactory()
    sister = ProjectFactory(organization=project.organization)
    send(project, calls(1, end=NOON - 20 * MINUTE))
    send(sister, calls(1, end=NOON - 3 * MINUTE))
    wide = rule(project, "no_data")
    wide.project = None
    wide.save()
    assert silence(wide) == 3


def test_minutes_that_are_not_summed_up_are_no_silence() -> None:
    project = ProjectFactory()
    alert = rule(project, "no_data")
    send(project, [call(NOON + 5 * MINUTE)], now=NOW + 5 * MINUTE)
    roll(NOW + 10 * MINUTE)
    later = NOW + 30 * MINUTE
    send(project, calls(5, end=NOON + 30 * MINUTE), now=later)
    found = measure_for("no_data").read([alert], later)[0]
    assert found.value == 4
    assert silence(alert, later) == 0


def test_no_data_of_many_rules_costs_the_same_queries(django_assert_num_queries: Any) -> None:
    project = ProjectFactory()
    send(project, calls(2))
    rules = [rule(project, "no_data", agent=f"agent-{n}") for n in range(20)]
    rules.append(rule(project, "no_data"))
    roll()
    with django_assert_num_queries(4):
        measure_for("no_data").read(rules, NOW)


def test_lag_is_the_mean_of_what_arrived_in_the_window() -> None:
    project = ProjectFactory()
    alert = rule(project, "ingest_lag", window_minutes=5)
    send(project, [call(NOON - 3 * MINUTE)], now=NOON - 3 * MINUTE + 2 * SECOND)
    roll(NOON - 2 * MINUTE + SECOND)
    # One of them was made long before the window.
    send(project, [call(NOON - 12 * MINUTE), call(NOON - 2 * MINUTE)], now=NOON - 2 * MINUTE)
    # A clock that runs ahead is not early.
    send(project, [call(NOON + 9 * SECOND)], now=NOON - MINUTE)
    roll(NOON - MINUTE + SECOND)
    roll()
    (found,) = measure_for("ingest_lag").read([alert], NOW)
    assert (found.sample, found.value) == (4, Decimal("150.5"))
    course = measure_for("ingest_lag").history(alert, NOON - HOUR, NOON)
    assert course.points[-1].value == Decimal("150.5")
    evidence = measure_for("ingest_lag").evidence(found, NOW)
    assert evidence.url.endswith("/ingestion/")
    assert evidence.rows[0] == ("Ingest lag", "2m 31s")


def test_calls_that_come_an_hour_late_are_counted_within_a_round() -> None:
    project = ProjectFactory()
    alert = rule(project, "ingest_lag", window_minutes=10)
    send(project, [call(NOON)], now=NOON)
    roll(NOON + MINUTE)
    send(project, [call(NOON - 100 * MINUTE)], now=NOON + 2 * MINUTE)
    roll(NOON + 5 * MINUTE)
    (found,) = measure_for("ingest_lag").read([alert], NOON + 5 * MINUTE)
    assert (found.sample, found.value) == (2, 102 * 60 / 2)


def test_arrivals_are_kept_only_while_a_rule_asks() -> None:
    project = ProjectFactory()
    alert, other = rule(project, "ingest_lag"), rule(project)
    send(project, calls(2), now=NOON - MINUTE)
    roll()
    assert MinuteSum.objects.filter(project_id=project.pk, dimension="arrived").exists()
    alert.delete()
    roll(NOW + MINUTE)
    assert not MinuteSum.objects.filter(project_id=project.pk, dimension="arrived").exists()
    assert MinuteRoll.objects.get(project_id=project.pk).arrived_since is None
    assert measure_for(other.kind).read([other], NOW + MINUTE)[0].sample == 2
