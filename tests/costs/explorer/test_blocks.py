"""Days behind one another: codes, lines and sessions of many days in one block, or of few in many blocks."""

import datetime as dt
import itertools
import random

import msgspec
import pytest

from costs.explorer import adding, facts
from costs.explorer.ask import Question, answer
from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from costs.usage import Usage
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


def test_token_classes_of_all_calls_some_calls_and_some_days() -> None:
    """Every call has input and output; caches are read by all calls of a day, none of the next, then in the morning,
    which is what a cut range has of that day; some calls write one."""
    memory.clear()
    forget_partitions()
    project, chance = ProjectFactory(), random.Random(5)
    calls = []
    for number in range(60):
        call = random_call(chance, number)
        read = (300, 0, 300 * (call.occurred_at.hour < 10))[(call.occurred_at - START).days]
        usage = Usage(
            input_tokens=500,
            output_tokens=9,
            cache_read_input_tokens=read,
            cache_write_input_tokens=number % 2 * 100,
        )
        calls.append(msgspec.structs.replace(call, usage=usage, client_cost_usd=None))
    record_costs(project_id=project.pk, calls=calls, now=END)
    hours = dt.timedelta(hours=7)
    classes = ((), ("cache_read",), ("input",), ("output", "cache_read"), ("nothing",))
    for by, some, cut in itertools.product(
        [(), ("token_class",), ("model", "tag")], classes, [dt.timedelta(0), hours]
    ):
        filters = (("token_class", some),) if some else ()
        span = (START + cut, END - 2 * cut)
        asked = Question((project.pk,), *span, by=by, filters=filters, measures=ASKED)
        assert_right(answer(asked))
