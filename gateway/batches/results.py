"""From a batch's results to recorded calls: each once, however often they are read (pure).

A call's id follows from the batch and the request's own id, so the recorder knows what it has.
"""

import datetime as dt
import hashlib
from typing import Any
from uuid import UUID

import msgspec

from gateway.batches.reading import TIER
from gateway.batches.wires import Result
from gateway.dialects.collect import Collector
from gateway.models import Batch
from gateway.structs import (
    Attempt,
    Call,
    Caller,
    Decision,
    Dialect,
    Finished,
    RouteRules,
    Target,
)
from traces.ingest.json_steps import DURATION_UNKNOWN

FLAG = "batch"
# Nobody was asked.
_UNMADE = frozenset({"cancelled", "expired"})


def caller_of(batch: Batch, organization_id: UUID) -> Caller:
    """Who asked for it; its project and organisation are the row's, whatever is written in it."""
    found = msgspec.convert(batch.caller, Caller)
    return msgspec.structs.replace(
        found, organization_id=organization_id.hex, project_id=batch.project_id.hex
    )


def call_id_of(batch: Batch, custom_id: str) -> UUID:
    """A UUID 7 of the batch's time whose other bits are the request's name in it."""
    text = f"{batch.id.hex}:{custom_id}".encode("utf-8", "surrogatepass")
    bits = int.from_bytes(hashlib.sha256(text).digest()[:10], "big")
    milliseconds = int(batch.created_at.timestamp() * 1000)
    value = milliseconds << 80 | 7 << 76 | (bits >> 64 & 0xFFF) << 64
    return UUID(int=value | 2 << 62 | bits & ((1 << 62) - 1))


def finished_of(
    batch: Batch, result: Result, *, caller: Caller, kind: str, now: dt.datetime
) -> Finished:
    """How one request of the batch ended. Nobody knows how long it took by itself."""
    dialect = Dialect(batch.dialect)
    answer: Any = Collector(dialect)
    if result.state == "done":
        answer.whole(result.body)
    target = Target(
        connection=batch.connection_id.hex,
        kind=kind,
        model=_model(batch, answer.model),
        provider=batch.provider,
    )
    at = batch.created_at.timestamp()
    ended_at = max(at, (batch.ended_at or now).timestamp())
    call = Call(
        id=call_id_of(batch, result.custom_id).hex,
        dialect=dialect,
        body=b"",
        model=target.model,
        caller=_of_batch(caller, batch, result),
        decision=Decision(targets=(target,), because=f"batch {batch.provider_id}"[:500]),
        rules=RouteRules(),
        accepted_at=at,
        deadline_at=ended_at,
        priority=2,
    )
    attempt = Attempt(
        target=target,
        began_at=at,
        ended_at=ended_at,
        status=result.status,
        error="error" if result.state != "done" else "",
        code=result.code,
        message=result.message[:2000],
        request_id=result.request_id[:200],
    )
    return Finished(
        call=call,
        ended_at=ended_at,
        state=result.state,
        status=result.status,
        error=result.code,
        message=result.message[:2000],
        attempts=[] if result.state in _UNMADE else [attempt],
        usage=answer.usage if result.state == "done" else None,
        raw_usage=answer.raw_usage if result.state == "done" else None,
        response_id=answer.response_id,
        response_model=answer.model,
        finish_reason=answer.finish_reason,
        service_tier=TIER,
        answer=result.body,
        flags=(FLAG, DURATION_UNKNOWN),
    )


def _model(batch: Batch, answered: str) -> str:
    """Which of the models that were asked for it was: a provider answers with a dated name of it."""
    names = batch.model_names
    if len(names) == 1:
        return str(names[0])
    fitting = [name for name in names if answered.startswith(name)]
    return max(fitting, key=len) if fitting else answered or next(iter(names), "")


def _of_batch(caller: Caller, batch: Batch, result: Result) -> Caller:
    """With the names of batch and request; under no step of a trace, where thousands would hang."""
    metadata = {**caller.metadata, "batch": batch.provider_id, "custom_id": result.custom_id}
    return msgspec.structs.replace(caller, metadata=metadata, trace_id="", parent_span_id="")
