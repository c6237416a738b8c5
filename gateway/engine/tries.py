"""The tries of one call: whom to ask next, one or two at once, and what became of each."""

import asyncio
import time
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError

from core.errors import DomainError
from gateway.dialects.errors import Failure
from gateway.engine.parts import Parts
from gateway.engine.providers import ProviderError
from gateway.engine.shot import Shot
from gateway.routing.policy import Stop, Try, next_step
from gateway.snapshot import Snapshot
from gateway.structs import Attempt, Call, Target

# The project's connections cannot be read, or it was deleted meanwhile.
UNREADABLE = (DatabaseError, DomainError, ObjectDoesNotExist)
NO_ROOM = "It was not asked again: a hard limit leaves nothing for one more try."


class Tries:
    """What a call has tried so far. `next` says whom to ask, `first_of` asks."""

    def __init__(self, call: Call, parts: Parts) -> None:
        self.call = call
        # In the order they began; `shot` is the one whose answer counts, or the last one.
        self.shots: list[Shot] = []
        self.shot: Shot | None = None
        # Of the last one that failed, and the wire its body is in.
        self.error: ProviderError | None = None
        self.error_dialect = call.dialect
        # How many tries that may cost were set aside; None: no hard limit counts them. Whether one more was not made
        # for it.
        self.aside: int | None = None
        self.is_short = False
        self._parts = parts
        # Keys that were refused or are limited: not used again for this call.
        self._refused: set[str] = set()

    @property
    def attempts(self) -> list[Attempt]:
        return [shot.attempt for shot in self.shots]

    def told(self) -> dict[str, str]:
        """For the answer's head: fallbacks are targets that were left, retries all other tries after the first."""
        fallbacks = len({id(shot.attempt.target) for shot in self.shots}) - 1
        retries = len(self.shots) - 1 - fallbacks
        return {"x-llmlab-retries": str(retries), "x-llmlab-fallbacks": str(fallbacks)}

    async def snapshot(self, connection: str = "") -> Snapshot:
        """The project's connections, that one in it if it exists. Raises one of UNREADABLE."""
        caller = self.call.caller
        return await self._parts.snapshot(caller.organization_id, caller.project_id, connection)

    async def next(self) -> Try | Stop:
        """The policy's word; a probe of an open circuit is only made by whom it is given to."""
        for _ in range(len(self.call.decision.targets) + 1):
            health = self._parts.health()
            step = next_step(self.call, self.attempts, now=time.time(), health=health)
            if isinstance(step, Stop):
                return step
            if not self.has_room and not await self._more():
                self.is_short = True
                return Stop(NO_ROOM)
            if not step.is_probe:
                return self._with_room(step)
            if await self._parts.probe(step.target):
                return step
        return Stop("Every circuit is open.")

    @property
    def has_room(self) -> bool:
        """Whether one more try stays within what was set aside, should all that were made be charged."""
        return self._has_room_for(1)

    def _has_room_for(self, count: int) -> bool:
        if self.aside is None:
            return True
        return sum(one.may_cost for one in self.shots) + count <= self.aside

    async def _more(self) -> bool:
        """Set aside one more try; not when nobody can say what is left."""
        try:
            if not await self._parts.more(self.call):
                return False
        except UNREADABLE:
            return False
        self.aside = (self.aside or 0) + 1
        return True

    def _with_room(self, step: Try) -> Try:
        """Without its hedge, where only one of the two was set aside."""
        if step.hedge_after_s is None or self._has_room_for(2):
            return step
        return Try(step.target, step.wait_s)

    async def first_of(self, step: Try, document: dict[str, Any]) -> Shot | None:
        """The try whose answer has begun, maybe of two; None: it failed, see the attempts."""
        shot = self.shot = Shot(self.call, step.target)
        if step.hedge_after_s is None:
            return shot if await self.open(shot, document) else None
        return await self._race(shot, step.beside or step.target, step.hedge_after_s, document)

    async def _race(
        self, first: Shot, beside: Target, hedge_after_s: float, document: dict[str, Any]
    ) -> Shot | None:
        """A second try beside a slow first one; whichever begins first is the answer, the other is let go."""
        running = {asyncio.ensure_future(self.open(first, document)): first}
        try:
            done, _ = await asyncio.wait(running, timeout=hedge_after_s)
            if not done:
                second = Shot(self.call, beside, is_hedge=True)
                running[asyncio.ensure_future(self.open(second, document))] = second
            while running:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    shot = running.pop(task)
                    if task.result():
                        self.shot = shot
                        return shot
            return None
        finally:
            for task, shot in running.items():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                shot.attempt.error = shot.attempt.error or "cancelled"
                shot.attempt.ended_at = time.time()
                await shot.close()

    async def open(self, shot: Shot, document: dict[str, Any]) -> bool:
        """Whether its answer has begun; else the attempt says why not."""
        self.shots.append(shot)
        try:
            snapshot = await self.snapshot(shot.attempt.target.connection)
            await shot.open(snapshot, document, refused=self._refused)
        except (ProviderError, *UNREADABLE) as error:
            found = error if isinstance(error, ProviderError) else _unknown_connections()
            self.failed(shot, found)
            await shot.close()
            return False
        shot.attempt.first_token_at = shot.first_token_at
        return True

    def failed(self, shot: Shot, error: ProviderError) -> None:
        """Note why, and tell of it."""
        attempt = shot.attempt
        attempt.error, attempt.code = error.failure.reason, error.failure.code[:120]
        attempt.message = error.failure.message[:500]
        attempt.retry_after_s = error.retry_after_s
        self.error, self.error_dialect = error, shot.dialect
        if shot.key is not None and error.failure.reason in ("auth", "rate_limit"):
            self._refused.add(shot.key.id)
            if error.failure.reason == "rate_limit" and shot.is_last_key(self._refused):
                attempt.rest_s = error.retry_after_s or 0.0
        if error.is_ours:
            attempt.ended_at = time.time()
        else:
            self.ended(shot)

    def ended(self, shot: Shot) -> None:
        """Note when, and tell how it went."""
        shot.attempt.ended_at = time.time()
        self._parts.report(self.call, shot.attempt)

    def stopped(self, message: str) -> None:
        """The call is ended from outside; what is under way ends with it."""
        for attempt in self.attempts:
            if not attempt.ended_at:
                attempt.ended_at = time.time()
                attempt.error, attempt.message = "cancelled", message


def _unknown_connections() -> ProviderError:
    text = "The database does not answer, and the project's connections are not known."
    return ProviderError.own(Failure("error", "connections_unknown", text))
