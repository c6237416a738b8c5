"""What the explanation of a span says: what was read, what was left and why."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.traces.corpus.dialect_bodies import examples
from traces.ingest.dialects.explain import (
    NO_DIALECT,
    NOT_READ,
    OTHER_PREFERRED,
    RESOURCE_NOT_READ,
    explain,
)
from traces.ingest.facts import EventFacts, ScopeFacts, SpanFacts

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def facts(attributes: dict[str, Any], scope: str = "test", **changes: Any) -> SpanFacts:
    """A clean span as the doors hold it before a dialect reads it."""
    values: dict[str, Any] = {
        "trace_id": "0" * 31 + "1",
        "span_id": "0" * 15 + "1",
        "parent_span_id": "",
        "name": "chat",
        "started_at": START,
        "ended_at": START + timedelta(seconds=1),
        "status_code": 0,
        "status_message": "",
        "attributes": attributes,
        "events": [],
        "scope": ScopeFacts(name=scope, version="1.2", resource=changes.pop("resource", {})),
        "flags": [],
    }
    return SpanFacts(**(values | changes))


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5.5",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.prompt_tokens": 7,
    "gen_ai.input.messages": '[{"role":"user","content":"hi"}]',
    "acme.color": "red",
}


def test_read_and_left_keys_each_with_a_reason():
    said = explain(facts(dict(CHAT), "opentelemetry.util.genai.handler"))
    assert (said.dialect, said.version, said.scope) == (
        "gen_ai",
        "1.2",
        "opentelemetry.util.genai.handler",
    )
    assert said.consumed == (
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.request.temperature",
        "gen_ai.usage.input_tokens",
        "gen_ai.input.messages",
    )
    assert said.ignored == (
        ("gen_ai.usage.prompt_tokens", OTHER_PREFERRED),
        ("acme.color", NOT_READ),
    )
    assert said.fields["input"] == [{"role": "user", "content": "hi"}]
    assert said.fields["request_model"] == "gpt-5.5"
    assert "attributes" not in said.fields


def test_explaining_changes_nothing_and_repeats():
    raw = facts(dict(CHAT), resource={"service.name": "shop", "host.name": "h1"})
    before = copy.deepcopy(raw)
    first = explain(raw)
    assert raw == before
    assert explain(raw) == first
    assert type(first.span.attributes) is dict
    assert "resource.service.name" in first.consumed
    assert ("resource.host.name", RESOURCE_NOT_READ) in first.ignored


def test_events_that_became_messages_are_named():
    events = [
        EventFacts(name="gen_ai.user.message", offset_ms=0.0, attributes={"content": "hi"}),
        EventFacts(name="other", offset_ms=1.0, attributes={}),
    ]
    said = explain(facts(dict(CHAT), events=events))
    assert said.consumed_events == ("gen_ai.user.message",)
    assert [event["name"] for event in said.span.events] == ["other"]


def test_bad_values_are_read_and_flagged():
    said = explain(facts(CHAT | {"gen_ai.usage.input_tokens": "many"}))
    assert "gen_ai.usage.input_tokens" in said.consumed
    assert said.flags == ("bad_token_count",)


def test_span_of_no_known_vocabulary():
    said = explain(facts({"http.request.method": "GET"}))
    assert (said.dialect, said.consumed) == ("otel", ())
    assert said.ignored == (("http.request.method", NO_DIALECT),)


@pytest.mark.parametrize("name", sorted(examples()))
def test_every_dialect_accounts_for_every_key(name: str):
    scope, attributes = examples()[name]
    raw = facts({**attributes, "acme.color": "red"}, scope, parent_span_id="0" * 15 + "2")
    said = explain(raw)
    reasons = dict(said.ignored)
    assert said.dialect == name.partition("-")[0].replace("vercel", "vercel_ai")
    assert sorted([*said.consumed, *reasons]) == sorted(raw.attributes)
    assert reasons["acme.color"] == NOT_READ
    # Of a good span hardly anything is left.
    assert len(said.consumed) >= len(attributes) - 5, reasons


@pytest.mark.parametrize(
    ("scope", "attributes", "key", "reason"),
    [
        ("langfuse-sdk", {"langfuse.observation.type": "span"}, "langfuse.trace.public", "LLMLab shares by links"),
        ("logfire", {"logfire.msg": "m"}, "logfire.json_schema", "tells the types of other attributes"),
        ("ai", {"ai.operationId": "ai.embed"}, "ai.response.avgOutputTokensPerSecond", "follows from other values"),
        ("mlflow", {"mlflow.spanType": '"LLM"'}, "mlflow.spanLogLevel", "a severity LLMLab does not show"),
        ("livekit-agents", {}, "lk.eou.probability", "a measurement of the voice session"),
        ("openlit", {"gen_ai.environment": "e"}, "gen_ai.token.cost.input", "parts of gen_ai.usage.cost"),
    ],
)  # fmt: skip
def test_a_dialect_s_own_reasons(scope: str, attributes: dict[str, Any], key: str, reason: str):
    said = explain(facts({**attributes, key: "1"}, scope))
    assert dict(said.ignored)[key].startswith(reason)


def test_what_is_dropped_is_named_as_dropped():
    said = explain(facts({"llm.request.type": "chat", "llm.headers": "{}"}))
    assert dict(said.ignored)["llm.headers"].endswith("dropped")
    assert "llm.headers" not in said.consumed
