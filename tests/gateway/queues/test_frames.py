"""Frames from workers to the process that waits, and what it learns when one of them, or Redis, dies."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from django.conf import settings
from redis import Redis

from gateway.queues import line
from gateway.queues.frames import CallLostError, FrameReader, Waiting
from gateway.queues.link import Link
from gateway.queues.listening import Listener, worker_channel
from gateway.queues.writing import FrameWriter
from gateway.structs import Call, Frame, FrameKind, pack
from tests.gateway.queues.conftest import NOW, make_call, until

pytestmark = pytest.mark.asyncio


class Worker:
    """The queue's side of a worker: alive while its channel is open."""

    def __init__(self, link: Link, name: str = "w1") -> None:
        self.link, self.name = link, name
        self.heard: list[bytes] = []
        self.listener = Listener(settings.REDIS_URL, worker_channel(name), self.heard.append)
        self.writer = FrameWriter(link, name)

    async def start(self) -> None:
        await self.listener.start()
        await line.beat(self.link, self.name)

    async def take(self, count: int = 10, *, begin: bool = True) -> list[Call]:
        calls = await line.claim(self.link, self.name, count)
        for call in calls:
            if begin:
                assert await line.begin(self.link, self.name, call.id)
        return calls

    def say(self, call: Call, seq: int, data: bytes, kind: FrameKind = FrameKind.DATA) -> None:
        self.writer.send(call.reply_to, Frame(call.id, seq, kind, data))
        if kind is FrameKind.END:
            self.writer.finish(call.id)


@pytest_asyncio.fixture
async def reader(redis: Redis) -> AsyncIterator[FrameReader]:
    reader = FrameReader(settings.REDIS_URL)
    yield reader
    await reader.close()


@pytest_asyncio.fixture
async def worker(link: Link) -> AsyncIterator[Worker]:
    worker = Worker(link)
    await worker.start()
    yield worker
    await worker.listener.close()


async def ask(reader: FrameReader, call: Call | None = None) -> Waiting:
    waiting = await reader.ask(call or make_call(), limit=1000, now=NOW)
    assert isinstance(waiting, Waiting)
    return waiting


async def lost(waiting: Waiting) -> str:
    try:
        async with asyncio.timeout(3):
            async for _ in waiting:
                pass
    except CallLostError as error:
        return error.reason
    finally:
        await waiting.aclose()
    raise AssertionError("It ended as if all were well.")


