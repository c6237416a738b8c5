"""Signed webhooks: verified with the library that receivers use."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from standardwebhooks.webhooks import Webhook

from alerts.channels.base import Message, Permanent, Retryable
from alerts.channels.door import Door
from alerts.channels.registry import plugin_for
from alerts.channels.webhook import WebhookPlugin, body_of
from core.errors import DomainError
from core.webhooks import new_signing_secret, rotated, signed_headers
from tests.alerts.channels.notices import AT, ID, message
from tests.alerts.channels.test_slack import Script
from tests.fakes.certificates import Authority
from tests.fakes.http_server import FakeServer, running_server

OLD = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[FakeServer]:
    with running_server(script) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield fake


def send(server: FakeServer, one: Message, **secret: str) -> Any:
    return plugin_for("webhook").send(
        one, {}, {"url": f"{server.url}/hook", "signing": OLD, **secret}
    )


def test_the_vector_of_the_reference() -> None:
    body = (
        b'{"type":"budget.threshold_crossed","timestamp":"2026-11-20T20:00:00Z",'
        b'"data":{"budget_id":"b1","threshold":80}}'
    )
    headers = signed_headers(
        "msg_constructed_0001", dt.datetime.fromtimestamp(1795204800, dt.UTC), body, [OLD]
    )
    assert headers["webhook-signature"] == "v1,Hx+KiN/G6E37Mk/FZa9dBOUMzfeqUw7srojjwCDo+5A="
    assert headers["webhook-timestamp"] == "1795204800"


def test_the_zone_of_a_try_does_not_change_its_signature() -> None:
    here = AT.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert signed_headers("m", here, b"{}", [OLD]) == signed_headers("m", AT, b"{}", [OLD])


def test_tries_keep_id_and_body_and_have_their_own_time(server: FakeServer) -> None:
    first = message()
    now = dt.datetime.now(dt.UTC)
    for later in (0, 7):
        at = now + dt.timedelta(seconds=later)
        send(server, Message(first.notice, first.action, first.dedup_key, ID, at))
    one, two = server.received
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == f"msg_{ID.replace('-', '')}"
    assert one.body == two.body
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 7
    for request in server.received:
        told = Webhook(OLD).verify(request.body, request.headers)
        assert told["type"] == "alert.fired"
        assert told["timestamp"] == "2026-11-20T20:00:00+00:00"
        assert told["data"]["value"] == "104.11"
        assert told["data"]["action"] == "trigger"


def test_after_a_rotation_both_secrets_verify_for_a_day(server: FakeServer) -> None:
    now = dt.datetime.now(dt.UTC)
    secret = rotated({"signing": OLD}, now)
    new = secret["signing"]
    assert new != OLD
    first = message()
    send(server, Message(first.notice, first.action, first.dedup_key, ID, now), **secret)
    request = server.received[0]
    assert request.headers["webhook-signature"].count("v1,") == 2
    Webhook(OLD).verify(request.body, request.headers)
    Webhook(new).verify(request.body, request.headers)
    after = now + dt.timedelta(hours=24)
    send(server, Message(first.notice, first.action, first.dedup_key, ID, after), **secret)
    assert server.received[1].headers["webhook-signature"].count("v1,") == 1


def test_nothing_of_the_answer_is_kept(server: FakeServer, script: Script) -> None:
    script.answers = [(200, {"x-internal": "secret-header"}, b"secret body")]
    sent = send(server, message())
    assert (sent.status, sent.answer) == (200, "")
    script.answers = [(500, {}, b"secret body")]
    with pytest.raises(Retryable) as told:
        send(server, message())
    assert "secret" not in told.value.words + told.value.answer
    assert told.value.status == 500


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(server: FakeServer, script: Script, status: int) -> None:
    script.answers = [(status, {}, b"")]
    assert send(server, message()).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 404, 429, 500, 504])
def test_others_are_tried_again_and_redirects_not_followed(
    server: FakeServer, script: Script, status: int
) -> None:
    script.answers = [(status, {"location": f"{server.url}/inside", "retry-after": "9"}, b"")]
    with pytest.raises(Retryable) as told:
        send(server, message())
    assert (told.value.status, told.value.retry_after_s) == (status, 9.0)
    assert [one.path for one in server.received] == ["/hook"]


def test_410_ends_the_channel(server: FakeServer, script: Script) -> None:
    script.answers = [(410, {}, b"")]
    with pytest.raises(Permanent) as told:
        send(server, message())
    assert told.value.disables


def test_a_large_body_or_one_in_an_unknown_packing_does_not_undo_a_yes(
    server: FakeServer, script: Script
) -> None:
    script.answers = [(200, {}, b"x" * 1_000_000), (200, {"content-encoding": "br"}, b"..")]
    assert send(server, message()).status == 200
    assert send(server, message()).status == 200


def test_the_authorization_header_goes_along(server: FakeServer) -> None:
    send(server, message(), authorization="Bearer token-1")
    assert server.received[0].headers["authorization"] == "Bearer token-1"


def test_bodies_stay_below_20_kb() -> None:
    one = message(
        points=tuple((str(at), "1.5") for at in range(5_000)),
        words="é" * 900,
        extra={"x": "y" * 30_000},
    )
    body = body_of(one.notice, "trigger")
    assert len(body) < 20_000
    assert json.loads(body)["data"]["rows"] == [["Spent", "$104.11"], ["Limit", "$100.00"]]


def test_a_new_channel_gets_a_secret_and_a_kept_one_stays() -> None:
    plugin = plugin_for("webhook")
    _, first = plugin.clean({}, {"url": "https://8.8.8.8/hook/abcdefgh"})
    assert first["signing"].startswith("whsec_")
    assert len(first["signing"]) > 40
    _, second = plugin.clean({}, first)
    assert second == first
    assert new_signing_secret() != new_signing_secret()
    assert plugin.hint({}, first) == "8.8.8.8 …efgh"


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        ({"url": ""}, "url"), ({"url": "https://10.0.0.1/"}, "url"), ({"url": "https://8.8.8.8:22/"}, "url"),
        ({"url": "http://8.8.8.8/"}, "url"),
        ({"url": "https://8.8.8.8/", "authorization": "a\r\nX: y"}, "authorization"),
        ({"url": "https://8.8.8.8/", "authorization": "x" * 2_000}, "authorization"),
    ],
)  # fmt: skip
def test_what_is_typed_is_checked(secret: dict[str, str], field: str) -> None:
    with pytest.raises(DomainError) as told:
        plugin_for("webhook").clean({}, secret)
    assert told.value.fields == (field,)


def test_a_receiver_whose_certificate_is_its_own_is_tried_again_and_told_nothing(
    tmp_path: Path,
) -> None:
    """A connection that fails is tried again (reference §2), also when TLS failed: certificates are mended."""
    with running_server(
        Script(), tls=Authority(tmp_path).server("hooks.example", is_own=True)
    ) as fake:
        port = fake.url.rpartition(":")[2]
        plugin = WebhookPlugin(Door(resolve=lambda _host, _port: ["127.0.0.1"]))
        with (
            override_settings(LLMLAB_OUTBOUND_ALLOW=[f"hooks.example:{port}"]),
            pytest.raises(Retryable) as told,
        ):
            plugin.send(message(), {}, {"url": f"https://hooks.example:{port}/", "signing": OLD})
    assert told.value.words == "The certificate of hooks.example is not accepted: self-signed certificate."  # fmt: skip
    assert (told.value.status, fake.received) == (None, [])
