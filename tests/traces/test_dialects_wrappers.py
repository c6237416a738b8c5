"""Steps that repeat the totals of the calls below them never double a cost, whichever arrives first."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from costs.models import CostRecord
from projects.models import Project
from tests.traces.decoding import NOW, otlp_request, otlp_span
from tests.traces.decoding import decode_protobuf as decode
from tests.traces.spans import assert_ledger_is_exact, context_for
from traces.ingest.span import NormalSpan
from traces.ingest.write import write_spans
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db
OUTER, INNER = 1, (2, 3)
# Two calls of gpt-5-mini ($0.25 / $2 per million): 1,000 in and 100 out cost $0.00045 each.
COST = Decimal("0.0009")
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
TOTALS = {"input_tokens": 2000, "output_tokens": 200, "total_tokens": 2200}
Written = tuple[str, dict[str, Any], dict[str, Any]]  # scope, outer, inner


def _gen_ai(usage: dict[str, int], operation: str, **more: Any) -> dict[str, Any]:
    counts = {f"gen_ai.usage.{name}": count for name, count in usage.items()}
    named = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai"}
    return {**named, "gen_ai.request.model": "gpt-5-mini", **counts, **more}


def _vercel(usage: dict[str, int], operation: str) -> dict[str, Any]:
    return {
        "ai.operationId": operation,
        "ai.model.id": "gpt-5-mini",
        "ai.model.provider": "openai.responses",
        "ai.usage.inputTokens": usage["input_tokens"],
        "ai.usage.outputTokens": usage["output_tokens"],
    }


def _mlflow(usage: dict[str, int], kind: str) -> dict[str, Any]:
    values = {"spanType": kind, "chat.tokenUsage": usage, "llm.model": "gpt-5-mini",
              "llm.provider": "openai", "llm.cost": {"total_cost": 0.5}}  # fmt: skip
    return {f"mlflow.{name}": json.dumps(value) for name, value in values.items()}


def _langfuse(usage: dict[str, int], kind: str) -> dict[str, Any]:
    return {
        "langfuse.observation.type": kind,
        "langfuse.observation.model.name": "gpt-5-mini",
        "langfuse.observation.usage_details": json.dumps(usage),
        "langfuse.observation.cost_details": '{"total": 0.5}',
    }


def _adk(usage: dict[str, int], **more: Any) -> dict[str, Any]:
    counts = {f"gen_ai.usage.{name}": count for name, count in usage.items()}
    own = {"gcp.vertex.agent.invocation_id": "i", "gen_ai.request.model": "gpt-5-mini"}
    return {**own, "gen_ai.system": "openai", **counts, **more}


CASES: dict[str, Written] = {
    "traceloop": (
        "opentelemetry.instrumentation.openai.v1",
        _gen_ai(TOTALS, "invoke_agent", **{"traceloop.span.kind": "workflow"}),
        _gen_ai(USAGE, "chat", **{"llm.request.type": "chat"}),
    ),
    "traceloop-wrapped-call": (
        "opentelemetry.instrumentation.langchain",
        _gen_ai(TOTALS, "chat", **{"llm.request.type": "chat"}),
        _gen_ai(USAGE, "chat", **{"llm.request.type": "chat"}),
    ),
    "vercel": (
        "ai",
        _vercel(TOTALS, "ai.generateText"),
        _vercel(USAGE, "ai.generateText.doGenerate"),
    ),
    "vercel-stream": (
        "ai",
        _vercel(TOTALS, "ai.streamText"),
        _vercel(USAGE, "ai.streamText.doStream"),
    ),
    "logfire": (
        "pydantic-ai",
        _gen_ai(TOTALS, "invoke_agent", **{"logfire.msg": "agent run"}),
        _gen_ai(USAGE, "chat", **{"logfire.msg": "chat gpt-5-mini"}),
    ),
    "mlflow": ("mlflow.tracing.provider", _mlflow(TOTALS, "AGENT"), _mlflow(USAGE, "CHAT_MODEL")),
    "mlflow-wrapped-call": ("mlflow", _mlflow(TOTALS, "LLM"), _mlflow(USAGE, "CHAT_MODEL")),
    "langfuse": ("langfuse-sdk", _langfuse(TOTALS, "span"), _langfuse(USAGE, "generation")),
    "langfuse-wrapped-call": (
        "langfuse-sdk",
        _langfuse(TOTALS, "generation"),
        _langfuse(USAGE, "generation"),
    ),
    "openlit": (
        "openlit.otel.tracing",
        _gen_ai(TOTALS, "invoke_workflow", **{"gen_ai.environment": "x", "gen_ai.usage.cost": 0.5}),
        _gen_ai(USAGE, "chat", **{"gen_ai.environment": "x", "gen_ai.usage.cost": 0.25}),
    ),
    "livekit": (
        "livekit-agents",
        _gen_ai(TOTALS, "chat", **{"lk.response.ttft": 0.2}),
        _gen_ai(USAGE, "chat", **{"lk.speech_id": "s"}),
    ),
    "google_adk": (
        "gcp.vertex.agent",
        _adk(TOTALS, **{"gen_ai.operation.name": "invoke_agent"}),
        _adk(USAGE),
    ),
    "google_adk-call_llm": (
        "gcp.vertex.agent",
        _adk(TOTALS),
        _adk(USAGE, **{"gen_ai.operation.name": "generate_content"}),
    ),
}


def read(case: Written) -> list[NormalSpan]:
    scope, outer, inner = case
    spans = [otlp_span(outer, number=OUTER, name="outer")]
    parent = OUTER.to_bytes(8, "big")
    spans += [
        otlp_span(inner, number=number, name="call", parent_span_id=parent) for number in INNER
    ]
    return decode(otlp_request(*spans, scope=scope).SerializeToString()).spans


ORDERS: dict[str, Callable[[list[NormalSpan]], list[list[NormalSpan]]]] = {
    "together": lambda spans: [spans],
    "calls first": lambda spans: [spans[1:], spans[:1]],
    "outer first": lambda spans: [spans[:1], spans[1:]],
    "one by one": lambda spans: [spans[1:2], spans[:1], spans[2:]],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CASES)
def test_only_the_calls_are_charged(project: Project, name: str, order: str) -> None:
    spans = read(CASES[name])
    assert {span.dialect for span in spans} == {
        name.partition("-")[0].replace("vercel", "vercel_ai")
    }

    for upload in ORDERS[order](spans):
        write_spans(context_for(project), upload, now=NOW)

    trace = Trace.objects.get(project=project)
    assert (trace.call_count, trace.cost_usd, trace.unpriced_calls) == (2, COST, 0)
    assert (trace.input_tokens, trace.output_tokens) == (2000, 200)
    charged = CostRecord.objects.filter(project=project).values_list("span_id", flat=True)
    assert sorted(charged) == [f"{number:016x}" for number in INNER]
    assert Span.objects.get(project=project, span_id=f"{OUTER:016x}").has_cost_record is False
    assert_ledger_is_exact(project)
