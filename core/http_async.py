"""The transport of asynchronous clients that call addresses somebody set: what core.http is for synchronous ones.

Names are resolved beside the event loop, every address is judged by core.outbound, and the connection is made to the
judged address itself, so an answer that changes between check and use finds nobody (rebinding); TLS and Host keep the
name. No proxies and no keys from the environment, no redirects, no cookies, no packed bodies.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from threading import Thread
from time import monotonic
from typing import Any

import httpcore2
import httpx2

from core import http, outbound
from core.errors import DomainError
from core.http_pool import Pool
from core.http_streams import AsyncioBackend
from core.outbound import (
    OutboundError,
    OutboundTimeoutError,
    ReplyTooLargeError,
    UnreachableError,
)

CONNECT_SECONDS = 5.0
MAX_CONNECTIONS, MAX_IDLE, IDLE_SECONDS = 2_000, 200, 60.0
# Of one answer: files come through here as well, in parts.
MAX_BODY = 512 * 1024 * 1024
# How long a resolver's answer is used for further connections; each of them is judged anew.
REMEMBER_SECONDS = 5.0
AsyncResolver = Callable[[str, int], Awaitable[list[str]]]


async def resolved(host: str, port: int) -> list[str]:
    """What the system's resolver says, within outbound.RESOLVE_SECONDS. Raises OutboundError's kinds."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | None) -> None:
        if answer.done():
            return
        if found is None:
            answer.set_exception(UnreachableError(f"The host {host!r} is not known."))
        else:
            answer.set_result(found)

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        except (OSError, UnicodeError):
            found = None
        try:
            loop.call_soon_threadsafe(tell, found)
        except RuntimeError:  # the loop ended meanwhile
            return

    # A thread of its own: getaddrinfo knows no limit, and a pool's threads would all end up waiting in it.
    Thread(target=ask, daemon=True, name="resolve").start()
    try:
        return await asyncio.wait_for(answer, outbound.RESOLVE_SECONDS)
    except TimeoutError:
        raise OutboundTimeoutError(f"The address of {host!r} was not found in time.") from None


