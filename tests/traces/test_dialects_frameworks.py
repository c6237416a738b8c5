"""Traceloop, Vercel AI, Logfire and MLflow: releases and shapes the recorded bodies do not show."""

import json
from decimal import Decimal
from typing import Any

import pytest

from costs.usage import Usage
from tests.traces.decoding import one
from tests.traces.test_dialects import event

# --- Traceloop, older releases


def test_traceloop_flat_keys_of_older_releases():
    span = one(
        {
            "llm.request.type": "chat",
            "traceloop.span.kind": "llm",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-5.5",
            "gen_ai.openai.api_base": "https://api.groq.com/openai/v1",
            "llm.usage.prompt_tokens": 10,
            "llm.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 15,
            "llm.headers": "{'authorization': 'Bearer secret'}",
            "llm.response.finish_reason": "stop",
            "llm.request.functions.0.name": "f",
            "llm.request.functions.0.parameters": '{"type":"object"}',
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "hi",
            "traceloop.prompt.key": "greet",
            "traceloop.prompt.version": 3,
            "traceloop.association.properties.userId": "u1",
            "traceloop.association.properties.chat_id": "c1",
        }
    )
    assert (span.dialect, span.is_call, span.provider) == ("traceloop", True, "groq")
    assert span.usage == Usage(input_tokens=10, output_tokens=5, stated_total_tokens=15)
    assert (span.user_id, span.session_id, span.prompt_version) == ("u1", "c1", "greet@3")
    assert (span.finish_reason, span.input) == ("stop", [{"role": "user", "content": "hi"}])
    assert span.tools == [{"name": "f", "parameters": {"type": "object"}}]
    assert "llm.headers" not in span.attributes


@pytest.mark.parametrize(
    ("stated", "kind"),
    [("workflow", "chain"), ("task", "chain"), ("agent", "agent"), ("tool", "tool")],
)
def test_traceloop_entities(stated: str, kind: str):
    span = one(
        {
            "traceloop.span.kind": stated,
            "traceloop.entity.name": "answer",
            "traceloop.workflow.name": "support",
            "traceloop.entity.input": '{"args": ["hi"], "kwargs": {}}',
            "traceloop.entity.output": '"done"',
        }
    )
    assert (span.kind, span.is_call, span.trace_name) == (kind, False, "support")
    assert (span.input, span.output) == ({"args": ["hi"], "kwargs": {}}, "done")
    assert span.agent == ("answer" if stated == "agent" else "")


# --- Vercel AI SDK, versions 4 and 5


def vercel(**attributes: Any) -> dict[str, Any]:
    base = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "claude-sonnet-4-5"}
    return base | {"ai.model.provider": "anthropic.messages"} | attributes


def test_vercel_4_told_anthropic_s_cache_in_provider_metadata():
    added = {"anthropic": {"cacheCreationInputTokens": 1000, "cacheReadInputTokens": 2000}}
    span = one(
        vercel(
            **{
                "ai.usage.promptTokens": 50,
                "ai.usage.completionTokens": 20,
                "ai.response.providerMetadata": json.dumps(added),
                "ai.finishReason": "stop",
                "ai.prompt": '{"system":"be brief","prompt":"hi"}',
                "ai.result.text": "ok",
            }
        )
    )
    assert (span.provider, span.finish_reason, span.flags) == ("anthropic", "stop", ())
    assert span.usage == Usage(
        input_tokens=3050,
        output_tokens=20,
        cache_read_input_tokens=2000,
        cache_write_input_tokens=1000,
        convention="exclusive",
    )
    assert span.input == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]
    assert span.output == [{"role": "assistant", "content": "ok"}]


def test_vercel_5_counts_claude_without_its_cache():
    counts = {
        "inputTokens": 5000,
        "outputTokens": 20,
        "totalTokens": 5020,
        "cachedInputTokens": 2000,
    }
    span = one(vercel(**{f"ai.usage.{name}": count for name, count in counts.items()}))
    assert (span.usage.input_tokens, span.usage.cache_read_input_tokens) == (7000, 2000)
    assert span.flags == ()


