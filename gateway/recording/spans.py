"""From how a call ended to the step that the one writer stores (pure).

A call is one step: its tries are events on it. Ids come from the call's id, so the same end twice is the same step.
"""

import datetime as dt
import itertools
from typing import Any

from costs.usage import Usage
from gateway.models import RequestState
from gateway.recording import contents
from gateway.recording.lost import QUEUE_LOST
from gateway.recording.timing import Timing, counting, timing_of
from gateway.structs import Attempt, Dialect, Finished, Target
from traces.ingest.dialects.base import is_refusal
from traces.ingest.limits import ERROR_LENGTH, SHORT_LENGTH, Limits
from traces.ingest.sanitize import Cleaner, clean_text, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.twins import GATEWAY

SCOPE = "llmlab.gateway"
ESTIMATED = "usage_estimated"
LIMITS = Limits()
# Said, not left unknown: what the client reports above or beside a kept answer must not be charged for it.
NOTHING_USED = Usage(input_tokens=0, output_tokens=0)
_OPERATIONS = {
    Dialect.CHAT: "chat",
    Dialect.RESPONSES: "chat",
    Dialect.MESSAGES: "chat",
    Dialect.COMPLETIONS: "text_completion",
    Dialect.EMBEDDINGS: "embeddings",
    Dialect.COUNT_TOKENS: "count_tokens",
}
_LOST = RequestState.LOST.value
_FAILED = frozenset({RequestState.FAILED.value, RequestState.EXPIRED.value, _LOST})


def trace_id_of(finished: Finished) -> str:
    """The caller's trace, or one of the call's own."""
    return finished.call.caller.trace_id or finished.call.id


def span_id_of(finished: Finished) -> str:
    """Sixteen hex digits, as OpenTelemetry has them. A job's lost try is a step of its own: the job goes on."""
    call = finished.call
    if is_lost_try(finished):
        return f"{call.id[16:24]}{int(call.claimed_at * 1000) & 0xFFFFFFFF:08x}"
    return call.id[16:]


def is_lost_try(finished: Finished) -> bool:
    """Whether this is one try of a job whose worker died; how the job ends is recorded when it ends."""
    return finished.call.is_job and finished.state == RequestState.LOST.value


def has_span(finished: Finished) -> bool:
    """Refused calls reached no model: they are rows of the request list, and no steps."""
    return finished.state != RequestState.REFUSED.value


def target_of(finished: Finished) -> Target | None:
    """Where the call went, or would have gone."""
    attempt = counting(finished.attempts)
    if attempt is not None:
        return attempt.target
    targets = finished.call.decision.targets
    return targets[0] if targets else None


