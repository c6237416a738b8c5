"""The one client for calls to addresses that somebody set: every connection goes to an address that was checked.

A host is resolved once per connection and the connection is made to the checked address itself, so an answer that
changes between check and use finds nobody (rebinding); TLS and Host keep the name. No proxies from the environment,
no redirects unless asked for (then every hop is checked and another origin gets no credentials), one deadline over
everything, a bound on the body before and after unpacking.
"""

import json
import ssl
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from time import monotonic
from typing import Any, NoReturn, Self
from urllib.parse import urljoin

import httpcore2
import httpx2
from django.conf import settings
from httpcore2._backends.sync import SyncBackend

from core import outbound
from core.outbound import (
    AddressRefusedError,
    OutboundError,
    OutboundTimeoutError,
    ReplyTooLargeError,
    Resolver,
    UnreachableError,
    check_url,
)

__all__ = [
    "AddressRefusedError", "OutboundClient", "OutboundError", "OutboundTimeoutError", "Reply", "ReplyTooLargeError",
    "UnreachableError", "check_url",
]  # fmt: skip

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 3.0, 10.0, 20.0
MAX_BODY = 8 * 1024 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
Params = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer, read whole. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """The body as JSON, numbers with a point as Decimal. Raises ValueError for anything else."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_number)
        except RecursionError:
            raise ValueError("JSON too deep") from None

    def text(self, limit: int = 2_000) -> str:
        """The start of the body as text, for messages."""
        return self.body[: limit * 4].decode("utf-8", "replace")[:limit]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _why_not(host: str, error: Exception) -> str:
    """Why there is no answer: TLS tells what a person can mend, of everything else the kind is enough."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate of {host} is not accepted: {cause.verify_message.rstrip('.')}."
    if isinstance(cause, ssl.SSLError):
        return f"No TLS connection to {host} ({(cause.reason or 'SSL').replace('_', ' ').lower()})."
    return f"The connection to {host} failed ({type(error).__name__})."


