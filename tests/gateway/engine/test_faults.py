"""The fault matrix: wherever a stream breaks and whatever a provider sends, the call ends and is recorded once, on both
wires and translated both ways (benchmarks.gateway_fault_table has the faults)."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from benchmarks import gateway_fault_table as table
from benchmarks.gateway_fault_table import Fault
from gateway.queues.frames import CallLostError
from gateway.structs import Call, Dialect, Finished, Frame, FrameKind, RetryRule, Target
from tests.gateway.engine.conftest import World
from tests.gateway.engine.provider import Behaviour, Exchange

pytestmark = pytest.mark.asyncio

LANES = [
    pytest.param(client, wire, id=f"{client.value}-over-{wire}")
    for client in (Dialect.CHAT, Dialect.MESSAGES)
    for wire in ("chat", "messages")
]
SHORT_S, LONG_S = 0.3, 8.0


def playing(fault: Fault) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await table.play(fault, exchange._writer)

    return behave


class Lane:
    """Calls of clients of one wire to a provider of one wire."""

    def __init__(self, world: World, client: Dialect, wire: str) -> None:
        assert world.snapshot is not None
        self.world, self.client, self.wire = world, client, wire
        good = world.snapshot
        view = good.connections["c1"]
        if wire == "messages":
            address = view.base_url.removesuffix("/v1")
            view = structs.replace(view, kind="anthropic", base_url=address)
        world.snapshot = structs.replace(good, connections={"c1": view})

    def call(self, model: str, *, stream: bool, timeout_s: float = LONG_S, **more: Any) -> Call:
        rules = {"timeout_s": timeout_s, "retry": RetryRule(tries=2, first_wait_s=0.001)}
        call = self.world.call(model, stream=stream, rules=rules, **more)
        kind = "compatible" if self.wire == "chat" else "anthropic"
        target = Target(connection="c1", kind=kind, model=model, provider="x")
        call.decision = structs.replace(call.decision, targets=(target,))
        call.dialect = self.client
        if self.client is Dialect.MESSAGES:
            document = json.loads(call.body)
            call.body = json.dumps(document | {"max_tokens": 100}).encode()
        return call

    async def all(
        self, faults: dict[str, Fault], *, stream: bool
    ) -> Iterator[tuple[str, Fault, list[Frame], Finished]]:
        """Every fault at once: what its client got, and its one record."""
        world = self.world
        world.provider.behaviours |= {name: playing(fault) for name, fault in faults.items()}
        calls = {
            name: self.call(
                name, stream=stream, timeout_s=SHORT_S if fault.end == "silent" else LONG_S
            )
            for name, fault in faults.items()
        }
        frames = await asyncio.gather(*(world.frames(call) for call in calls.values()))
        records: dict[str, list[Finished]] = {}
        for one in world.finished:
            records.setdefault(one.call.id, []).append(one)
        assert [len(records[call.id]) for call in calls.values()] == [1] * len(calls)
        ended = [records[call.id][0] for call in calls.values()]
        return zip(faults, faults.values(), frames, ended, strict=True)


def is_accounted(finished: Finished) -> bool:
    """Its usage is known, or estimated and said to be; or nothing was used: every try was refused."""
    usage = finished.usage
    if usage is None:
        return finished.state == "failed" and all(one.status >= 300 for one in finished.attempts)
    tries = [one.usage for one in finished.attempts if one.usage is not None]
    is_told = all(one.is_estimated or one.input_tokens for one in tries)
    return is_told and (usage.is_estimated or bool(usage.input_tokens and finished.raw_usage))


def words_of(dialect: Dialect, frames: list[Frame]) -> str:
    """The text a client reads from a stream."""
    found = []
    for line in b"".join(frame.data for frame in frames).decode().splitlines():
        if not line.startswith("data: {") or line.endswith("{broken"):
            continue
        document = json.loads(line[6:])
        if dialect is Dialect.CHAT:
            found += [one["delta"].get("content") or "" for one in document.get("choices", ())]
        else:
            found.append(document.get("delta", {}).get("text", ""))
    return "".join(found).strip()


@pytest.mark.parametrize(("client", "wire"), LANES)
async def test_whatever_a_stream_does_it_ends_and_is_recorded_once(
    world: World, client: Dialect, wire: str
) -> None:
    await world.start()
    lane = Lane(world, client, wire)
    for name, fault, frames, ended in await lane.all(table.streams(wire), stream=True):
        assert is_accounted(ended), (name, ended.state, ended.status, ended.usage)
        assert frames[-1].kind in (FrameKind.END, FrameKind.ALL), name
        if fault.is_whole:
            assert ended.state == "done", (name, ended.message)
            assert words_of(client, frames) == table.TEXT, name
            assert table.TEXT.encode() in ended.answer, name
        elif fault.end != "ends" or name.startswith(("error-", "html")):
            assert ended.state == "failed", name
            said = b"".join(frame.data for frame in frames)
            assert b'"error"' in said, (name, said)


@pytest.mark.parametrize(("client", "wire"), LANES)
async def test_whatever_a_whole_answer_is_it_ends_and_is_recorded_once(
    world: World, client: Dialect, wire: str
) -> None:
    await world.start()
    lane = Lane(world, client, wire)
    for name, fault, (frame,), ended in await lane.all(table.wholes(wire), stream=False):
        assert is_accounted(ended), (name, ended.state, ended.status, ended.usage)
        broken = ("list", "text", "nothing", "error-200", "cut", "dies", "silent")
        untranslatable = ("empty-object", "odd-contents")
        is_translated = (client is Dialect.CHAT) is not (wire == "chat")
        is_broken = fault.status != 200 or name in broken
        is_broken = is_broken or (is_translated and name in untranslatable)
        assert (frame.status >= 400) is is_broken, (name, frame.status)
        if is_broken:
            assert json.loads(frame.data)["error"]["message"], name


@pytest.mark.parametrize(("client", "wire"), LANES)
@pytest.mark.parametrize("policy", ["drain", "cancel"])
async def test_wherever_a_client_leaves_its_call_is_recorded_once(
    world: World, policy: str, client: Dialect, wire: str
) -> None:
    await world.start()
    lane = Lane(world, client, wire)
    pieces = table.good(wire)
    world.provider.behaviours["m"] = playing(Fault(pieces, pause=len(pieces) - 2))

    async def leave_after(count: int) -> None:
        call = lane.call("m", stream=True, on_client_gone=policy)
        waiting = await world.ask(call)
        try:
            for _ in range(count):
                await waiting.__anext__()
        except (StopAsyncIteration, CallLostError):
            pass
        # One that has not begun never does, and ends at the door.
        if await waiting.leave() not in ("waiting", "claimed"):
            finished = await world.end_of(call)
            assert is_accounted(finished) or not finished.attempts
            assert finished.state in ("done", "cancelled")

    await asyncio.gather(*(leave_after(count) for count in range(len(pieces) + 1)))
    ids = [one.call.id for one in world.finished]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == sorted(world.begun)