def test_vercel_6_counts_claude_with_its_cache():
    counts = {
        "inputTokens": 5000,
        "outputTokens": 20,
        "totalTokens": 5020,
        "cachedInputTokens": 2000,
    }
    details = {"ai.usage.inputTokenDetails.noCacheTokens": 3000}
    span = one(vercel(**{f"ai.usage.{name}": count for name, count in counts.items()}, **details))
    assert (span.usage.input_tokens, span.usage.cache_read_input_tokens) == (5000, 2000)


def test_vercel_gateway_is_no_provider():
    span = one(
        vercel(
            **{
                "ai.model.provider": "gateway",
                "ai.model.id": "openai/gpt-5-mini",
                "ai.usage.inputTokens": 5,
            }
        )
    )
    assert (span.provider, span.request_model) == ("", "openai/gpt-5-mini")


def test_vercel_parts_of_a_conversation():
    said = [
        {
            "role": "assistant",
            "content": [
                {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "input": {"a": 1}}
            ],
        },
        {
            "role": "tool",
            "content": [{"type": "tool-result", "toolCallId": "c1", "output": {"value": "x"}}],
        },
    ]
    calls = [{"toolCallId": "c2", "toolName": "g", "args": '{"b":2}'}]
    span = one(
        vercel(
            **{
                "ai.prompt.messages": json.dumps(said),
                "ai.response.text": "and",
                "ai.response.reasoning": "hm",
                "ai.response.toolCalls": json.dumps(calls),
            }
        )
    )
    assert span.input[0]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
    ]
    assert span.input[1]["parts"][0]["type"] == "tool_call_response"
    assert [part["type"] for part in span.output[0]["parts"]] == ["reasoning", "text", "tool_call"]
    assert span.output[0]["parts"][2]["arguments"] == {"b": 2}


# --- Logfire and pydantic-ai


def test_pydantic_ai_agent_run_of_an_older_release():
    said = [
        {"event.name": "gen_ai.user.message", "content": "hi", "role": "user"},
        {"event.name": "gen_ai.choice", "message": {"role": "assistant", "content": "yo"}},
    ]
    span = one(
        {
            "agent_name": "support",
            "model_name": "gpt-5.5",
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.usage.input_tokens": 500,
            "gen_ai.usage.output_tokens": 20,
            "all_messages_events": json.dumps(said),
            "final_result": "yo",
            "logfire.msg": "support run",
            "logfire.json_schema": "{}",
        },
        scope="pydantic-ai",
    )
    assert (span.dialect, span.kind, span.is_call) == ("logfire", "agent", False)
    assert (span.agent, span.name) == ("support", "support run")
    assert span.input == [{"role": "user", "content": "hi"}]
    assert span.output == [{"role": "assistant", "content": "yo"}]


def test_pydantic_ai_call_and_tool():
    call = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-opus-5-5",
            "gen_ai.usage.input_tokens": 3050,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.details.cache_read_tokens": 2000,
            "gen_ai.usage.details.cache_write_tokens": 1000,
            "operation.cost": 0.5,
            "model_request_parameters": '{"function_tools": []}',
            "logfire.msg": "chat claude-opus-5-5",
        },
        scope="pydantic-ai",
    )
    assert (call.is_call, call.usage.input_tokens, call.usage.cache_read_input_tokens) == (
        True,
        3050,
        2000,
    )
    assert call.client_cost_usd == Decimal("0.5")
    tool = one(
        {
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.id": "c1",
            "tool_arguments": '{"q":"x"}',
            "tool_response": "found",
            "logfire.msg": "running tool: search",
        },
        scope="pydantic-ai",
    )
    assert (tool.kind, tool.input, tool.output) == ("tool", {"q": "x"}, "found")


