"""The asynchronous transport's pool: an idle connection is taken and given back without looking at the others.

httpcore's own pool goes over all its connections twice per request. With hundreds of calls waiting for providers that
is most of what a call costs, and with a thousand a second of the loop's time to begin them.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

import httpcore2

Place = tuple[bytes, bytes, int]


class Pool:
    """HTTP/1.1 connections of one event loop, the last one used first; what httpx2's transport asks of a pool."""

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext,
        backend: httpcore2.AsyncNetworkBackend,
        most: int,
        most_idle: int,
        idle_s: float,
    ) -> None:
        self._ssl_context, self._backend = ssl_context, backend
        self._most_idle, self._idle_s = most_idle, idle_s
        self._places = asyncio.Semaphore(most)
        self._free: dict[Place, deque[httpcore2.AsyncHTTPConnection]] = {}
        self._busy: set[httpcore2.AsyncHTTPConnection] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> list[httpcore2.AsyncHTTPConnection]:
        """All there are."""
        return [*self._busy, *(one for free in self._free.values() for one in free)]

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Raises httpcore2's errors, PoolTimeout when no connection became free in time."""
        await self._wait_for_place(request)
        try:
            connection = self._taken(request)
        except BaseException:
            self._places.release()
            raise
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            self._give_back(connection)
            raise
        assert isinstance(response.stream, AsyncIterable)  # noqa: S101 - of an asynchronous one
        return httpcore2.Response(
            status=response.status,
            headers=response.headers,
            content=_Answer(response.stream, connection, self),
            extensions=response.extensions,
        )

    async def _wait_for_place(self, request: httpcore2.Request) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpcore2.PoolTimeout("no connection became free in time") from None

    def _taken(self, request: httpcore2.Request) -> httpcore2.AsyncHTTPConnection:
        """An idle connection that is still good, else a new one, which connects when it is first used."""
        origin = request.url.origin
        free = self._free.get((origin.scheme, origin.host, origin.port))
        connection = None
        while free and connection is None:
            connection = free.pop()
            if connection.has_expired():
                self._close(connection)
                connection = None
        if connection is None:
            connection = httpcore2.AsyncHTTPConnection(
                origin=origin,
                ssl_context=self._ssl_context,
                keepalive_expiry=self._idle_s,
                network_backend=self._backend,
            )
        self._busy.add(connection)
        return connection

    def _give_back(self, connection: httpcore2.AsyncHTTPConnection) -> None:
        """Its request has ended, well or not."""
        if connection not in self._busy:  # the pool was closed meanwhile
            return
        self._busy.discard(connection)
        self._places.release()
        if connection.is_closed() or not connection.is_idle():
            self._close(connection)
            return
        origin = connection._origin
        free = self._free.setdefault((origin.scheme, origin.host, origin.port), deque())
        free.append(connection)
        while len(free) > self._most_idle or free[0].has_expired():
            self._close(free.popleft())
            if not free:
                break

    def _close(self, connection: httpcore2.AsyncHTTPConnection) -> None:
        """Without waiting for it: who is cancelled must not leave it open."""
        if connection.is_closed():
            return
        task = asyncio.ensure_future(connection.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close all, also what is under way."""
        for connection in self.connections:
            if connection in self._busy:
                self._places.release()
            self._close(connection)
        self._busy.clear()
        self._free.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Answer:
    """The body of an answer; closed, its connection is free for the next request if it was read to its end."""

    def __init__(
        self, inner: AsyncIterable[bytes], connection: httpcore2.AsyncHTTPConnection, pool: Pool
    ) -> None:
        self._inner, self._connection, self._pool = inner, connection, pool
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._inner.aclose()  # type: ignore[attr-defined]  # httpcore's have it
        finally:
            self._pool._give_back(self._connection)
