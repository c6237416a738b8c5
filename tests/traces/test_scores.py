"""Storing scores, and finding traces by them."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from core.errors import DomainError
from projects.models import Project
from tests.factories.feedback import ScoreDefinitionFactory, ScoreFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import TraceFactory
from traces.feedback.scores import ScoreItem, ScoreOutcome, delete_scores, record_scores
from traces.models import Score, Trace
from traces.selectors.scores import (
    ScoreFact,
    has_score,
    score_condition,
    score_facts,
    score_names,
)

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
CATEGORY: dict[str, Any] = {"data_type": "categorical", "value": None}


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def record(project: Project, *items: ScoreItem, now: dt.datetime = NOW) -> list[ScoreOutcome]:
    return record_scores(project_id=project.pk, items=items, now=now)


def item(**fields: Any) -> ScoreItem:
    return ScoreItem(
        **{"name": "helpful", "value": 0.5, "score_id": "s1", "trace_id": "t1"} | fields
    )


def row(project: Project, score_id: str = "s1") -> Score:
    return Score.objects.get(project=project, score_id=score_id)


def test_a_score_may_arrive_before_its_trace(project: Project) -> None:
    assert record(project, item()) == [ScoreOutcome("s1", "stored")]
    found = row(project)
    assert (found.value, found.data_type, found.source, found.scored_at) == (0.5, "numeric", "api", NOW)  # fmt: skip


def test_the_same_content_again_changes_nothing(project: Project) -> None:
    record(project, item(reason="short", metadata={"run": 7}))
    later = NOW + dt.timedelta(hours=1)
    again = record(project, item(reason="short", metadata={"run": 7}), now=later)
    assert again == [ScoreOutcome("s1", "duplicate")]
    assert (row(project).updated_at, row(project).scored_at) == (NOW, NOW)


def test_the_same_id_with_other_content_corrects_the_score(project: Project) -> None:
    record(project, item())
    later = NOW + dt.timedelta(hours=1)
    assert record(project, item(value=0.75), now=later) == [ScoreOutcome("s1", "updated")]
    found = row(project)
    assert (found.value, found.created_at, found.updated_at) == (0.75, NOW, later)
    assert Score.objects.filter(project=project).count() == 1


def test_the_same_id_in_another_project_is_another_score(project: Project) -> None:
    other = ProjectFactory()
    record(project, item())
    assert record(other, item(value=1)) == [ScoreOutcome("s1", "stored")]
    assert (row(project).value, row(other).value) == (0.5, 1.0)


def test_of_two_with_one_id_in_a_batch_the_last_counts(project: Project) -> None:
    found = record(project, item(value=0.1), item(value=0.9))
    assert found == [ScoreOutcome("s1", "stored"), ScoreOutcome("s1", "stored")]
    assert row(project).value == 0.9


def test_a_batch_is_two_statements(project: Project, django_assert_num_queries: Any) -> None:
    items = [item(score_id=f"s{n}", value=n / 1000) for n in range(1000)]
    with django_assert_num_queries(2):
        found = record(project, *items)
    assert {one.outcome for one in found} == {"stored"}
    assert Score.objects.filter(project=project).count() == 1000


@pytest.mark.parametrize(
    ("value", "data_type", "stored"),
    [
        (0.25, "", ("numeric", 0.25, "")),
        (3, "numeric", ("numeric", 3.0, "")),
        (True, "", ("boolean", 1.0, "")),
        (0, "boolean", ("boolean", 0.0, "")),
        (" rude ", "", ("categorical", None, "rude")),
    ],
)
def test_types(project: Project, value: Any, data_type: str, stored: tuple[Any, ...]) -> None:
    record(project, item(value=value, data_type=data_type))
    found = row(project)
    assert (found.data_type, found.value, found.text) == stored


@pytest.mark.parametrize(
    ("fields", "field", "detail"),
    [
        ({"name": ""}, "name", 'name is ""; it must have 1 to 100 printable characters.'),
        ({"name": "a\x00b"}, "name", "printable"),
        ({"value": "x", "data_type": "numeric"}, "value", 'value is "x"; a numeric score is a number.'),
        ({"value": True, "data_type": "numeric"}, "value", "value is true; a numeric score is a number."),
        ({"value": None}, "value", "value is null; a numeric score is a number."),
        ({"value": float("nan")}, "value", 'value is "nan"; it must be a finite number.'),
        ({"value": 10**400}, "value", "finite"),
        ({"value": 2, "data_type": "boolean"}, "value", "value is 2; a yes-or-no score is true, false, 1 or 0."),
        ({"value": "", "data_type": "categorical"}, "value", "a category is a text of 1 to 200 characters"),
        ({"value": "x" * 201}, "value", "a category is a text"),
        ({"value": [1]}, "value", "value is an object or list; a numeric score is a number."),
        ({"data_type": "stars"}, "data_type", "numeric, categorical, boolean"),
        ({"score_id": "a b"}, "score_id", 'score_id is "a b"; it must be 1 to 128 letters'),
        ({"trace_id": "a/b"}, "trace_id", "letters"),
        ({"trace_id": "", "span_id": "s"}, "trace_id", "a score of a step must name its trace"),
        ({"trace_id": ""}, "trace_id", "a score must name a trace or a session"),
        ({"session_id": "s" * 201}, "session_id", "200 characters"),
        ({"source": "robot"}, "source", "api, annotation, eval"),
        ({"metadata": {"x": "y" * 17_000}}, "metadata", "16384"),
    ],
)  # fmt: skip
def test_a_bad_item_refuses_itself_only(
    project: Project, fields: dict[str, Any], field: str, detail: str
) -> None:
    bad, good = record(project, item(**fields), item(score_id="good"))
    assert (bad.outcome, bad.field, good.outcome) == ("rejected", field, "stored")
    assert detail in bad.detail
    assert list(Score.objects.filter(project=project).values_list("score_id", flat=True)) == [
        "good"
    ]


@pytest.mark.parametrize(
    ("definition", "value", "detail"),
    [
        ({"min_value": 0, "max_value": 1}, 1.5, "value is 1.5; helpful is at most 1."),
        ({"min_value": 0, "max_value": 1}, -1, "value is -1.0; helpful is at least 0."),
        ({"data_type": "categorical", "categories": ["good", "bad"]}, "so-so",
         'value is "so-so"; helpful is one of good, bad.'),
        ({"data_type": "boolean"}, 0.5, "value is 0.5; a yes-or-no score is true, false, 1 or 0."),
    ],
)  # fmt: skip
def test_values_are_checked_against_the_definition(
    project: Project, definition: dict[str, Any], value: Any, detail: str
) -> None:
    ScoreDefinitionFactory(project=project, name="helpful", **definition)
    [found] = record(project, item(value=value))
    assert (found.outcome, found.field, found.detail) == ("rejected", "value", detail)


def test_another_projects_definition_does_not_count(project: Project) -> None:
    ScoreDefinitionFactory(name="helpful", max_value=0.1)
    assert record(project, item())[0].outcome == "stored"


def test_a_stated_type_that_contradicts_the_definition_is_refused(project: Project) -> None:
    ScoreDefinitionFactory(project=project, name="helpful", data_type="boolean")
    [found] = record(project, item(value=1, data_type="numeric"))
    assert found.detail == 'data_type is "numeric"; the project defines helpful as boolean.'


def test_deleting_stays_inside_the_project(project: Project) -> None:
    other = ProjectFactory()
    record(project, item())
    record(other, item())
    assert delete_scores(project_id=project.pk, score_ids=["s1", "unknown"]) == 1
    assert row(other).value == 0.5


def test_facts_of_listed_traces(project: Project, django_assert_num_queries: Any) -> None:
    ScoreFactory(project=project, trace_id="a", value=0.0)
    ScoreFactory(project=project, trace_id="a", span_id="step", value=1.0)
    for text in ("rude", "kind", "kind"):
        ScoreFactory(project=project, trace_id="b", name="tone", text=text, **CATEGORY)
    ScoreFactory(trace_id="a", value=0.9)
    with django_assert_num_queries(1):
        found = score_facts(project, ["a", "b", "c"])
    assert found == {
        "a": [ScoreFact("helpful", "numeric", 2, 0.5, "")],
        "b": [ScoreFact("tone", "categorical", 3, None, "kind")],
    }


@pytest.mark.parametrize(
    ("name", "op", "value", "ids"),
    [
        ("helpful", "", "", {"low", "high"}),
        ("helpful", ">", "0.5", {"high"}),
        ("helpful", ">=", "0.9", {"high"}),
        ("helpful", "<", "0.5", {"low"}),
        ("helpful", "=", "0.1", {"low"}),
        ("tone", "=", "RUDE", {"rude"}),
        ("tone", "=", "ru*", {"rude"}),
        ("thumbs", "=", "up", {"up"}),
        ("thumbs", "=", "false", set()),
        ("other", "", "", set()),
    ],
)
def test_traces_by_score(project: Project, name: str, op: str, value: str, ids: set[str]) -> None:
    for trace_id in ("low", "high", "rude", "up", "none"):
        TraceFactory(project=project, trace_id=trace_id)
    ScoreFactory(project=project, trace_id="low", value=0.1)
    ScoreFactory(project=project, trace_id="high", span_id="x", value=0.9)
    ScoreFactory(project=project, trace_id="rude", name="tone", text="rude", **CATEGORY)
    ScoreFactory(project=project, trace_id="up", name="thumbs", data_type="boolean", value=1.0)
    ScoreFactory(trace_id="none", value=0.9)
    traces = Trace.objects.filter(project=project)
    found = traces.filter(score_condition(name, op, value))
    assert {trace.trace_id for trace in found} == ids
    assert {trace.trace_id for trace in traces.filter(~has_score())} == {"none"}


@pytest.mark.parametrize(("op", "value"), [(">", "good"), ("!", "1"), (">", "nan")])
def test_what_cannot_be_compared_says_so(op: str, value: str) -> None:
    with pytest.raises(DomainError) as error:
        score_condition("tone", op, value)
    assert error.value.fields == ("score.tone",)


def test_names_in_use(project: Project) -> None:
    for name in ("tone", "helpful", "Tidy"):
        ScoreFactory(project=project, name=name, scored_at=timezone.now())
    ScoreFactory(name="foreign")
    assert score_names(project) == ["helpful", "Tidy", "tone"]
    assert score_names(project, starting="t") == ["Tidy", "tone"]
