"""Rules, jobs and states for the tests of re-pricing."""

import datetime as dt
from typing import Any

from django.db import transaction
from django.utils import timezone

from core import jobs, outbox
from core.models import Job, OutboxItem
from costs.models import CostAggregate, CostDailyAggregate, CostRecord, PriceRule, RecordKey
from costs.price_rules import RuleSet
from costs.pricing import price_call
from costs.rule_drafts import RuleDraft, read_draft
from costs.services import reprice_job
from costs.services.facts import call_of
from costs.services.price_rules import add_rule, remove_rule
from costs.services.rows import COLUMNS, CostRow
from traces.models import Span, Trace

INPUT, OUTPUT = "4", "10"


def override(model: str = "gpt-5-mini", **facts: Any) -> RuleDraft:
    """$4 in, $10 out per million unless said otherwise: 1,000 in and 100 out cost $0.005."""
    prices = [
        {"class": "input", "price_usd": facts.pop("input", INPUT)},
        {"class": "output", "price_usd": facts.pop("output", OUTPUT)},
    ]
    return read_draft({"kind": "override", "model": model, "prices": prices, **facts})


def discount(percent: str = "50", model: str = "*", **facts: Any) -> RuleDraft:
    return read_draft({"kind": "discount", "model": model, "percent_off": percent, **facts})


def save(project: Any, draft: RuleDraft) -> PriceRule:
    return add_rule(
        organization_id=project.organization_id, draft=draft, author=None, now=timezone.now()
    )


def remove(project: Any, number: int) -> PriceRule:
    return remove_rule(
        organization_id=project.organization_id, number=number, author=None, now=timezone.now()
    )


def start(project: Any, *rules: Any, **facts: Any) -> Job:
    """A re-pricing of everything, or of what the rules are about."""
    plan = reprice_job.Plan(
        projects=facts.pop("projects", [project.pk]),
        scope=facts.pop("scope", None)
        or (
            reprice_job.scope_of(*rules)
            if rules
            else reprice_job.Scope(start=reprice_job.FIRST, end=reprice_job.LAST)
        ),
        action="reprice",
    )
    return reprice_job.start_reprice(
        organization_id=project.organization_id,
        plan=plan,
        title="Re-price",
        author=facts.pop("author", None),
        now=timezone.now(),
    )


class Killed(Exception):
    """The worker died before its commit."""


def one_step(*, kill: bool = False) -> bool:
    """The next due step; with `kill` it does its work and dies before the commit. False when none is due."""
    at = timezone.now() + dt.timedelta(minutes=5)
    item = (
        OutboxItem.objects.filter(
            topic__in=(jobs.TOPIC, jobs.SLOW_TOPIC), done_at=None, dead_at=None
        )
        .order_by("available_at")
        .first()
    )
    if item is None:
        return False
    if kill:
        try:
            with transaction.atomic():
                outbox.run(item.pk, now=at)
                raise Killed
        except Killed:
            return True
    return outbox.run(item.pk, now=at)


def finish(job: Job) -> Job:
    while one_step():
        pass
    job.refresh_from_db()
    return job


def stored_rows(project: Any) -> list[CostRow]:
    from django.db import connection

    from costs.services.rows import SELECTED

    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {SELECTED} FROM costs_costrecord c WHERE c.project_id = %s",  # noqa: S608
            [project.pk],
        )
        return [CostRow(**dict(zip(COLUMNS, row, strict=True))) for row in cursor.fetchall()]


def assert_priced_with(project: Any, rules: RuleSet) -> None:
    """Each stored record has exactly the price these rules give it today."""
    for row in stored_rows(project):
        priced = price_call(call_of(row), rules)
        if row.price_status != "free" or row.price_source:
            assert (row.price_status, row.cost_usd, row.price_source, row.unpriced_reason) == (
                priced.status,
                priced.cost_usd,
                priced.price_source,
                priced.unpriced_reason,
            )


_SUMS = (
    "hour",
    "dimension",
    "value",
    "provider",
    "model",
    "calls",
    "errors",
    "unpriced_calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
)


def end_state(project: Any) -> Any:
    """Everything that says what calls cost."""
    records = CostRecord.objects.filter(project=project).annotate(
        key=RecordKey("record_id", "trace_id", "span_id")
    )
    records = records.order_by("key")
    aggregates = [
        sorted(
            tuple(row[name] for name in _SUMS)
            for row in model.objects.filter(project=project).values()
            if row["calls"]
        )
        for model in (CostAggregate, CostDailyAggregate)
    ]
    return (
        list(
            records.values_list(
                "key", "price_status", "unpriced_reason", "cost_usd", "price_source",
                "matched_model", "flags", "breakdown",
            )
        ),
        aggregates,
        sorted(
            Trace.objects.filter(project=project).values_list(
                "trace_id", "call_count", "unpriced_calls", "cost_usd", "input_tokens"
            )
        ),
        sorted(
            Span.objects.filter(project=project).values_list(
                "trace_id", "span_id", "status", "has_cost_record", "has_cost_below", "price_status"
            )
        ),
        sorted(
            (trace_id, span_id, cost)
            for trace_id, span_id, cost in Span.objects.filter(
                project=project, cost_usd__isnull=False
            ).values_list("trace_id", "span_id", "cost_usd")
        ),
    )  # fmt: skip