def span_of(finished: Finished) -> NormalSpan:
    """The step. Everything in it is within what the writer's columns take."""
    call, caller = finished.call, finished.call.caller
    target, timing = target_of(finished), timing_of(finished)
    cleaner = Cleaner(LIMITS)
    document = contents.document_of(call.body)
    operation = _OPERATIONS[call.dialect]
    model = (target.model if target else "") or call.model
    name = short_text(f"{operation} {model}")
    is_hit = finished.state == RequestState.CACHED.value
    span = NormalSpan(
        trace_id=trace_id_of(finished),
        span_id=span_id_of(finished),
        parent_span_id=caller.parent_span_id if caller.trace_id else "",
        name=name,
        trace_name="" if caller.trace_id and caller.parent_span_id else name,
        kind="embedding" if call.dialect is Dialect.EMBEDDINGS else "llm",
        started_at=moment(call.accepted_at),
        ended_at=moment(max(call.accepted_at, finished.ended_at)),
        first_token_ms=first_token_ms(finished),
        provider=short_text(target.provider if target else "", SHORT_LENGTH),
        request_model=short_text(model),
        response_model=short_text(finished.response_model),
        operation=operation,
        usage=NOTHING_USED if is_hit and finished.usage is None else finished.usage,
        is_call=call.dialect is not Dialect.COUNT_TOKENS,
        is_cache_hit=is_hit,
        service_tier=short_text(finished.service_tier, 32),
        speed=short_text(_speed(finished, document), 32),
        processing="batch" if finished.service_tier == "batch" else "",
        response_id=short_text(finished.response_id or (_kept_id(finished) if is_hit else "")),
        finish_reason=short_text(finished.finish_reason, 40),
        agent=short_text(caller.agent),
        environment=short_text(caller.environment, SHORT_LENGTH),
        user_id=short_text(caller.user),
        session_id=short_text(caller.session),
        feature=short_text(caller.feature),
        prompt_version=short_text(caller.prompt_version),
        api_key_id=caller.key_id,
        tags=tuple(dict.fromkeys(short_text(tag) for tag in caller.tags[: LIMITS.max_tags] if tag)),
        metadata=cleaner.value(caller.metadata),
        input=cleaner.value(contents.input_of(call.dialect, document)),
        output=cleaner.value(contents.output_of(call.dialect, finished.answer)),
        tools=cleaner.value(contents.tools_of(document)),
        parameters=cleaner.value(contents.parameters_of(document)),
        dialect=GATEWAY,
        scope_name=SCOPE,
    )
    _add_outcome(span, finished)
    _omit(span, {*call.flags, *finished.flags})
    span.attributes = cleaner.value(_attributes(finished, span, target, timing))
    span.events = [_event(call.accepted_at, one, cleaner) for one in finished.attempts]
    span.flags = _flags(finished, cleaner)
    return span


def _kept_id(finished: Finished) -> str:
    """A kept answer says the id it was given with: the client's own instrumentation reports it under that."""
    found = contents.document_of(finished.answer).get("id")
    return found if type(found) is str else ""


def _speed(finished: Finished, document: Any) -> str:
    """How fast Anthropic served it, which has a price; as asked where the answer broke off before it said."""
    target = target_of(finished)
    if target is None or target.kind != "anthropic":
        return ""
    served = (finished.raw_usage or {}).get("speed")
    if type(served) is str:
        return served
    asked = document.get("speed") if type(document) is dict else None
    return asked if type(asked) is str else ""


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def first_token_ms(finished: Finished) -> float | None:
    """From the call's acceptance to the first token of a stream."""
    if not finished.first_token_at or not finished.call.is_stream:
        return None
    return max(0.0, (finished.first_token_at - finished.call.accepted_at) * 1000)


def _add_outcome(span: NormalSpan, finished: Finished) -> None:
    """Whether it failed, and whether the provider refused it before doing any work."""
    attempt = counting(finished.attempts)
    may_be_asked = finished.state == _LOST and finished.error != QUEUE_LOST
    if attempt is None and not may_be_asked and finished.state != RequestState.CACHED.value:
        span.is_rejected = True  # nobody was asked
    if finished.state not in _FAILED:
        return
    span.status = "error"
    span.error_type = short_text(finished.error or finished.state)
    span.error_message = clean_text(finished.message)[:ERROR_LENGTH]
    if attempt is None:
        return
    if attempt.status >= 400:
        # An error instead of an answer: no provider charges for one, whoever's fault it was.
        span.is_rejected = span.usage is None or not span.usage.is_known
    else:
        span.is_rejected = is_refusal(span, {})


def _omit(span: NormalSpan, flags: set[str]) -> None:
    """Leave out what the caller wants not recorded (gateway.door.wishes), whatever the project keeps."""
    if "omit_input" in flags:
        span.input = span.tools = None
    if "omit_output" in flags:
        span.output = None


