"""What the ledger must say about calls that real clients made: prices worked out from what their SDKs were told."""

import json
from decimal import Decimal
from typing import Any

from costs.models import CostRecord
from costs.pricing import price_call
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from tests.traces.said import said_in
from traces.models import Span


def record_of(project: Project, told: dict[str, Any]) -> CostRecord:
    return CostRecord.objects.get(project=project, trace_id=told["trace_id"])


def expected_cost(
    told: dict[str, Any], provider: str, *, with_cache: bool = True
) -> Decimal | None:
    """The price of what the provider said it used."""
    record = ChargeableCall(
        record_id="x",
        occurred_at=CostRecord.objects.get(trace_id=told["trace_id"]).occurred_at,
        provider=provider,
        model=told["model"],
        usage=_openai_usage(told["usage"], with_cache) if provider == "openai" else _anthropic_usage(told["usage"]),
    )  # fmt: skip
    return price_call(record).cost_usd


def _openai_usage(usage: dict[str, Any], with_cache: bool) -> Usage:
    return Usage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cache_read_input_tokens=usage["prompt_tokens_details"]["cached_tokens"]
        if with_cache
        else 0,
    )


def _anthropic_usage(usage: dict[str, Any]) -> Usage:
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return Usage(
        input_tokens=usage["input_tokens"] + read + written,
        output_tokens=usage["output_tokens"],
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        cache_write_5m_input_tokens=usage["cache_creation"]["ephemeral_5m_input_tokens"],
        cache_write_1h_input_tokens=usage["cache_creation"]["ephemeral_1h_input_tokens"],
    )


def payload_of(project: Project, told: dict[str, Any], span_id: str) -> dict[str, Any]:
    return said_in(project)[told["trace_id"], span_id]


def assert_content_is_captured(project: Project, told: dict[str, Any]) -> None:
    content = payload_of(project, told, record_of(project, told).span_id)
    assert "order 55180" in json.dumps(content["input"])
    assert told["text"][:40] in json.dumps(content["output"], ensure_ascii=False)


def assert_refusal_costs_nothing(project: Project, told: dict[str, Any]) -> None:
    record = record_of(project, told)
    assert (record.is_error, record.price_status, record.cost_usd) == (True, "free", Decimal(0))
    step = Span.objects.get(project=project, trace_id=told["trace_id"], span_id=record.span_id)
    assert step.status == "error"
    # The anthropic SDK's own spans carry the error's type and no message, Langfuse's a message and no type.
    assert step.error_type.rpartition(".")[2] in ("NotFoundError", "not_found_error", "404")
