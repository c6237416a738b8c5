"""A call through the web process: read, decided, looked up, reserved, put in line, answered. One per event loop."""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
from django.conf import settings
from redis.exceptions import RedisError

from gateway.cache.exact import ExactCache
from gateway.cache.kept import Hit
from gateway.cache.keys import plan
from gateway.cache.shape import shape_of
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.dialects.replay import as_stream
from gateway.dialects.tokens import count_answer
from gateway.door import answers
from gateway.door.answers import Headers, RefusalError
from gateway.door.callers import caller_of
from gateway.door.keys import Opened
from gateway.door.relay import relay
from gateway.door.request import Request
from gateway.door.wishes import Wishes, followed, wishes_of
from gateway.guards.checks import BLOCKED_CODE, check_input
from gateway.guards.schemas import may_ask_again
from gateway.playground.passes import as_person
from gateway.queues.frames import FrameReader, Waiting
from gateway.queues.line import Full
from gateway.quotas.bounds import Bounds, bounds_of, output_of
from gateway.quotas.reserving import Granted, Quotas, Refused
from gateway.recording import recorder
from gateway.requests.accepting import Jobs
from gateway.routing.decide import NoRouteError, decide, rules_of
from gateway.routing.health import Health
from gateway.routing.matching import holds
from gateway.snapshot import Snapshot
from gateway.structs import Call, Caller, Decision, Dialect, Finished

logger = logging.getLogger(__name__)

_FULL = {
    "project": "waiting calls of this project",
    "calls": "waiting calls",
    "bytes": "bytes of waiting calls",
}
_NO_JOBS = "Only API keys may ask for answers that come later."
_NOWHERE = Decision(targets=())
# Checks of more than this would hold up other calls of the process.
LARGE_BODY = 64 * 1024


