"""Real tracing clients, each with its own packages (`make clients`), against the running server and the simulator."""

from decimal import Decimal
from typing import Any

import pytest

from costs.models import CostRecord
from projects.models import Project
from tests.clients.run import Told, run_client
from tests.clients.telling import SESSION, TAGS, USER
from tests.factories.projects import ProjectFactory
from tests.functional.ledger import (
    assert_content_is_captured,
    assert_refusal_costs_nothing,
    expected_cost,
    record_of,
)
from tests.functional.server import Server
from tests.functional.test_exporters import run_program
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.uploads import key_for
from traces.models import Span, Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SCENARIOS = ("whole", "stream", "tool", "reasoning", "cached", "unknown", "refused")
# The tool is called in a second round there, which other clients do not make.
SAME = {"vercel": ("whole", "stream", "reasoning", "cached", "unknown")}
DIALECTS = {"vercel": "vercel_ai", "langfuse2": "langfuse"}
STEPS = {"vercel": 3, "logfire": 2, "langfuse": 2, "langfuse2": 2, "traceloop": 2, "mlflow": 2}


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def send(name: str, simulator: str, server: Server, project: Project, *scenarios: str) -> Told:
    key = key_for(project)[1]
    return run_client(name, simulator, server.url, key, *scenarios)


@pytest.mark.parametrize(
    "name", ["langfuse", "langfuse2", "traceloop", "logfire", "mlflow", "vercel"]
)
def test_client_is_understood_and_costs_what_all_others_do(
    name: str, server: Server, simulator: str, project: Project
) -> None:
    reference = ProjectFactory()
    others = run_program(
        "openinference-openai", simulator, server.url, key_for(reference)[1], *SCENARIOS
    )

    told = send(name, simulator, server, project)

    for scenario in SAME.get(name, SCENARIOS[:-1]):
        one, other = told[scenario], others[scenario]
        assert (one["model"], one["text"]) == (other["model"], other["text"])
        assert _counts(one) == _counts(other), scenario
        mine, theirs = record_of(project, one), record_of(reference, other)
        for field in ("cost_usd", "input_tokens", "output_tokens", "cache_read_input_tokens",
                      "reasoning_output_tokens", "price_status", "operation"):  # fmt: skip
            assert getattr(mine, field) == getattr(theirs, field), (scenario, field)
        assert mine.cost_usd == expected_cost(other, "openai"), scenario
        trace = Trace.objects.get(project=project, trace_id=one["trace_id"])
        assert (trace.call_count, trace.cost_usd) == (1, mine.cost_usd or Decimal(0)), scenario
        assert (trace.status, trace.running_count) == ("ok", 0), scenario
    assert record_of(project, told["whole"]).price_status == "priced"
    assert record_of(project, told["unknown"]).price_status == "unpriced"
    assert Trace.objects.get(trace_id=told["whole"]["trace_id"]).span_count == STEPS[name]
    called = Span.objects.get(
        project=project,
        trace_id=told["whole"]["trace_id"],
        span_id=record_of(project, told["whole"]).span_id,
    )
    assert called.dialect == DIALECTS.get(name, name)
    assert_content_is_captured(project, told["whole"])
    assert_content_is_captured(project, told["stream"])
    assert_ledger_is_exact(project)


def _counts(told: dict[str, Any]) -> tuple[int, int, int]:
    usage = told["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return usage["prompt_tokens"], usage["completion_tokens"], cached


@pytest.mark.parametrize("name", ["langfuse", "langfuse2", "traceloop", "logfire", "mlflow"])
def test_a_refused_call_costs_nothing(
    name: str, server: Server, simulator: str, project: Project
) -> None:
    told = send(name, simulator, server, project, "refused")
    assert_refusal_costs_nothing(project, told["refused"])


@pytest.mark.parametrize("name", ["langfuse", "langfuse2", "traceloop", "logfire", "vercel"])
def test_user_session_and_tags_reach_the_calls(
    name: str, server: Server, simulator: str, project: Project
) -> None:
    told = send(name, simulator, server, project, "whole")["whole"]
    record = record_of(project, told)
    trace = Trace.objects.get(project=project, trace_id=told["trace_id"])
    assert (record.user_id, trace.user_id) == (USER, USER)
    if name != "logfire":  # it has no session
        assert (record.session_id, trace.session_id) == (SESSION, SESSION)
    if name != "traceloop":  # it has no tags
        assert set(TAGS) <= set(record.tags) & set(trace.tags)
    if name in ("langfuse", "langfuse2", "logfire"):
        assert (trace.environment, trace.release) == ("staging", "2.1")
        assert record.environment == "staging"
    if name in ("traceloop", "vercel"):
        assert trace.metadata["plan"] == "pro"


def test_vercel_totals_of_two_rounds_are_not_charged_again(
    server: Server, simulator: str, project: Project
) -> None:
    told = send("vercel", simulator, server, project, "tool", "embedding")
    trace = Trace.objects.get(project=project, trace_id=told["tool"]["trace_id"])
    records = CostRecord.objects.filter(project=project, trace_id=trace.trace_id)
    kinds = sorted(Span.objects.filter(trace_id=trace.trace_id).values_list("kind", flat=True))
    assert kinds == ["chain", "llm", "llm", "span", "tool"]
    assert (trace.call_count, len(records)) == (2, 2)
    assert trace.cost_usd == sum(record.cost_usd or 0 for record in records) > 0
    embedded = record_of(project, told["embedding"])
    assert embedded.input_tokens == told["embedding"]["tokens"]
    assert (embedded.operation, embedded.price_status) == ("embeddings", "priced")
    assert_ledger_is_exact(project)


def test_logfire_announces_a_span_that_is_completed_later(
    server: Server, simulator: str, project: Project
) -> None:
    """The program flushes inside its outer span: start and end come in two uploads, under two ids."""
    told = send("logfire", simulator, server, project, "whole")["whole"]
    trace = Trace.objects.get(project=project, trace_id=told["trace_id"])
    assert trace.seq >= 2  # more where the machine is slow and the exporter fast
    outer = Span.objects.get(project=project, trace_id=trace.trace_id, parent_span_id="")
    assert (outer.name, outer.status, trace.span_count) == ("whole", "ok", 2)
    assert outer.duration_ms is not None
    assert outer.placed_seq == 1
