"""What the explorer answers, against the ledger's rows."""

import dataclasses
import datetime as dt
import itertools
import random
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection

from core.errors import DomainError
from costs.explorer import outcomes
from costs.explorer.ask import DIMENSIONS, Question, answer
from costs.explorer.facts import memory
from costs.explorer.outcomes import Judged
from costs.services.record_costs import forget_partitions, record_costs
from costs.usage import ChargeableCall, Usage
from tests.costs.explorer.oracle import ASKED, START, assert_right, random_call
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
END = START + dt.timedelta(days=3)


@pytest.fixture(autouse=True)
def fresh_process():
    memory.clear()
    forget_partitions()


@pytest.fixture
def projects():
    chance = random.Random(5)
    found = ProjectFactory.create_batch(2)
    for number, project in enumerate(found):
        calls = [random_call(chance, n) for n in range(80 if number else 40)]
        record_costs(project_id=project.pk, calls=calls, now=END)
    return found


def hash_of(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtextextended(%s, 0)", [text])
        return cursor.fetchone()[0]


@pytest.fixture
def scores(monkeypatch):
    verdicts = [Judged(hash_of("t1"), True), Judged(hash_of("t2"), False), Judged(hash_of("t3"), True)]  # fmt: skip
    monkeypatch.setattr(
        outcomes, "_sources", [lambda ids, start, end: dict.fromkeys(ids, verdicts)]
    )
    return {"solved": {"t1", "t3"}, "judged": {"t1", "t2", "t3"}}


def test_every_pair_of_dimensions_is_exact(projects, scores) -> None:
    ids: tuple[UUID, ...] = tuple(one.pk for one in projects)
    for by in [(), *itertools.permutations(DIMENSIONS, 1), *itertools.combinations(DIMENSIONS, 2)]:
        assert_right(answer(Question(ids, START, END, by=by, measures=ASKED)), **scores)


@pytest.mark.parametrize("size", ["hour", "day", "week", "month"])
def test_bins_cut_ranges_and_filters_are_exact(projects, scores, size) -> None:
    ids = tuple(one.pk for one in projects)
    start, end = START + dt.timedelta(hours=5), END - dt.timedelta(hours=30)
    filters = (
        (("tag", ("beta", "")),),
        (("token_class", ("input", "cache_read")), ("agent", ("", "writer"))),
        (("customer", ("",)), ("team", ("red", "")), ("model", ("gpt-5-mini", "acme-70b"))),
        (("project", (str(ids[0]),)), ("user", ("ada", "nobody"))),
    )
    for by, chosen in itertools.product([(), ("model", "tag"), ("token_class", "user")], filters):
        asked = Question(ids, start, end, by=by, bin=size, filters=chosen, measures=ASKED)
        assert_right(answer(asked), **scores)


def test_the_rest_is_one_group_and_everything_adds_up(projects) -> None:
    ids = tuple(one.pk for one in projects)
    measures = ("cost_usd", "calls", "users", "cost_per_user")
    asked = Question(ids, START, END, by=("user", "model"), bin="day", measures=measures)
    whole, cut = answer(asked), answer(dataclasses.replace(asked, limit=3))
    assert [row.key for row in cut.groups] == [row.key for row in whole.groups][:3]
    costs = [row["cost_usd"] or 0 for row in whole.groups]
    assert costs == sorted(costs, reverse=True)
    assert cut.group_count == len(whole.groups)
    for name in ("cost_usd", "calls"):
        parts = [*cut.groups, cut.other]
        assert sum(row[name] or 0 for row in parts) == cut.total[name] == whole.total[name]
        bins = [row[name] or 0 for row in (*cut.rows, *cut.other_bins)]
        assert sum(bins) == cut.total[name] == sum(row[name] for row in cut.totals)
    # Users of the rest are counted once, however many of its groups they are in.
    assert cut.other["users"] <= cut.total["users"] == 3


def test_a_call_with_several_tags_counts_under_each_and_once_in_the_total(projects) -> None:
    asked = Question((projects[0].pk,), START, END, by=("tag",))
    found = answer(asked)
    assert sum(row["calls"] for row in found.groups) > found.total["calls"] == 40
    assert "several tags" in found.notes[0]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"by": ("city",)}, "by"),
        ({"by": ("model", "model")}, "by"),
        ({"by": ("model", "user", "agent")}, "by"),
        ({"measures": ("joy",)}, "measures"),
        ({"bin": "minute"}, "bin"),
        ({"filters": (("city", ("x",)),)}, "filters"),
        ({"sort": "joy"}, "sort"),
    ],
)
def test_questions_that_make_no_sense_are_refused(wrong, field) -> None:
    with pytest.raises(DomainError) as refused:
        Question((), START, END, **wrong)
    assert refused.value.fields == (field,)


def test_sums_beyond_64_bits_stay_exact() -> None:
    project = ProjectFactory()
    dear = Decimal("99999999.999999999999")
    calls = [
        ChargeableCall(
            record_id=f"r{number}",
            occurred_at=START,
            client_cost_usd=dear,
            usage=Usage(input_tokens=2**56, output_tokens=1),
        )
        for number in range(100)
    ]
    record_costs(project_id=project.pk, calls=calls, now=START)
    found = answer(Question((project.pk,), START, END, measures=("cost_usd", "input_tokens")))
    assert found.total.values == {"cost_usd": dear * 100, "input_tokens": 2**56 * 100}


def test_nothing_recorded_is_no_group_and_a_total_of_zero(django_assert_num_queries) -> None:
    project = ProjectFactory()
    with django_assert_num_queries(1):
        found = answer(Question((project.pk,), START, END, by=("model",), bin="day"))
    assert (found.groups, found.rows, found.other, found.totals) == ([], [], None, [])
    assert found.total.values == {"cost_usd": 0, "calls": 0}
