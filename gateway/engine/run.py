"""One call from the line to its end: attempts at its targets, the answer on its way back, one record of it all."""

import asyncio
import logging
import time
from typing import Any

import msgspec

from gateway.cache.kept import Hit
from gateway.compaction.compact import compact
from gateway.dialects.errors import client_error
from gateway.dialects.facts import facts_of
from gateway.engine.bounding import tries_aside
from gateway.engine.checking import INVALID_ANSWER, AnswerChecks
from gateway.engine.kept import give_kept
from gateway.engine.parts import Parts
from gateway.engine.providers import ProviderError
from gateway.engine.record import finished_of
from gateway.engine.shot import Shot
from gateway.engine.sink import JSON, Sink
from gateway.engine.tries import Tries
from gateway.guards.checks import BLOCKED_CODE
from gateway.guards.output import GuardBlockedError
from gateway.routing.policy import Stop
from gateway.structs import Call, Finished, Summary

logger = logging.getLogger(__name__)

# Shortening more than this would hold up the worker's other calls.
LONG_BODY = 64 * 1024

# Why a run is stopped from outside: state, status, code, words.
_STOPS = {
    "cancelled": (499, "client_left", "The client left before it was answered."),
    "stopped": (499, "cancelled", "Somebody cancelled the call."),
    "expired": (504, "deadline_exceeded", "The call was not answered before its deadline."),
    "lost": (503, "worker_stopped", "The worker that made the call was stopped. Try again."),
}
# What a client reads that no provider answered, by reason; else 502. A request that cannot be said on the provider's
# wire is its own fault, and no better when it is sent again.
_UNANSWERED = {"timeout": 504, "bad_request": 400}


class Run:
    """A call under way. `run` once; `client_left` and `stop` from outside, in the same loop."""

    def __init__(self, call: Call, parts: Parts, sink: Sink) -> None:
        self.call = call
        self.left_at = 0.0
        self.has_begun = False
        # Of a job: when this worker last heard that it is its own.
        self.leased_at = 0.0
        self._parts = parts
        self._sink = sink
        self._task: asyncio.Task[Any] | None = None
        self._stopped = ""
        self._is_over = False
        self._tries = Tries(call, parts)
        self._document: dict[str, Any] = {}
        # Tokens that compaction saved, by what saved them.
        self._compaction: dict[str, int] = {}
        self._checks: AnswerChecks | None = None
        self._hit: Hit | None = None
        self._state, self._code, self._message = "failed", "", ""

    # --- from outside

    def client_left(self) -> None:
        """Nobody waits any more: finish for the record, or stop, as the project's policy says."""
        if self.left_at or self.call.is_job:
            return
        self.left_at = time.time()
        self._sink.has_left = True
        if self.call.on_client_gone == "cancel" or self._tries.shot is None:
            self.stop("cancelled")

    def stop(self, why: str) -> None:
        """End it now: `cancelled`, `stopped` (by hand), `expired` or `lost`."""
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
            # All that were taken together are in the journal before one of them goes on, which may take long: a worker
            # killed meanwhile would leave the others nowhere, and what was set aside for them.
            await asyncio.sleep(0)
            if self.call.is_job:
                asked_at = time.time()
                if not await self._parts.claim_job(self.call):
                    # Cancelled, too late, or somebody else's: nothing happened here.
                    self._parts.drop(self.call.id)
                    return None
                self.leased_at = asked_at
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
        self._hit = await give_kept(self.call, self._parts, self._sink)
        if self._hit is not None:
            self._state = "cached"
            return
        self._document = msgspec.json.decode(self.call.body)
        self._tries.aside = tries_aside(self.call, self._document)
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
            if self._tries.shot is not None:
                self._tries.ended(self._tries.shot)

    async def _ask(self) -> None:
        """Try until a target answers and its answer is passed on, or there is nothing left to try."""
        while True:
            step = await self._tries.next()
            if isinstance(step, Stop):
                self._refuse(step.reason)
                return
            if step.wait_s and not self.left_at:
                await asyncio.sleep(step.wait_s)
            if self.left_at:
                # What is under way may be finished for the record; nothing new begins for nobody.
                self._stopped = "cancelled"
                return
            shot = await self._tries.first_of(step, self._document)
            if shot is None:
                continue
            try:
                shot = await self._valid(shot)
                shot.said = self._tries.told()
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
        if not self._tries.has_room:
            self._tries.is_short = True
            self._checks.not_again()
            return shot
        self._tries.ended(shot)
        another = Shot(self.call, shot.attempt.target)
        if not await self._tries.open(another, document):
            self._checks.not_again()
            return shot
        shot.attempt.error = INVALID_ANSWER
        another.before = shot.usage(facts_of(self.call.dialect, self.call.body))
        await _closed(shot)
        self._tries.shot, self._document = another, document
        self._checks.again(document, another.answer())
        return another

    # --- how it ends

    def _ended_well(self, shot: Shot) -> None:
        failure = shot.collector.error if shot.collector is not None else None
        if failure is None:
            self._state = "done"
        else:
            # The provider's own error came in the middle, and the client has it.
            shot.attempt.error, shot.attempt.code = failure.reason, failure.code[:120]
            shot.attempt.message = failure.message[:500]
            self._code, self._message = failure.code, failure.message
        self._tries.ended(shot)

    def _break_off(self, shot: Shot, error: ProviderError) -> None:
        """The stream broke after the client had its beginning: it reads an error as its last event."""
        self._tries.failed(shot, error)
        code, message = error.failure.code, error.failure.message
        status = 504 if error.failure.reason == "timeout" else 502
        self._sink.data(
            shot.translator.fail(status=status, code=code, message=message, request_id=self.call.id)
        )
        self._code, self._message = code, message

    def _refuse(self, reason: str) -> None:
        """No target answered: the last one's error, in the client's dialect."""
        error = self._tries.error
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
                self._tries.error_dialect,
                error.status,
                error.body,
                request_id=self.call.id,
            )
            self._sink.hold(status, body, {**JSON, **headers})
            self._code, self._message = failure.code, failure.message
        else:
            status = _UNANSWERED.get(failure.reason, 502)
            why = f" {reason}" if self._tries.is_short else ""
            self._fail(status, failure.code, failure.message + why, headers)

    def _fail(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        self._state, self._code, self._message = "failed", code, message
        if self._sink.has_begun:
            self._fail_stream(status, code, message)
        else:
            self._sink.hold_error(status, code, message, headers)

    def _fail_stream(self, status: int, code: str, message: str) -> None:
        shot = self._tries.shot
        if shot is not None and self.call.is_stream:
            fail = shot.translator.fail
            self._sink.data(
                fail(status=status, code=code, message=message, request_id=self.call.id)
            )

    def _end_stopped(self) -> None:
        status, code, message = _STOPS[self._stopped]
        headers = {"retry-after": "1"} if self._stopped == "lost" else {}
        self._fail(status, code, message, headers)
        self._state = "cancelled" if self._stopped == "stopped" else self._stopped
        self._tries.stopped(message)

    async def _finish(self) -> Finished:
        """Record, tell the client, let go; the first two without a pause in which the run could be stopped."""
        self._is_over = True
        shot = self._tries.shot
        finished = finished_of(
            self.call,
            self._tries,
            state=self._state,
            status=self._sink.status,
            answered=self._hit,
            compaction=self._compaction,
            checks=self._checks,
            error=self._code,
        )
        finished.message = self._message[:2_000]
        finished.client_left_at = self.left_at
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
