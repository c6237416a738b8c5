"""The end of a web process: what the gateway has open in it is closed."""

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from gateway.door.app import Door
from gateway.door.calls import Calls
from tests.gateway.queues.conftest import make_call


@pytest.mark.asyncio
async def test_the_end_of_a_process_leaves_nothing_open(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door()
    calls = door._calls = Calls()
    closed: list[float] = []
    monkeypatch.setattr("gateway.door.app.recorder.close", closed.append)
    await calls.start()
    await calls.reader.start()
    call = make_call()
    call.has_reservation = True
    ids = {name: uuid.uuid4().hex for name in ("organization_id", "project_id", "key_id")}
    call.caller = msgspec.structs.replace(call.caller, **ids)
    # Given back in a thread; its sign of life goes on from then on.
    await calls.quotas.release(call)
    said: list[str] = []
    messages = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, Any]:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        said.append(message["type"])

    async with asyncio.timeout(5):
        await door.live(receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert calls.quotas._thread._shutdown
    assert closed
