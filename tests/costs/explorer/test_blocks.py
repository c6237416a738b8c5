"""Days behind one another: codes, lines and sessions of many days in one block, or of few in many blocks."""

import datetime as dt
import random

import pytest

from costs.explorer import adding, facts
from costs.explorer.ask import Question, answer
from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from tests.costs.explorer.oracle import ASKED, START, assert_right, random_call
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
END = START + dt.timedelta(days=3)
# More lines a day than a byte counts, which is how their places are kept.
CALLS = 700
PAIRS = (("token_class", "tag"), ("user", "tag"), ("customer", "model"))


@pytest.mark.parametrize("has_few_lists", [True, False])
@pytest.mark.parametrize("rows", [1 << 20, 300])
def test_blocks_and_lists_of_any_size_say_the_same(rows, has_few_lists, monkeypatch) -> None:
    monkeypatch.setattr(facts, "BLOCK_ROWS", rows)
    monkeypatch.setattr(adding.Block, "has_few_lists", lambda block: has_few_lists)
    memory.clear()
    forget_partitions()
    project, chance = ProjectFactory(), random.Random(3)
    calls = [random_call(chance, number) for number in range(CALLS)]
    record_costs(project_id=project.pk, calls=calls, now=END)
    for by in PAIRS:
        assert_right(answer(Question((project.pk,), START, END, by=by, measures=ASKED)))
    asked = Question(
        (project.pk,), START, END, by=("tag",), bin="hour", measures=("users", "calls")
    )
    found = answer(asked)
    assert_right(found)
    assert all(row["calls"] for row in found.totals)