def _attributes(
    finished: Finished, span: NormalSpan, target: Target | None, timing: Timing
) -> dict[str, Any]:
    call, decision = finished.call, finished.call.decision
    found: dict[str, Any] = {
        "gen_ai.operation.name": span.operation,
        "gen_ai.provider.name": span.provider,
        "gen_ai.request.model": span.request_model,
        "gen_ai.response.model": span.response_model,
        "gen_ai.response.id": span.response_id,
        "gen_ai.response.finish_reasons": [span.finish_reason] if span.finish_reason else None,
        "gen_ai.conversation.id": span.session_id,
        "http.response.status_code": finished.status,
        "llmlab.gateway.request_id": call.id,
        "llmlab.gateway.state": finished.state,
        "llmlab.gateway.dialect": call.dialect.value,
        "llmlab.gateway.asked_model": call.model,
        "llmlab.gateway.is_stream": call.is_stream,
        "llmlab.gateway.priority": call.priority,
        "llmlab.gateway.route": decision.route,
        "llmlab.gateway.because": decision.because,
        "llmlab.gateway.skipped": list(decision.skipped),
        "llmlab.gateway.cache": finished.cache,
        "llmlab.gateway.cached_id": finished.cached_id,
        "llmlab.gateway.similarity": finished.similarity,
        "llmlab.gateway.attempts": len(finished.attempts),
        "llmlab.gateway.fallbacks": fallbacks_of(finished),
    }
    if (usage := finished.usage) is not None:
        found["gen_ai.usage.input_tokens"] = usage.input_tokens
        found["gen_ai.usage.output_tokens"] = usage.output_tokens
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read_input_tokens or None
    if target is not None:
        found["llmlab.gateway.connection"] = target.connection
        found["llmlab.gateway.target_because"] = target.because
        found["llmlab.gateway.is_canary"] = target.is_canary or None
    if span.is_cache_hit:
        found["llmlab.cache.hit"] = True
    if finished.saved_usd is not None:
        found["llmlab.gateway.saved_usd"] = str(finished.saved_usd)
    if finished.client_left_at:
        left = (finished.client_left_at - call.accepted_at) * 1000
        found["llmlab.gateway.client_left_ms"] = round(max(0.0, left), 3)
    for name, tokens in finished.compaction.items():
        found[f"llmlab.gateway.compaction.{name}"] = tokens
    for name in Timing.__struct_fields__:
        value = getattr(timing, name)
        if value is not None:
            found[f"llmlab.gateway.{name}_ms"] = round(value, 3)
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def fallbacks_of(finished: Finished) -> int:
    """How often the call went on to another target than the one before, a try beside it not counted."""
    steps = [
        (one.target.connection, one.target.model) for one in finished.attempts if not one.is_hedge
    ]
    return sum(one != before for before, one in itertools.pairwise(steps))


def _event(accepted_at: float, attempt: Attempt, cleaner: Cleaner) -> dict[str, Any]:
    target = attempt.target
    ended = attempt.ended_at or attempt.began_at
    facts = {
        "gen_ai.provider.name": target.provider,
        "gen_ai.request.model": target.model,
        "http.response.status_code": attempt.status or None,
        "error.type": attempt.error,
        "message": attempt.message,
        "request_id": attempt.request_id,
        "key": attempt.key_hint,
        "step": target.step or None,
        "because": target.because,
        "is_hedge": attempt.is_hedge or None,
        "retry_after_s": attempt.retry_after_s,
        "duration_ms": round(max(0.0, (ended - attempt.began_at) * 1000), 3),
    }
    return {
        "name": "llmlab.gateway.attempt",
        "offset_ms": round(max(0.0, (attempt.began_at - accepted_at) * 1000), 3),
        "attributes": cleaner.value(
            {name: value for name, value in facts.items() if value not in (None, "")}
        ),
    }


def _flags(finished: Finished, cleaner: Cleaner) -> tuple[str, ...]:
    flags = [short_text(flag, 40) for flag in (*finished.call.flags, *finished.flags)]
    if finished.usage is not None and finished.usage.is_estimated:
        flags.append(ESTIMATED)
    if finished.state == RequestState.CANCELLED.value:
        flags.append("cancelled")
    return tuple(dict.fromkeys([*flags, *cleaner.flags()]))
