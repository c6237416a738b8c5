"""A pivot's rows, columns, rest and totals against answers that were asked for one by one."""

import datetime as dt
import itertools
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from costs.explorer.ask import DIMENSIONS, Question, answer
from costs.explorer.dimensions import REPEATED
from costs.explorer.facts import memory
from costs.explorer.pivot import pivoted
from costs.services.record_costs import forget_partitions, record_costs
from tests.costs.explorer.oracle import START, random_call
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
END = START + dt.timedelta(days=3)
SUMS = ("cost_usd", "calls", "errors", "total_tokens", "cache_savings_usd")
RATIOS = ("cost_per_call", "cost_per_user", "cost_per_session", "users", "sessions")


@pytest.fixture
def question():
    memory.clear()
    forget_partitions()
    chance, projects = random.Random(11), ProjectFactory.create_batch(2)
    for project in projects:
        calls = [random_call(chance, number) for number in range(60)]
        record_costs(project_id=project.pk, calls=calls, now=END)
    ids = tuple(sorted(one.pk for one in projects))
    return Question(ids, START, END, bin="day", measures=(*SUMS, *RATIOS), limit=2)


def test_rows_columns_and_rest_add_up(question) -> None:
    plain = [name for name in DIMENSIONS if name not in REPEATED]
    for by in itertools.islice(itertools.permutations(plain, 2), 0, None, 7):
        found = pivoted(replace(question, by=by), columns=2)
        for name in SUMS:
            down = [*found.rows.groups, *filter(None, [found.rows.other])]
            across = [*found.columns.groups, *filter(None, [found.columns.other])]
            for side in (down, across):
                whole = sum(Decimal(row[name] or 0) for row in side)
                assert whole == (found.rows.total[name] or 0), (by, name)
            for place, row in enumerate(down):
                cells = [found.cells.get((place, at), {}).get(name) for at in range(len(across))]
                assert sum(Decimal(one or 0) for one in cells) == (row[name] or 0), (by, name)


def test_sides_are_the_answers_of_one_dimension(question) -> None:
    for by in (("model", "user"), ("project", "agent"), ("tag", "model"), ("feature", "token_class")):  # fmt: skip
        found = pivoted(replace(question, by=by), columns=3)
        rows = answer(replace(question, by=by[:1]))
        columns = answer(replace(question, by=by[1:], bin="", limit=3))
        for side, asked in ((found.rows, rows), (found.columns, columns)):
            for part in ("groups", "rows", "other", "other_bins", "total", "totals", "group_count"):
                assert getattr(side, part) == getattr(asked, part), (by, part)


def test_a_cell_is_the_answer_of_its_two_filters(question) -> None:
    by = ("model", "agent")
    found = pivoted(replace(question, by=by), columns=3)
    assert len(found.cells) >= 6
    for place, row in enumerate(found.rows.groups):
        for at, column in enumerate(found.columns.groups):
            filters = ((by[0], row.key), (by[1], column.key))
            alone = answer(replace(question, filters=filters))
            if alone.total["calls"]:
                assert found.cells[place, at] == alone.total.values
            else:
                assert (place, at) not in found.cells
