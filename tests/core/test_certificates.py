"""TLS is verified on every call: who signed, for which name, until when; and why not is said in words."""

import datetime as dt
from pathlib import Path

import pytest
from django.test import override_settings

from core import http
from core.http import OutboundClient, Reply, UnreachableError
from tests.fakes.certificates import Authority
from tests.fakes.http_server import Answer, Received, running_server

HOST = "hooks.example"


def answered(_request: Received, _number: int) -> Answer:
    return 200, {}, b"ok"


def called(url: str) -> Reply:
    """The server's answer under the name that is asked for, whatever it is named in its certificate."""
    port = url.rpartition(":")[2]
    with (
        override_settings(LLMLAB_OUTBOUND_ALLOW=[f"{HOST}:{port}"]),
        OutboundClient(resolve=lambda _host, _port: ["127.0.0.1"]) as client,
    ):
        return client.request("POST", f"https://{HOST}:{port}/", content=b"a secret")


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Whom the client trusts in this test."""
    found = Authority(tmp_path)
    context = found.trusting()
    monkeypatch.setattr(http, "_certificates", lambda: context)
    return found


def test_a_certificate_of_an_authority_for_this_name_is_taken(authority: Authority) -> None:
    with running_server(answered, tls=authority.server(HOST)) as fake:
        assert called(fake.url).status == 200
    assert fake.received[0].body == b"a secret"


@pytest.mark.parametrize(
    ("host", "ends_in", "is_own", "reason"),
    [
        (HOST, 1, True, "self-signed certificate"),
        ("other.example", 1, False, f"not valid for '{HOST}'"),
        (HOST, -1, False, "certificate has expired"),
    ],
)
def test_any_other_certificate_ends_the_call_before_anything_is_sent(
    authority: Authority, host: str, ends_in: int, is_own: bool, reason: str
) -> None:
    tls = authority.server(host, ends_in=dt.timedelta(days=ends_in), is_own=is_own)
    with running_server(answered, tls=tls) as fake, pytest.raises(UnreachableError) as told:
        called(fake.url)
    assert str(told.value).startswith(f"The certificate of {HOST} is not accepted: ")
    assert reason in str(told.value)
    assert fake.received == []


def test_an_authority_that_is_not_publicly_known_is_not_trusted(tmp_path: Path) -> None:
    tls = Authority(tmp_path).server(HOST)
    with (
        running_server(answered, tls=tls) as fake,
        pytest.raises(UnreachableError, match="unable to get local issuer certificate"),
    ):
        called(fake.url)
    assert fake.received == []


def test_a_server_that_speaks_no_tls_is_said_to(authority: Authority) -> None:
    with running_server(answered) as fake, pytest.raises(UnreachableError, match="TLS"):
        called(fake.url)
    assert fake.received == []
