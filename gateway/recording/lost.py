"""Calls that began and never ended: their worker died (pure but for reading the body)."""

from costs.usage import Usage
from gateway.dialects.facts import RequestError, facts_of
from gateway.models import RequestState
from gateway.structs import Call, Dialect, Finished

WORKER_DIED = "worker_died"
# Redis forgot the call while it waited: what was set aside is given back. Should a worker have had it all the same,
# that one's record replaces this one and is charged.
QUEUE_LOST = "queue_lost"


def lost(call: Call, *, at: float) -> Finished:
    """How a call is recorded whose worker died at about `at`: the provider may have done all of it, so it counts with
    the most it could have used."""
    return Finished(
        call=call,
        ended_at=max(call.accepted_at, min(at, call.deadline_at)),
        state=RequestState.LOST.value,
        status=503,
        error=WORKER_DIED,
        message="The worker that made this call died before it ended.",
        usage=usage_at_most(call),
        service_tier="",
    )


def usage_at_most(call: Call) -> Usage:
    """Input as estimated from the text, output as allowed; flagged as estimated."""
    if call.dialect is Dialect.COUNT_TOKENS:
        return Usage(input_tokens=0, output_tokens=0)
    try:
        facts = facts_of(call.dialect, call.body)
    except RequestError:
        return Usage(
            input_tokens=call.max_input_tokens,
            output_tokens=call.max_output_tokens,
            is_estimated=True,
        )
    return Usage(
        input_tokens=facts.input_tokens,
        output_tokens=call.max_output_tokens or (facts.max_output_tokens or 0) * facts.choices,
        is_estimated=True,
    )