def test_logfire_raw_usage_of_claude_is_exclusive_whatever_its_size():
    raw = {
        "input_tokens": 5000,
        "output_tokens": 9,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 0,
    }
    span = one(
        {
            "logfire.span_type": "span",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-opus-5-5",
            "gen_ai.usage.input_tokens": 7000,
            "gen_ai.usage.raw": json.dumps(raw),
            "gen_ai.response.finish_reasons": '["end_turn"]',
        }
    )
    assert (span.usage.input_tokens, span.usage.cache_read_input_tokens) == (7000, 2000)
    assert span.finish_reason == "end_turn"


def test_logfire_error_log_is_an_error():
    span = one({"logfire.span_type": "log", "logfire.level_num": 17, "logfire.msg": "it broke"})
    assert (span.status, span.error_message, span.is_call) == ("error", "it broke", False)


# --- MLflow


def mlflow(**attributes: Any) -> dict[str, Any]:
    values = {"spanType": "CHAT_MODEL", "traceRequestId": "tr-1"} | attributes
    return {
        f"mlflow.{name.replace('__', '.')}": json.dumps(value) for name, value in values.items()
    }


def test_mlflow_usage_cost_and_parameters():
    span = one(
        mlflow(
            chat__tokenUsage={
                "input_tokens": 3050, "output_tokens": 120, "total_tokens": 3170, "cache_read_input_tokens": 2000,
                "cache_creation_input_tokens": 1000, "cache_creation_input_tokens_above_1hr": 400,
            },
            llm__cost={"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3},
            llm__provider="anthropic",
            llm__model="claude-opus-5-5",
            spanInputs={"model": "claude-opus-5-5", "system": "brief", "max_tokens": 9,
                        "messages": [{"role": "user", "content": "hi"}]},
            spanOutputs={"id": "msg_1", "role": "assistant", "model": "claude-opus-5-5", "stop_reason": "end_turn",
                         "content": [{"type": "text", "text": "yo"}]},
            linkedPrompts=[{"name": "greet", "version": "2"}],
        )
    )  # fmt: skip
    assert span.usage == Usage(
        input_tokens=3050,
        output_tokens=120,
        cache_read_input_tokens=2000,
        cache_write_input_tokens=1000,
        cache_write_5m_input_tokens=600,
        cache_write_1h_input_tokens=400,
        stated_total_tokens=3170,
    )
    assert (span.provider, span.client_cost_usd) == ("anthropic", Decimal("0.3"))
    assert (span.prompt_version, span.finish_reason, span.response_id) == (
        "greet@2",
        "end_turn",
        "msg_1",
    )
    assert span.parameters == {"max_tokens": 9}
    assert span.input == [{"role": "system", "content": "brief"}, {"role": "user", "content": "hi"}]
    assert span.output[0]["parts"] == [{"type": "text", "content": "yo"}]
    assert span.flags == ()


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("AGENT", "agent"),
        ("TOOL", "tool"),
        ("RETRIEVER", "retrieval"),
        ("PARSER", "chain"),
        ("UNKNOWN", "span"),
    ],
)
def test_mlflow_root_totals_are_no_call(stated: str, kind: str):
    totals = {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10}
    span = one(mlflow(spanType=stated, chat__tokenUsage=totals, llm__cost={"total_cost": 1}))
    assert (span.kind, span.is_call) == (kind, False)


def test_mlflow_tags_are_metadata():
    span = one(mlflow() | {"mlflow.traceTag.team": "blue", "user.id": '"u1"'})
    assert (span.metadata, span.user_id) == ({"team": "blue"}, "u1")


def test_first_chunk_of_a_traceloop_stream_is_the_first_token():
    chunks = [
        event("gen_ai.content.completion.chunk", 40),
        event("llm.content.completion.chunk", 90),
    ]
    span = one(
        {"llm.request.type": "chat", "gen_ai.request.model": "m"}, events=[*chunks, event("own")]
    )
    assert (span.first_token_ms, [item["name"] for item in span.events]) == (40, ["own"])
