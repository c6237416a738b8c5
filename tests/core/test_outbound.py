"""Nothing this server is told to call is private: every spelling of an address, names, redirects, rebinding."""

import gzip
import ipaddress
import json
from pathlib import Path

import pytest
from django.test import override_settings

from config import local
from core import outbound
from core.http import (
    AddressRefusedError,
    OutboundClient,
    OutboundTimeoutError,
    Reply,
    ReplyTooLargeError,
    UnreachableError,
    check_url,
)
from tests.fakes.billing import BillingSimulator
from tests.fakes.http_server import Answer, Received, running_server

OK = (200, {"content-type": "application/json"}, b'{"amount": 0.10000000000000000001}')


def answered(_request: Received, _number: int) -> Answer:
    return OK


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "017700000001", "0", "0.0.0.0",  # noqa: S104
        "localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]",
        "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
        "[2001:0:7f00:1::]", "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "3232235777",
        "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.8",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "[ff02::1]", "255.255.255.255",
        "240.0.0.1", "[2001:db8::1]", "[100::1]", "127.0.0.1.", "127.0.0.1:9",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_address_is_called(host: str) -> None:
    with OutboundClient() as client, pytest.raises((AddressRefusedError, UnreachableError)) as told:
        client.get(f"https://{host}/latest/meta-data/")
    # Refused before anything was connected; an odd spelling may also be no address at all.
    words = ("private or reserved", "not known", "no web address")
    assert any(word in str(told.value) for word in words)


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "https://", "https:///x",
        "//example.com", "https://user:secret@example.com/", "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/", "https://example.com/\r\nX: y", "https://example.com:99999/", "https://[::1",
        "javascript:alert(1)",
        "https://" + "a" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        check_url(url)


def test_a_form_refuses_private_addresses_and_takes_unknown_hosts() -> None:
    with pytest.raises(AddressRefusedError, match="LLMLAB_OUTBOUND_ALLOW=localhost:8443"):
        check_url("https://localhost:8443/hook")
    with pytest.raises(AddressRefusedError, match="only called with https"):
        check_url("http://8.8.8.8/")
    assert check_url("https://8.8.8.8/").port == 443


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(text: str) -> None:
    assert outbound.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("entries", "is_called"),
    [
        (["127.0.0.1:{port}"], True),
        (["127.0.0.0/8"], True),
        (["127.0.0.1"], True),
        (["localhost"], False),  # another name of it
        (["127.0.0.1:1"], False),
        (["10.0.0.0/8", "[::1]:{port}"], False),
    ],
)
def test_the_operators_list_opens_exactly_what_it_names(
    entries: list[str], is_called: bool
) -> None:
    with running_server(answered) as fake:
        port = fake.url.rpartition(":")[2]
        with (
            override_settings(LLMLAB_OUTBOUND_ALLOW=[one.format(port=port) for one in entries]),
            OutboundClient() as client,
        ):
            if is_called:
                assert client.get(fake.url).status == 200
            else:
                with pytest.raises(AddressRefusedError):
                    client.get(fake.url)
                assert fake.received == []


@pytest.mark.parametrize("entry", ["host:99999", "10.0.0.0/99", "a b", "host:x", "/"])
def test_a_bad_entry_of_the_list_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        outbound.read_allowed([entry])


def test_a_name_that_leads_inside_is_refused_also_beside_a_public_address() -> None:
    for found in (["127.0.0.1"], ["8.8.8.8", "10.0.0.7"], ["::ffff:10.0.0.7"], ["fe80::1%eth0"]):
        with (
            OutboundClient(resolve=lambda _host, _port, found=found: found) as client,  # type: ignore[misc]
            pytest.raises(AddressRefusedError),
        ):
            client.get("https://rebind.example/")


