"""Every kind against the simulator's receivers, well and with each fault."""

import datetime as dt
from time import monotonic
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from alerts.channels.base import Message, Permanent, Retryable, Sent
from alerts.channels.registry import plugin_for
from core import posting
from tests.alerts.channels.notices import DEDUP, ID, NASTY, message
from tests.fakes.receivers import Receivers, _receivers_url, receivers

__all__ = ["_receivers_url", "receivers"]
SIGNING = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KINDS = ("slack", "pagerduty", "webhook", "teams", "discord")


def access(kind: str, at: Receivers) -> tuple[dict[str, Any], dict[str, str]]:
    settings: dict[str, Any] = {}
    secret = {"url": getattr(at, kind)}
    if kind == "slack":
        settings = {"service": "compatible"}
    if kind == "pagerduty":
        settings, secret = {"region": "other", "base_url": at.pagerduty}, {"routing_key": "a" * 32}
    if kind == "webhook":
        secret["signing"] = SIGNING
    return plugin_for(kind).clean(settings, secret)


def send(kind: str, at: Receivers, one: Message | None = None) -> Sent:
    return plugin_for(kind).send(one or message(), *access(kind, at))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_taken(kind: str, receivers: Receivers) -> None:
    assert send(kind, receivers).status in (200, 202, 204)
    (kept,) = receivers.received(kind)
    assert "Support bot" in kept["raw"]
    assert kept["headers"]["user-agent"].startswith("LLMLab/")


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_lets_a_name_through_as_a_command(kind: str, receivers: Receivers) -> None:
    nasty = NASTY + " @everyone <@123> <at>boss</at> [x](javascript:alert(1))"
    items = ((nasty, nasty, ""),)
    one = message(title=nasty, words=nasty, rows=((nasty, nasty),), note=nasty, items=items)
    send(kind, receivers, one)
    (kept,) = receivers.received(kind)
    assert "bcc" not in kept["headers"]
    if kind == "pagerduty":
        assert kept["body"]["payload"]["summary"].count("\n") == 0
    if kind == "webhook":  # data for a program: as it was written
        assert kept["body"]["data"]["title"] == nasty
    if kind == "discord":
        assert kept["body"]["allowed_mentions"] == {"parse": []}
        assert "content" not in kept["body"]
        assert "@everyone" not in kept["body"]["embeds"][0]["description"]
    if kind == "teams":
        card = kept["body"]["attachments"][0]["content"]
        assert card["msteams"].get("entities", []) == []
        assert "](javascript" not in kept["raw"]
    if kind == "slack":
        assert "<!channel>" not in kept["body"]["text"]


def test_pagerduty_sees_one_incident_from_alert_to_recovery(receivers: Receivers) -> None:
    for action in ("trigger", "raise", "acknowledge"):
        send("pagerduty", receivers, message(action))
    assert receivers.incidents()[DEDUP]["state"] == "acknowledged"
    assert receivers.incidents()[DEDUP]["triggers"] == 2
    send("pagerduty", receivers, message("resolve"))
    assert {name: one["state"] for name, one in receivers.incidents().items()} == {
        DEDUP: "resolved"
    }


def test_a_signature_verifies_over_the_bytes_that_arrived(receivers: Receivers) -> None:
    one = message()
    at = dt.datetime.now(dt.UTC)
    send("webhook", receivers, Message(one.notice, one.action, one.dedup_key, ID, at))
    (kept,) = receivers.received("webhook")
    assert Webhook(SIGNING).verify(kept["raw"], kept["headers"])["data"]["dedup_key"] == DEDUP


@pytest.mark.parametrize("kind", KINDS)
def test_faults_are_tried_again(kind: str, receivers: Receivers) -> None:
    receivers.faults(**{kind: {"status": 429, "retry_after": 7}})
    with pytest.raises(Retryable) as told:
        send(kind, receivers)
    assert (told.value.status, told.value.retry_after_s) == (429, 7.0)
    receivers.faults(all={"status": 500, "times": 1})
    with pytest.raises(Retryable):
        send(kind, receivers)
    assert send(kind, receivers).status  # well again
    receivers.faults(all={"redirect": "http://169.254.169.254/latest/meta-data/"})
    with pytest.raises(Retryable, match="redirect"):
        send(kind, receivers)
    assert len(receivers.received(kind)) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_body_is_let_go(kind: str, receivers: Receivers) -> None:
    receivers.faults(**{kind: {"endless": True, "status": 200}})
    started = monotonic()
    assert send(kind, receivers).status == 200
    assert monotonic() - started < 5


@pytest.mark.parametrize("kind", KINDS)
def test_gone_for_good(kind: str, receivers: Receivers) -> None:
    receivers.faults(all={"status": 410, "body": "channel_is_archived"})
    with pytest.raises(Permanent) as told:
        send(kind, receivers)
    assert told.value.disables
    assert told.value.status == 410


def test_a_receiver_that_hangs_is_left(
    receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TOTAL_S", 0.3)
    receivers.faults(webhook={"hang": 30})
    started = monotonic()
    with pytest.raises(Retryable, match="did not answer in time"):
        send("webhook", receivers)
    assert monotonic() - started < 3


def test_discord_says_in_its_document_how_long_to_wait(receivers: Receivers) -> None:
    receivers.faults(discord={"status": 429, "body": '{"retry_after": 1.5}'})
    with pytest.raises(Retryable) as told:
        send("discord", receivers)
    assert told.value.retry_after_s == 1.5


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("discord", "https://evil.example/api/webhooks/1/x"), ("discord", "https://discord.com/api/users/1"),
        ("discord", "https://discord.com.evil.example/api/webhooks/1/x"),
        ("teams", "https://evil.example/workflows/a/triggers/manual/paths/invoke?sig=x"),
        ("teams", "https://prod-1.westeurope.logic.azure.com/workflows/a/triggers/manual/paths/invoke"),
        ("teams", "https://logic.azure.com.evil.example/workflows/a/triggers/manual/paths/invoke?sig=x"),
        ("teams", "https://acme.webhook.office.com/webhookb2/x"),
    ],
)  # fmt: skip
def test_other_addresses_are_refused(kind: str, url: str) -> None:
    with pytest.raises(Exception, match="URL must") as told:
        plugin_for(kind).clean({}, {"url": url})
    assert told.value.fields == ("url",)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("discord", "https://discord.com/api/webhooks/1/x-Y_z"), ("discord", "https://discord.com/api/v10/webhooks/1/x"),
        ("teams", "https://prod-161.westeurope.logic.azure.com:443/workflows/643e/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KOD"),
        ("teams", "https://a.b.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/643e/triggers/manual/paths/invoke?sig=KOD"),
        ("teams", "https://a.b.environment.api.powerplatform.com/powerautomate/automations/direct/cu/07/workflows/643e/triggers/manual/paths/invoke?sig=KOD"),
    ],
)  # fmt: skip
def test_their_own_addresses_are_taken(kind: str, url: str) -> None:
    assert plugin_for(kind).clean({}, {"url": url}) == ({}, {"url": url})