class _Names:
    """Addresses of names: one question at a time for each, its answer used for a few seconds."""

    def __init__(self, resolve: AsyncResolver) -> None:
        self._resolve = resolve
        self._asked: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Judged ones. Raises AddressRefusedError, UnreachableError, OutboundTimeoutError."""
        found = await self._found(host, port)
        return outbound.addresses_of(host, port, lambda _host, _port: found)

    async def _found(self, host: str, port: int) -> list[str]:
        key, now = (host, port), monotonic()
        asked = self._asked.get(key)
        if asked is None or (asked[1].done() and now - asked[0] > REMEMBER_SECONDS):
            asked = self._asked[key] = (now, asyncio.ensure_future(self._resolve(host, port)))
            asked[1].add_done_callback(lambda one: one.cancelled() or one.exception())
        try:
            # Whoever gives up waiting must not end the question for the others.
            return await asyncio.shield(asked[1])
        except DomainError:
            self._asked.pop(key, None)
            raise


class _Backend(httpcore2.AsyncNetworkBackend):
    """Connects to judged addresses only."""

    def __init__(self, names: _Names) -> None:
        self._plain, self._names = AsyncioBackend(), names

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._names.addresses(host, port)
        end = monotonic() + (CONNECT_SECONDS if timeout is None else timeout)
        failed: Exception | None = None
        for place, address in enumerate(addresses):
            left = end - monotonic()
            if left <= 0:
                raise failed or httpcore2.ConnectTimeout("deadline")
            # A share each: one address that swallows everything leaves time for the next.
            share = left / (len(addresses) - place)
            try:
                return await self._plain.connect_tcp(address, port, share, None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    """An answer's body that tells its transport when it is closed, and ends when it grows past `most`."""

    def __init__(
        self, inner: httpx2.AsyncByteStream, most: int, host: str, ended: Callable[[], None]
    ) -> None:
        self._inner, self._most, self._host, self._ended = inner, most, host, ended
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > self._most:
                told = ReplyTooLargeError(
                    f"The answer of {self._host} is larger than {self._most // 2**20} MiB."
                )
                raise httpx2.RemoteProtocolError(told.detail) from told
            yield part

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            if self._is_open:
                self._is_open = False
                self._ended()


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """For httpx2.AsyncClient. Raises httpx2.ConnectError with the OutboundError as its cause for what is refused."""

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_body: int = MAX_BODY,
        resolve: AsyncResolver | None = None,
    ) -> None:
        """`resolve` replaces the system's resolver in tests."""
        certificates = http._certificates()
        super().__init__(verify=certificates, trust_env=False)
        self._names, self._max_body = _Names(resolve or resolved), max_body
        self._pool: Any = Pool(
            ssl_context=certificates,
            backend=_Backend(self._names),
            most=max_connections,
            most_idle=MAX_IDLE,
            idle_s=IDLE_SECONDS,
        )
        # Requests whose answer is not read to its end yet.
        self.active = 0
        self._is_leaving = False
        self._closing: asyncio.Future[None] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.active += 1
        try:
            response = await self._send(request)
        except BaseException:
            await self._ended()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101
        response.stream = _Body(
            response.stream, self._max_body, request.url.host, self._ended_later
        )
        return response

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            if request.url.scheme == "http":
                await self._check_plain(request.url)
            response = await super().handle_async_request(request)
        except OutboundTimeoutError as error:
            raise httpx2.ConnectTimeout(error.detail, request=request) from error
        except OutboundError as error:
            raise httpx2.ConnectError(error.detail, request=request) from error
        packed = response.headers.get("content-encoding", "identity").lower()
        if packed != "identity":
            await response.aclose()
            told = UnreachableError(f"{request.url.host} answers packed as {packed[:40]!r}.")
            raise httpx2.RemoteProtocolError(told.detail, request=request) from told
        if "set-cookie" in response.headers:
            del response.headers["set-cookie"]
        return response

    async def _check_plain(self, url: httpx2.URL) -> None:
        target = outbound.Target("http", url.host.rstrip(".").strip("[]"), url.port or 80)
        outbound.check_target(target, await self._names.addresses(target.host, target.port))

    def _ended_later(self) -> None:
        self.active -= 1
        if self._is_leaving and not self.active:
            self._closing = asyncio.ensure_future(self.aclose())

    async def _ended(self) -> None:
        self.active -= 1
        if self._is_leaving and not self.active:
            await self.aclose()

    async def leave(self) -> None:
        """Close once no answer is being read any more."""
        self._is_leaving = True
        if not self.active:
            await self.aclose()


def guarded_client(
    *, timeout_s: float, max_body: int = MAX_BODY, resolve: AsyncResolver | None = None
) -> tuple[httpx2.AsyncClient, GuardedTransport]:
    """A client on a transport of its own. It belongs to the event loop that first uses it."""
    transport = GuardedTransport(max_body=max_body, resolve=resolve)
    client = httpx2.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(timeout_s, connect=CONNECT_SECONDS),
        headers={"accept-encoding": "identity"},
    )
    return client, transport


def explained(error: BaseException, host: str) -> OutboundError:
    """What a failed call means, in words for people: the refusal or failure among the error's causes."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in causes:
        if isinstance(one, OutboundError):
            return one
    if not any(isinstance(one, ssl.SSLError) for one in causes) and any(
        isinstance(one, httpx2.TimeoutException | TimeoutError) for one in causes
    ):
        return OutboundTimeoutError(f"{host} did not answer in time.")
    # The client's own error says more than what an SDK made of it.
    told = next((one for one in causes if isinstance(one, httpx2.TransportError)), error)
    return UnreachableError(
        http._why_not(host, Exception() if not isinstance(told, Exception) else told)
    )
