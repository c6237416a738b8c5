"""Rules about the average of a score."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alerts.measures import quality
from alerts.measures.base import usual_direction
from alerts.measures.registry import measure_for
from alerts.rules.forms import initial_of_new
from projects.models import Project
from tests.alerts.measures.traffic import HOUR, MINUTE, NOON, NOW, rule
from tests.factories.feedback import ScoreFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def scored(
    project: Project,
    *values: float | None,
    at: dt.datetime = NOON - MINUTE,
    name: str = "helpful",
    **facts: Any,
) -> None:
    for number, value in enumerate(values):
        moment = at - number * dt.timedelta(seconds=1)
        ScoreFactory.create(project=project, name=name, value=value, scored_at=moment, **facts)


def test_the_mean_of_a_window_by_name_and_environment() -> None:
    project, stranger = ProjectFactory(), ProjectFactory()
    scored(project, 0.5, 1.0, None)
    scored(project, 0.0, environment="staging")
    scored(project, 0.1, at=NOON)  # this minute is not over
    scored(project, 0.1, at=NOON - 16 * MINUTE)
    scored(project, 0.1, name="polite")
    scored(stranger, 0.1)
    every = rule(project, "quality", score_name="helpful", direction="below")
    staging = rule(project, "quality", score_name="helpful", environment="staging")
    few = rule(project, "quality", score_name="helpful", minimum_sample=4)
    found = quality.QUALITY.read([every, staging, few], NOW)
    assert [(one.value, one.sample) for one in found] == [(Decimal("0.5"), 3), (0, 1), (None, 3)]
    assert usual_direction(quality.QUALITY) == "below"
    assert usual_direction(measure_for("spend")) == "above"
    assert initial_of_new(quality.QUALITY)["direction"] == "below"


def test_the_change_of_a_mean_and_its_past() -> None:
    project = ProjectFactory()
    scored(project, 0.6, 0.8)
    scored(project, 1.0, at=NOON - HOUR - MINUTE)
    alert = rule(project, "quality", score_name="helpful", window_minutes=60, compare_with="before")
    (found,) = quality.QUALITY.read([alert], NOW)
    assert (found.value, found.now_value, found.before_value) == (-30, Decimal("0.7"), 1)
    course = quality.QUALITY.history(alert, NOON - 24 * HOUR, NOON)
    assert course.points[-1].value == -30
    evidence = quality.QUALITY.evidence(found, NOW)
    assert evidence.rows[:2] == [("Average of helpful", "0.7"), ("The window before", "1")]
    assert evidence.points[-1].value == -30


def test_scores_of_an_organisation_are_one_mean(client_of: Any, acme: Any) -> None:
    project = ProjectFactory(organization=acme.organization)
    sister = ProjectFactory(organization=project.organization)
    scored(project, 0.0)
    scored(sister, 1.0)
    wide = rule(project, "quality", score_name="helpful")
    wide.project = None
    wide.save()
    (found,) = quality.QUALITY.read([wide], NOW)
    assert (found.value, found.sample) == (Decimal("0.5"), 2)
    levels = [{"limit": "0.6", "severity": "error"}]
    narrow = rule(project, "quality", score_name="helpful", levels=levels, direction="below")
    url = quality.QUALITY.evidence(quality.QUALITY.read([narrow], NOW)[0], NOW).url
    assert "score.helpful" in url
    assert client_of(acme.viewer).get(url).status_code == 200


def test_many_rules_about_scores_are_one_query(django_assert_num_queries: Any) -> None:
    project = ProjectFactory()
    rules = [rule(project, "quality", score_name=f"score-{n}") for n in range(30)]
    with django_assert_num_queries(1):
        assert len(measure_for("quality").read(rules, NOW)) == 30
