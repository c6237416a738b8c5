"""Which traces the explorer is told are solved, and what a solved task then costs."""

import datetime as dt
from decimal import Decimal

import pytest

from core.errors import DomainError
from costs.explorer.ask import Question, answer
from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from costs.usage import ChargeableCall
from tests.factories.feedback import ScoreDefinitionFactory, ScoreFactory
from tests.factories.projects import ProjectFactory
from traces.feedback.definitions import Rules, define_score

pytestmark = pytest.mark.django_db
START = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)


def test_a_solved_task_costs_what_all_judged_tasks_cost() -> None:
    memory.clear()
    forget_partitions()
    project, other = ProjectFactory(), ProjectFactory()
    calls = [
        ChargeableCall(
            record_id=f"r{number}",
            trace_id=f"t{number}",
            occurred_at=START,
            client_cost_usd=Decimal(number),
        )
        for number in range(1, 8)
    ]
    record_costs(project_id=project.pk, calls=calls, now=START)
    ScoreDefinitionFactory(project=project, name="success", data_type="numeric", min_value=1, max_value=5)  # fmt: skip
    scores = [
        ("t1", {"name": "Solved", "data_type": "boolean", "value": 1}),
        ("t1", {"name": "solved", "data_type": "boolean", "value": 0}),
        ("t2", {"name": "solved", "data_type": "boolean", "value": 0}),
        ("t3", {"name": "success", "data_type": "numeric", "value": 3}),
        ("t4", {"name": "success", "data_type": "numeric", "value": 2.9}),
        ("t5", {"name": "resolved", "data_type": "categorical", "value": None, "text": "Yes"}),
        ("t6", {"name": "tone", "data_type": "boolean", "value": 1}),
    ]
    for trace, facts in scores:
        ScoreFactory(project=project, trace_id=trace, span_id="", scored_at=START, **facts)
    yes = {"name": "solved", "data_type": "boolean", "value": 1, "scored_at": START}
    ScoreFactory(project=other, trace_id="t7", **yes)
    measures = ("solved_tasks", "cost_per_solved_task")
    found = answer(Question((project.pk,), START, START + dt.timedelta(days=1), measures=measures))
    assert found.total["solved_tasks"] == 3
    assert found.total["cost_per_solved_task"] == Decimal(1 + 2 + 3 + 4 + 5) / 3


def test_a_project_chooses_which_scores_judge() -> None:
    memory.clear()
    forget_partitions()
    project = ProjectFactory()
    calls = [
        ChargeableCall(record_id=f"r{n}", trace_id=f"t{n}", occurred_at=START, client_cost_usd=Decimal(n))
        for n in range(1, 7)
    ]  # fmt: skip
    record_costs(project_id=project.pk, calls=calls, now=START)
    for facts in (
        {"name": "grade", "data_type": "numeric", "solved_from": 0.8},
        {"name": "verdict", "data_type": "categorical", "solved_words": ["Fixed"]},
        {"name": "ok", "data_type": "boolean"},
    ):
        ScoreDefinitionFactory(project=project, says_solved=True, **facts)
    for trace, facts in (
        ("t1", {"name": "grade", "data_type": "numeric", "value": 0.8}),
        ("t2", {"name": "grade", "data_type": "numeric", "value": 0.79}),
        ("t3", {"name": "verdict", "data_type": "categorical", "value": None, "text": "Fixed"}),
        ("t4", {"name": "verdict", "data_type": "categorical", "value": None, "text": "yes"}),
        ("t5", {"name": "ok", "data_type": "boolean", "value": 1}),
        # Names no longer count once the project has chosen.
        ("t6", {"name": "solved", "data_type": "boolean", "value": 1}),
    ):
        ScoreFactory(project=project, trace_id=trace, span_id="", scored_at=START, **facts)
    measures = ("solved_tasks", "cost_per_solved_task")
    found = answer(Question((project.pk,), START, START + dt.timedelta(days=1), measures=measures))
    assert found.total["solved_tasks"] == 3
    assert found.total["cost_per_solved_task"] == Decimal(1 + 2 + 3 + 4 + 5) / 3


@pytest.mark.parametrize(
    ("data_type", "rules", "field"),
    [
        ("numeric", {"says_solved": True}, "solved_from"),
        ("numeric", {"solved_from": 1.0}, "solved_from"),
        ("numeric", {"says_solved": True, "solved_from": 9.0, "max_value": 5.0}, "solved_from"),
        ("boolean", {"says_solved": True, "solved_from": 1.0}, "solved_from"),
        ("categorical", {"says_solved": True}, "solved_words"),
        ("categorical", {"says_solved": True, "categories": ["a"], "solved_words": ["b"]}, "solved_words"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_judged_is_refused(data_type, rules, field) -> None:
    project = ProjectFactory()
    with pytest.raises(DomainError) as refused:
        define_score(
            project=project, name="grade", data_type=data_type, rules=Rules(**rules), actor=None
        )
    assert refused.value.fields == (field,)
    assert not project.score_definitions.exists()
