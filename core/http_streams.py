"""Connections of the asynchronous transport on asyncio itself.

httpcore's own go through anyio: each asks its socket by system calls whether the other side has closed it, for every
idle connection and every request. With hundreds of connections in a pool that is most of what a call costs. Here the
event loop has already said so.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2

# An answer nobody reads is not read from the network either.
FULL_BYTES = 256 * 1024
# What is larger is not worth waiting with.
SOON_BYTES = 64 * 1024


class AsyncioStream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_over = False
        self._error: Exception | None = None
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._is_paused = False
        self._unsent: list[bytes] = []

    # --- what the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP and TLS are
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > FULL_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        _wake(self._reading)

    def eof_received(self) -> bool:
        self._is_over = True
        _wake(self._reading)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._error = error
        _wake(self._reading)
        _wake(self._writing)

    def pause_writing(self) -> None:
        self._writing = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._writing)
        self._writing = None

    # --- what httpcore asks

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What came, at most so much; nothing when the other side has ended. Raises ReadTimeout, ReadError."""
        self._flush()
        if not self._chunks and not self._is_over:
            self._reading = asyncio.get_running_loop().create_future()
            try:
                await _within(self._reading, timeout, httpcore2.ReadTimeout("silence"))
            finally:
                self._reading = None
        if not self._chunks:
            if self._error is not None:
                raise httpcore2.ReadError(str(self._error)) from self._error
            return b""
        data = b"".join(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
        self._chunks = [data[max_bytes:]] if len(data) > max_bytes else []
        self._size = max(0, len(data) - max_bytes)
        if self._is_paused and self._size <= FULL_BYTES and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data[:max_bytes] if len(data) > max_bytes else data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Raises WriteTimeout, WriteError."""
        transport = self._transport
        if not buffer:
            return
        if transport is None or transport.is_closing():
            raise httpcore2.WriteError(str(self._error or "closed"))
        # A request's head and body come one after the other: they leave together.
        self._unsent.append(buffer)
        if len(buffer) > SOON_BYTES:
            self._flush()
        elif len(self._unsent) == 1:
            asyncio.get_running_loop().call_soon(self._flush)
        if self._writing is not None:
            await _within(self._writing, timeout, httpcore2.WriteTimeout("silence"))
        if self._error is not None:
            raise httpcore2.WriteError(str(self._error)) from self._error

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent) if len(unsent) > 1 else unsent[0])

    async def aclose(self) -> None:
        if self._transport is not None:
            self._flush()
            self._transport.abort()
            # The socket itself is closed in the loop's next turn.
            await asyncio.sleep(0)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises ConnectTimeout, ConnectError."""
        loop = asyncio.get_running_loop()
        self._flush()
        assert self._transport is not None  # noqa: S101 - connected
        try:
            async with asyncio.timeout(timeout):
                secure = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self._transport.abort()
            raise httpcore2.ConnectTimeout("no TLS in time") from error
        except (OSError, ssl.SSLError) as error:
            self._transport.abort()
            raise httpcore2.ConnectError(str(error)) from error
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        if secure is None:
            raise httpcore2.ConnectError("closed")
        self._transport = secure
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # Asked of idle connections: something came unasked, or the other side has closed.
            return self._is_over or bool(self._chunks)
        if self._transport is None:
            return None
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Makes them, to an address."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises ConnectTimeout, ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport, stream = await loop.create_connection(AsyncioStream, host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"no connection to {host}") from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        found = transport.get_extra_info("socket")
        for option in socket_options or ():
            found.setsockopt(*option)
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def _within(
    future: "asyncio.Future[None]", timeout: float | None, late: httpcore2.TimeoutException
) -> None:
    """Wait for the future, so long at most; the timer is far cheaper than a context manager."""
    if timeout is None:
        await future
        return
    timer = asyncio.get_running_loop().call_later(timeout, _late, future, late)
    try:
        await future
    finally:
        timer.cancel()


def _late(future: "asyncio.Future[None]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
