"""Rows of the request list, as COPY takes them (pure)."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from gateway.recording import given_up, spans
from gateway.recording.timing import Timing, timing_of
from gateway.recording.tries import tries_of
from gateway.structs import Finished
from traces.ingest.limits import ID_LENGTH
from traces.ingest.sanitize import short_text

COLUMNS = (
    *("project_id", "id", "accepted_at", "state", "dialect", "asked_model", "route", "because"),
    *("connection_id", "provider", "model", "target_model", "is_stream", "priority", "status_code"),
    *(
        "error",
        "cache",
        "attempts",
        "fallbacks",
        "tries",
        "flags",
        "queue_ms",
        "provider_ms",
        "first_token_ms",
    ),
    *("total_ms", "input_tokens", "output_tokens", "cost_usd", "saved_usd", "api_key_id"),
    *("user_id", "trace_id", "span_id"),
)
MAX_COUNT = 32_767


def row_of(finished: Finished, *, cost_usd: Decimal | None) -> tuple[Any, ...]:
    """The values of COLUMNS. A refused call was no step: it names the caller's trace, if there is one."""
    call, caller, decision = finished.call, finished.call.caller, finished.call.decision
    target = spans.target_of(finished)
    timing: Timing = timing_of(finished)
    usage = finished.usage
    flags = [short_text(flag, 60) for flag in (*call.flags, *finished.flags)]
    used = [usage, *(one.usage for one in finished.attempts)]
    if any(one is not None and one.is_estimated for one in used):
        flags.append(spans.ESTIMATED)
    if any(used[1:]):
        flags.append(given_up.FLAG)
    has_span = spans.has_span(finished)
    return (
        UUID(caller.project_id),
        UUID(call.id),
        spans.moment(call.accepted_at).isoformat(),
        finished.state,
        call.dialect.value,
        short_text(call.model),
        short_text(decision.route, 120),
        short_text(decision.because, 500),
        UUID(target.connection) if target else None,
        short_text(target.provider, 60) if target else "",
        short_text(finished.response_model or (target.model if target else "")),
        short_text(target.model if target else ""),
        call.is_stream,
        call.priority,
        finished.status,
        short_text(finished.error, 120),
        finished.cache[:10],
        min(len(finished.attempts), MAX_COUNT),
        min(spans.fallbacks_of(finished), MAX_COUNT),
        tries_of(finished),
        list(dict.fromkeys(flags)),
        timing.queue,
        timing.provider,
        spans.first_token_ms(finished),
        timing.total,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        cost_usd,
        finished.saved_usd,
        UUID(caller.key_id) if caller.key_id else None,
        short_text(caller.user),
        (spans.trace_id_of(finished) if has_span else caller.trace_id)[:ID_LENGTH],
        spans.span_id_of(finished) if has_span else "",
    )
