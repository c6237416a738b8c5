"""The line of waiting calls: strict priorities with an age limit, fair between projects, bounded. Lua in lua/.

Redis may forget it at any moment: the calls in it are of clients who still wait and are told (gateway.queues.frames),
or of jobs whose rows are in PostgreSQL.
"""

import math
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import msgspec

from gateway.queues.link import Argument, script, texts
from gateway.structs import PRIORITIES, Call, pack, unpack_call

# A waiting call older than this goes before newer ones of higher priorities (every other turn).
AGE_LIMIT_S = 10.0
# Without a sign of life for so long a worker is dead, whatever its connections look like.
SILENT_S = 15.0
# Bounds over all projects.
MAX_WAITING = 20_000
MAX_BYTES = 512 * 1024 * 1024
LONGEST_RETRY_S = 60
MAX_MODEL = 120

STATES = {
    "q": "waiting",
    "c": "claimed",
    "b": "begun",
    "d": "worker_died",
    "x": "expired",
    "k": "stopped",
    "": "unknown",
}


class Runner(Protocol):
    """What runs scripts: gateway.queues.link.Link."""

    def run(self, name: str, *arguments: Argument) -> Awaitable[Any]: ...


class Placed(msgspec.Struct, frozen=True):
    """The call waits."""

    ahead: int  # calls of its priority and above that wait before it


class Full(msgspec.Struct, frozen=True):
    """There is no room: `bound` names which one is full."""

    bound: str  # project | calls | bytes
    waiting: int
    retry_after_s: int


class Depth(msgspec.Struct, frozen=True):
    """How many calls of a priority wait, and since when the first one does."""

    waiting: int
    oldest_s: float


class Load(msgspec.Struct, frozen=True):
    """A worker, and how many calls it has under way."""

    worker: str
    silent_s: float  # since its last sign of life
    running: int
    most: int


class Live(msgspec.Struct, frozen=True):
    """A call in line or under way, for pages."""

    id: str
    state: str  # one of STATES
    priority: int
    since_s: float
    model: str


class Place(msgspec.Struct, frozen=True):
    """Where a call is: one of STATES, and with which worker."""

    state: str
    worker: str = ""


class Bounds(msgspec.Struct, frozen=True):
    """How much may wait over all projects."""

    calls: int = MAX_WAITING
    bytes: int = MAX_BYTES


BOUNDS = Bounds()


async def push(
    redis: Runner, call: Call, *, limit: int, now: float, bounds: Bounds = BOUNDS, at: float = 0.0
) -> Placed | Full:
    """Put the call in line; `limit` bounds its project's waiting calls. The same call twice waits once.

    `now` is the machine's clock, as in `call.deadline_at`; `at`, for tests, is Redis's.
    """
    answer = await redis.run(
        "push",
        _ms(at),
        call.id,
        call.priority,
        call.caller.project_id,
        pack(call),
        _ms(call.deadline_at - now),
        limit,
        bounds.calls,
        bounds.bytes,
        call.model[:MAX_MODEL],
    )
    if answer[0] == 1:
        return Placed(ahead=answer[1])
    # What the first one has waited is the best guess of what the next one would.
    wait = max(1, min(LONGEST_RETRY_S, math.ceil(answer[3] / 1000)))
    return Full(bound=answer[1].decode(), waiting=answer[2], retry_after_s=wait)


async def claim(redis: Runner, worker: str, count: int, *, at: float = 0.0) -> list[Call]:
    """Take up to `count` calls for this worker, in the order of the line; never one past its deadline."""
    answer = await redis.run("claim", _ms(at), worker, count, _ms(AGE_LIMIT_S))
    calls = []
    for place in range(0, len(answer), 3):
        call = unpack_call(answer[place])
        call.queued_at = answer[place + 1] / 1000
        call.claimed_at = answer[place + 2] / 1000
        calls.append(call)
    return calls


async def begin(redis: Runner, worker: str, call_id: str) -> bool:
    """Say that the provider is about to be asked. False: the call is not this worker's any more, drop it."""
    return bool(await redis.run("begin", worker, call_id))


async def finish(redis: Runner, worker: str, call_ids: Sequence[str]) -> None:
    """Say that the worker has nothing more to do with them."""
    await redis.run("finish", worker, *call_ids)


async def cancel(redis: Runner, call_id: str) -> str:
    """Nobody waits for it any more: a waiting call is taken out, a running one's worker is told. Its state till now."""
    return STATES[(await redis.run("cancel", call_id)).decode()]


async def put_back(redis: Runner, worker: str, call_ids: Sequence[str]) -> int:
    """Claimed calls that this worker will not begin wait again, at the front. How many."""
    return int(await redis.run("put_back", worker, *call_ids)) if call_ids else 0


async def bury(redis: Runner, worker: str) -> tuple[int, int]:
    """The worker is dead: its calls that had not begun wait again, the others are marked. How many of each."""
    again, lost = await redis.run("bury", worker)
    return again, lost


async def places(redis: Runner, stream: str, call_ids: Sequence[str]) -> tuple[str, list[Place]]:
    """The last entry of the reply stream, and where each call is at that moment."""
    last, *found = texts(await redis.run("look", stream, *call_ids))
    return last, [Place(STATES[state[:1]], state[1:]) for state in found]


async def beat(
    redis: Runner, worker: str, *, running: int = 0, most: int = 0, at: float = 0.0
) -> list[str]:
    """A worker's sign of life, and how busy it is; answers with the workers that have given none for SILENT_S."""
    return texts(await redis.run("beat", _ms(at), worker, _ms(SILENT_S), running, most))


async def depths(
    redis: Runner, project_id: str | None = None, *, at: float = 0.0
) -> dict[str, Depth]:
    """What waits per priority (high, normal, low), of one project or of all."""
    return _depths(await redis.run("depths", _ms(at), project_id or ""))


def depths_of(client: Any, project_id: str | None = None) -> dict[str, Depth]:
    """`depths` for pages: by an ordinary, synchronous redis client."""
    return _depths(client.eval(script("depths").source, 1, "{gw}", 0, project_id or ""))


def loads_of(client: Any) -> list[Load]:
    """The workers that take calls, for pages."""
    answer = client.eval(script("loads").source, 1, "{gw}", 0)
    found = []
    for name, silent, load in zip(answer[::3], answer[1::3], answer[2::3], strict=True):
        running, _, most = load.decode().partition("/")
        found.append(Load(name.decode(), silent / 1000, int(running), int(most)))
    return found


def live_of(client: Any, project_id: str, *, most: int = 20, at: float = 0.0) -> list[Live]:
    """A project's first `most` calls in line and as many under way, for pages."""
    answer = client.eval(script("live").source, 1, "{gw}", _ms(at), project_id, most)
    return [
        Live(
            answer[place].decode(),
            STATES[answer[place + 1].decode()],
            answer[place + 2],
            answer[place + 3] / 1000,
            answer[place + 4].decode("utf-8", "replace"),
        )
        for place in range(0, len(answer), 5)
    ]


def stop_calls(client: Any, project_id: str, call_ids: Sequence[str]) -> list[str]:
    """Somebody cancels calls of a project: those that wait never run, workers of others are told. Their states till
    now (STATES); `unknown` also for another project's."""
    answer = client.eval(script("stop").source, 1, "{gw}", project_id, *call_ids)
    return [STATES[state.decode()] for state in answer]


def _depths(answer: Sequence[int]) -> dict[str, Depth]:
    return {
        name: Depth(answer[2 * place], answer[2 * place + 1] / 1000)
        for place, name in enumerate(PRIORITIES)
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
