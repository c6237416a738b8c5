"""Rules about the gateway: each fires and recovers, sees only its own tenant, and leads to what it is about."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from alerts import checking
from alerts.measures.calls import FALLBACKS, MEASURES, QUEUE_WAIT
from alerts.measures.registry import measure_for
from alerts.models import Alert, AlertEvent
from alerts.rules.preview import preview_of
from core.ids import uuid7
from costs.histogram import histogram_of
from gateway.models import CallSum, CircuitOpening, ShadowCheck
from gateway.sums.adding import COUNTS, HOUR, MINUTE, MONEY
from projects.models import Project
from tests.alerts.measures.traffic import NOON, NOW, rule
from tests.factories.gateway import ConnectionFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
A_MINUTE = dt.timedelta(minutes=1)


def ended(
    project: Project, at: dt.datetime, *, model: str = "smart", wait_ms: float = 0, **counts: int
) -> None:
    """Calls that ended then, as the recorder sums them up."""
    waits = histogram_of([wait_ms] * counts["calls"]) if wait_ms else [0] * 126
    for step, moment in ((MINUTE, at), (HOUR, at.replace(minute=0))):
        row, _ = CallSum.objects.get_or_create(
            project=project, step=step, at=moment, model=model,
            defaults=dict.fromkeys((*COUNTS, *MONEY), 0) | {"waits": [0] * 126},
        )  # fmt: skip
        for name, count in counts.items():
            setattr(row, name, getattr(row, name) + count)
        row.waits = [a + b for a, b in zip(list(row.waits), waits, strict=True)]
        row.save()


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory.create(organization=acme.organization)
    return made


FIRING: dict[str, tuple[dict[str, Any], str, str]] = {
    "fallbacks": ({"calls": 10, "tried": 8, "fell_back": 2}, "25.0%", "fallback=yes"),
    "calls_limited": ({"calls": 10, "limited": 1}, "10.0%", "state=limited"),
    "queue_wait": ({"calls": 10, "wait_ms": 2500}, "2.64 s", ""),
}


@pytest.mark.parametrize("kind", FIRING)
def test_rules_about_calls_fire_recover_and_lead_to_them(
    project: Project, acme: SimpleNamespace, client_of: Any, kind: str
) -> None:
    counts, said, query = FIRING[kind]
    limit = "2000" if kind == "queue_wait" else "10"
    ended(project, NOON - A_MINUTE, **counts)
    ended(ProjectFactory.create(), NOON - 2 * A_MINUTE, calls=1000, tried=1000)  # a stranger's
    ended(project, NOON, calls=1000, tried=1000, wait_ms=5)  # this minute is not over
    levels = [{"limit": limit, "severity": "warning"}]
    watching = rule(project, kind, levels=levels, minimum_sample=5, window_minutes=1)
    other = rule(ProjectFactory.create(), kind, levels=levels)
    (event,) = checking.evaluate_windowed(NOW)
    assert (event.alert, event.state) == (watching, "firing")
    assert said in event.title
    assert event.evidence["causes"][0]["value"] == "smart"
    url = event.evidence["url"]
    assert query in url
    assert client_of(acme.viewer).get(url).status_code == 200
    assert not AlertEvent.objects.filter(alert=other).exists()
    (event,) = checking.evaluate_windowed(NOW + A_MINUTE)
    assert event.state == "resolved"


def test_a_change_a_route_and_a_whole_organisation(project: Project) -> None:
    sister = ProjectFactory.create(organization=project.organization)
    ended(project, NOON - A_MINUTE, tried=10, fell_back=4, calls=10)
    ended(sister, NOON - A_MINUTE, tried=30, fell_back=1, calls=30, model="cheap")
    ended(project, NOON - 20 * A_MINUTE, tried=10, fell_back=2, calls=10)
    narrow = rule(project, "fallbacks", model="SMART")
    before = rule(project, "fallbacks", compare_with="before")
    wide = rule(project, "fallbacks", minimum_sample=40)
    wide.project = None
    wide.save()
    few = rule(project, "fallbacks", minimum_sample=11)
    found = FALLBACKS.read([narrow, before, wide, few], NOW)
    assert [one.value for one in found] == [40, 100, Decimal("12.5"), None]
    evidence = FALLBACKS.evidence(found[2], NOW)
    assert str(project.pk) in evidence.url
    assert [one.value for one in evidence.causes] == ["smart", "cheap"]
    assert FALLBACKS.evidence(found[1], NOW).rows[1] == ("The window before", "20.0%")


def test_thirty_days_of_calls_are_drawn(project: Project) -> None:
    for day, wait_ms in ((2, 4000), (5, 10), (9, 4000)):
        ended(project, NOON - day * 24 * 60 * A_MINUTE, calls=10, wait_ms=wait_ms)
    alert = rule(project, "queue_wait", levels=[{"limit": "3000", "severity": "error"}])
    assert preview_of(alert, NOW).words == "It would have fired 2 times in the last 30 days."
    week = rule(project, "queue_wait", window_minutes=7 * 1440)
    assert QUEUE_WAIT.history(week, NOON - dt.timedelta(days=30), NOON).samples[-1] == 20


def test_many_rules_are_one_query(project: Project, django_assert_num_queries: Any) -> None:
    for measure in (*MEASURES, measure_for("circuit_open"), measure_for("cache_wrong")):
        rules = [rule(project, measure.kind, window_minutes=n + 1) for n in range(30)]
        with django_assert_num_queries(1):
            measure.read(rules, NOW)


@pytest.fixture
def opening(project: Project) -> Callable[..., CircuitOpening]:
    west = ConnectionFactory.create(organization=project.organization, name="West")

    def opened(minutes_ago: float, closed_ago: float | None = None, **more: Any) -> CircuitOpening:
        closed = None if closed_ago is None else NOW - closed_ago * A_MINUTE
        values = {"connection": west, "model": "gpt-4o", "why": "5 failures in a row", **more}
        return CircuitOpening.objects.create(
            opened_at=NOW - minutes_ago * A_MINUTE, closed_at=closed, **values
        )

    return opened


def test_an_open_circuit_fires_once_per_circuit_and_recovers(
    project: Project, acme: SimpleNamespace, client_of: Any, opening: Callable[..., CircuitOpening]
) -> None:
    row = opening(0.5)
    opening(300, 200)
    levels = [{"limit": "1", "severity": "warning"}, {"limit": "5", "severity": "critical"}]
    rule(project, "circuit_open", levels=levels)
    rule(project, "circuit_open", levels=levels, model="gpt-5")
    rule(ProjectFactory.create(), "circuit_open", levels=levels)
    (event,) = checking.check_news(NOW)
    assert (event.state, event.severity) == ("firing", "warning")
    assert event.title == "West, gpt-4o: circuit open"
    assert "5 failures in a row" in event.words
    assert "The limit is 1 minute" in event.words
    assert client_of(acme.viewer).get(event.evidence["url"]).status_code == 200
    (event,) = checking.check_news(NOW + 5 * A_MINUTE)
    assert event.severity == "critical"
    row.closed_at = NOW + 6 * A_MINUTE
    row.save()
    assert checking.check_news(NOW + 7 * A_MINUTE) == []
    (event,) = checking.check_news(NOW + 8 * A_MINUTE)
    assert event.state == "resolved"


def test_a_short_opening_is_told_and_one_of_a_connection_switched_off_ends(
    project: Project, opening: Callable[..., CircuitOpening]
) -> None:
    row = opening(0.7, 0.4)
    alert = rule(project, "circuit_open", levels=[{"limit": "1", "severity": "warning"}])
    assert [event.state for event in checking.check_news(NOW)] == ["firing"]
    row.connection.is_enabled = False
    row.connection.save()
    (event,) = checking.check_news(NOW + A_MINUTE)
    assert event.state == "resolved"
    opening(50 * 60, 48 * 60)
    opening(500 * 60, None, connection=ConnectionFactory.create(project=project))  # a stranger's
    assert preview_of(alert, NOW).words == "It would have fired 2 times in the last 30 days."


def test_a_project_hears_of_the_connections_it_may_call(
    project: Project, opening: Callable[..., CircuitOpening]
) -> None:
    sister = ProjectFactory.create(organization=project.organization)
    own = ConnectionFactory.create(organization=project.organization, project=sister, kind="azure")
    opening(3, connection=own)
    measure = measure_for("circuit_open")
    rules = [rule(project, "circuit_open"), rule(sister, "circuit_open", provider="Azure")]
    assert [one.alert for one in measure.read(rules, NOW)] == [rules[1]]
    assert measure.read([rule(sister, "circuit_open", provider="openai")], NOW) == []


def checked(project: Project, *answers: bool | None, ago: int = 1, route: str = "faq") -> None:
    for number, is_right in enumerate(answers):
        at = NOON - ago * A_MINUTE - number * dt.timedelta(seconds=1)
        ShadowCheck.objects.create(
            project=project, id=uuid7(), route=route, cached_id=uuid7(), similarity=0.98, threshold=0.97,
            is_right=is_right, checked_at=at,
        )  # fmt: skip


def test_wrong_cache_hits_fire_and_recover(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    checked(project, True, True, True, False, None, None)
    checked(project, True, False, route="hr")
    checked(project, False, False, ago=90)
    checked(project, False, ago=-1)  # this minute is not over
    checked(ProjectFactory.create(), False, False, False)
    levels = [{"limit": "25", "severity": "error"}]
    alert = rule(project, "cache_wrong", model="FAQ", levels=levels, minimum_sample=4)
    rule(project, "cache_wrong", levels=levels, minimum_sample=7)
    rule(ProjectFactory.create(), "cache_wrong", levels=levels)
    (event,) = checking.evaluate_windowed(NOW)
    assert (event.alert, event.value, event.state) == (alert, 25, "firing")
    assert "25.0% of 4 checked hits" in event.words
    assert event.evidence["causes"][0]["value"] == "faq"
    assert client_of(acme.viewer).get(event.evidence["url"]).status_code == 200
    checked(project, *[True] * 9, ago=-1)
    (event,) = checking.evaluate_windowed(NOW + 3 * A_MINUTE)
    assert event.state == "resolved"
    assert preview_of(Alert(**_draft(alert)), NOW).words.startswith("It would have fired once")


def _draft(alert: Alert) -> dict[str, Any]:
    names = ("organization", "project", "kind", "model", "levels", "minimum_sample")
    return {name: getattr(alert, name) for name in names}


def test_the_form_says_what_a_gateway_rule_is_narrowed_by(
    acme: SimpleNamespace, client_of: Any
) -> None:
    page = reverse("alerts:rule_create", args=[acme.organization.slug])
    client = client_of(acme.admin)
    assert "Route or model asked for" in client.get(f"{page}?kind=fallbacks").content.decode()
    assert "Percentile" in client.get(f"{page}?kind=queue_wait").content.decode()
