"""Checks of answers on a call's way through a worker."""

import json

import pytest

from gateway.structs import FrameKind, GuardRule
from tests.gateway.engine.conftest import World, redis, world
from tests.gateway.engine.provider import USAGE, Behaviour, Exchange, chunk, completion

__all__ = ("redis", "world")
pytestmark = pytest.mark.asyncio
KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "object", "required": ["n"]}},
}


def saying(*texts: str) -> Behaviour:
    """One text per request, the last again and again; letter by letter when it streams."""
    left = list(texts)

    async def behave(exchange: Exchange) -> None:
        text = left.pop(0) if len(left) > 1 else left[0]
        if not exchange.document.get("stream"):
            await exchange.answer(completion(text))
            return
        await exchange.begin_stream()
        for sign in text:
            await exchange.chunk(chunk(sign))
        await exchange.chunk(chunk("", finish="stop"))
        await exchange.chunk(chunk(None, usage=USAGE))
        await exchange.chunk(b"data: [DONE]\n\n")
        await exchange.end_stream()

    return behave


@pytest.mark.parametrize("stream", [False, True])
async def test_a_mask_counts_for_the_client_and_the_record(world: World, stream: bool) -> None:
    world.provider.behaviours["*"] = saying(f"The key is {KEY}, keep it")
    await world.start()
    rule = GuardRule(kind="secrets", action="mask", on="output")
    call = world.call("m", stream=stream, guards=(rule,))
    body = b"".join(frame.data for frame in await world.frames(call))
    finished = await world.end_of(call)
    assert b"[secret]" in finished.answer
    assert b"sk-proj" not in body + finished.answer
    assert (finished.state, finished.flags) == ("done", ("guard:secrets:masked",))
    assert finished.usage is not None
    assert finished.usage.input_tokens == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_a_block_ends_the_answer_with_the_wires_own_error(world: World, stream: bool) -> None:
    world.provider.behaviours["*"] = saying(f"The key is {KEY}, keep it " + "word " * 200)
    await world.start()
    rule = GuardRule(kind="secrets", action="block", on="output", message="Ask security.")
    call = world.call("m", stream=stream, guards=(rule,))
    frames = await world.frames(call)
    body = b"".join(frame.data for frame in frames)
    finished = await world.end_of(call)
    error = json.loads(body.split(b"data: ")[-1] if stream else body)["error"]
    assert error["code"] == "guard_blocked"
    assert "Ask security." in error["message"]
    assert b"sk-proj" not in body
    assert (finished.state, finished.error, finished.answer) == ("failed", "guard_blocked", b"")
    assert "guard:secrets:blocked" in finished.flags
    assert finished.usage is not None  # it was paid for
    if not stream:
        assert (frames[0].kind, frames[0].status) == (FrameKind.ALL, 400)


async def asked_for_json(
    world: World, action: str, *texts: str
) -> tuple[int, dict[str, object], str]:
    world.provider.behaviours["*"] = saying(*texts)
    await world.start()
    call = world.call("m", guards=(GuardRule(kind="json_schema", action=action, on="output"),))  # type: ignore[arg-type]
    messages = [{"role": "user", "content": "Count"}]
    call.body = json.dumps({"model": "m", "messages": messages, "response_format": FORMAT}).encode()
    frame = await world.whole(call)
    finished = await world.end_of(call)
    assert finished.usage is not None
    attempts = [attempt.error for attempt in finished.attempts]
    tokens = finished.usage.input_tokens
    flags = ",".join(finished.flags)
    return frame.status, json.loads(frame.data), f"{attempts} {tokens} {flags}"


async def test_an_answer_that_is_no_json_is_asked_for_once_more_and_both_are_paid(
    world: World,
) -> None:
    status, body, told = await asked_for_json(world, "block", "Sure!", '{"n": 1}')
    assert (status, body) == (200, completion('{"n": 1}'))
    assert told == "['invalid_answer', ''] 14 guard:json_schema:repaired"


async def test_an_answer_that_stays_wrong_is_blocked_or_passed_on_with_a_flag(world: World) -> None:
    status, body, told = await asked_for_json(world, "block", "Sure!")
    assert (status, body["error"]["code"]) == (400, "guard_blocked")  # type: ignore[index]
    assert told == "['invalid_answer', ''] 14 guard:json_schema:blocked"


async def test_a_flag_does_not_ask_again(world: World) -> None:
    status, body, told = await asked_for_json(world, "flag", "Sure!")
    assert (status, body) == (200, completion("Sure!"))
    assert told == "[''] 7 guard:json_schema:flagged"
