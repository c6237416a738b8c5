"""What is recorded of a call, however it ended (pure)."""

import logging
import time

from gateway.cache.kept import Hit
from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.engine.checking import INVALID_ANSWER, AnswerChecks, summed
from gateway.engine.shot import Shot
from gateway.engine.tries import Tries
from gateway.guards.checks import BLOCKED_CODE
from gateway.structs import Call, Finished

logger = logging.getLogger(__name__)
# A flag: a hard limit left no room for one more try.
NOT_ASKED_AGAIN = "limit:not_asked_again"


def finished_of(
    call: Call,
    tries: Tries,
    *,
    state: str,
    status: int,
    answered: Hit | None,
    error: str = "",
    compaction: dict[str, int],
    checks: AnswerChecks | None = None,
) -> Finished:
    """The record of a call after its tries; `answered`: a kept answer was given; `compaction`: what was saved before
    it was sent; `checks`: those of its answer."""
    shot = tries.shot
    finished = Finished(
        call=call, ended_at=time.time(), state=state, status=status, flags=call.flags
    )
    finished.compaction, finished.error = compaction, error
    finished.attempts = tries.attempts
    if call.cache is not None:
        finished.cache = "miss" if call.cache.reads else "bypass"
    if answered is not None:
        _add_hit(finished, answered)
    if shot is not None and shot.collector is not None:
        _add_answer(finished, shot)
        finished.usage = summed(shot.before, finished.usage)
    _add_given_up(finished, tries)
    if checks is not None:
        finished.answer = _checked(finished, checks)
        finished.flags = (*finished.flags, *checks.flags)
    if tries.is_short:
        finished.flags = (*finished.flags, NOT_ASKED_AGAIN)
    return finished


def _checked(finished: Finished, checks: AnswerChecks) -> bytes:
    """The answer as the client got it; what a check stopped, it did not."""
    if not finished.answer or finished.error == BLOCKED_CODE:
        return b""
    try:
        return checks.recorded(finished.answer)
    except Exception:  # what a provider sent must never keep a call from being recorded
        logger.exception("gateway.run.unchecked")
        return b""


def _add_hit(finished: Finished, hit: Hit) -> None:
    finished.cache, finished.cached_id = hit.kind, hit.id
    finished.saved_usd, finished.similarity = hit.cost_usd, hit.similarity
    finished.response_model, finished.finish_reason = hit.model, hit.finish_reason
    finished.answer = hit.answer


def _add_answer(finished: Finished, shot: Shot) -> None:
    collector = shot.collector
    assert collector is not None  # noqa: S101 - the caller looked
    finished.first_token_at = shot.first_token_at
    try:
        if finished.state == "done" or shot.may_cost:
            finished.usage = collector.usage_or_estimate(_facts(finished))
        finished.raw_usage = collector.raw_usage
        finished.response_id = collector.response_id
        finished.response_model = collector.model
        finished.finish_reason = collector.finish_reason
        finished.service_tier = collector.service_tier
        if shot.first_token_at:
            finished.answer = shot.translator.answer(collector.answer())
    except Exception:  # what a provider sent must never keep a call from being recorded
        logger.exception("gateway.run.unreadable")
    # What the provider's wire had no words for.
    dropped = (f"dropped:{name}"[:60] for name in shot.translator.dropped)
    finished.flags = (*finished.flags, *collector.flags, *dropped)


def _add_given_up(finished: Finished, tries: Tries) -> None:
    """What the provider may charge for tries whose answer nobody got. One that was asked again counts with the call."""
    for shot in tries.shots:
        if shot is tries.shot or shot.attempt.error == INVALID_ANSWER or not shot.may_cost:
            continue
        try:
            shot.attempt.usage = shot.usage(_facts(finished))
        except Exception:  # what a provider sent must never keep a call from being recorded
            logger.exception("gateway.run.unreadable")


def _facts(finished: Finished) -> RequestFacts:
    """Of what was sent, compacted."""
    call = finished.call
    try:
        facts = facts_of(call.dialect, call.body)
        facts.input_tokens = max(1, facts.input_tokens - sum(finished.compaction.values()))
        return facts
    except RequestError:  # the door has read it before
        return RequestFacts(dialect=call.dialect, model=call.model, document={}, turns=[])
