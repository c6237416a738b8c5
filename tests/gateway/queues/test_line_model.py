"""The line against a model of it: whatever is done in whatever order, no call is lost, doubled or left behind."""

import random
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from gateway.queues import line
from gateway.queues.link import Link
from tests.gateway.queues.conftest import NOW, make_call

pytestmark = pytest.mark.asyncio

WORKERS = ("w1", "w2")
STEPS = 70


class Model:
    """What should be where."""

    def __init__(self, link: Link, seed: int) -> None:
        self.link, self.random, self.at = link, random.Random(seed), NOW
        self.waiting: dict[str, tuple[int, str]] = {}
        self.claimed: dict[str, str] = {}
        self.begun: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.homes: dict[str, tuple[int, str]] = {}

    async def push(self) -> None:
        priority, project = self.random.randrange(3), self.random.choice("abc")
        call = make_call(priority=priority, project=project, seconds=10_000)
        placed = await line.push(self.link, call, limit=1000, now=NOW, at=self.at)
        assert isinstance(placed, line.Placed)
        self.waiting[call.id] = self.homes[call.id] = (priority, project)

    async def claim(self) -> None:
        worker, count = self.random.choice(WORKERS), self.random.randint(1, 4)
        calls = await line.claim(self.link, worker, count, at=self.at)
        assert len(calls) == min(count, len(self.waiting))
        for call in calls:
            assert self.waiting.pop(call.id) == (call.priority, call.caller.project_id)
            self.claimed[call.id] = worker

    async def begin(self) -> None:
        if self.claimed:
            call_id = self.random.choice(sorted(self.claimed))
            worker = self.claimed[call_id]
            assert not await line.begin(self.link, "another", call_id)
            is_ours = await line.begin(self.link, worker, call_id)
            assert is_ours == (call_id not in self.cancelled)
            if is_ours:
                del self.claimed[call_id]
                self.begun[call_id] = worker

    async def finish(self) -> None:
        if self.begun:
            call_id = self.random.choice(sorted(self.begun))
            await line.finish(self.link, self.begun.pop(call_id), [call_id])

    async def cancel(self) -> None:
        known = sorted([*self.waiting, *self.claimed])
        if known:
            call_id = self.random.choice(known)
            state = await line.cancel(self.link, call_id)
            if self.waiting.pop(call_id, None):
                assert state == "waiting"
            else:
                assert state == "claimed"
                self.cancelled.add(call_id)

    async def put_back(self) -> None:
        worker = self.random.choice(WORKERS)
        mine = [one for one, owner in self.claimed.items() if owner == worker]
        begun = [one for one, owner in self.begun.items() if owner == worker]
        again = await line.put_back(self.link, worker, mine + begun)
        assert again == self._return(mine)

    async def bury(self) -> None:
        worker = self.random.choice(WORKERS)
        mine = [one for one, owner in self.claimed.items() if owner == worker]
        begun = [one for one, owner in self.begun.items() if owner == worker]
        lost = len(begun) + len(self.cancelled.intersection(mine))
        assert await line.bury(self.link, worker) == (self._return(mine), lost)
        for call_id in begun:
            del self.begun[call_id]

    def _return(self, calls: list[str]) -> int:
        """Claimed calls wait again, but for those nobody waits for."""
        count = 0
        for call_id in calls:
            del self.claimed[call_id]
            if call_id not in self.cancelled:
                self.waiting[call_id] = self.homes[call_id]
                count += 1
        return count

    async def check(self) -> None:
        depths = await line.depths(self.link, at=self.at)
        for place, name in enumerate(("high", "normal", "low")):
            assert depths[name].waiting == sum(one[0] == place for one in self.waiting.values())


@pytest.mark.parametrize("seed", range(12))
async def test_no_order_of_events_loses_or_doubles_a_call(
    link: Link, redis: Redis, seed: int
) -> None:
    model = Model(link, seed)
    acts: list[Callable[[], Awaitable[None]]] = [
        model.push, model.push, model.push, model.claim, model.claim, model.begin, model.begin,
        model.finish, model.cancel, model.put_back, model.bury,
    ]  # fmt: skip
    for _ in range(STEPS):
        model.at += model.random.choice((0.0, 0.5, 4.0))
        await model.random.choice(acts)()
        await model.check()
    while model.waiting:
        await model.claim()
    for worker in WORKERS:
        await line.finish(link, worker, [*model.claimed, *model.begun])
    held = redis.keys("{gw}:held:*")
    left = {key.decode() for key in redis.keys("{gw}:*")} - {"{gw}:bell"}
    # A web process of other tests that lives on makes its stream anew.
    left = {key for key in left if not key.startswith("{gw}:reply:")}
    # Only what dead workers had begun is still said, for a minute.
    assert held == []
    assert {key for key in left if not key.startswith("{gw}:c:")} == set()
    assert all(0 < redis.pttl(key) <= 60_000 for key in left)
