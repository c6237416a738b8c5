"""A trace and its steps as JSON documents: what the download and the API give out. Money is text, never a float."""

import datetime as dt
from decimal import Decimal
from typing import Any

from core.formats import instant, plain_decimal
from traces.media import Media
from traces.models import Span, Trace
from traces.selectors.detail import StepContent


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain_decimal(value)


def _instant(value: dt.datetime | None) -> str | None:
    return None if value is None else instant(value)


def trace_data(trace: Trace) -> dict[str, Any]:
    """The trace's own facts."""
    return {
        "trace_id": trace.trace_id,
        "name": trace.name,
        "status": trace.status,
        "started_at": _instant(trace.started_at),
        "ended_at": _instant(trace.ended_at),
        "duration_ms": trace.duration_ms,
        "cost_usd": _amount(trace.known_cost_usd),
        "calls": trace.call_count,
        "unpriced_calls": trace.unpriced_calls,
        "step_count": trace.span_count,
        "error_count": trace.error_count,
        "running_count": trace.running_count,
        "input_tokens": trace.input_tokens,
        "output_tokens": trace.output_tokens,
        "providers": trace.providers,
        "models": trace.model_names,
        "agent": trace.agent,
        "environment": trace.environment,
        "release": trace.release,
        "user": trace.user_id,
        "session": trace.session_id,
        "tags": trace.tags,
        "metadata": trace.metadata,
        "seq": trace.seq,
    }


def span_data(span: Span) -> dict[str, Any]:
    """One step without what was said in it."""
    return {
        "trace_id": span.trace_id,
        "id": span.span_id,
        "parent_id": span.parent_span_id or None,
        "name": span.name,
        "type": span.kind,
        "status": span.status,
        "started_at": _instant(span.started_at),
        "ended_at": _instant(span.ended_at),
        "duration_ms": span.duration_ms,
        "first_token_ms": span.first_token_ms,
        "provider": span.provider,
        "request_model": span.request_model,
        "response_model": span.response_model,
        "operation": span.operation,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cache_read_input_tokens": span.cache_read_input_tokens,
        "cache_write_input_tokens": span.cache_write_input_tokens,
        "reasoning_output_tokens": span.reasoning_output_tokens,
        "cost_usd": _amount(span.cost_usd),
        "price_status": span.price_status or None,
        "is_cache_hit": span.is_cache_hit,
        "error_type": span.error_type,
        "error_message": span.error_message,
        "finish_reason": span.finish_reason,
        "flags": span.flags,
    }


def plain(value: Any) -> Any:
    """A JSON value with every blob described instead of included; bytes are at its step's media address."""
    if isinstance(value, Media):
        return {
            "index": value.index if value.index >= 0 else None,
            "type": value.type,
            "shown": value.shown,
            "size": value.size,
            "name": value.name,
            "url": value.url or None,
        }
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def content_data(content: StepContent | None) -> dict[str, Any]:
    """What was said in a step; `payload_error` says why it cannot be read."""
    found = content or StepContent({}, 0)
    return {"payload": found.content or None, "payload_error": found.problem or None}


def step_data(span: Span, content: StepContent) -> dict[str, Any]:
    """One step with what was said in it."""
    return span_data(span) | content_data(content)
