"""The fault matrix: wherever a stream breaks and whatever a provider sends, the call ends and is recorded once."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.queues.frames import CallLostError
from gateway.structs import Finished, FrameKind
from tests.gateway.engine.conftest import World
from tests.gateway.engine.provider import USAGE, Exchange, chunk, completion

pytestmark = pytest.mark.asyncio

Behaviour = Callable[[Exchange], Awaitable[None]]
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
WORDS = [chunk(f"word{number} ") for number in range(4)]
PIECES = [*WORDS, chunk("", finish="stop"), chunk(None, usage=USAGE), b"data: [DONE]\n\n"]


def sending(pieces: list[bytes], *, cut: bool = False, pause: int = -1) -> Behaviour:
    """These pieces, then the end of the stream or of the connection; a silence before one of them."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for number, piece in enumerate(pieces):
            if number == pause:
                await asyncio.sleep(0.03)
            await exchange.chunk(piece)
            await asyncio.sleep(0)
        if cut:
            exchange.cut()
        else:
            await exchange.end_stream()

    return behave


def whole(body: bytes, status: int = 200) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        exchange._writer.write(
            b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
        )
        await exchange._writer.drain()

    return behave


def with_usage(usage: object, place: int) -> list[bytes]:
    """The answer with its usage in the chunk `place`, and nowhere else."""
    texts = [chunk(f"word{n} ", usage=usage if n == place else None) for n in range(4)]
    return [*texts, chunk("", finish="stop"), b"data: [DONE]\n\n"]


STREAMS = {
    **{f"dies-{n}": sending(PIECES[:n], cut=True) for n in range(len(PIECES))},
    **{f"ends-{n}": sending(PIECES[:n]) for n in range(len(PIECES))},
    **{f"pauses-{n}": sending(PIECES, pause=n) for n in range(len(PIECES))},
    **{f"garbage-{n}": sending([*PIECES[:n], b"data: {broken\n\n", *PIECES[n:]]) for n in range(6)},
    **{f"usage-{n}": sending(with_usage(USAGE, n)) for n in range(4)},
    "zeros": sending([*WORDS, chunk("", finish="stop"), chunk(None, usage=ZEROS), PIECES[-1]]),
    "zeros-later": sending([*PIECES[:6], chunk(None, usage=ZEROS), PIECES[-1]]),
    "usage-nonsense": sending([*WORDS, chunk("", finish="stop", usage="many"), PIECES[-1]]),
    "bytewise": sending([bytes([byte]) for byte in b"".join(PIECES)]),
    "all-at-once": sending([b"".join(PIECES)]),
    "crlf": sending([piece.replace(b"\n", b"\r\n") for piece in PIECES]),
    "comments": sending([b": ping\n\n", *PIECES[:3], b": ping\n\n", *PIECES[3:]]),
    "no-stream": whole(json.dumps(completion()).encode()),
    "html": whole(b"<html>down</html>", 502),
    "empty": whole(b""),
}
WHOLES = {
    "list": whole(b"[]"),
    "text": whole(b"hello"),
    "nothing": whole(b""),
    "empty-object": whole(b"{}"),
    "error-200": whole(b'{"error":{"message":"no","type":"server_error"}}'),
    "no-usage": whole(json.dumps({**completion(), "usage": None}).encode()),
    "zero-usage": whole(json.dumps({**completion(), "usage": ZEROS}).encode()),
    "odd-usage": whole(json.dumps({**completion(), "usage": {"prompt_tokens": "x"}}).encode()),
    "odd-choices": whole(json.dumps({**completion(), "choices": 7}).encode()),
    "html-500": whole(b"<html>", 500),
    "empty-429": whole(b"", 429),
    "redirect": whole(b"", 302),
}


def is_accounted(finished: Finished) -> bool:
    """Its usage is known, or estimated and said to be; or nothing was used: the provider refused it."""
    usage = finished.usage
    if usage is None:
        return finished.state == "failed" and not finished.first_token_at
    return usage.is_estimated or bool(usage.input_tokens and finished.raw_usage)


async def test_whatever_a_stream_does_it_ends_and_is_recorded_once(world: World) -> None:
    await world.start()
    world.provider.behaviours |= STREAMS
    calls = {name: world.call(name, stream=True) for name in STREAMS}
    frames = await asyncio.gather(*(world.frames(call) for call in calls.values()))
    for (name, call), got in zip(calls.items(), frames, strict=True):
        ended = [one for one in world.finished if one.call.id == call.id]
        assert len(ended) == 1, name
        assert is_accounted(ended[0]), (name, ended[0].state, ended[0].usage)
        assert got[-1].kind in (FrameKind.END, FrameKind.ALL), name
        is_whole = name.startswith(("pauses", "usage", "zeros")) or name in (
            "bytewise", "all-at-once", "crlf", "comments",
        )  # fmt: skip
        if is_whole:
            assert ended[0].state == "done", (name, ended[0].message)
            assert b"word3" in b"".join(frame.data for frame in got), name
            assert b"word0 word1 word2 word3" in ended[0].answer, name


async def test_whatever_a_whole_answer_is_it_ends_and_is_recorded_once(world: World) -> None:
    await world.start()
    world.provider.behaviours |= WHOLES
    calls = {name: world.call(name) for name in WHOLES}
    frames = await asyncio.gather(*(world.whole(call) for call in calls.values()))
    for (name, call), frame in zip(calls.items(), frames, strict=True):
        (ended,) = [one for one in world.finished if one.call.id == call.id]
        assert is_accounted(ended) or name == "empty-object", (name, ended.state, ended.usage)
        if name in ("list", "text", "nothing", "error-200", "html-500", "empty-429", "redirect"):
            assert frame.status >= 400, name
            assert json.loads(frame.data)["error"]["message"], name


@pytest.mark.parametrize("policy", ["drain", "cancel"])
async def test_wherever_a_client_leaves_its_call_is_recorded_once(
    world: World, policy: str
) -> None:
    await world.start()
    world.provider.behaviours["m"] = sending(PIECES, pause=5)

    async def leave_after(count: int) -> None:
        call = world.call("m", stream=True, on_client_gone=policy)
        waiting = await world.ask(call)
        try:
            for _ in range(count):
                await waiting.__anext__()
        except (StopAsyncIteration, CallLostError):
            pass
        await waiting.aclose()
        if call.id not in world.begun:
            await asyncio.sleep(0.1)  # it may have been taken out of the line
            if call.id not in world.begun:
                return
        finished = await world.end_of(call)
        assert is_accounted(finished)
        assert finished.state in ("done", "cancelled")

    await asyncio.gather(*(leave_after(count) for count in range(7) for _ in range(3)))
    ids = [one.call.id for one in world.finished]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == sorted(world.begun)
