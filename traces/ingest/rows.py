"""Rows of the span tables: from a NormalSpan to COPY, and merging a running step with what came before."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from costs.services.rows import copied
from traces.ingest.span import NormalSpan

SpanKey = tuple[str, str]  # trace_id, span_id
PAYLOAD_FIELDS = ("input", "output", "tools", "parameters", "attributes", "events", "metadata")
_EMPTY: tuple[Any, ...] = (None, "", {}, [], ())


class SpanRow(msgspec.Struct, kw_only=True):
    """The columns of Span, in the table's words."""

    trace_id: str
    span_id: str
    started_at: dt.datetime
    parent_span_id: str
    name: str
    kind: str
    status: str
    ended_at: dt.datetime | None
    duration_ms: float | None
    first_token_ms: float | None
    provider: str
    request_model: str
    response_model: str
    operation: str
    response_id: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    cost_usd: Decimal | None
    price_status: str
    has_cost_record: bool
    has_cost_below: bool
    is_twin: bool
    is_cache_hit: bool
    error_type: str
    error_message: str
    finish_reason: str
    dialect: str
    flags: list[str]
    seq: int
    placed_seq: int
    received_at: dt.datetime


SPAN_COLUMNS = SpanRow.__struct_fields__
# What is NULL where it is 0 or empty (core.sparse).
_SPARSE = {
    **dict.fromkeys(
        ("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"), "0"
    ),
    "flags": "'{}'",
}
SELECTED = ", ".join(
    f"coalesce(s.{name}, {_SPARSE[name]})" if name in _SPARSE else f"s.{name}"
    for name in SPAN_COLUMNS
)
_COPY_SPANS = f"COPY traces_span (project_id, {', '.join(SPAN_COLUMNS)}) FROM STDIN"


def key_of(span: NormalSpan) -> SpanKey:
    return span.trace_id, span.span_id


def span_row(span: NormalSpan, *, now: dt.datetime) -> SpanRow:
    """The row of `span`; cost, flags of the leaf rule and `seq` are filled in by the writer."""
    usage = span.usage
    return SpanRow(
        trace_id=span.trace_id,
        span_id=span.span_id,
        started_at=span.started_at,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        status=span.status,
        ended_at=span.ended_at,
        duration_ms=span.duration_ms,
        first_token_ms=span.first_token_ms,
        provider=span.provider,
        request_model=span.request_model,
        response_model=span.response_model,
        operation=span.operation,
        response_id=span.response_id[:200],
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cache_read_input_tokens=usage.cache_read_input_tokens if usage else 0,
        cache_write_input_tokens=usage.cache_write_input_tokens if usage else 0,
        reasoning_output_tokens=usage.reasoning_output_tokens if usage else 0,
        cost_usd=None,
        price_status="",
        has_cost_record=False,
        has_cost_below=False,
        is_twin=False,
        is_cache_hit=span.is_cache_hit,
        error_type=span.error_type,
        error_message=span.error_message,
        finish_reason=span.finish_reason,
        dialect=span.dialect,
        flags=list(span.flags),
        seq=0,
        placed_seq=0,
        received_at=now,
    )


def payload_content(span: NormalSpan) -> dict[str, Any]:
    """What is sealed: only what the step has."""
    content = {
        name: value for name in PAYLOAD_FIELDS if (value := getattr(span, name)) not in _EMPTY
    }
    for name in ("scope_name", "scope_version", "response_id"):
        if value := getattr(span, name):
            content[name] = value
    return content


def copy_spans(cursor: Any, *, project_id: UUID, rows: Sequence[SpanRow]) -> None:
    project = str(project_id)
    with cursor.copy(_COPY_SPANS) as copy:
        for row in rows:
            copy.write_row((project, *copied(row)))