class Calls:
    """What a web process's calls share."""

    def __init__(self) -> None:
        self.reader = FrameReader(settings.REDIS_URL)
        self.health = Health(self.reader.link)
        self.cache = ExactCache(self.reader.link)
        self.quotas = Quotas()
        self.jobs = Jobs(self.reader.link)
        self._starting: asyncio.Future[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to watch the targets' health; whoever comes first."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self.health.start())
        if not self._starting.done():
            await asyncio.shield(self._starting)

    async def serve(self, request: Request, opened: Opened) -> None:
        """Answer the request. Raises RefusalError, HeaderError, RequestError, ClientLeftError."""
        await self.start()
        body = await request.body()
        facts = facts_of(request.dialect, body)
        snapshot = opened.snapshot
        caller = caller_of(opened.auth, request.said, facts)
        if opened.person:
            caller = as_person(caller, opened.person)
        wishes = wishes_of(request.said, facts, snapshot.rules, caller.key_id)
        call = _accepted(request, snapshot, facts, caller, wishes, body)
        try:
            is_job = wishes.is_async and call.dialect is not Dialect.COUNT_TOKENS
            if is_job and opened.person:
                raise RefusalError(400, "key_needed", _NO_JOBS, param="prefer")
            if is_job and await self.jobs.known(request, call, opened):
                return
            admitted = await self._admit(request, call, opened, facts, wishes, is_job=is_job)
        except RefusalError as refusal:
            await self.quotas.release(call)
            self._record(
                call, "refused", refusal.status, error=refusal.code, message=refusal.message
            )
            raise
        except BaseException:
            await self.quotas.release(call)
            raise
        if admitted is None:
            return
        waiting, extra = admitted
        try:
            await request.while_connected(relay(call, waiting, request, extra))
        finally:
            if not waiting.has_ended:
                self._later(self._leave(call, waiting))

    async def _admit(
        self,
        request: Request,
        call: Call,
        opened: Opened,
        facts: RequestFacts,
        wishes: Wishes,
        *,
        is_job: bool,
    ) -> tuple[Waiting, Headers] | None:
        """Into the line; None: a kept answer was given, or a job's 202. Raises RefusalError."""
        snapshot = opened.snapshot
        at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
        try:
            self._route(request, call, snapshot, facts, at)
        except RefusalError as refusal:
            if call.dialect is not Dialect.COUNT_TOKENS or refusal.code != "dialect_not_supported":
                raise
            await self._count(request, call, facts)
            return None
        if call.guards:
            facts = await _guarded(call, facts, at)
        hit = await self._look_up(call, snapshot, facts, wishes, at)
        body = _kept_body(call, hit) if hit is not None else None
        if hit is not None and body is not None:
            extra = _headers_of(await self.quotas.count_hit(call, snapshot))
            await self._replay(request, call, hit, body, extra)
            return None
        extra = await self._reserve(call, snapshot, facts, at)
        if is_job:
            if not await self.jobs.accept(request, call, opened, extra):
                await self.quotas.release(call)
            return None
        return await self._push(call, snapshot.rules.queue_limit), extra

    def _route(
        self, request: Request, call: Call, snapshot: Snapshot, facts: RequestFacts, at: dt.datetime
    ) -> None:
        """Where it goes, and by whose rules."""
        try:
            call.decision = decide(
                snapshot,
                facts,
                call.caller,
                dialect=call.dialect,
                health=self.health.view,
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
        call.rules = followed(rules, request.said)
        call.on_client_gone = rules.on_client_gone or snapshot.rules.on_client_gone
        call.guards = snapshot.rules.guards + rules.guards
        call.compact = rules.compact or snapshot.rules.compact

    async def _count(self, request: Request, call: Call, facts: RequestFacts) -> None:
        """Anthropic's clients count before they call; no other provider does that, so our estimate answers."""
        body = count_answer(facts.input_tokens)
        self._record(call, "done", 200, answer=body)
        await request.answer(200, [answers.JSON, *answers.call_headers(call, {})], body)

    # --- kept answers

    async def _look_up(
        self,
        call: Call,
        snapshot: Snapshot,
        facts: RequestFacts,
        wishes: Wishes,
        at: dt.datetime,
    ) -> Hit | None:
        rule = call.rules.cache or snapshot.rules.cache
        if not (rule.exact or rule.semantic or wishes.cache.is_on):
            return None
        shape = shape_of(
            call.rules,
            guards=call.guards,
            compact=call.compact,
            holds=lambda when: holds(when, facts, call.caller, at),
        )
        call.cache = plan(call.dialect, facts, call.caller, rule, wishes.cache, shape=shape)
        if call.cache is None:
            return None
        began = time.perf_counter()
        hit = await self.cache.lookup(call.cache, snapshot, now=call.accepted_at)
        call.cache_s = time.perf_counter() - began
        return hit

    async def _replay(
        self, request: Request, call: Call, hit: Hit, body: bytes, extra: Headers
    ) -> None:
        """Give the kept answer."""
        self._record(
            call,
            "cached",
            200,
            answer=hit.answer,
            cache=hit.kind,
            cached_id=hit.id,
            saved_usd=hit.cost_usd,
            response_model=hit.model,
            finish_reason=hit.finish_reason,
        )
        kind = answers.EVENTS if call.is_stream else answers.JSON
        headers = [kind, *answers.hit_headers(call, hit, time.time()), *extra]
        await request.answer(200, headers, body)

    # --- limits

    async def _reserve(
        self, call: Call, snapshot: Snapshot, facts: RequestFacts, at: dt.datetime
    ) -> Headers:
        """Set aside what it can use at most; headers that say what is left."""
        if not snapshot.limits and not snapshot.budgets:
            call.max_input_tokens = facts.input_tokens
            if call.dialect is not Dialect.COUNT_TOKENS:
                targets = call.decision.targets
                call.max_output_tokens = max(output_of(facts, one.model) for one in targets)
            return []
        bounds: Bounds = bounds_of(
            facts,
            call.decision,
            body=call.body,
            at=at,
            prices=snapshot.prices,
            is_hedged=call.rules.hedge_after_s is not None,
            may_ask_again=may_ask_again(
                call.guards, call.dialect, facts.document, is_stream=call.is_stream
            ),
        )
        outcome = await self.quotas.reserve(call, snapshot, bounds)
        headers = _headers_of(outcome)
        call.flags = (*call.flags, *outcome.flags)
        return headers

    # --- the line

    async def _push(self, call: Call, limit: int) -> Waiting:
        try:
            placed = await self.reader.ask(call, limit=limit, now=time.time())
        except (RedisError, TimeoutError):
            text = "The queue does not answer. Send it again in a moment."
            raise RefusalError(503, "queue_unavailable", text, retry_after_s=2) from None
        if isinstance(placed, Full):
            again = placed.retry_after_s
            text = f"The queue is full: {placed.waiting} {_FULL[placed.bound]}. Try again in {again} s."
            raise RefusalError(429, "queue_full", text, retry_after_s=again)
        return placed

    async def _leave(self, call: Call, waiting: Waiting) -> None:
        """Nobody waits for the call any more. One that was still in line ends here, any other with its worker."""
        state = await waiting.leave()
        if state not in ("waiting", "expired", "stopped"):
            return
        await self.quotas.release(call)
        if state == "stopped":
            self._record(
                call, "cancelled", 499, error="cancelled", message="Somebody cancelled it."
            )
        elif state == "expired" or time.time() >= call.deadline_at:
            self._record(call, "expired", 504, error="deadline_exceeded")
        else:
            self._record(call, "cancelled", 499, error="client_left", client_left_at=time.time())

    # --- the record

    def _record(self, call: Call, state: str, status: int, **fields: Any) -> None:
        finished = Finished(call=call, ended_at=time.time(), state=state, status=status)
        for name, value in fields.items():
            setattr(finished, name, value)
        try:
            recorder.finish(finished)
        except OSError:
            logger.exception("gateway.door.unrecorded")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _kept_body(call: Call, hit: Hit) -> bytes | None:
    """The kept answer as this call wants it, whole or as a stream; None: it has no stream, so the provider is asked."""
    if not call.is_stream:
        return hit.answer
    try:
        return b"".join(as_stream(call.dialect, hit.answer, wants_usage=call.wants_usage))
    except ValueError:
        logger.exception("gateway.door.kept_without_stream", extra={"cached_id": hit.id})
        return None


def _headers_of(outcome: Granted | Refused) -> Headers:
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


async def _guarded(call: Call, facts: RequestFacts, at: dt.datetime) -> RequestFacts:
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


def _accepted(
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
