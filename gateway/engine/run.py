"""One call from the line to its end: attempts at its targets, the answer on its way back, one record of it all."""

import asyncio
import logging
import time
from typing import Any

import msgspec
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError

from core.errors import DomainError
from gateway.cache.kept import Hit
from gateway.compaction.compact import compact
from gateway.dialects.errors import Failure, client_error
from gateway.dialects.facts import facts_of
from gateway.dialects.replay import as_stream
from gateway.engine.checking import INVALID_ANSWER, AnswerChecks
from gateway.engine.parts import Parts
from gateway.engine.providers import ProviderError
from gateway.engine.record import finished_of
from gateway.engine.shot import Shot
from gateway.engine.sink import EVENTS, JSON, Sink
from gateway.guards.checks import BLOCKED_CODE
from gateway.guards.output import GuardBlockedError
from gateway.routing.policy import Stop, Try, next_step
from gateway.snapshot import Snapshot
from gateway.structs import Attempt, Call, Finished, Summary, Target

logger = logging.getLogger(__name__)

# Shortening more than this would hold up the worker's other calls.
LONG_BODY = 64 * 1024

# The project's connections cannot be read, or it was deleted meanwhile.
_UNREADABLE = (DatabaseError, DomainError, ObjectDoesNotExist)

# Why a run is stopped from outside: state, status, code, words.
_STOPS = {
    "cancelled": (499, "client_left", "The client left before it was answered."),
    "expired": (504, "deadline_exceeded", "The call was not answered before its deadline."),
    "lost": (503, "worker_stopped", "The worker that made the call was stopped. Try again."),
}


