"""A ledger row in memory: what COPY writes and what the sums are made of."""

import datetime as dt
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import msgspec

from core.ids import uuid7
from costs.breakdown import compact
from costs.pricing import Priced
from costs.usage import ChargeableCall


class CostRow(msgspec.Struct, kw_only=True):
    """The columns of CostRecord that sums, COPY and the trace roll-up need, in the table's words."""

    id: UUID
    record_id: str
    occurred_at: dt.datetime
    trace_id: str
    span_id: str
    provider: str
    model: str
    request_model: str
    operation: str
    service_tier: str
    environment: str
    agent: str
    user_id: str
    session_id: str
    feature: str
    prompt_version: str
    tags: list[str]
    api_key_id: UUID | None
    is_error: bool
    error_type: str
    latency_ms: float | None
    first_token_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    price_status: str
    unpriced_reason: str
    cost_usd: Decimal | None
    client_cost_usd: Decimal | None
    breakdown: str  # JSON text
    price_source: str
    matched_model: str
    usage_convention: str
    is_estimated: bool
    flags: list[str]
    usage_extra: str | None  # JSON text
    recorded_at: dt.datetime


COLUMNS = CostRow.__struct_fields__
# For SELECT and RETURNING: JSON comes as text.
_AS_TEXT = frozenset({"breakdown", "usage_extra"})
# What is NULL where it is 0 or empty (core.sparse).
SPARSE = {
    "cache_read_input_tokens": "0",
    "cache_write_input_tokens": "0",
    "reasoning_output_tokens": "0",
    "tags": "'{}'",
    "flags": "'{}'",
}


def _selected(name: str) -> str:
    if name == "record_id":
        return KEY
    if name in SPARSE:
        return f"coalesce(c.{name}, {SPARSE[name]})"
    return f"c.{name}::text" if name in _AS_TEXT else f"c.{name}"


# A record's id; a step's record stores none (costs.models.RecordKey).
KEY = "coalesce(c.record_id, c.trace_id || '/' || c.span_id)"
SELECTED = ", ".join(map(_selected, COLUMNS))
# One of a project's records by the hash of its id. Parameters: project, record ids.
IS_ONE_OF = (
    f"uuid_hash_extended(c.project_id, hashtextextended({KEY}, 0)) = ANY(ARRAY("  # noqa: S608
    "SELECT uuid_hash_extended(%s::uuid, hashtextextended(w.i, 0)) FROM unnest(%s::text[]) AS w(i)))"
)


def cost_row(
    call: ChargeableCall, priced: Priced, *, usage_extra: str | None, now: dt.datetime
) -> CostRow:
    """The ledger row of one priced call; `usage_extra` is costs.services.facts.extra_of's."""
    usage = call.usage
    return CostRow(
        id=uuid7(),
        record_id=call.record_id,
        occurred_at=call.occurred_at,
        trace_id=call.trace_id,
        span_id=call.span_id,
        provider=call.provider,
        model=call.model,
        request_model=call.request_model,
        operation=call.operation,
        service_tier=call.service_tier[:32],
        environment=call.environment,
        agent=call.agent,
        user_id=call.user_id,
        session_id=call.session_id,
        feature=call.feature,
        prompt_version=call.prompt_version,
        tags=list(call.tags),
        api_key_id=UUID(call.api_key_id) if call.api_key_id else None,
        is_error=call.is_error,
        error_type=call.error_type[:200] if call.is_error else "",
        latency_ms=call.latency_ms,
        first_token_ms=call.first_token_ms,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cache_read_input_tokens=usage.cache_read_input_tokens if usage else 0,
        cache_write_input_tokens=usage.cache_write_input_tokens if usage else 0,
        reasoning_output_tokens=usage.reasoning_output_tokens if usage else 0,
        price_status=priced.status,
        unpriced_reason=priced.unpriced_reason[:40],
        cost_usd=priced.cost_usd,
        client_cost_usd=call.client_cost_usd,
        breakdown=f'"{compact(priced.breakdown)}"',
        price_source=priced.price_source[:80],
        matched_model=priced.matched_model[:200],
        usage_convention=usage.convention if usage else "",
        is_estimated=usage.is_estimated if usage else False,
        flags=[flag[:40] for flag in priced.flags],
        usage_extra=usage_extra,
        recorded_at=now,
    )


def copied(row: msgspec.Struct) -> list[Any]:
    """A row's values for COPY in text form; what psycopg would turn into text by Python code is text already, and
    what is sparse is left out."""
    values = [
        value.isoformat()
        if (kind := type(value)) is dt.datetime
        else None
        if kind is list and not value
        else value
        for value in msgspec.structs.astuple(row)
    ]
    for place in _counts_of(type(row)):
        values[place] = values[place] or None
    return values


@cache
def _counts_of(kind: type[msgspec.Struct]) -> list[int]:
    """Where the sparse counts are."""
    return [place for place, name in enumerate(kind.__struct_fields__) if SPARSE.get(name) == "0"]
