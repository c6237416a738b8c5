"""An answer that breaks off ends all the same, in the words of its dialect."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings
from redis import Redis

from gateway.door.answers import RefusalError
from gateway.door.relay import relay
from gateway.door.request import Message, Request
from gateway.queues.frames import FrameReader, Waiting
from gateway.queues.link import Link
from gateway.structs import Call, Dialect, Frame, FrameKind
from tests.gateway.queues.conftest import make_call
from tests.gateway.queues.test_frames import Worker

pytestmark = pytest.mark.asyncio


class Client:
    """What arrives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.request = Request("/v1/chat/completions", "POST", self._nothing, self._take)

    async def _nothing(self) -> Message:
        raise AssertionError

    async def _take(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        assert not self.messages[-1].get("more_body"), "The answer has no end."
        return b"".join(one.get("body", b"") for one in self.messages)


@pytest_asyncio.fixture
async def link() -> AsyncIterator[Link]:
    link = Link(settings.REDIS_URL)
    yield link
    await link.close()


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[FrameReader]:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    reader = FrameReader(settings.REDIS_URL)
    yield reader
    await reader.close()


@pytest_asyncio.fixture
async def worker(link: Link, reader: FrameReader) -> AsyncIterator[Worker]:
    worker = Worker(link)
    await worker.start()
    yield worker
    await worker.listener.close()


async def asked(reader: FrameReader, worker: Worker, **fields: Any) -> tuple[Call, Waiting]:
    call = make_call(seconds=60)
    call.accepted_at, call.deadline_at = time.time(), time.time() + 60
    for name, value in fields.items():
        setattr(call, name, value)
    waiting = await reader.ask(call, limit=10, now=time.time())
    assert isinstance(waiting, Waiting)
    await worker.take()
    return call, waiting


def head(worker: Worker, call: Call) -> None:
    kind = {"content-type": "text/event-stream"}
    worker.writer.send(call.reply_to, Frame(call.id, 0, FrameKind.HEAD, b"", 200, kind))


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES])
async def test_stream_whose_worker_dies_ends_with_an_error(
    dialect: Dialect, reader: FrameReader, worker: Worker
) -> None:
    call, waiting = await asked(reader, worker, dialect=dialect, is_stream=True)
    client = Client()
    head(worker, call)
    worker.say(call, 1, b"data: 1\n\n")
    await worker.writer.drain()
    await worker.listener.close()

    await relay(call, waiting, client.request, [(b"x-extra", b"1")])

    first, last = client.body.split(b"\n\n", 1)
    assert first == b"data: 1"
    said = json.loads(last.partition(b"data: ")[2])
    assert "stopped before it was answered" in json.dumps(said)
    assert (b"x-extra", b"1") in client.messages[0]["headers"]


async def test_call_whose_worker_dies_before_a_byte_is_refused(
    reader: FrameReader, worker: Worker
) -> None:
    call, waiting = await asked(reader, worker)
    client = Client()
    await worker.listener.close()

    with pytest.raises(RefusalError) as refused:
        await relay(call, waiting, client.request, [])

    assert (refused.value.status, refused.value.code) == (503, "worker_died")
    assert not client.messages


async def test_hole_in_a_stream_ends_it_and_silence_ends_at_the_deadline(
    reader: FrameReader, worker: Worker
) -> None:
    call, waiting = await asked(reader, worker, is_stream=True)
    client = Client()
    head(worker, call)
    worker.say(call, 2, b"data: 2\n\n")
    await relay(call, waiting, client.request, [])
    assert b"answer_lost" in client.body
    assert b"data: 2" not in client.body

    call, waiting = await asked(reader, worker, deadline_at=time.time() - 0.8)
    with pytest.raises(RefusalError) as refused:
        await relay(call, waiting, Client().request, [])
    assert refused.value.status == 504


async def test_all_that_is_here_leaves_in_one_piece(reader: FrameReader, worker: Worker) -> None:
    call, waiting = await asked(reader, worker, is_stream=True)
    client = Client()
    head(worker, call)
    for seq in range(1, 4):
        worker.say(call, seq, b"%d" % seq)
    worker.say(call, 4, b"", FrameKind.END)
    await worker.writer.drain()
    await relay(call, waiting, client.request, [])

    assert client.body == b"123"
    assert len(client.messages) == 2
    assert client.request.is_over