class Run:
    """A call under way. `run` once; `client_left` and `stop` from outside, in the same loop."""

    def __init__(self, call: Call, parts: Parts, sink: Sink) -> None:
        self.call = call
        self.attempts: list[Attempt] = []
        self.left_at = 0.0
        self.has_begun = False
        self._parts = parts
        self._sink = sink
        self._task: asyncio.Task[Any] | None = None
        self._stopped = ""
        self._is_over = False
        self._shot: Shot | None = None
        # Keys that were refused or are limited: not used again for this call.
        self._refused: set[str] = set()
        self._document: dict[str, Any] = {}
        # Tokens that compaction saved, by what saved them.
        self._compaction: dict[str, int] = {}
        self._checks: AnswerChecks | None = None
        self._hit: Hit | None = None
        self._error: ProviderError | None = None
        self._error_dialect = call.dialect
        self._state, self._code, self._message = "failed", "", ""

    # --- from outside

    def client_left(self) -> None:
        """Nobody waits any more: finish for the record, or stop, as the project's policy says."""
        if self.left_at or self.call.is_job:
            return
        self.left_at = time.time()
        self._sink.has_left = True
        if self.call.on_client_gone == "cancel" or self._shot is None:
            self.stop("cancelled")

    def stop(self, why: str) -> None:
        """End it now: `cancelled`, `expired` or `lost`."""
        if not self._stopped and not self._is_over and self._task is not None:
            self._stopped = why
            self._task.cancel()

    # --- the run

    async def run(self) -> Finished | None:
        """Make the call; None: a job that is not this worker's. Never raises: all is answered and recorded."""
        self._task = asyncio.current_task()
        self.has_begun = True
        deadline = asyncio.get_running_loop().call_later(self._left(), self.stop, "expired")
        is_made = False
        try:
            self._parts.begin(self.call)
            if self.call.is_job and not await self._parts.claim_job(self.call):
                # Cancelled, too late, or somebody else's: nothing happened here.
                self._parts.drop(self.call.id)
                return None
            await self._make()
            # Answered, one way or the other: a stop that comes only now changes nothing.
            is_made = bool(self._sink.status)
        except asyncio.CancelledError:
            if not self._stopped:
                self._stopped = "lost"
        except Exception:
            logger.exception("gateway.run.broken")
            self._fail(500, "internal_error", "The gateway failed to make the call.")
        finally:
            deadline.cancel()
        if self._stopped and not is_made:
            if self._task is not None:
                self._task.uncancel()
            self._end_stopped()
        return await self._finish()

    def _left(self) -> float:
        """Seconds to the deadline, by durations: the machines' clocks need not agree."""
        call = self.call
        waited = call.claimed_at - call.queued_at
        return max(0.0, call.deadline_at - call.accepted_at - waited)

    async def _make(self) -> None:
        if await self._answer_kept():
            return
        self._document = msgspec.json.decode(self.call.body)
        if self.call.compact is not None:
            given = self.call.compact, self.call.dialect, self._document
            is_long = len(self.call.body) > LONG_BODY
            done = await asyncio.to_thread(compact, *given) if is_long else compact(*given)
            self._document, self._compaction = done
        try:
            if self.call.guards:
                self._checks = AnswerChecks(self.call, self._document)
            await self._ask()
        except GuardBlockedError as error:
            self._fail(400, BLOCKED_CODE, error.blocked.message)
            if self._shot is not None:
                self._shot.attempt.ended_at = time.time()
                self._parts.report(self.call, self._shot.attempt)

    async def _ask(self) -> None:
        """Try until a target answers and its answer is passed on, or there is nothing left to try."""
        while True:
            step = await self._next()
            if isinstance(step, Stop):
                self._refuse(step.reason)
                return
            if step.wait_s and not self.left_at:
                await asyncio.sleep(step.wait_s)
            if self.left_at:
                # What is under way may be finished for the record; nothing new begins for nobody.
                self._stopped = "cancelled"
                return
            shot = await self._first_of(step)
            if shot is None:
                continue
            try:
                shot = await self._valid(shot)
                shot.said = self._tries()
                await shot.relay(self._sink, self._checks)
            except ProviderError as error:
                self._break_off(shot, error)
                return
            self._ended_well(shot)
            return

    async def _valid(self, shot: Shot) -> Shot:
        """The attempt, or one more when its answer is not the JSON that was asked for. Raises GuardBlockedError."""
        if self._checks is None or self.call.is_stream:
            return shot
        document = self._checks.again(self._document, shot.answer())
        if document is None:
            return shot
        shot.attempt.ended_at = time.time()
        self._parts.report(self.call, shot.attempt)
        another = Shot(self.call, shot.attempt.target)
        before, self._document = self._document, document
        if not await self._open(another):
            self._document = before
            self._checks.not_again()
            return shot
        shot.attempt.error = INVALID_ANSWER
        another.before = shot.usage(facts_of(self.call.dialect, self.call.body))
        await _closed(shot)
        self._shot = another
        self._checks.again(document, another.answer())
        return another

    async def _answer_kept(self) -> bool:
        """Whether a kept answer to a question that means the same was given."""
        call, plan = self.call, self.call.cache
        if plan is None or not plan.rule.semantic:
            return False
        began = time.perf_counter()
        try:
            snapshot = await self._snapshot()
            found = await self._parts.kept(call, snapshot)
            if found is None:
                return False
            hit = found.hit
            events = (
                as_stream(call.dialect, hit.answer, wants_usage=call.wants_usage)
                if call.is_stream
                else []
            )
        except (*_UNREADABLE, ValueError):
            return False
        finally:
            call.cache_s += time.perf_counter() - began
        self._hit = hit
        headers = {
            "x-llmlab-provider": hit.provider,
            "x-llmlab-model": hit.model,
            "x-llmlab-cache": hit.kind,
            "helicone-cache": "HIT",
            "age": str(max(0, int(time.time() - hit.created_at))),
            "x-llmlab-saved-usd": f"{hit.cost_usd:f}" if hit.cost_usd is not None else "",
        }
        if call.is_stream:
            self._sink.head(200, {**EVENTS, **headers})
            self._sink.data(b"".join(events))
        else:
            self._sink.hold(200, hit.answer, {**JSON, **headers})
        self._state = "cached"
        return True

    async def _snapshot(self) -> Snapshot:
        caller = self.call.caller
        return await self._parts.snapshot(caller.organization_id, caller.project_id)

    def _tries(self) -> dict[str, str]:
        """Fallbacks are targets that were left, retries all other tries after the first."""
        fallbacks = len({id(one.target) for one in self.attempts}) - 1
        retries = len(self.attempts) - 1 - fallbacks
        return {"x-llmlab-retries": str(retries), "x-llmlab-fallbacks": str(fallbacks)}

    async def _next(self) -> Try | Stop:
        """The policy's word; a probe of an open circuit is only made by whom it is given to."""
        for _ in range(len(self.call.decision.targets) + 1):
            health = self._parts.health()
            step = next_step(self.call, self.attempts, now=time.time(), health=health)
            if isinstance(step, Stop) or not step.is_probe:
                return step
            if await self._parts.probe(step.target):
                return step
        return Stop("Every circuit is open.")

    async def _first_of(self, step: Try) -> Shot | None:
        """The attempt whose answer has begun, maybe of two; None: it failed, see the attempts."""
        self._shot = Shot(self.call, step.target)
        if step.hedge_after_s is None:
            return self._shot if await self._open(self._shot) else None
        beside = step.beside or step.target
        return await self._race(self._shot, beside, step.hedge_after_s)

    async def _race(self, first: Shot, beside: Target, hedge_after_s: float) -> Shot | None:
        """A second attempt beside a slow first one; whichever begins first is the answer, the other is let go."""
        running = {asyncio.ensure_future(self._open(first)): first}
        try:
            done, _ = await asyncio.wait(running, timeout=hedge_after_s)
            if not done:
                second = Shot(self.call, beside, is_hedge=True)
                running[asyncio.ensure_future(self._open(second))] = second
            while running:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    shot = running.pop(task)
                    if task.result():
                        self._shot = shot
                        return shot
            return None
        finally:
            for task, shot in running.items():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                shot.attempt.error = shot.attempt.error or "cancelled"
                shot.attempt.ended_at = time.time()
                await shot.close()

    async def _open(self, shot: Shot) -> bool:
        """Whether its answer has begun; else the attempt says why not."""
        attempt = shot.attempt
        self.attempts.append(attempt)
        try:
            await shot.open(await self._snapshot(), self._document, refused=self._refused)
        except (ProviderError, *_UNREADABLE) as error:
            found = error if isinstance(error, ProviderError) else _unknown_connections()
            self._note(shot, found)
            await shot.close()
            return False
        attempt.first_token_at = shot.first_token_at
        return True

    def _note(self, shot: Shot, error: ProviderError) -> None:
        attempt = shot.attempt
        attempt.ended_at = time.time()
        attempt.error, attempt.code = error.failure.reason, error.failure.code[:120]
        attempt.message = error.failure.message[:500]
        attempt.retry_after_s = error.retry_after_s
        self._error, self._error_dialect = error, shot.dialect
        if shot.key is not None and error.failure.reason in ("auth", "rate_limit"):
            self._refused.add(shot.key.id)
        if not error.is_ours:
            self._parts.report(self.call, attempt)

    # --- how it ends

    def _ended_well(self, shot: Shot) -> None:
        shot.attempt.ended_at = time.time()
        failure = shot.collector.error if shot.collector is not None else None
        if failure is None:
            self._state = "done"
        else:
            # The provider's own error came in the middle, and the client has it.
            shot.attempt.error, shot.attempt.code = failure.reason, failure.code[:120]
            shot.attempt.message = failure.message[:500]
            self._code, self._message = failure.code, failure.message
        self._parts.report(self.call, shot.attempt)

    def _break_off(self, shot: Shot, error: ProviderError) -> None:
        """The stream broke after the client had its beginning: it reads an error as its last event."""
        self._note(shot, error)
        code, message = error.failure.code, error.failure.message
        status = 504 if error.failure.reason == "timeout" else 502
        self._sink.data(
            shot.translator.fail(status=status, code=code, message=message, request_id=self.call.id)
        )
        self._code, self._message = code, message

    def _refuse(self, reason: str) -> None:
        """No target answered: the last one's error, in the client's dialect."""
        error = self._error
        if error is None:
            self._fail(503, "no_target", reason or "Nothing could be asked.")
            return
        failure = error.failure
        headers = {}
        if error.retry_after_s is not None:
            headers["retry-after"] = str(max(1, round(error.retry_after_s)))
        if error.status >= 400:
            status, body = client_error(
                self.call.dialect,
                self._error_dialect,
                error.status,
                error.body,
                request_id=self.call.id,
            )
            self._sink.hold(status, body, {**JSON, **headers})
            self._code, self._message = failure.code, failure.message
        else:
            status = 504 if failure.reason == "timeout" else 502
            self._fail(status, failure.code, failure.message, headers)

    def _fail(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        self._state, self._code, self._message = "failed", code, message
        if self._sink.has_begun:
            self._fail_stream(status, code, message)
        else:
            self._sink.hold_error(status, code, message, headers)

    def _fail_stream(self, status: int, code: str, message: str) -> None:
        if self._shot is not None and self.call.is_stream:
            fail = self._shot.translator.fail
            self._sink.data(
                fail(status=status, code=code, message=message, request_id=self.call.id)
            )

    def _end_stopped(self) -> None:
        status, code, message = _STOPS[self._stopped]
        headers = {"retry-after": "1"} if self._stopped == "lost" else {}
        self._fail(status, code, message, headers)
        self._state = self._stopped
        for attempt in self.attempts:
            if not attempt.ended_at:
                attempt.ended_at = time.time()
                attempt.error, attempt.message = "cancelled", message

    async def _finish(self) -> Finished:
        """Record, tell the client, let go; the first two without a pause in which the run could be stopped."""
        self._is_over = True
        shot = self._shot
        finished = finished_of(
            self.call,
            shot,
            state=self._state,
            status=self._sink.status,
            answered=self._hit,
            compaction=self._compaction,
            checks=self._checks,
            error=self._code,
        )
        finished.message = self._message[:2_000]
        finished.attempts, finished.client_left_at = self.attempts, self.left_at
        summary = Summary(state=finished.state, cache=finished.cache)
        try:
            self._parts.finish(finished)
            summary.cost_usd = "0" if self._hit is not None else self._parts.cost(finished)
        except Exception:  # the client's answer does not depend on it
            logger.exception("gateway.run.unrecorded")
        self._sink.end(summary)
        if shot is not None:
            await _closed(shot)
        return finished


def _unknown_connections() -> ProviderError:
    text = "The database does not answer, and the project's connections are not known."
    return ProviderError.own(Failure("error", "connections_unknown", text))


async def _closed(shot: Shot) -> None:
    """Close it, also when the run was stopped in its last moment."""
    for _ in range(2):
        try:
            await shot.close()
            return
        except asyncio.CancelledError:
            continue
        except Exception:
            logger.exception("gateway.run.not_closed")
            return
