"""Which traces the explorer is told are solved, and what a solved task then costs."""

import datetime as dt
from decimal import Decimal

import pytest

from costs.explorer.ask import Question, answer
from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from costs.usage import ChargeableCall
from tests.factories.feedback import ScoreDefinitionFactory, ScoreFactory
from tests.factories.projects import ProjectFactory

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