@cache
def _certificates() -> ssl.SSLContext:
    """Whom TLS trusts. Reading it takes longer than most requests, so it is read once per process."""
    return httpx2.create_ssl_context(trust_env=False)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every read and write also ends at the request's deadline: a server that drips is let go."""

    def __init__(self, inner: httpcore2.NetworkStream, clock: "_Clock") -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.within(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.within(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._clock.within(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Clock:
    """When the request under way must have ended."""

    def __init__(self) -> None:
        self.end = 0.0

    def within(self, timeout: float | None, error: type[Exception]) -> float:
        left = self.end - monotonic()
        if left <= 0:
            raise error("deadline")
        return left if timeout is None else min(left, timeout)


class _Backend(httpcore2.NetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, clock: _Clock, resolve: Resolver | None) -> None:
        self._plain, self._clock, self._resolve = SyncBackend(), clock, resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: Exception | None = None
        for address in outbound.addresses_of(host, port, self._resolve):
            left = self._clock.within(timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._plain.connect_tcp(address, port, left, None, socket_options)
                return _Stream(stream, self._clock)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError("no address")


class OutboundClient:
    """Use as a context manager, from one thread at a time."""

    def __init__(
        self,
        *,
        total_s: float = TOTAL_SECONDS,
        budget_s: float | None = None,
        max_body: int = MAX_BODY,
        cuts: bool = False,
        ports: Collection[int] = (),
        resolve: Resolver | None = None,
    ) -> None:
        """`total_s`: the longest one request may take, `budget_s` all of them together from now on.

        `cuts`: only the status counts; of a body larger than `max_body` the start is read, one that cannot be unpacked
        is empty. `ports`: no others are called, unless the operator listed the host. `resolve` replaces the system's
        resolver in tests.
        """
        self.total_s, self.max_body, self._cuts = total_s, max_body, cuts
        self._ports = ports
        self._last = monotonic() + budget_s if budget_s is not None else float("inf")
        # How many requests were sent.
        self.requests = 0
        self._clock, self._resolve = _Clock(), resolve
        transport = httpx2.HTTPTransport(verify=_certificates(), trust_env=False, retries=0)
        transport._pool._network_backend = _Backend(self._clock, resolve)
        self._client = httpx2.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"user-agent": f"LLMLab/{settings.LLMLAB_VERSION}", "accept-encoding": "gzip"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @property
    def is_out_of_time(self) -> bool:
        """Whether `budget_s` is used up."""
        return monotonic() >= self._last

    def get(
        self, url: str, *, params: Params = (), headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self.request("GET", url, params=params, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        redirects: int = 0,
    ) -> Reply:
        """Send one request and read the whole answer, whatever its status. Raises OutboundError's kinds."""
        self._clock.end = min(monotonic() + self.total_s, self._last)
        if monotonic() >= self._last:
            raise OutboundTimeoutError("The time for these requests is used up.")
        request = self._client.build_request(
            method, self._checked(url), params=list(params) or None, headers=headers, json=json, data=form,
            content=content,
        )  # fmt: skip
        for hop in range(redirects + 1):
            reply = self._send(request)
            place = reply.headers.get("location")
            if reply.status not in REDIRECTS or not place or hop == redirects:
                break
            request = self._next(request, urljoin(reply.url, place), reply.status)
        return reply

    def _checked(self, url: str) -> str:
        """Refuse schemes and hosts before a connection is thought of."""
        target = outbound.target_of(url)
        is_odd = bool(self._ports) and target.port not in self._ports
        if target.scheme == "http" or is_odd:
            found = outbound.addresses_of(target.host, target.port, self._resolve)
            outbound.check_target(target, found, self._ports)
        return url

    def _next(self, request: httpx2.Request, url: str, status: int) -> httpx2.Request:
        """The request to where a redirect points; another origin gets neither credentials nor cookies nor a body."""
        before, after = outbound.target_of(str(request.url)), outbound.target_of(self._checked(url))
        is_same = before == after
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("accept", "user-agent", "accept-encoding", "content-type")
            or (is_same and name not in ("host", "content-length"))
        }
        keeps = is_same and status in (307, 308)
        method = request.method if keeps or request.method in ("GET", "HEAD") else "GET"
        return self._client.build_request(
            method, url, headers=headers, content=request.content if keeps else None
        )

    def _send(self, request: httpx2.Request) -> Reply:
        host = request.url.host
        self.requests += 1
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response)
            finally:
                with suppress(httpx2.HTTPError):
                    response.close()
        except httpx2.TimeoutException:
            raise OutboundTimeoutError(f"{host} did not answer in time.") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise UnreachableError(_why_not(host, error)) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, body, str(request.url))

    def _body(self, response: httpx2.Response) -> bytes:
        parts, size = [], 0
        for part in response.iter_raw():
            size += len(part)
            parts.append(part)
            if size > self.max_body:
                if not self._cuts:
                    raise self._too_large(response)
                break
        body = b"".join(parts)
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return body[: self.max_body]
        if encoding != "gzip" and self._cuts:
            return b""
        if encoding != "gzip":
            raise UnreachableError(f"{response.url.host} answers packed as {encoding[:40]!r}.")
        unpacker = zlib.decompressobj(31)
        try:
            body = unpacker.decompress(body, self.max_body + 1)
        except zlib.error:
            if self._cuts:
                return b""
            raise UnreachableError(f"{response.url.host} sent a broken gzip body.") from None
        if not self._cuts and (len(body) > self.max_body or unpacker.unconsumed_tail):
            raise self._too_large(response)
        return body[: self.max_body]

    def _too_large(self, response: httpx2.Response) -> ReplyTooLargeError:
        return ReplyTooLargeError(
            f"The answer of {response.url.host} is larger than {self.max_body // 2**20} MiB; it was not read."
        )
