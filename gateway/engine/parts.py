"""What a run needs from the rest of the gateway, so that tests can stand in for PostgreSQL and the disk."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.engine.policy import Stop, Try, next_step
from gateway.snapshot import Snapshot
from gateway.structs import Attempt, Call, Finished


def _nothing(*_: Any) -> None:
    return None


def _next(call: Call, attempts: Sequence[Attempt], now: float) -> Try | Stop:
    return next_step(call, attempts, now=now, health=None)


@dataclass(frozen=True)
class Parts:
    """The ways out of the engine."""

    # The project's connections and keys.
    snapshot: Callable[[str, str], Awaitable[Snapshot]]
    # The call is about to be made: a line in the journal.
    begin: Callable[[Call], None] = _nothing
    # It ended: journal and recorder. Called before the client hears of the end.
    finish: Callable[[Finished], None] = _nothing
    next_step: Callable[[Call, Sequence[Attempt], float], Try | Stop] = _next
    # How an attempt went, for the circuit breakers.
    report: Callable[[Call, Attempt], None] = _nothing
    # Called once, in the loop, before the first call and after the last one.
    start: Sequence[Callable[[], Awaitable[None]]] = field(default=())
    stop: Sequence[Callable[[], Awaitable[None]]] = field(default=())
