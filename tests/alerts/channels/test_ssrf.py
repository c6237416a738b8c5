"""No channel makes LLMLab call its own inside: on save, on a test and on every send, counted at a canary.

The canary listens where a connection that slips through would arrive; sockets to anywhere else than loopback raise
(tests/conftest.py). That the judged address is the one that is dialled: tests/core/test_outbound.py. Ports are judged
apart, so that they do not hide what is judged of addresses.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from alerts.channel_pages import services
from alerts.channels import registry
from alerts.channels.base import Retryable
from alerts.channels.door import Door
from alerts.channels.secrets import seal_secret
from alerts.channels.slack import SlackPlugin
from alerts.channels.webhook import WebhookPlugin
from alerts.delivering import deliver_due
from alerts.models import Channel, Delivery
from core.errors import DomainError
from tests.alerts.channels.notices import message
from tests.alerts.channels.ssrf_corpus import LITERALS, NAMES, REDIRECTS, SHAPES, STATUSES
from tests.factories.alerts import ChannelFactory
from tests.fakes.dns import DnsStub, dns_stub
from tests.fakes.http_server import Answer, Received, running_server

SIGNING = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ANY_PORT: frozenset[int] = frozenset()


@dataclass
class Canary:
    """Counts who connects to a port of this machine, by IPv4 and IPv6."""

    port: int = 0
    connected: list[Any] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Canary]:
    canary = Canary()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as wire:
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        wire.bind(("::", 0))
        wire.listen(50)
        canary.port = wire.getsockname()[1]

        def accept() -> None:
            while True:
                one, where = wire.accept()
                with one:
                    one.settimeout(5)
                    if one.recv(4) == b"stop":
                        return
                canary.connected.append(where)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield canary
        finally:
            with socket.create_connection(("127.0.0.1", canary.port)) as bell:
                bell.sendall(b"stop")
            thread.join(5)


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with listening() as found:
        yield found
        # Seen by an ordinary client: the canary does hear connections.
        assert found.connected == []


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsStub]:
    names = {name.lower().rstrip("."): [found] for name, found in NAMES.items()}
    with dns_stub(names) as stub:
        yield stub


def is_refused_on_save(door: Door, url: str) -> bool:
    try:
        door.check(url, "url")
    except DomainError as error:
        return error.fields == ("url",)
    return False


def is_refused_on_send(door: Door, url: str) -> bool:
    """As if it had been saved before anybody judged addresses."""
    plugins = [
        (WebhookPlugin(door), {}, {"url": url, "signing": SIGNING}),
        (SlackPlugin(door), {"service": "compatible"}, {"url": url}),
    ]
    for plugin, settings, secret in plugins:
        with pytest.raises(Retryable):
            plugin.send(message(), settings, secret)
    return True


def test_the_corpus_is_large_enough() -> None:
    whole = [*LITERALS, *NAMES, *SHAPES, *REDIRECTS]
    assert len(set(whole)) >= 200


def test_the_canary_hears_connections() -> None:
    with listening() as one:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, one.port)) as wire:
                wire.sendall(b"here")
                wire.recv(1)
        assert len(one.connected) == 2


@pytest.mark.parametrize("ports", [ANY_PORT, Door().ports], ids=["any-port", "our-ports"])
def test_no_spelling_of_an_inner_address_is_saved_or_called(
    canary: Canary, ports: frozenset[int]
) -> None:
    door = Door(ports=ports)
    for template in LITERALS:
        url = template.format(port=canary.port)
        assert is_refused_on_save(door, url), url
        assert is_refused_on_send(door, url), url
    assert canary.connected == []


def test_no_name_of_an_inner_address_is_saved_or_called(canary: Canary, dns: DnsStub) -> None:
    door = Door(resolve=dns.resolve, ports=ANY_PORT)
    for name in NAMES:
        url = f"https://{name}:{canary.port}/hook"
        assert is_refused_on_save(door, url), url
        assert is_refused_on_send(door, url), url
    assert canary.connected == []


def test_no_other_shape_is_saved_or_called(canary: Canary) -> None:
    door = Door()
    for template in SHAPES:
        url = template.replace("{port}", str(canary.port))
        assert is_refused_on_save(door, url), url
        assert is_refused_on_send(door, url), url
    assert canary.connected == []


def test_no_redirect_is_followed(canary: Canary) -> None:
    answers: list[tuple[int, str]] = [
        (status, place.format(port=canary.port)) for place in REDIRECTS for status in STATUSES
    ]

    def answer(_request: Received, number: int) -> Answer:
        status, place = answers[number - 1]
        return status, {"location": place}, b""

    with running_server(answer) as fake:
        with override_settings(LLMLAB_OUTBOUND_ALLOW=[fake.url.removeprefix("http://")]):
            for status, place in answers:
                with pytest.raises(Retryable) as told:
                    WebhookPlugin().send(
                        message(), {}, {"url": f"{fake.url}/hook", "signing": SIGNING}
                    )
                assert told.value.status == status, place
        assert len(fake.received) == len(answers)
        assert all(one.method == "POST" and one.path == "/hook" for one in fake.received)
    assert canary.connected == []


@pytest.mark.parametrize(
    "later", [["127.0.0.1"], ["::1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)  # fmt: skip
@pytest.mark.django_db
def test_a_name_that_changes_between_save_and_send_reaches_nobody(
    canary: Canary, acme: SimpleNamespace, later: list[str]
) -> None:
    """Through the pages' own services and the delivery worker, asking a real DNS server."""
    with dns_stub({"rebind.example": [["8.8.8.8"], later]}) as stub:
        before = registry.plugin_for("webhook")
        registry.register(WebhookPlugin(Door(resolve=stub.resolve, ports=ANY_PORT)))
        try:
            channel = services.create_channel(
                organization=acme.organization, kind="webhook", name="Rebind", actor=acme.admin.user,
                now=timezone.now(), values={"url": f"https://rebind.example:{canary.port}/hook"},
            ).channel  # fmt: skip
            services.test_channel(channel=channel, actor=acme.admin.user, now=timezone.now())
            deliver_due(now=timezone.now)
        finally:
            registry.register(before)
    row = Delivery.objects.get()
    assert row.state != "sent"
    assert "private or reserved" in row.error
    assert canary.connected == []