async def test_frames_of_many_calls_arrive_whole_and_in_order(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    asked = [await ask(reader) for _ in range(20)]
    calls = await worker.take(20)
    for seq in range(10):
        for call in calls:
            worker.say(call, seq, b"%d" % seq, FrameKind.END if seq == 9 else FrameKind.DATA)
        await asyncio.sleep(0)
    for waiting in asked:
        assert [frame.data async for frame in waiting] == [b"%d" % n for n in range(10)]
        await waiting.aclose()
    await worker.writer.drain()
    assert redis.keys("{gw}:c:*") == []
    # A turn of the loop is one entry, and what is read is trimmed.
    await until(lambda: redis.xlen(reader.name) <= 1)
    assert int(redis.xinfo_stream(reader.name)["last-generated-id"].split(b"-")[0]) > 0


async def test_some_takes_all_that_is_there(reader: FrameReader, worker: Worker) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    for seq in range(3):
        worker.say(call, seq, b"x")
    assert len(await waiting.some()) == 3
    worker.say(call, 3, b"", FrameKind.END)
    assert len(await waiting.some()) == 1
    assert await waiting.some() == []


async def test_a_call_that_has_ended_is_not_looked_after_any_more(
    reader: FrameReader, worker: Worker
) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    worker.say(call, 0, b"whole", FrameKind.ALL)
    assert [frame.data async for frame in waiting] == [b"whole"]
    # Nobody closes what has ended.
    assert reader._waiting == {}


async def test_a_hole_ends_the_call_with_an_error_and_its_worker_is_told(
    reader: FrameReader, worker: Worker
) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    worker.say(call, 0, b"a")
    worker.say(call, 2, b"c")
    assert (await waiting.__anext__()).data == b"a"
    assert await lost(waiting) == "hole"
    await until(lambda: worker.heard == [b"gone:" + call.id.encode()])


async def test_a_repeated_frame_is_dropped(reader: FrameReader, worker: Worker) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    for seq in (0, 1, 0, 1):
        worker.say(call, seq, b"%d" % seq)
    worker.say(call, 2, b"2", FrameKind.END)
    assert [frame.data async for frame in waiting] == [b"0", b"1", b"2"]


async def test_a_dead_worker_is_found_within_half_a_second_and_what_had_not_begun_waits_again(
    reader: FrameReader, worker: Worker, link: Link
) -> None:
    begun, claimed = await ask(reader), await ask(reader)
    (call,) = await worker.take(1)
    await worker.take(1, begin=False)
    worker.say(call, 0, b"a")
    assert (await begun.__anext__()).data == b"a"
    await worker.listener.close()
    assert await lost(begun) == "worker_died"
    other = Worker(link, "w2")
    await other.start()
    (again,) = await other.take()
    assert again.id == claimed.call_id
    other.say(again, 0, b"there", FrameKind.END)
    assert [frame.data async for frame in claimed] == [b"there"]
    await other.listener.close()


async def test_every_process_hears_of_a_dead_worker_that_one_of_them_buried(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    other = FrameReader(settings.REDIS_URL)
    both = [await ask(reader), await ask(other)]
    for call in await worker.take():
        worker.say(call, 0, b"a")
    for waiting in both:
        assert (await waiting.__anext__()).data == b"a"
    await worker.listener.close()
    began = asyncio.get_running_loop().time()
    assert await asyncio.gather(*map(lost, both)) == ["worker_died", "worker_died"]
    assert asyncio.get_running_loop().time() - began < 2
    await other.close()


async def test_a_flushed_redis_ends_every_call_and_the_next_one_works(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    waits, runs = await ask(reader, make_call(id="a", priority=2)), None
    await worker.take(1)
    runs = await ask(reader, make_call(id="b"))
    redis.flushdb()
    assert await lost(waits) == "unknown"
    assert await lost(runs) == "unknown"
    await until(lambda: bool(redis.exists(reader.name)))
    again = await ask(reader)
    (call,) = await worker.take()
    worker.say(call, 0, b"fine", FrameKind.END)
    assert [frame.data async for frame in again] == [b"fine"]


async def test_lost_connections_lose_no_frame(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    for seq in range(30):
        worker.say(call, seq, b"%d" % seq)
        if seq % 10 == 5:
            await asyncio.sleep(0.01)
            for kind in ("normal", "pubsub"):
                redis.client_kill_filter(_type=kind, skipme=True)
    worker.say(call, 30, b"", FrameKind.END)
    async with asyncio.timeout(5):
        seen = [frame.seq async for frame in waiting]
    assert seen == list(range(31))


async def test_a_client_that_leaves_takes_its_call_out_of_the_line_or_tells_the_worker(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    waits, runs = await ask(reader, make_call(priority=2)), await ask(reader)
    (call,) = await worker.take(1)
    await waits.aclose()
    await runs.aclose()
    await until(lambda: worker.heard == [b"gone:" + call.id.encode()])
    assert await worker.take() == []


async def test_a_call_past_its_deadline_is_told(reader: FrameReader, worker: Worker) -> None:
    waiting = await ask(reader, make_call(seconds=0))
    assert await worker.take() == []
    assert await lost(waiting) == "expired"


async def test_a_worker_learns_that_the_process_that_waits_is_gone(
    reader: FrameReader, worker: Worker
) -> None:
    await ask(reader)
    (call,) = await worker.take()
    await reader.close()
    worker.say(call, 0, b"a")
    await worker.writer.drain()
    assert worker.writer.gone == {call.reply_to}


async def test_what_no_reader_can_read_hurts_nobody_else(
    reader: FrameReader, worker: Worker, redis: Redis
) -> None:
    waiting = await ask(reader)
    (call,) = await worker.take()
    redis.xadd(reader.name, {"f": b"\xff nonsense"})
    redis.xadd(reader.name, {"f": pack([Frame("somebody", 0, FrameKind.DATA)])})
    worker.say(call, 0, b"fine", FrameKind.END)
    assert [frame.data async for frame in waiting] == [b"fine"]


async def test_a_full_line_is_said_and_leaves_nobody_waiting(reader: FrameReader) -> None:
    refused = await reader.ask(make_call(), limit=0, now=NOW)
    assert isinstance(refused, line.Full)
    assert reader._waiting == {}
