"""A worker gives the kept answer of a question that means the same, whole or as a stream, and asks nobody."""

import dataclasses
from decimal import Decimal

import msgspec
import pytest

from gateway.cache.kept import Hit
from gateway.cache.semantic import Found
from gateway.snapshot import Snapshot
from gateway.structs import CachePlan, CacheRule, Call, FrameKind
from tests.gateway.cache.conftest import NOW, answer_of
from tests.gateway.engine.conftest import World, redis, world

__all__ = ("redis", "world")
pytestmark = pytest.mark.asyncio
PLAN = CachePlan(key="k", scope="s", rule=CacheRule(semantic=True), question="Capital of France?")
HIT = Hit(
    id="ab" * 16, kind="semantic", answer=answer_of(), created_at=NOW, cost_usd=Decimal("0.01"),
    model="gpt-5", provider="openai", finish_reason="stop", similarity=0.99,
)  # fmt: skip


async def start(world: World, hit: Hit | None) -> None:
    async def kept(call: Call, snapshot: Snapshot) -> Found | None:
        return Found(hit, 0.97) if hit else None

    world.parts = dataclasses.replace(world.parts, kept=kept)
    await world.start()


async def test_a_hit_answers_without_a_provider(world: World) -> None:
    await start(world, HIT)
    call = world.call(cache=PLAN)
    frame = await world.whole(call)
    assert frame.data == HIT.answer
    assert frame.headers["x-llmlab-cache"] == "semantic"
    ended = await world.end_of(call)
    assert (ended.state, ended.cache, ended.cached_id) == ("cached", "semantic", HIT.id)
    assert (ended.saved_usd, ended.attempts, ended.answer) == (HIT.cost_usd, [], HIT.answer)


async def test_a_hit_is_replayed_as_a_stream(world: World) -> None:
    await start(world, HIT)
    frames = await world.frames(world.call(cache=PLAN, stream=True))
    assert [frame.kind for frame in frames] == [FrameKind.HEAD, FrameKind.DATA, FrameKind.END]
    assert b"Paris." in frames[1].data
    assert frames[1].data.endswith(b"data: [DONE]\n\n")


async def test_a_miss_is_asked_and_said(world: World) -> None:
    await start(world, None)
    call = world.call(cache=PLAN)
    assert (await world.whole(call)).status == 200
    assert (await world.end_of(call)).cache == "miss"
    refreshed = world.call(cache=msgspec.structs.replace(PLAN, reads=False))
    assert (await world.whole(refreshed)).status == 200
    assert (await world.end_of(refreshed)).cache == "bypass"


async def test_a_kept_answer_that_is_no_stream_is_asked_again(world: World) -> None:
    await start(world, msgspec.structs.replace(HIT, answer=b"[]"))
    frames = await world.frames(world.call(cache=PLAN, stream=True))
    assert frames[0].status == 200
    assert len(frames) > 3