@pytest.mark.django_db
def test_pages_and_api_refuse_on_save_and_on_edit(
    canary: Canary, acme: SimpleNamespace, client_of: Any
) -> None:
    admin = client_of(acme.admin)
    kept = ChannelFactory(organization=acme.organization, kind="webhook", settings={})
    kept.secret = seal_secret(
        acme.organization, kept.pk, {"url": "https://8.8.8.8/x", "signing": SIGNING}
    )
    kept.save()
    root = "/api/v1/organizations/acme/alerts/channels"
    for template in LITERALS[::60] + SHAPES[::15]:
        url = template.replace("{port}", str(canary.port))
        body = {"kind": "webhook", "name": "X", "values": {"url": url}}
        assert admin.post(root, body, "application/json").status_code == 400, url
        if url:
            change = {"values": {"url": url}}
            assert (
                admin.patch(f"{root}/{kept.pk}", change, "application/json").status_code == 400
            ), url
        for kind, name in (
            ("webhook", "url"),
            ("slack", "url"),
            ("teams", "url"),
            ("discord", "url"),
        ):
            page = f"/organizations/acme/alerts/channels/new/?kind={kind}"
            given = {
                "name": "X",
                f"access_{name}": url,
                "minimum_severity": "info",
                "access_service": "compatible",
            }
            assert admin.post(page, given).status_code == 422, url
        region = {
            "kind": "pagerduty",
            "name": "X",
            "values": {"region": "other", "base_url": url, "routing_key": "a" * 32},
        }
        assert admin.post(root, region, "application/json").status_code == 400, url
    assert Channel.objects.count() == 1
    assert canary.connected == []


def test_without_ports_of_its_own_a_door_still_judges_addresses() -> None:
    assert replace(Door(), ports=ANY_PORT).check("https://8.8.8.8:9999/x", "url") == "8.8.8.8"
    assert is_refused_on_save(Door(), "https://8.8.8.8:9999/x")
    with override_settings(LLMLAB_OUTBOUND_ALLOW=["8.8.8.8:9999"]):
        assert Door().check("https://8.8.8.8:9999/x", "url") == "8.8.8.8"
