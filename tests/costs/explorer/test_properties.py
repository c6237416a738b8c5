"""Property: whatever happens in whatever order, facts, daily sums and the ledger's rows say the same."""

import datetime as dt
import random

import pytest
from django.db import connection, transaction

from core.ranges import TimeRange
from costs.explorer import keeping
from costs.explorer.ask import Question, answer
from costs.explorer.facts import memory
from costs.filters import SpendFilters
from costs.models import CostRecord, RecordKey
from costs.selectors import spend
from costs.services import record_costs as ledger
from costs.services import rule_cache
from costs.services.forget import forget_person
from tests.costs.explorer.oracle import START, assert_right, random_call
from tests.costs.repricing import discount, finish, override, save, start
from tests.factories.projects import ProjectFactory

END = START + dt.timedelta(days=3)
MEASURES = ("cost_usd", "calls", "errors", "unpriced_calls", "input_tokens", "cache_savings_usd")


def remove_some(project, chance: random.Random) -> None:
    """Calls that turn out to be wrappers leave the ledger."""
    keyed = CostRecord.objects.filter(project=project).annotate(
        key=RecordKey("record_id", "trace_id", "span_id")
    )
    found = sorted(keyed.values_list("key", "occurred_at"))
    keys = chance.sample(found, min(3, len(found)))
    with transaction.atomic(), connection.cursor() as cursor:
        deltas: dict = {}
        rules = rule_cache.load_rules(project.pk)
        ledger.remove_rows(cursor, project_id=project.pk, keys=keys, deltas=deltas)
        ledger.finish(
            cursor, project_id=project.pk, deltas=deltas, recorded=0, now=None, rules=rules
        )


# write, keep, remove, price again, forget a person, ask (sometimes in a fresh process)
ACTS = "wwwkkrrpfaa"


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_facts_sums_and_rows_agree(seed: int) -> None:
    memory.clear()
    ledger.forget_partitions()
    project, chance, number = ProjectFactory(), random.Random(seed), 0
    acts = chance.sample(ACTS, len(ACTS))
    for act in acts:
        if act == "w":
            calls = [random_call(chance, number + n) for n in range(8)]
            number += 8
            ledger.record_costs(project_id=project.pk, calls=calls, now=END)
        elif act == "k":
            keeping.keep_range(project.pk, START.date(), END.date())
        elif act == "r":
            remove_some(project, chance)
        elif act == "p":
            rule = chance.choice([override("gpt-5-mini"), discount("12.5", "claude*")])
            finish(start(project, save(project, rule)))
        elif act == "f":
            with connection.cursor() as cursor:
                forget_person(cursor, project_id=project.pk, column="user_id", value="ada")
        elif chance.random() < 0.5:
            memory.clear()
        if act in "ka":
            agree(project)
    agree(project)


def agree(project) -> None:
    """Facts against rows, and against the sums the dashboard reads."""
    for by in (("user", "tag"), ("token_class", "model")):
        assert_right(answer(Question((project.pk,), START, END, by=by, measures=MEASURES)))
    for name in ("model", "feature"):
        found = answer(Question((project.pk,), START, END, by=(name,), measures=MEASURES))
        period = TimeRange(START, END, "")
        groups = spend.top_groups(project.pk, period, SpendFilters(), (name,), limit=100).groups
        sums = {group.key: group.current for group in groups}
        for row in found.groups:
            if row.key == ("",) and name == "feature":
                continue
            own = sums.pop(row.key)
            assert row["cost_usd"] == own.known_cost_usd
            for measure in ("calls", "errors", "input_tokens"):
                assert row[measure] == getattr(own, measure)
        assert not sums
