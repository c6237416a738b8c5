"""What a call is before it goes into the line: taken in, routed, checked; and what limits and caches say of it."""

import asyncio
import datetime as dt
import logging
import random

import msgspec

from gateway.cache.kept import Hit
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.dialects.replay import as_stream
from gateway.door import answers
from gateway.door.answers import Headers, RefusalError
from gateway.door.headers import Said
from gateway.door.request import Request
from gateway.door.wishes import Wishes, followed
from gateway.guards.checks import BLOCKED_CODE, check_input
from gateway.quotas.reserving import Granted, Refused
from gateway.routing.decide import NoRouteError, decide, rules_of
from gateway.routing.health import HealthView
from gateway.routing.matching import holds
from gateway.snapshot import Snapshot
from gateway.structs import Call, Caller, Decision

logger = logging.getLogger(__name__)

_NOWHERE = Decision(targets=())
# Checks of more than this would hold up other calls of the process.
LARGE_BODY = 64 * 1024


def accepted(
    request: Request,
    snapshot: Snapshot,
    facts: RequestFacts,
    caller: Caller,
    wishes: Wishes,
    body: bytes,
) -> Call:
    """The call as the client asked for it; where it goes is decided next."""
    return Call(
        id=request.id,
        dialect=request.dialect,
        body=body,
        model=facts.model,
        caller=caller,
        decision=_NOWHERE,
        rules=rules_of(snapshot, _NOWHERE),
        is_stream=facts.is_stream,
        wants_usage=facts.wants_usage,
        priority=wishes.priority,
        accepted_at=request.began_at,
        deadline_at=request.began_at + wishes.deadline_s,
        headers=request.said.passed,
        flags=wishes.flags,
    )


def route(
    call: Call,
    said: Said,
    snapshot: Snapshot,
    facts: RequestFacts,
    *,
    health: HealthView,
    at: dt.datetime,
) -> None:
    """Where it goes, and by whose rules. Raises RefusalError."""
    try:
        call.decision = decide(
            snapshot,
            facts,
            call.caller,
            dialect=call.dialect,
            health=health,
            prices=snapshot.prices,
            at=at,
            draw=random.random(),  # noqa: S311 - spreads load
        )
    except NoRouteError as error:
        param = "model" if error.status in (400, 404) else ""
        again = 5 if error.status == 503 else 0
        raise RefusalError(
            error.status, error.code, error.detail, param=param, retry_after_s=again
        ) from None
    rules = rules_of(snapshot, call.decision)
    call.rules = followed(rules, said)
    call.on_client_gone = rules.on_client_gone or snapshot.rules.on_client_gone
    call.guards = snapshot.rules.guards + rules.guards
    call.compact = rules.compact or snapshot.rules.compact


async def guarded(call: Call, facts: RequestFacts, at: dt.datetime) -> RequestFacts:
    """The facts of what the checks let through. Raises RefusalError."""
    call.guards = tuple(one for one in call.guards if holds(one.when, facts, call.caller, at))
    if len(call.body) > LARGE_BODY:
        verdict = await asyncio.to_thread(check_input, call.guards, facts, call.caller)
    else:
        verdict = check_input(call.guards, facts, call.caller)
    call.flags = (*call.flags, *verdict.flags)
    if verdict.document is not facts.document:
        call.body = msgspec.json.encode(verdict.document)
        facts = facts_of(call.dialect, call.body)
    if verdict.blocked is not None:
        stop = verdict.blocked
        extra = {"guard": stop.kind}
        raise RefusalError(400, BLOCKED_CODE, stop.message, param=stop.param, extra=extra)
    return facts


def headers_of(outcome: Granted | Refused) -> Headers:
    """What limits say of a call that may go on. Raises RefusalError for one that may not."""
    if isinstance(outcome, Refused):
        raise RefusalError(
            outcome.status,
            outcome.code,
            outcome.message,
            headers=outcome.headers,
            extra=outcome.extra,
            retry_after_s=outcome.retry_after_s or 0,
        )
    return answers.encoded(outcome.headers)


def kept_body(call: Call, hit: Hit) -> bytes | None:
    """The kept answer as this call wants it, whole or as a stream; None: it has no stream, so the provider is asked."""
    if not call.is_stream:
        return hit.answer
    try:
        return b"".join(as_stream(call.dialect, hit.answer, wants_usage=call.wants_usage))
    except ValueError:
        logger.exception("gateway.door.kept_without_stream", extra={"cached_id": hit.id})
        return None
