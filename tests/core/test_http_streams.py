"""Connections on asyncio itself: TLS, long answers, silence, and a server that closes what is idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import httpx2
import pytest
from django.test import override_settings

from core import http
from core.http_async import guarded_client
from tests.fakes.certificates import Authority
from tests.fakes.http_server import running_server

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def listening(*answers: bytes) -> AsyncIterator[str]:
    """A server whose n-th connection gives the n-th answer to one request and closes."""
    left, tasks = list(answers), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(left.pop(0))
            await writer.drain()
            if not left:
                await reader.read()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    with override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await asyncio.gather(*tasks)


def answer(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (size, body)


async def test_a_long_answer_over_tls_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    trusting = authority.trusting()
    monkeypatch.setattr(http, "_certificates", lambda: trusting)
    body = bytes(range(256)) * 8_192

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with (
        running_server(
            lambda _request, _number: (200, {}, body), tls=authority.server("llm.example")
        ) as fake,
        override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]),
    ):
        port = fake.url.rpartition(":")[2]
        client, _ = guarded_client(timeout_s=5, resolve=resolve)
        async with client:
            found = await client.post(f"https://llm.example:{port}/", content=body)
            assert found.content == body
            assert fake.received[0].body == body
            # Read bit by bit, it is not all taken from the network at once.
            async with client.stream("GET", f"https://llm.example:{port}/") as slow:
                size = 0
                async for part in slow.aiter_raw():
                    size += len(part)
                    await asyncio.sleep(0)
            assert size == len(body)


async def test_an_idle_connection_the_server_closed_is_not_used_again() -> None:
    async with listening(answer(b"one"), answer(b"two")) as url:
        client, _ = guarded_client(timeout_s=5)
        async with client:
            assert (await client.get(url)).content == b"one"
            await asyncio.sleep(0.02)
            assert (await client.get(url)).content == b"two"


async def test_silence_in_the_middle_is_a_read_timeout() -> None:
    async with listening(answer(b"half", length=8)) as url:
        client, _ = guarded_client(timeout_s=0.05)
        async with client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get(url)


async def test_an_answer_that_breaks_off_is_an_error() -> None:
    async with listening(answer(b"half", length=8), b"") as url:
        client, _ = guarded_client(timeout_s=5)
        async with client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(url)
