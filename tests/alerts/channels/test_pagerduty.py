"""PagerDuty: one dedup key from the first event to the last, and which refusals end a channel."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from alerts.channels.base import Permanent, Retryable, Sent
from alerts.channels.registry import plugin_for
from core.errors import DomainError
from tests.alerts.channels.notices import DEDUP, NASTY, message
from tests.alerts.channels.test_slack import Script
from tests.fakes.http_server import FakeServer, running_server

KEY = "0123456789abcdef0123456789abcdef"
TAKEN = (202, {}, b'{"status":"success","message":"Event processed"}')


@pytest.fixture
def script() -> Script:
    made = Script()
    made.answers = [TAKEN]
    return made


@pytest.fixture
def server(script: Script) -> Iterator[FakeServer]:
    with running_server(script) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield fake


def send(server: FakeServer, action: str = "trigger", **changes: Any) -> Sent:
    settings = {"region": "other", "base_url": server.url}
    return plugin_for("pagerduty").send(message(action, **changes), settings, {"routing_key": KEY})


def events(server: FakeServer) -> list[dict[str, Any]]:
    assert all(one.path == "/v2/enqueue" for one in server.received)
    return [json.loads(one.body) for one in server.received]


def test_trigger_acknowledge_and_resolve_have_one_key(server: FakeServer) -> None:
    for action in ("trigger", "raise", "remind", "escalate", "acknowledge", "resolve"):
        assert send(server, action).status == 202
    found = events(server)
    assert [one["event_action"] for one in found] == [*["trigger"] * 4, "acknowledge", "resolve"]
    assert {one["dedup_key"] for one in found} == {DEDUP}
    first = found[0]
    assert first["routing_key"] == KEY
    payload = first["payload"]
    assert payload["summary"] == "Budget at 104 %: Support bot"
    assert (payload["severity"], payload["source"]) == ("critical", "localhost")
    assert payload["custom_details"]["Spent"] == "$104.11"
    assert payload["custom_details"]["over"] == "$4.11 (4.1 %) over"
    assert payload["timestamp"] == "2026-11-20T19:58:00+00:00"
    assert first["links"][0]["text"] == "Open the alert"
    assert set(found[-1]) == {"routing_key", "event_action", "dedup_key"}


@pytest.mark.parametrize("severity", ["info", "warning", "error", "critical"])
def test_severities_are_pagerdutys_own(server: FakeServer, severity: str) -> None:
    send(server, severity=severity)
    assert events(server)[0]["payload"]["severity"] == severity


def test_a_test_leaves_no_incident_open(server: FakeServer) -> None:
    assert send(server, "test").status == 202
    assert [one["event_action"] for one in events(server)] == ["trigger", "resolve"]


@pytest.mark.parametrize(
    ("status", "errors", "disables"),
    [
        (400, ["Length of 'routing_key' is incorrect (should be 32 characters)"], True),
        (400, ["Invalid routing key"], True),
        (400, "'service_key' is invalid", True),
        (400, ["'payload.severity' is invalid"], False),
        (400, None, False),
        (403, None, True),
        (413, None, False),
    ],
)
def test_a_bad_key_ends_the_channel_and_a_bad_event_does_not(
    server: FakeServer, script: Script, status: int, errors: Any, disables: bool
) -> None:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    script.answers = [(status, {}, json.dumps(body).encode())]
    with pytest.raises(Permanent) as told:
        send(server)
    assert told.value.disables is disables
    assert told.value.answer == ""  # another address than PagerDuty's: its words are not shown


@pytest.mark.parametrize("status", [429, 500, 502, 302])
def test_throttles_and_failures_are_tried_again(
    server: FakeServer, script: Script, status: int
) -> None:
    script.answers = [(status, {"retry-after": "120"}, b"{}")]
    with pytest.raises(Retryable) as told:
        send(server)
    assert told.value.retry_after_s == 120


def test_a_throttle_without_a_time_is_given_some_minutes(
    server: FakeServer, script: Script
) -> None:
    for status, pause in ((429, 120), (503, None)):
        script.answers = [(status, {}, b"{}")]
        with pytest.raises(Retryable) as told:
            send(server)
        assert told.value.retry_after_s == pause


def test_the_largest_notice_stays_below_the_limits(server: FakeServer) -> None:
    long = "😀" * 100_000
    many = {"rows": ((long, long),) * 50, "causes": ((long, long, long),) * 30}
    send(server, title=long + NASTY, words=long, note=long, **many)
    assert len(server.received[0].body) < 512_000
    assert len(events(server)[0]["payload"]["summary"]) <= 1_024


@pytest.mark.parametrize(
    ("settings", "key", "field"),
    [
        ({}, "short", "routing_key"), ({}, "x" * 31 + "é", "routing_key"), ({"region": "mars"}, KEY, "region"),
        ({"region": "other"}, KEY, "base_url"), ({"region": "other", "base_url": "https://10.0.0.1"}, KEY, "base_url"),
        ({"region": "us", "base_url": "https://8.8.8.8"}, KEY, "base_url"),
        ({"region": "other", "base_url": "https://8.8.8.8/?x"}, KEY, "base_url"),
    ],
)  # fmt: skip
def test_settings_are_checked(settings: dict[str, str], key: str, field: str) -> None:
    with pytest.raises(DomainError) as told:
        plugin_for("pagerduty").clean(settings, {"routing_key": key})
    assert told.value.fields == (field,)


def test_the_hint_is_the_last_four() -> None:
    plugin = plugin_for("pagerduty")
    settings, secret = plugin.clean({"region": "eu"}, {"routing_key": KEY})
    assert settings == {"region": "eu", "base_url": ""}
    assert plugin.hint(settings, secret) == "Key …cdef"
