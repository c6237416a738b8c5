"""A call nobody waits for any more ends exactly once: at the door when no worker has begun it, else with its worker."""

import time
from typing import Any

import pytest
from redis import Redis

from gateway.door.calls import Calls
from gateway.queues import line
from gateway.queues.frames import Waiting
from gateway.quotas.reserving import Quotas
from gateway.structs import Call, Finished
from tests.gateway.queues.conftest import make_call, redis  # noqa: F401

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("place", "ended"),
    [
        ("waiting", [("cancelled", "client_left")]),
        ("claimed", [("cancelled", "client_left")]),
        ("begun", []),
        ("forgotten", [("lost", "queue_lost")]),
    ],
)
async def test_a_call_that_is_left_ends_once(
    redis: Redis,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    ended: list[tuple[str, str]],
) -> None:
    recorded: list[Finished] = []
    released: list[Call] = []

    async def release(self: Quotas, call: Call) -> None:
        released.append(call)

    monkeypatch.setattr("gateway.door.calls.recorder.finish", recorded.append)
    monkeypatch.setattr(Quotas, "release", release)
    calls = Calls()
    call = make_call(seconds=60)
    call.accepted_at, call.deadline_at = time.time(), time.time() + 60
    waiting: Any = await calls.reader.ask(call, limit=9, now=time.time())
    assert isinstance(waiting, Waiting)
    if place in ("claimed", "begun"):
        await line.claim(calls.reader.link, "w1", 1)
    if place == "begun":
        await line.begin(calls.reader.link, "w1", call.id)
    if place == "forgotten":
        redis.flushdb()
    await calls._leave(call, waiting)
    assert [(one.state, one.error) for one in recorded] == ended
    assert len(released) == len(ended)
    if place == "claimed":
        assert not await line.begin(calls.reader.link, "w1", call.id)
    await calls.reader.close()
