"""Compaction on a call's way through a worker."""

import json

import pytest

from gateway.structs import CompactRule
from tests.gateway.engine.conftest import World, redis, world
from tests.gateway.engine.provider import Exchange, fine

__all__ = ("redis", "world")
pytestmark = pytest.mark.asyncio


async def test_the_provider_gets_the_short_form_and_the_saving_is_recorded(world: World) -> None:
    asked = []

    async def listen(exchange: Exchange) -> None:
        asked.append(exchange.document)
        await fine(exchange)

    world.provider.behaviours["*"] = listen
    await world.start()
    call = world.call("m", compact=CompactRule(whitespace=True))
    messages = [{"role": "user", "content": "Say" + " " * 40 + "hello"}]
    call.body = json.dumps({"model": "m", "messages": messages}).encode()
    await world.whole(call)
    finished = await world.end_of(call)
    assert asked[0]["messages"] == [{"role": "user", "content": "Say hello"}]
    assert finished.compaction == {"whitespace": 9}
    assert finished.call.body == call.body
