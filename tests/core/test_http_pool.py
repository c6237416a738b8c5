"""Connections are used again, bounded, and never kept once they are no good."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from django.test import override_settings

from core.http_async import GuardedTransport
from tests.fakes.http_server import Answer, FakeServer, Received, running_server

Call = Callable[[httpx2.AsyncClient, GuardedTransport, str], Awaitable[None]]


def answered(request: Received, _number: int) -> Answer:
    headers = {"connection": "close"} if request.path == "/last" else {}
    return 200, headers, b"x" * (200_000 if request.path == "/large" else 2)


def run(call: Call, *, most: int = 10) -> FakeServer:
    """`call` with a client of at most so many connections."""

    async def inside(url: str) -> None:
        transport = GuardedTransport(max_connections=most)
        async with httpx2.AsyncClient(transport=transport, timeout=2, trust_env=False) as client:
            await call(client, transport, url)
        assert transport._pool.connections == []
        assert not transport._pool._places.locked()

    with running_server(answered) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        asyncio.run(inside(fake.url))
    return fake


def test_a_connection_is_used_again() -> None:
    async def call(client: httpx2.AsyncClient, transport: GuardedTransport, url: str) -> None:
        for _ in range(5):
            assert (await client.get(url)).status_code == 200
        [only] = transport._pool.connections
        assert "Request Count: 5" in repr(only)
        await asyncio.gather(*(client.get(url) for _ in range(4)))
        assert 1 <= len(transport._pool.connections) <= 4

    run(call)


def test_no_more_connections_than_allowed_and_waiting_ends() -> None:
    async def call(client: httpx2.AsyncClient, transport: GuardedTransport, url: str) -> None:
        async with client.stream("GET", f"{url}/large"), client.stream("GET", f"{url}/large"):
            assert len(transport._pool.connections) == 2
            with pytest.raises(httpx2.PoolTimeout):
                await client.get(url, timeout=httpx2.Timeout(2, pool=0.05))
        found = await asyncio.gather(*(client.get(url) for _ in range(20)))
        assert [one.status_code for one in found] == [200] * 20
        assert len(transport._pool.connections) <= 2

    run(call, most=2)


def test_what_is_no_good_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left in the middle of an answer, closed by the other side, too old, one too many."""

    async def call(client: httpx2.AsyncClient, transport: GuardedTransport, url: str) -> None:
        pool = transport._pool
        async with client.stream("GET", f"{url}/large") as response:
            async for _ in response.aiter_raw():
                break
        assert pool.connections == []
        await client.get(f"{url}/last")
        assert pool.connections == []
        await client.get(url)
        [old] = pool.connections
        old._connection._expire_at = 0.0
        await client.get(url)
        [young] = pool.connections
        assert young is not old
        pool._most_idle = 1
        await asyncio.gather(*(client.get(f"{url}/large") for _ in range(3)))
        assert len(pool.connections) == 1

    run(call)


def test_who_is_cancelled_leaves_nothing_behind() -> None:
    gate = threading.Event()

    def slow(_request: Received, _number: int) -> Answer:
        gate.wait(2)
        return 200, {}, b"ok"

    async def call(url: str) -> None:
        transport = GuardedTransport(max_connections=1)
        async with httpx2.AsyncClient(transport=transport, timeout=2, trust_env=False) as client:
            task = asyncio.ensure_future(client.get(url))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)
            assert transport._pool.connections == []
            assert transport.active == 0
            gate.set()
            assert (await client.get(url)).status_code == 200

    with running_server(slow) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        asyncio.run(call(fake.url))
    assert len(fake.received) == 2


def test_a_failed_connection_frees_its_place() -> None:
    async def call(client: httpx2.AsyncClient, transport: GuardedTransport, url: str) -> None:
        for _ in range(3):
            with pytest.raises(httpx2.ConnectError):
                await client.get("http://127.0.0.1:9/")
        assert transport._pool.connections == []
        assert (await client.get(url)).status_code == 200

    run(call, most=1)
