"""The past of a rule for its editor, and what a message about it shows."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alerts.evaluate import replayed, terms_of
from alerts.measures.registry import measure_for
from alerts.models import Alert
from costs.models import MinuteRoll
from tests.alerts.measures.traffic import HOUR, MINUTE, NOON, NOW, calls, roll, rule, send
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
MONTH = dt.timedelta(days=30)


def draft(project: Any, kind: str = "error_rate", **values: Any) -> Alert:
    """A rule that nobody saved."""
    return Alert(
        organization=project.organization, project=project, name="Draft", kind=kind,
        levels=[{"limit": "50", "severity": "warning"}], **values,
    )  # fmt: skip


def history_of(alert: Alert, *, back: dt.timedelta = MONTH) -> dict[dt.datetime, Decimal | None]:
    found = measure_for(alert.kind).history(alert, NOON - back, NOON)
    assert len(found.points) == len(found.samples)
    assert [one.at for one in found.points] == sorted({one.at for one in found.points})
    return {one.at: one.value for one in found.points}


def test_a_rule_that_nobody_saved_has_a_past_by_the_hour() -> None:
    project = ProjectFactory()
    send(project, [*calls(3, end=NOON - 2 * HOUR, is_error=True), *calls(3, end=NOON - HOUR)])
    found = history_of(draft(project, window_minutes=120))
    assert len(found) == 720
    assert [found[NOON - back * HOUR] for back in (3, 2, 1, 0)] == [None, 100, 50, 0]
    alert = draft(project, window_minutes=120)
    course = measure_for("error_rate").history(alert, NOON - MONTH, NOON)
    assert not course.is_coarse
    # The pure engine finds what it would have done.
    fired = replayed(terms_of(alert), course.points, samples=course.samples)
    assert [one.at for one in fired] == [NOON - 2 * HOUR]


def test_a_window_below_an_hour_is_drawn_by_hours_and_by_minutes_where_they_are_kept() -> None:
    project = ProjectFactory()
    send(project, [*calls(6, is_error=True), *calls(9, end=NOON - 20 * MINUTE)])
    send(project, calls(3, end=NOON - 20 * HOUR, is_error=True))
    alert = draft(project, window_minutes=15)
    course = measure_for("error_rate").history(alert, NOON - MONTH, NOON)
    assert course.is_coarse
    assert "kept by the hour" in course.note
    assert history_of(alert)[NOON] == 40
    alert.save()
    roll()
    fine = measure_for("error_rate").history(alert, NOON - MONTH, NOON)
    values = {one.at: one.value for one in fine.points}
    assert [values[NOON - back * MINUTE] for back in (0, 15, 20)] == [100, 0, 0]
    assert values[NOON - 20 * HOUR] == 100
    assert "on they are drawn as they are" in fine.note


def test_the_past_of_a_change_latency_money_and_a_user() -> None:
    project = ProjectFactory()
    send(
        project,
        [
            *calls(2, end=NOON - HOUR, user_id="ann", latency_ms=100.0),
            *calls(4, user_id="ann", latency_ms=900.0),
            *calls(4, model="nobody-knows-it", client_cost_usd=None),
        ],
    )
    change = history_of(draft(project, "spend", window_minutes=60, compare_with="before"))
    assert (change[NOON], change[NOON - HOUR]) == (100, None)
    latency = history_of(draft(project, "latency", window_minutes=60, percentile=50))
    assert latency[NOON] == pytest.approx(Decimal(900), rel=Decimal("0.1"))
    assert latency[NOON - 2 * HOUR] is None
    assert history_of(draft(project, "spend", window_minutes=60, user_id="ann"))[NOON] == 1
    assert history_of(draft(project, "spend", window_minutes=60, user_id="bob"))[NOON] == 0
    unknown = draft(project, "spend", window_minutes=60, model="nobody-knows-it")
    assert history_of(unknown)[NOON] is None


def test_the_past_of_an_organisation_holds_its_projects_and_no_other() -> None:
    project = ProjectFactory()
    sister, stranger = ProjectFactory(organization=project.organization), ProjectFactory()
    for one, count in ((project, 1), (sister, 2), (stranger, 4)):
        send(one, calls(count))
    wide = draft(project, "spend", window_minutes=60)
    wide.project = None
    assert history_of(wide)[NOON] == Decimal("0.75")


@pytest.mark.parametrize("window", [5, 60, 10080])
def test_a_past_is_a_few_queries(window: int, django_assert_max_num_queries: Any) -> None:
    project = ProjectFactory()
    alert = rule(project, "latency", window_minutes=window)
    send(project, calls(3, latency_ms=5.0))
    if window < 60:
        roll()
    with django_assert_max_num_queries(5):
        measure_for("latency").history(alert, NOON - MONTH, NOON)


def evidence_of(alert: Alert) -> Any:
    roll()
    measure = measure_for(alert.kind)
    (reading,) = measure.read([alert], NOW)
    return measure.evidence(reading, NOW)


def test_evidence_names_what_failed_and_leads_to_it(django_assert_max_num_queries: Any) -> None:
    project = ProjectFactory()
    send(
        project,
        [
            *calls(6, model="gpt-4o", agent="search", feature="chat", user_id="ann", is_error=True),
            *calls(2, agent="support", user_id="bob", is_error=True),
            *calls(12, agent="support", user_id="bob"),
        ],
    )
    alert = rule(project, environment="", window_minutes=15)
    roll()
    measure = measure_for("error_rate")
    (reading,) = measure.read([alert], NOW)
    with django_assert_max_num_queries(14):
        found = measure.evidence(reading, NOW)
    assert [(one.dimension, one.value, one.words) for one in found.causes] == [
        ("model", "gpt-4o", "6 failed calls (75.0%)"),
        ("model", "gpt-4o-mini", "2 failed calls (25.0%)"),
        ("agent", "search", "6 failed calls (75.0%)"),
        ("agent", "support", "2 failed calls (25.0%)"),
        ("feature", "chat", "6 failed calls (100%)"),
        ("user", "ann", "6 failed calls (75.0%)"),
        ("user", "bob", "2 failed calls (25.0%)"),
    ]
    assert dict(found.rows) == {
        "Error rate": "40.0%", "Calls": "20", "Failed": "8", "Spend": "$5.00"
    }  # fmt: skip
    assert len(found.points) == 24
    assert found.points[-1].value == 40
    start, end = f"{NOON - 15 * MINUTE:%H%%3A%M}", f"{NOON:%H%%3A%M}"
    assert found.url.startswith(f"/projects/{project.pk}/traces/?range=")
    assert start in found.url
    assert end in found.url
    assert found.url.endswith("&status=error")


def test_evidence_of_a_change_says_what_changed() -> None:
    project = ProjectFactory()
    before = NOON - 15 * MINUTE
    send(project, [*calls(8, model="gpt-4o"), *calls(2, end=before)])
    send(project, calls(2, end=before, model="gpt-4o"))
    found = evidence_of(rule(project, "spend", compare_with="before"))
    assert [(one.value, one.words) for one in found.causes] == [
        ("gpt-4o", "+$1.50 on the window before"),
        ("gpt-4o-mini", "−$0.50 on the window before"),
    ]
    assert found.rows[:2] == [("Spend", "$2.00"), ("The window before", "$1.00")]
    assert f"project={project.pk}" in found.url
    assert "/costs/?" in found.url


def test_evidence_of_latency_weighs_the_slow_calls() -> None:
    project = ProjectFactory()
    send(project, [*calls(10, latency_ms=20.0), *calls(4, model="gpt-4o", latency_ms=3000.0)])
    found = evidence_of(rule(project, "latency", percentile=90, window_minutes=30))
    assert [(one.value, one.share) for one in found.causes] == [("gpt-4o", 1)]
    assert "sort=-duration" in found.url


def test_every_kind_has_evidence_that_can_be_opened(client_of: Any, acme: Any) -> None:
    project = ProjectFactory(organization=acme.organization)
    send(project, calls(3, is_error=True, latency_ms=9.0, agent="support"))
    client = client_of(acme.viewer)
    for kind in ("spend", "cost_per_call", "unpriced", "call_rate", "token_rate", "no_data"):
        found = evidence_of(rule(project, kind, agent="support"))
        assert found.rows
        assert found.url_label
        assert client.get(found.url).status_code == 200, kind
    wide = rule(project, "error_rate")
    wide.project = None
    wide.save()
    assert client.get(evidence_of(wide).url).status_code == 200
    assert MinuteRoll.objects.count() == 1
