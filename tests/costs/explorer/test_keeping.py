"""Kept facts: as right as the ledger, gone with the person, there when the records are not."""

import datetime as dt
import random

import pytest
from django.db import connection

from costs.explorer import facts, keeping
from costs.explorer.ask import Question, answer
from costs.explorer.facts import days_of, memory
from costs.models import CostDay, CostRecord, DayFacts
from costs.services.forget import forget_person
from costs.services.record_costs import forget_partitions, record_costs
from tests.costs.explorer.oracle import ASKED, START, assert_right, random_call
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
END = START + dt.timedelta(days=3)
QUESTIONS = ((), ("user", "tag"), ("token_class", "customer"), ("model", "agent"))


@pytest.fixture
def project():
    memory.clear()
    forget_partitions()
    made, chance = ProjectFactory(), random.Random(9)
    calls = [random_call(chance, number) for number in range(60)]
    record_costs(project_id=made.pk, calls=calls, now=END)
    return made


def keep(project) -> int:
    return keeping.keep_range(project.pk, START.date(), END.date())


def ask(project, *by: str, measures=ASKED):
    return answer(Question((project.pk,), START, END, by=by, measures=measures))


def test_kept_days_answer_as_the_ledger_does(project) -> None:
    assert keep(project) == 3
    for by in QUESTIONS:
        memory.clear()
        assert_right(ask(project, *by))


def test_kept_days_take_two_queries_and_days_in_memory_one(
    project, django_assert_num_queries
) -> None:
    keep(project)
    with django_assert_num_queries(2):
        ask(project, "model", "user", measures=("cost_usd",))
    with django_assert_num_queries(1):
        ask(project, "model", "user", measures=("cost_usd",))


def test_a_day_that_moved_is_read_from_the_ledger(project, django_assert_num_queries) -> None:
    keep(project)
    late = random_call(random.Random(1), 1000, days=1)
    record_costs(project_id=project.pk, calls=[late], now=END)
    for by in QUESTIONS:
        assert_right(ask(project, *by))
    memory.clear()
    with django_assert_num_queries(3):
        ask(project, "model", measures=("cost_usd",))


def test_a_sweep_keeps_days_once_they_are_quiet(project) -> None:
    assert keeping.sweep() == 0
    assert keeping.sweep() == 3
    assert keeping.sweep() == 0
    late = random_call(random.Random(1), 1000, days=1)
    record_costs(project_id=project.pk, calls=[late], now=END)
    assert [keeping.sweep(), keeping.sweep()] == [0, 1]
    assert_right(ask(project, "user"))


def test_a_day_that_moves_while_it_is_read_is_not_kept(project) -> None:
    day = days_of([project.pk], START.date(), END.date())[0]
    CostDay.objects.filter(project=project, day=day.day).update(version=day.version + 1)
    assert not keeping.keep_day(day)
    assert not DayFacts.objects.filter(project=project).exists()


@pytest.mark.parametrize(("column", "value"), [("user_id", "ada"), ("session_id", "s1")])
def test_erasure_takes_the_person_out_of_kept_days_at_once(project, column, value) -> None:
    keep(project)
    before = ask(project, "user")
    with connection.cursor() as cursor:
        assert not forget_person(cursor, project_id=project.pk, column=column, value=value)
    part = "user.texts" if column == "user_id" else "session.hashes"
    for row in DayFacts.objects.filter(project=project):
        at, size, kind = row.layout[part]
        found = list(facts.unpack(kind, bytes(row.data)[at : at + size]))
        assert found
        assert hash_of(value) not in found and value not in found  # noqa: PT018
    for by in QUESTIONS:
        assert_right(ask(project, *by))
    assert ask(project).total["cost_usd"] == before.total["cost_usd"]
    keep(project)
    memory.clear()
    assert_right(ask(project, "user", "tag"))


def hash_of(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtextextended(%s, 0)", [text])
        return cursor.fetchone()[0]


def test_facts_outlive_the_records_and_still_forget_a_person(project) -> None:
    keep(project)
    before = ask(project, "user")
    CostRecord.objects.filter(project=project).delete()
    CostDay.objects.filter(project=project).update(version=7)
    memory.clear()
    assert ask(project, "user").total == before.total
    # The next sweeps find that there is nothing to read and leave the facts as they are.
    assert [keeping.sweep(), keeping.sweep(), keeping.sweep()] == [0, 3, 0]
    memory.clear()
    assert ask(project, "user").groups == before.groups
    with connection.cursor() as cursor:
        forget_person(cursor, project_id=project.pk, column="user_id", value="ada")
    after = ask(project, "user")
    assert ("ada",) not in {row.key for row in after.groups}
    assert after.total["cost_usd"] == before.total["cost_usd"]


def test_days_without_records_and_facts_are_named(project) -> None:
    CostRecord.objects.filter(project=project).delete()
    for _ in range(2):
        found = ask(project, "user")
        assert [(day, calls > 0) for _, day, calls in found.unknown_days] == [
            (START.date() + dt.timedelta(days=number), True) for number in range(3)
        ]
        keep(project)


def test_memory_stays_inside_its_bounds(project, settings) -> None:
    settings.LLMLAB_EXPLORER_MEMORY_MB = 1
    keep(project)
    for by in QUESTIONS:
        ask(project, *by)
    assert 0 < memory.size <= 2**20
    settings.LLMLAB_EXPLORER_MEMORY_MB = 0
    ask(project, "feature")
    assert memory.size == 0
