"""From steps to the ledger's words: which steps are calls, and what they cost."""

import datetime as dt
from collections.abc import Iterable

from costs.price_rules import RuleSet
from costs.services import record_costs as ledger
from costs.services.rows import CostRow
from costs.usage import ChargeableCall
from traces.ingest.json_steps import DURATION_UNKNOWN
from traces.ingest.rows import SpanKey
from traces.ingest.span import NormalSpan


def priced_calls(
    spans: Iterable[NormalSpan], *, api_key_id: str, rules: RuleSet, now: dt.datetime
) -> dict[SpanKey, CostRow]:
    """Ledger rows of the ended calls among `spans`; which of them are written is settled later."""
    calls = [
        chargeable_call(span, api_key_id=api_key_id)
        for span in spans
        if span.is_call and span.ended_at is not None
    ]
    return {
        (row.trace_id, row.span_id): row for row in ledger.price_calls(calls, rules=rules, now=now)
    }


def counts_tokens(row: CostRow) -> bool:
    """Whether the call says what it used, so that wrappers above it must not be charged."""
    return (
        row.input_tokens is not None
        or row.output_tokens is not None
        or row.price_status == "client"
    )


def chargeable_call(span: NormalSpan, *, api_key_id: str) -> ChargeableCall:
    """What the ledger is told about a call; its record id is `<trace_id>/<span_id>`."""
    return ChargeableCall(
        record_id=f"{span.trace_id}/{span.span_id}",
        occurred_at=span.started_at,
        trace_id=span.trace_id,
        span_id=span.span_id,
        provider=span.provider,
        model=span.response_model or span.request_model,
        request_model=span.request_model,
        operation=span.operation,
        service_tier=span.service_tier,
        processing=span.processing,
        speed=span.speed,
        usage=span.usage,
        client_cost_usd=span.client_cost_usd,
        is_error=span.status == "error",
        error_type=span.error_type,
        is_rejected=span.is_rejected,
        is_cache_hit=span.is_cache_hit,
        latency_ms=None if DURATION_UNKNOWN in span.flags else span.duration_ms,
        first_token_ms=span.first_token_ms,
        environment=span.environment,
        agent=span.agent,
        user_id=span.user_id,
        session_id=span.session_id,
        feature=span.feature,
        prompt_version=span.prompt_version,
        tags=span.tags,
        api_key_id=span.api_key_id or api_key_id,
    )
