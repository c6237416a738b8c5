"""Normal spans for the writer's tests, and what the ledger must say about them."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum

from core import crypto
from costs.models import CostAggregate, CostRecord
from costs.usage import Usage
from projects.models import Project
from traces.ingest.span import NormalSpan
from traces.ingest.write import IngestContext
from traces.models import Span, Trace

START = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=3)


def context_for(project: Project) -> IngestContext:
    return IngestContext(
        project_id=project.pk, cipher=crypto.data_cipher(project.organization.data_key)
    )


def span(span_id: str, **fields: Any) -> NormalSpan:
    """An ended step of trace `t1`, one second long."""
    started_at = fields.pop("started_at", START)
    defaults: dict[str, Any] = {
        "trace_id": "t1",
        "span_id": span_id,
        "name": span_id,
        "started_at": started_at,
        "ended_at": started_at + dt.timedelta(seconds=1),
    }
    return NormalSpan(**{**defaults, **fields})


def llm(span_id: str, tokens: int = 1000, model: str = "gpt-5-mini", **fields: Any) -> NormalSpan:
    """A call of gpt-5-mini ($0.25 / $2 per million): 1,000 in and 100 out cost $0.00045."""
    usage = Usage(input_tokens=tokens, output_tokens=tokens // 10)
    defaults: dict[str, Any] = {
        "kind": "llm",
        "is_call": True,
        "provider": "openai",
        "response_model": model,
        "operation": "chat",
        "usage": usage,
    }
    return span(span_id, **{**defaults, **fields})


def raw_sums(project: Project) -> dict[str, Any]:
    """The project's totals from the raw ledger."""
    return CostRecord.objects.filter(project=project).aggregate(
        calls=Count("id"),
        errors=Count("id", filter=Q(is_error=True)),
        unpriced=Count("id", filter=Q(cost_usd=None)),
        cost=Sum("cost_usd", default=Decimal(0)),
        input=Sum("input_tokens", default=0),
        output=Sum("output_tokens", default=0),
    )


def aggregate_sums(project: Project, dimension: str = "all", **filters: Any) -> dict[str, Any]:
    """The same totals from the hourly sums."""
    rows = CostAggregate.objects.filter(project=project, dimension=dimension, **filters)
    return rows.aggregate(
        calls=Sum("calls", default=0),
        errors=Sum("errors", default=0),
        unpriced=Sum("unpriced_calls", default=0),
        cost=Sum("cost_usd", default=Decimal(0)),
        input=Sum("input_tokens", default=0),
        output=Sum("output_tokens", default=0),
    )


def trace_sums(project: Project) -> dict[str, Any]:
    """The same totals from the traces' roll-ups (which count no errors of calls)."""
    return Trace.objects.filter(project=project).aggregate(
        calls=Sum("call_count", default=0),
        unpriced=Sum("unpriced_calls", default=0),
        cost=Sum("cost_usd", default=Decimal(0)),
        input=Sum("input_tokens", default=0),
        output=Sum("output_tokens", default=0),
    )


def assert_ledger_is_exact(project: Project) -> None:
    """Raw rows, hourly sums, each dimension's sums, traces and spans say the same to the last digit."""
    raw = raw_sums(project)
    assert aggregate_sums(project) == raw
    assert trace_sums(project) == {k: v for k, v in raw.items() if k != "errors"}
    spans = Span.objects.filter(project=project)
    assert spans.filter(has_cost_record=True).count() == raw["calls"]
    assert spans.aggregate(cost=Sum("cost_usd", default=Decimal(0)))["cost"] == raw["cost"]
    for user in (
        CostRecord.objects.filter(project=project).exclude(user_id="").values_list("user_id")
    ):
        own = CostRecord.objects.filter(project=project, user_id=user[0]).aggregate(
            calls=Count("id"), cost=Sum("cost_usd", default=Decimal(0))
        )
        sums = aggregate_sums(project, "user", value=user[0])
        assert (sums["calls"], sums["cost"]) == (own["calls"], own["cost"])
    for trace in Trace.objects.filter(project=project):
        assert trace.span_count == spans.filter(trace_id=trace.trace_id).count()
        assert (
            trace.running_count == spans.filter(trace_id=trace.trace_id, status="running").count()
        )
        assert trace.error_count == spans.filter(trace_id=trace.trace_id, status="error").count()
