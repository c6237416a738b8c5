"""A call through the web process: read, decided, looked up, reserved, put in line, answered. One per event loop."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Coroutine
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from gateway.cache.exact import ExactCache
from gateway.cache.kept import Hit
from gateway.cache.keys import plan
from gateway.cache.shape import shape_of
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.dialects.tokens import count_answer
from gateway.door import answers
from gateway.door.answers import Headers, RefusalError
from gateway.door.callers import caller_of
from gateway.door.keys import Opened
from gateway.door.preparing import accepted, guarded, headers_of, kept_body, route
from gateway.door.relay import relay
from gateway.door.request import Request
from gateway.door.wishes import Wishes, wishes_of
from gateway.guards.schemas import may_ask_again
from gateway.playground.passes import as_person
from gateway.queues.frames import AWAY, FrameReader, Waiting
from gateway.queues.line import Full
from gateway.quotas.bounds import Bounds, bounds_of, output_of
from gateway.quotas.reserving import Quotas
from gateway.recording import recorder
from gateway.recording.lost import QUEUE_LOST
from gateway.requests.accepting import Jobs
from gateway.routing.health import Health
from gateway.routing.matching import holds
from gateway.snapshot import Snapshot
from gateway.structs import Call, Dialect, Finished

logger = logging.getLogger(__name__)

_FULL = {
    "project": "waiting calls of this project",
    "calls": "waiting calls",
    "bytes": "bytes of waiting calls",
}
_LOST = (
    "The queue lost the call: Redis was restarted, emptied, or did not answer until its deadline."
)
# Between two questions to a Redis that does not answer; how long calls that are left may take at the end.
AGAIN_S, LEAVE_S = 1.0, 0.5
_NO_JOBS = "Only API keys may ask for answers that come later."


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

    async def close(self) -> None:
        """Tell and settle what is left; the process ends."""
        if self._background:
            await asyncio.wait(self._background, timeout=LEAVE_S)
        if self._starting is not None and self._starting.done():
            await self.health.stop()
        await self.cache.close()
        await self.quotas.close()
        await self.reader.close()

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
        call = accepted(request, snapshot, facts, caller, wishes, body)
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
            route(call, request.said, snapshot, facts, health=self.health.view, at=at)
        except RefusalError as refusal:
            if call.dialect is not Dialect.COUNT_TOKENS or refusal.code != "dialect_not_supported":
                raise
            await self._count(request, call, facts)
            return None
        if call.guards:
            facts = await guarded(call, facts, at)
        hit = await self._look_up(call, snapshot, facts, wishes, at)
        body = kept_body(call, hit) if hit is not None else None
        if hit is not None and body is not None:
            extra = headers_of(await self.quotas.count_hit(call, snapshot))
            await self._replay(request, call, hit, body, extra)
            return None
        extra = await self._reserve(call, snapshot, facts, at)
        if is_job:
            if not await self.jobs.accept(request, call, opened, extra):
                await self.quotas.release(call)
            return None
        return await self._push(call, snapshot.rules.queue_limit), extra

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
        headers = headers_of(outcome)
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
        """Nobody waits for the call any more. One that had not begun, or that Redis forgot, ends here; any other with
        its worker, whose word also counts before ours."""
        state = await waiting.leave()
        while state == AWAY and time.time() < call.deadline_at:
            # Nobody is to run it when Redis is back; past its deadline nobody does.
            await asyncio.sleep(AGAIN_S)
            state = await self.reader.cancel(call.id)
        if state in ("unknown", AWAY):
            await self.quotas.release(call)
            self._record(call, "lost", 503, error=QUEUE_LOST, message=_LOST)
            return
        if state not in ("waiting", "claimed", "expired", "stopped"):
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
