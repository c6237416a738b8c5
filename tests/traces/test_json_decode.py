"""The JSON doors: traces with steps, and bare costs."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError
from costs.usage import Usage
from tests.traces.corpus.case import raw_json
from tests.traces.decoding import NOW, costs, traces
from traces.ingest.json_body import load_json
from traces.ingest.json_traces import JsonTraceResult
from traces.ingest.span import NormalSpan

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
ISO = "2026-11-20T12:00:00Z"


def sent(*steps: dict[str, Any], **facts: Any) -> JsonTraceResult:
    """The result of one trace item."""
    item = {"trace_id": "t1", "name": "bot", "started_at": ISO, "steps": steps} | facts
    (result,) = traces(json.dumps({"traces": [item]}).encode())
    return result


def step(**fields: Any) -> NormalSpan:
    """One good step in normal form."""
    result = sent({"id": "s1", "type": "llm"} | fields)
    assert result.rejections == []
    return result.spans[1]


def refusal(**fields: Any) -> str:
    """Why one bad step was refused, its neighbour being stored."""
    result = sent({"id": "s1", "type": "llm"} | fields, {"id": "good"})
    assert [span.span_id for span in result.spans] == ["t1", "good"]
    (rejection,) = result.rejections
    assert rejection.index == 0
    return rejection.detail


# --- the trace and its root


def test_trace_without_steps_is_one_root():
    (result,) = traces(
        b'{"trace_id":"t1","name":"bot","status":"running","started_at":"%s"}' % ISO.encode()
    )
    (root,) = result.spans
    assert (root.span_id, root.parent_span_id, root.kind) == ("t1", "", "agent")
    assert (root.status, root.started_at, root.ended_at) == ("running", START, None)
    assert (root.trace_name, root.agent, root.is_call) == ("bot", "bot", False)


def test_trace_facts_reach_the_root_and_its_steps():
    result = sent(
        {"id": "s1", "type": "llm", "user": "own"},
        {"id": "s2", "parent_id": "s1"},
        user="u",
        session="s",
        tags=["a", "b", "a"],
        environment="prod",
        feature="f",
        release="1.2",
        metadata={"k": 1.5},
        agent="worker",
        status="ok",
        duration_ms=250,
    )
    root, first, second = result.spans
    assert (root.metadata, root.duration_ms, root.tags) == ({"k": 1.5}, 250.0, ("a", "b"))
    assert (first.user_id, second.user_id) == ("own", "u")
    assert {s.session_id for s in result.spans} == {"s"}
    assert {(s.agent, s.environment, s.feature, s.release) for s in result.spans} == {
        ("worker", "prod", "f", "1.2")
    }
    assert (first.parent_span_id, second.parent_span_id) == ("t1", "s1")
    assert (first.metadata, first.trace_name) == ({}, "")


def test_step_named_like_the_trace_takes_the_roots_place():
    result = sent(
        {"id": "t1", "type": "agent", "name": "main"}, {"id": "s2"}, user="u", metadata={"k": 1}
    )
    assert [span.span_id for span in result.spans] == ["t1", "s2"]
    root = result.spans[0]
    assert (root.parent_span_id, root.name, root.trace_name) == ("", "main", "bot")
    assert (root.user_id, root.metadata) == ("u", {"k": 1})


def test_unstated_status_follows_from_the_steps_and_says_so():
    ended = sent({"id": "s1", "started_at": ISO, "latency_ms": 40}).spans[0]
    assert (ended.status, ended.duration_ms, ended.flags) == ("ok", 40.0, ("status_inferred",))
    running = sent({"id": "s1", "status": "running"}).spans[0]
    assert (running.status, running.ended_at) == ("running", None)
    stated = sent({"id": "s1"}, status="running").spans[0]
    assert (stated.status, stated.flags) == ("running", ())


def test_root_starts_with_its_first_step_when_it_does_not_say():
    result = sent(
        {"id": "b", "started_at": "2026-11-20T12:00:05Z"},
        {"id": "a", "started_at": ISO},
        started_at=None,
    )
    assert result.spans[0].started_at == START


def test_error_of_the_trace():
    root = sent(error={"type": "ToolError", "message": "no"}).spans[0]
    assert (root.status, root.error_type, root.error_message) == ("error", "ToolError", "no")


def test_bad_trace_item_is_refused_alone():
    body = {"traces": [{"trace_id": "a/b", "steps": [{"id": "s"}]}, {"trace_id": "t2"}]}
    bad, good = traces(json.dumps(body).encode())
    assert (bad.spans, bad.error.code) == ([], "invalid_field")
    assert bad.error.detail == (
        'trace_id is "a/b": an id is 1 to 128 characters: letters, digits and . _ : @ + = ~ | -.'
    )
    assert [span.span_id for span in good.spans] == ["t2"]


def test_same_step_twice_ended_wins_over_running():
    ended = {"id": "s1", "latency_ms": 5, "output": "x"}
    result = sent(ended, {"id": "s1", "status": "running", "input": "q"})
    assert len(result.spans) == 2
    assert (result.spans[1].status, result.spans[1].input, result.spans[1].output) == (
        "ok",
        "q",
        "x",
    )


def test_same_trace_in_two_items_is_merged_in_both():
    first, second = traces(
        json.dumps(
            [
                {
                    "trace_id": "t",
                    "name": "bot",
                    "user": "u",
                    "status": "running",
                    "started_at": ISO,
                },
                {"trace_id": "t", "status": "ok", "started_at": ISO, "duration_ms": 5},
            ]
        ).encode()
    )
    assert first.spans[0] is second.spans[0]
    assert (first.spans[0].status, first.spans[0].user_id) == ("ok", "u")


# --- steps


def test_flat_token_fields():
    span = step(
        provider="OpenAI",
        model="gpt-5.5-2026-04-23",
        request_model="gpt-5.5",
        input_tokens=10000,
        output_tokens=1000,
        cache_read_input_tokens=6000,
        cache_write_5m_input_tokens=100,
        cache_write_1h_input_tokens=50,
        reasoning_output_tokens=400,
        service_tier="flex",
        latency_ms=12.5,
        time_to_first_token_ms=3,
        cost_usd="0.0530000000001",
        finish_reason="stop",
    )
    assert span.usage == Usage(
        input_tokens=10000,
        output_tokens=1000,
        cache_read_input_tokens=6000,
        cache_write_input_tokens=150,
        cache_write_5m_input_tokens=100,
        cache_write_1h_input_tokens=50,
        reasoning_output_tokens=400,
    )
    assert (span.provider, span.request_model, span.response_model) == (
        "openai",
        "gpt-5.5",
        "gpt-5.5-2026-04-23",
    )
    assert (span.duration_ms, span.first_token_ms, span.service_tier) == (12.5, 3.0, "flex")
    assert span.client_cost_usd == Decimal("0.053000000000")
    assert (span.is_call, span.status, span.kind) == (True, "ok", "llm")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 10000,
                "completion_tokens": 1000,
                "total_tokens": 11000,
                "prompt_tokens_details": {"cached_tokens": 6000, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 400},
            },
            Usage(
                input_tokens=10000,
                output_tokens=1000,
                cache_read_input_tokens=6000,
                reasoning_output_tokens=400,
                stated_total_tokens=11000,
            ),
        ),
        (
            {
                "input_tokens": 2000,
                "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 512},
                "output_tokens": 300,
                "output_tokens_details": {"reasoning_tokens": 120},
                "total_tokens": 2300,
            },
            Usage(
                input_tokens=2000,
                output_tokens=300,
                cache_read_input_tokens=1024,
                cache_write_input_tokens=512,
                reasoning_output_tokens=120,
                stated_total_tokens=2300,
            ),
        ),
        (
            {
                "input_tokens": 1000,
                "cache_creation_input_tokens": 500,
                "cache_read_input_tokens": 8500,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 300,
                    "ephemeral_1h_input_tokens": 200,
                },
                "output_tokens": 700,
                "output_tokens_details": {"thinking_tokens": 200},
                "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
                "service_tier": "standard",
            },
            Usage(
                input_tokens=10000,
                output_tokens=700,
                cache_read_input_tokens=8500,
                cache_write_input_tokens=500,
                cache_write_5m_input_tokens=300,
                cache_write_1h_input_tokens=200,
                reasoning_output_tokens=200,
                web_searches=1,
                convention="exclusive",
            ),
        ),
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 40,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "toolUsePromptTokenCount": 5,
                "totalTokenCount": 155,
            },
            Usage(
                input_tokens=105,
                output_tokens=50,
                cache_read_input_tokens=40,
                reasoning_output_tokens=30,
                stated_total_tokens=155,
            ),
        ),
        (
            {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": None},
            Usage(input_tokens=7, output_tokens=3),
        ),
    ],
    ids=["openai-chat", "openai-responses", "anthropic", "gemini", "plain"],
)
def test_provider_usage_objects(usage, expected):
    span = step(usage=usage)
    assert span.usage == expected
    assert span.flags == ("duration_unknown",)


def test_anthropic_usage_without_writes_is_still_exclusive():
    span = step(provider="anthropic", usage={"input_tokens": 100, "cache_read_input_tokens": 40})
    assert (span.usage.input_tokens, span.usage.convention) == (140, "exclusive")


def test_convention_can_be_stated():
    span = step(input_tokens=100, cache_read_input_tokens=40, usage_convention="exclusive")
    assert (span.usage.input_tokens, span.usage.convention) == (140, "exclusive")


@pytest.mark.parametrize(
    ("error", "error_type", "message"),
    [
        ("boom", "error", "boom"),
        ({"type": "RateLimitError", "message": "slow"}, "RateLimitError", "slow"),
        ({"message": "no"}, "error", "no"),
    ],
)
def test_error_of_a_step(error, error_type, message):
    span = step(error=error, model="gpt-5.5")
    assert (span.status, span.error_type, span.error_message) == ("error", error_type, message)
    assert span.is_rejected is (error_type == "RateLimitError")


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (ISO, START),
        ("2026-11-20T13:00:00+01:00", START),
        ("2026-11-20T12:00:00", START),
        (1795176000, START),
        (1795176000000, START),
        (1795176000000000, START),
        (1795176000000000000, START),
        ("1795176000", START),
        (1795176000.5, START + timedelta(milliseconds=500)),
        ("2026-11-20T11:59:60Z", START - timedelta(seconds=1)),
    ],
)
def test_times_in_every_spelling(literal, expected):
    assert step(started_at=literal, status="ok").started_at == expected


def test_times_follow_from_each_other():
    span = step(ended_at="2026-11-20T12:00:01Z", latency_ms=250)
    assert span.started_at == START + timedelta(milliseconds=750)
    span = step(started_at=ISO, ended_at="2026-11-20T11:00:00Z")
    assert (span.duration_ms, span.flags) == (0.0, ("end_before_start",))


def test_step_without_end_runs_while_its_trace_runs():
    assert sent({"id": "s1"}, status="running").spans[1].status == "running"
    done = sent({"id": "s1"}).spans[1]
    assert (done.status, done.flags) == ("ok", ("duration_unknown",))


def test_unknown_fields_are_kept_as_attributes_and_never_applied():
    span = step(project_id="other", temperature=0.5, attributes={"a": 1})
    assert span.attributes == {"project_id": "other", "temperature": 0.5, "a": 1}


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        (
            {"input_tokens": -5},
            "steps[0].input_tokens is -5: it must be a whole number from 0 to 10000000000.",
        ),
        (
            {"input_tokens": True},
            "steps[0].input_tokens is true: it must be a whole number from 0 to 10000000000.",
        ),
        (
            {"output_tokens": "5"},
            'steps[0].output_tokens is "5": it must be a whole number from 0 to 10000000000.',
        ),
        (
            {"usage": {"prompt_tokens": 1.5}},
            "steps[0].usage.prompt_tokens is 1.5: it must be a whole number from 0 to 10000000000.",
        ),
        (
            {"latency_ms": -1},
            "steps[0].latency_ms is -1: it must be a number of milliseconds from 0 to 400 days.",
        ),
        (
            {"type": "x"},
            'steps[0].type is "x": it must be one of llm, embedding, tool, retrieval, rerank, '
            "guardrail, evaluator, agent, chain, span.",
        ),
        ({"status": "maybe"}, 'steps[0].status is "maybe": it must be one of running, ok, error.'),
    ],
)
def test_refusals_name_field_value_and_rule(fields, detail):
    assert refusal(**fields) == detail


def test_cached_tokens_above_the_input_are_refused_with_the_way_out():
    detail = refusal(provider="openai", model="gpt-5.5", input_tokens=5, cache_read_input_tokens=6)
    assert 'usage_convention "exclusive"' in detail


@pytest.mark.parametrize(
    "literal", ["NaN", "-Infinity", "9" * 4301, "1e400", "1e999999999", str(2**63)]
)
def test_numbers_no_database_holds_cost_one_step_only(literal: str):
    body = raw_json(
        {"trace_id": "t1", "steps": [{"id": "a", "input_tokens": "@x@"}, {"id": "b"}]}, x=literal
    )
    (result,) = traces(body)
    assert [span.span_id for span in result.spans] == ["t1", "b"]
    assert result.rejections[0].detail.startswith("steps[0].input_tokens is ")


# --- costs


def test_cost_record_is_read_exactly():
    body = b"""{"costs":[{"id":"c1","occurred_at":"2026-11-20T12:00:00Z","provider":"az.ai.openai","model":"gpt-5.5",
      "input_tokens":5,"cost_usd":0.1,"user":"u","tags":["t"],"agent":"a","cache_hit":true,"latency_ms":5}]}"""
    (call,), rejections = costs(body)
    assert rejections == []
    assert (call.record_id, call.occurred_at, call.provider) == ("c1", START, "azure")
    assert (call.client_cost_usd, call.usage.input_tokens) == (Decimal("0.1"), 5)
    assert (call.user_id, call.tags, call.agent, call.is_cache_hit) == ("u", ("t",), "a", True)


def test_bad_cost_is_named_and_its_neighbour_kept():
    body = b'[{"id":"c1","occurred_at":1795176000,"cost_usd":"-1"},{"id":"c2","occurred_at":1795176000,"cost_usd":"1"}]'
    calls, (rejection,) = costs(body)
    assert [call.record_id for call in calls] == ["c2"]
    assert (rejection.index, rejection.span_id) == (0, "c1")
    assert rejection.detail.startswith(
        'costs[0].cost_usd is "-1": it must be US dollars from 0 to 1000000'
    )


def test_cost_without_time_is_refused_because_a_retry_would_count_twice():
    _, (rejection,) = costs(b'{"costs":[{"id":"c1","cost_usd":1}]}')
    assert (
        rejection.detail
        == "costs[0].occurred_at is null: it is required: when the call was made, in ISO 8601."
    )


# --- whole bodies


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":1,"a":2}', "The key 'a' appears twice"),
        (b'{"a":"\xe9"}', "not UTF-8: byte 6"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"a":1}x', "not valid JSON"),
        (b"[" + b"{}," * 1_000_001 + b"{}]", "more than 1000000 values"),
    ],
)
def test_hopeless_bodies_say_what_is_wrong(body: bytes, words: str):
    with pytest.raises(DomainError, match=words):
        load_json(body)


def test_commas_in_a_long_prompt_are_not_values():
    prompt = "a, b, c, " * 400_000
    assert load_json(json.dumps({"input": prompt}).encode()) == {"input": prompt}


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["s1", "t1", "llm", "running", ISO, "1.5", "gpt-5.5", 5, 0.25]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "id",
    "parent_id",
    "type",
    "name",
    "model",
    "provider",
    "input_tokens",
    "output_tokens",
    "usage",
    "cost_usd",
    "latency_ms",
    "started_at",
    "ended_at",
    "status",
    "error",
    "tags",
    "metadata",
    "input",
    "output",
    "attributes",
    "cache_hit",
    "trace_id",
    "steps",
    "user",
    "cache_read_input_tokens",
    "occurred_at",
]
objects = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=10)


@given(objects)
def test_any_step_is_stored_or_refused_alone(item):
    body = json.dumps({"trace_id": "t1", "started_at": ISO, "steps": [item, {"id": "good"}]})
    (result,) = traces(body.encode())
    assert result.error is None
    assert any(span.span_id == "good" for span in result.spans)


@given(st.lists(objects, max_size=3))
def test_any_items_are_answered_one_by_one(items):
    body = json.dumps({"traces": items, "costs": items}).encode()
    assert len(traces(body)) == len(items)
    calls, rejections = costs(body)
    assert len(calls) + len(rejections) <= len(items)


def test_fixed_now_is_used_for_what_the_sender_left_out():
    (result,) = traces(b'{"trace_id":"t1"}')
    assert result.spans[0].started_at == NOW
