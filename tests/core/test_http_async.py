"""The asynchronous transport calls nothing private either: no spelling, no name, no redirect, no second answer."""

import asyncio
import datetime as dt
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from django.test import override_settings

from core import http
from core.http_async import AsyncResolver, explained, guarded_client
from core.outbound import AddressRefusedError, OutboundTimeoutError, UnreachableError
from tests.fakes.certificates import Authority
from tests.fakes.dns import DnsStub, dns_stub
from tests.fakes.http_server import Answer, Received, running_server


@contextmanager
def canary() -> Iterator[socket.socket]:
    """A listening socket on every address of this machine; whoever connects can be accepted afterwards."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as wire:
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        wire.bind(("::", 0))
        wire.listen(64)
        wire.setblocking(False)
        yield wire


def connections(wire: socket.socket) -> int:
    found = 0
    while True:
        try:
            wire.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


def told(url: str, resolve: AsyncResolver | None = None) -> BaseException:
    """Why the call of `url` ended."""

    async def call() -> BaseException:
        client, _ = guarded_client(timeout_s=2, resolve=resolve)
        async with client:
            try:
                await client.get(url)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                return explained(error, "host")
        raise AssertionError(f"{url} was called")

    return asyncio.run(call())


def answers(stub: DnsStub) -> AsyncResolver:
    async def resolve(host: str, port: int) -> list[str]:
        return await asyncio.to_thread(stub.resolve, host, port)

    return resolve


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_this_machine_is_connected_to(scheme: str) -> None:
    spellings = (
        "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost",  # noqa: S104
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "127.0.0.1.",
    )  # fmt: skip
    with canary() as wire:
        port = wire.getsockname()[1]
        for host in spellings:
            found = told(f"{scheme}://{host}:{port}/v1/models")
            assert isinstance(found, AddressRefusedError | UnreachableError), (host, found)
        assert connections(wire) == 0


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "100.64.0.1"])
def test_nor_are_other_private_addresses(host: str) -> None:
    found = told(f"https://{host}/latest/meta-data/")
    assert isinstance(found, AddressRefusedError)
    assert "private or reserved" in found.detail


def test_a_name_whose_answer_changes_finds_nobody() -> None:
    """First public, then this machine: what was judged is what is connected to, and the second answer is judged too."""
    with canary() as wire, dns_stub({"rebind.example": [["192.0.2.1"], ["127.0.0.1"]]}) as stub:
        port = wire.getsockname()[1]
        for _ in range(3):
            assert isinstance(
                told(f"https://rebind.example:{port}/", answers(stub)), AddressRefusedError
            )
        assert connections(wire) == 0
    with canary() as wire, dns_stub({"two.example": [["8.8.8.8", "127.0.0.1"]]}) as stub:
        port = wire.getsockname()[1]
        assert isinstance(told(f"https://two.example:{port}/", answers(stub)), AddressRefusedError)
        assert connections(wire) == 0


def test_the_judged_address_is_connected_to_and_asked_for_once() -> None:
    """The stub would lead elsewhere the second time; a burst of calls asks it once, and Host keeps the name."""
    with (
        running_server(lambda _request, _number: (200, {}, b"ok")) as fake,
        dns_stub({"llm.internal": [["127.0.0.1"], ["192.0.2.1"]]}) as stub,
    ):
        port = fake.url.rpartition(":")[2]

        async def call() -> list[int]:
            client, _ = guarded_client(timeout_s=2, resolve=answers(stub))
            async with client:
                found = await asyncio.gather(
                    *(client.get(f"http://llm.internal:{port}/") for _ in range(20))
                )
            return [one.status_code for one in found]

        with override_settings(LLMLAB_OUTBOUND_ALLOW=[f"llm.internal:{port}"]):
            assert asyncio.run(call()) == [200] * 20
        assert stub.asked == {"llm.internal": 2}  # A and AAAA
        assert fake.received[0].headers["host"] == f"llm.internal:{port}"


def test_plain_http_goes_only_to_what_the_operator_lists() -> None:
    async def public(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8"]

    found = told("http://public.example/", public)
    assert isinstance(found, AddressRefusedError)
    assert "only called with https" in found.detail


def test_no_redirect_no_cookie_no_packed_or_endless_body_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: Received, _number: int) -> Answer:
        if request.path == "/away":
            return 302, {"location": "http://169.254.169.254/"}, b""
        if request.path == "/packed":
            return 200, {"content-encoding": "gzip"}, b"bomb"
        if request.path == "/large":
            return 200, {}, b"x" * 200_000
        return 200, {"set-cookie": "a=b"}, b"ok"

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with running_server(answer) as fake:

        async def call() -> None:
            client, transport = guarded_client(timeout_s=2, max_body=100_000)
            async with client:
                with pytest.raises(httpx2.RemoteProtocolError, match="larger than"):
                    await client.get(f"{fake.url}/large")
                assert (await client.get(f"{fake.url}/away")).status_code == 302
                with pytest.raises(httpx2.RemoteProtocolError, match="answers packed as 'gzip'"):
                    await client.get(f"{fake.url}/packed")
                await client.get(f"{fake.url}/a")
                await client.get(f"{fake.url}/b")
                assert transport.active == 0

        with override_settings(LLMLAB_OUTBOUND_ALLOW=[fake.url.removeprefix("http://")]):
            asyncio.run(call())
    assert [one.path for one in fake.received] == ["/large", "/away", "/packed", "/a", "/b"]
    assert "cookie" not in fake.received[-1].headers
    assert fake.received[-1].headers["accept-encoding"] == "identity"


def test_a_leaving_transport_finishes_what_is_being_read() -> None:
    with running_server(lambda _request, _number: (200, {}, b"x" * 300_000)) as fake:

        async def call() -> int:
            client, transport = guarded_client(timeout_s=2)
            size = 0
            async with client.stream("GET", fake.url) as response:
                await transport.leave()
                async for part in response.aiter_raw():
                    size += len(part)
            await asyncio.sleep(0.01)
            assert transport._pool.connections == []
            await client.aclose()
            return size

        with override_settings(LLMLAB_OUTBOUND_ALLOW=[fake.url.removeprefix("http://")]):
            assert asyncio.run(call()) == 300_000


def test_a_certificate_that_is_not_accepted_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = authority.trusting()
    monkeypatch.setattr(http, "_certificates", lambda: context)
    tls = authority.server("llm.example", ends_in=dt.timedelta(days=-1))

    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    with running_server(lambda _request, _number: (200, {}, b""), tls=tls) as fake:
        port = fake.url.rpartition(":")[2]
        with override_settings(LLMLAB_OUTBOUND_ALLOW=[f"llm.example:{port}"]):
            found = told(f"https://llm.example:{port}/", here)
        assert "certificate has expired" in str(found)
        assert fake.received == []


def test_silence_and_unknown_names_end_in_a_sentence() -> None:
    with canary() as wire:
        port = wire.getsockname()[1]
        with override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):

            async def call() -> BaseException:
                client, _ = guarded_client(timeout_s=0.1)
                async with client:
                    try:
                        await client.get(f"http://127.0.0.1:{port}/")
                    except httpx2.HTTPError as error:
                        return explained(error, "host")
                raise AssertionError

            assert isinstance(asyncio.run(call()), OutboundTimeoutError)
    assert "is not known" in str(told("https://no-such-name.invalid/"))
