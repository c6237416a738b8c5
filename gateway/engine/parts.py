"""What a run needs from the rest of the gateway, so that tests can stand in for PostgreSQL and the disk."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.cache.semantic import Found
from gateway.routing.health import HEALTHY, HealthView
from gateway.snapshot import Snapshot
from gateway.structs import Attempt, Call, Finished, Target


def _nothing(*_: Any) -> None:
    return None


async def _any_job(_: Call) -> bool:
    return True


async def _all_of_them(calls: Sequence[Call]) -> set[str]:
    return {one.id for one in calls}


async def _yes(_: Target) -> bool:
    return True


async def _no(_: Call) -> bool:
    return False


async def _nothing_kept(_call: Call, _snapshot: Snapshot) -> Found | None:
    return None


def _unpriced(_: Finished) -> str:
    return ""


@dataclass(frozen=True)
class Parts:
    """The ways out of the engine."""

    # The project's connections and keys, of organisation and project, so new that a connection is in it.
    snapshot: Callable[[str, str, str], Awaitable[Snapshot]]
    # The call is about to be made: a line in the journal.
    begin: Callable[[Call], None] = _nothing
    # Whether a job may be made by this worker, and that a begun call was not made after all.
    claim_job: Callable[[Call], Awaitable[bool]] = _any_job
    drop: Callable[[str], None] = _nothing
    # A sign of life for jobs that run here: the ids of those that still are this worker's.
    keep_jobs: Callable[[Sequence[Call]], Awaitable[set[str]]] = _all_of_them
    # It ended: journal and recorder. Called before the client hears of the end.
    finish: Callable[[Finished], None] = _nothing
    # The kept answer to a question that means the same.
    kept: Callable[[Call, Snapshot], Awaitable[Found | None]] = _nothing_kept
    # The circuit breakers: what is known, whether a probe may be this call, how an attempt went.
    health: Callable[[], HealthView] = lambda: HEALTHY
    probe: Callable[[Target], Awaitable[bool]] = _yes
    report: Callable[[Call, Attempt], None] = _nothing
    # Set aside one more try under the hard limits of tokens and dollars; whether they leave so much.
    more: Callable[[Call], Awaitable[bool]] = _no
    # What it cost, as a decimal; empty: unknown.
    cost: Callable[[Finished], str] = _unpriced
    # Called once, in the loop, before the first call and after the last one.
    start: Sequence[Callable[[], Awaitable[None]]] = field(default=())
    stop: Sequence[Callable[[], Awaitable[None]]] = field(default=())
