"""Tries whose answer nobody got but that a provider may charge for: each a step of its own (pure).

A hedge that lost, a try that timed out or broke off before its first token. They stand beside the call's step, not
below it: of steps below each other only the lowest is charged.
"""

from collections.abc import Iterator

from gateway.recording import spans
from gateway.structs import Attempt, Finished
from traces.ingest.limits import ERROR_LENGTH, SHORT_LENGTH
from traces.ingest.sanitize import clean_text, short_text
from traces.ingest.span import NormalSpan

FLAG = "given_up"


def spans_of(finished: Finished, step: NormalSpan) -> Iterator[NormalSpan]:
    """Of a call and its step; ids come from the call's, so the same end twice is the same steps."""
    for number, attempt in enumerate(finished.attempts, 1):
        if attempt.usage is not None:
            yield _span(finished, step, attempt, number)


def _span(finished: Finished, step: NormalSpan, attempt: Attempt, number: int) -> NormalSpan:
    target = attempt.target
    model = short_text(target.model or finished.call.model)
    ended = attempt.ended_at or attempt.began_at
    return NormalSpan(
        trace_id=step.trace_id,
        span_id=f"{int(finished.call.id[16:], 16) ^ number:016x}",
        parent_span_id=step.parent_span_id,
        name=short_text(f"{step.operation} {model} (given up)"),
        kind=step.kind,
        status="error",
        started_at=spans.moment(attempt.began_at),
        ended_at=spans.moment(max(attempt.began_at, ended)),
        provider=short_text(target.provider, SHORT_LENGTH),
        request_model=model,
        operation=step.operation,
        usage=attempt.usage,
        is_call=step.is_call,
        error_type=short_text(attempt.error),
        error_message=clean_text(attempt.message)[:ERROR_LENGTH],
        agent=step.agent,
        environment=step.environment,
        user_id=step.user_id,
        session_id=step.session_id,
        feature=step.feature,
        prompt_version=step.prompt_version,
        api_key_id=step.api_key_id,
        tags=step.tags,
        dialect=step.dialect,
        scope_name=step.scope_name,
        attributes={
            "llmlab.gateway.request_id": finished.call.id,
            "llmlab.gateway.given_up": "hedge" if attempt.is_hedge else "try",
            "llmlab.gateway.connection": target.connection,
        },
        flags=(FLAG, spans.ESTIMATED) if attempt.usage and attempt.usage.is_estimated else (FLAG,),
    )