def test_the_checked_address_is_the_one_that_is_called() -> None:
    """A name that changes between check and use: the second answer is never asked for a connection."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with running_server(answered) as fake:
        port = fake.url.rpartition(":")[2]
        with (
            override_settings(LLMLAB_OUTBOUND_ALLOW=[f"billing.internal:{port}"]),
            OutboundClient(resolve=resolve) as client,
        ):
            reply = client.get(f"http://billing.internal:{port}/a")
            assert fake.received[0].headers["host"] == f"billing.internal:{port}"
    assert reply.status == 200
    assert set(asked) == {"billing.internal"}


def test_redirects_are_not_followed_unless_asked_and_every_hop_is_checked() -> None:
    def answer(request: Received, _number: int) -> Answer:
        if request.path == "/away":
            return 302, {"location": "http://169.254.169.254/latest/meta-data/"}, b""
        if request.path == "/home":
            return 307, {"location": "/end"}, b""
        return OK

    with running_server(answer) as fake:
        allow = fake.url.removeprefix("http://")
        with override_settings(LLMLAB_OUTBOUND_ALLOW=[allow]), OutboundClient() as client:
            assert client.get(f"{fake.url}/away").status == 302
            with pytest.raises(AddressRefusedError):
                client.request("GET", f"{fake.url}/away", redirects=3)
            assert client.request("GET", f"{fake.url}/home", redirects=1).url.endswith("/end")


def test_a_redirect_to_another_origin_carries_no_credentials() -> None:
    with running_server(answered) as other:

        def answer(_request: Received, _number: int) -> Answer:
            return 307, {"location": f"{other.url}/take"}, b""

        with running_server(answer) as fake:
            with (
                override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]),
                OutboundClient() as client,
            ):
                secret = {"authorization": "Bearer sk-admin-secret", "x-api-key": "secret"}
                client.request("POST", fake.url, headers=secret, json={"a": "b"}, redirects=2)
            assert "authorization" in fake.received[0].headers
        request = other.received[0]
    assert request.method == "GET"
    assert request.body == b""
    assert not {"authorization", "x-api-key"} & set(request.headers)


def test_a_body_is_bounded_as_it_comes_and_as_it_unpacks() -> None:
    def answer(request: Received, _number: int) -> Answer:
        if request.path == "/bomb":
            return 200, {"content-encoding": "gzip"}, gzip.compress(b"0" * (64 << 20))
        if request.path == "/packed":
            return 200, {"content-encoding": "gzip"}, gzip.compress(b'{"a": 1}')
        return 200, {}, b"x" * (3 << 20)

    with running_server(answer) as fake:
        allow = fake.url.removeprefix("http://")
        with (
            override_settings(LLMLAB_OUTBOUND_ALLOW=[allow]),
            OutboundClient(max_body=2 << 20) as client,
        ):
            for path in ("/plain", "/bomb"):
                with pytest.raises(ReplyTooLargeError, match="larger than 2 MiB"):
                    client.get(fake.url + path)
            assert client.get(f"{fake.url}/packed").json() == {"a": 1}


def test_a_server_that_is_silent_or_gone_ends_in_a_sentence(bills: BillingSimulator) -> None:
    with OutboundClient(total_s=0.3) as client:
        bills.faults(faults=[{"kind": "drip", "seconds": 0.05}])
        with pytest.raises(OutboundTimeoutError, match="did not answer in time"):
            client.get(f"{bills.url}/v1/organization/costs")
    with (
        override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]),
        OutboundClient() as client,
        pytest.raises(UnreachableError, match="failed"),
    ):
        client.get("http://127.0.0.1:9/")


def test_numbers_of_a_reply_keep_every_digit() -> None:
    reply = Reply(200, {}, b'{"a": 0.10000000000000000001}', "")
    assert str(reply.json()["a"]) == "0.10000000000000000001"
    for body in (b'{"a": NaN}', b"[" * 100_000, b"<html>"):
        with pytest.raises(ValueError, match=r".*"):
            Reply(200, {}, body, "").json()
    assert json.loads(OK[2])


@pytest.mark.parametrize("demo", ["1", "0"])
def test_only_a_demo_may_call_its_own_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: str
) -> None:
    monkeypatch.setenv("LLMLAB_OUTBOUND_ALLOW", "10.1.2.3:8443")
    monkeypatch.setenv("LLMLAB_BASE_URL", "http://localhost:1")
    monkeypatch.setenv("DEMO", demo)
    programs = [one for stage in local.stages(tmp_path, "127.0.0.1", 1, []) for one in stage]
    given = {one.name: one.environment["LLMLAB_OUTBOUND_ALLOW"] for one in programs}
    simulator = [
        one.command[one.command.index("--port") + 1] for one in programs if one.name == "simulator"
    ]
    assert len(simulator) == int(demo)
    expected = ["10.1.2.3:8443", *(f"127.0.0.1:{port}" for port in simulator)]
    assert given["web"] == given["worker"] == ",".join(expected)
