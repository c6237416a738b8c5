"""Re-pricing beside others that change the same records."""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connection

from costs import signals
from costs.models import CostAggregate, CostDailyAggregate, CostRecord
from costs.services import aggregates, reprice, reprice_job
from costs.services.record_costs import record_costs, remove_rows
from costs.services.rule_cache import load_rules
from costs.usage import ChargeableCall, Usage
from tests.costs.repricing import override, save
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
NOW = START + dt.timedelta(hours=3)


def test_what_another_job_prices_between_reading_and_writing_is_counted_once():
    """One record is priced and one is gone by the time the chunk has its traces."""
    project = ProjectFactory()
    write_spans(context_for(project), [llm("a"), llm("b", trace_id="t2")], now=NOW)
    bare = ChargeableCall(
        record_id="bare", occurred_at=START, provider="openai", model="gpt-5-mini",
        usage=Usage(input_tokens=1_000, output_tokens=100), tags=("x", "y"), user_id="ada",
    )  # fmt: skip
    gone = msgspec.structs.replace(bare, record_id="gone", model="gpt-5-nano")
    record_costs(project_id=project.pk, calls=[bare, gone], now=NOW)
    rule = save(project, override("gpt-5-*"))
    rules, scope = load_rules(project.pk), reprice_job.scope_of(rule)
    facts = {"project_id": project.pk, "rules": rules, "day": START.date(), "now": NOW}
    others: list[reprice.Tally] = []

    def interfere(**_: Any) -> None:
        signals.records_repricing.disconnect(dispatch_uid="tests.interfere")
        one = reprice.Scope(start=scope.start, end=scope.end, provider="openai", model="gpt-5-mini")
        tally, _after = reprice.reprice_day(
            scope=one, after=None, pace=reprice.Pace(read=2, write=2), **facts
        )
        others.append(tally)
        deltas: aggregates.Deltas = {}
        with connection.cursor() as cursor:
            remove_rows(cursor, project_id=project.pk, keys=[("gone", START)], deltas=deltas)
            aggregates.apply(cursor, project_id=project.pk, deltas=deltas)

    signals.records_repricing.connect(interfere, weak=False, dispatch_uid="tests.interfere")
    tally, _after = reprice.reprice_day(scope=scope, after=None, pace=reprice.Pace(), **facts)
    assert (others[0].changed, tally.read, tally.written, tally.changed) == (2, 4, 1, 1)
    assert (tally.before_usd, tally.after_usd) == (Decimal("0.00045"), Decimal("0.005"))
    assert CostRecord.objects.filter(project=project, cost_usd=Decimal("0.005")).count() == 3
    for model in (CostAggregate, CostDailyAggregate):
        for dimension, sums in (("all", "0.015"), ("user", "0.005"), ("tag", "0.01")):
            rows = model.objects.filter(project=project, dimension=dimension)
            assert sum(row.cost_usd for row in rows) == Decimal(sums)
