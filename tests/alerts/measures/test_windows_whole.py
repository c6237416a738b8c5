"""From calls to an incident, and what else in LLMLab changes the minutes."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from alerts.checking import evaluate_windowed
from alerts.measures import needs
from alerts.measures.registry import measure_for
from alerts.models import AlertEvent, AlertState
from alerts.wording import notice_of
from costs.models import MinuteSum
from costs.services.forget import forget_person
from costs.usage import Usage
from tests.alerts.measures.traffic import HOUR, MINUTE, NOON, NOW, calls, roll, rule, send
from tests.costs.repricing import finish, override, save, start
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def test_failing_calls_are_one_incident_that_says_what_failed_and_recovers() -> None:
    project = ProjectFactory()
    alert = rule(project, window_minutes=10, minimum_sample=5)
    send(project, [*calls(4, model="gpt-4o", is_error=True), *calls(4)])
    evaluate_windowed(NOW)
    evaluate_windowed(NOW + MINUTE)
    event = AlertEvent.objects.get()
    assert (event.value, event.limit, event.unit) == (50, 5, "percent")
    assert "50.0% of 8 calls failed in the last 10 minutes" in event.words
    notice = notice_of(event, "trigger", NOW)
    assert ("model", "gpt-4o", "4 failed calls (100%)") in notice.causes
    assert notice.links[1][0] == "See the failed calls"
    assert ("Calls", "8") in notice.rows
    later = NOW + 30 * MINUTE
    send(project, calls(8, end=NOON + 30 * MINUTE), now=later)
    evaluate_windowed(later)
    event.refresh_from_db()
    assert event.state == "resolved"
    assert AlertState.objects.get(alert=alert).status == "ok"


def test_an_incident_stays_open_while_nobody_can_sum_up(monkeypatch: Any) -> None:
    project = ProjectFactory()
    alert = rule(project, window_minutes=10)
    send(project, calls(4, is_error=True))
    evaluate_windowed(NOW)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no minutes")

    monkeypatch.setattr(needs.minutes, "roll_all", broken)
    later = NOW + 40 * MINUTE
    send(project, calls(8, end=NOON + 40 * MINUTE), now=later)
    evaluate_windowed(later)
    assert AlertEvent.objects.get().state == "firing"
    assert AlertState.objects.get(alert=alert).status == "firing"


def test_new_prices_are_in_the_minutes() -> None:
    project = ProjectFactory()
    alert = rule(project, "spend", window_minutes=10)
    send(project, calls(4, client_cost_usd=None, usage=Usage(input_tokens=1000, output_tokens=100)))
    evaluate_windowed(NOW)
    before = measure_for("spend").read([alert], NOW)[0].value
    job = start(project, save(project, override("gpt-4o-mini")))
    finish(job)
    # Until the minutes are read again nobody tells the price as it was.
    assert measure_for("spend").read([alert], NOW) == []
    roll()
    after = measure_for("spend").read([alert], NOW)[0].value
    assert (before, after) == (Decimal("0.00084"), Decimal("0.02"))


def test_a_person_who_is_taken_out_is_in_no_minute() -> None:
    project = ProjectFactory()
    alert = rule(project, "call_rate", user_id="ann")
    send(project, [*calls(3, user_id="ann"), *calls(2, end=NOON - HOUR, user_id="ann")])
    roll()
    assert MinuteSum.objects.filter(project_id=project.pk, value="ann").exists()
    with connection.cursor() as cursor:
        forget_person(cursor, project_id=project.pk, column="user_id", value="ann")
    roll(NOW + MINUTE)
    assert not MinuteSum.objects.filter(project_id=project.pk, value="ann").exists()
    assert measure_for("call_rate").read([alert], NOW + MINUTE)[0].sample == 0
