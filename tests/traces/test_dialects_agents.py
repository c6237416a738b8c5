"""Langfuse, OpenLIT, LiveKit and Google ADK as their packages' source writes them; which dialect reads a span."""

import json
from decimal import Decimal
from typing import Any

import pytest

from costs.usage import Usage
from tests.traces.decoding import decode_protobuf as decode
from tests.traces.decoding import one, otlp_request, otlp_span

# --- Langfuse


def langfuse(usage: Any = None, kind: str = "generation", **attributes: Any) -> dict[str, Any]:
    base = {"langfuse.observation.type": kind, "langfuse.observation.model.name": "gpt-5.5"}
    if usage is not None:
        base["langfuse.observation.usage_details"] = json.dumps(usage)
    return base | {name.replace("__", "."): value for name, value in attributes.items()}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input": 10, "output": 5, "total": 15}, (10, 5, 0, 0, 0)),
        ({"input": 10, "output": 5}, (10, 5, 0, 0, 0)),
        (
            {
                "input": 4,
                "input_cached_tokens": 6,
                "output": 3,
                "output_reasoning_tokens": 2,
                "total": 15,
            },
            (10, 5, 6, 0, 2),
        ),
        (
            {
                "input": 10,
                "input_cached_tokens": 6,
                "output": 5,
                "output_reasoning_tokens": 2,
                "total": 15,
            },
            (10, 5, 6, 0, 2),
        ),
        (
            {
                "input": 50,
                "cache_read_input_tokens": 2000,
                "cache_creation_input_tokens": 1000,
                "output": 9,
            },
            (3050, 9, 2000, 1000, 0),
        ),
        (
            {
                "input_tokens": 50,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 0,
                "output_tokens": 9,
            },
            (70, 9, 20, 0, 0),
        ),
        (
            {"input_tokens": 50, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 20}},
            (50, 9, 20, 0, 0),
        ),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
            (50, 9, 0, 0, 4),
        ),
        ({"promptTokens": 50, "completionTokens": 9, "totalTokens": 59}, (50, 9, 0, 0, 0)),
        (
            {
                "prompt_token_count": 50,
                "candidates_token_count": 9,
                "thoughts_token_count": 4,
                "total_token_count": 63,
            },
            (50, 13, 0, 0, 4),
        ),
    ],
)
def test_langfuse_usage_in_every_shape(usage: dict[str, Any], expected: tuple[int, ...]):
    span = one(langfuse(usage))
    told = span.usage
    assert expected == (
        told.input_tokens,
        told.output_tokens,
        told.cache_read_input_tokens,
        told.cache_write_input_tokens,
        told.reasoning_output_tokens,
    )
    assert (span.is_call, span.flags) == (True, ())


def test_langfuse_cost_prompt_level_and_first_token():
    span = one(
        langfuse(
            {"input": 10, "output": 5},
            langfuse__observation__cost_details='{"input": 0.1, "output": 0.2}',
            langfuse__observation__prompt__name="greet",
            langfuse__observation__prompt__version=4,
            langfuse__observation__level="ERROR",
            langfuse__observation__status_message="Error code: 500 - no",
            langfuse__observation__completion_start_time='"2026-11-18T11:06:40.250Z"',
            langfuse__observation__metadata__k='{"a": 1}',
            langfuse__observation__metadata__text='"x"',
            langfuse__trace__metadata__plan='"pro"',
            langfuse__user__id="u1",
            langfuse__session__id="s1",
        )
    )
    assert (span.client_cost_usd, span.prompt_version) == (Decimal("0.3"), "greet@4")
    assert (span.status, span.error_type, span.error_message) == (
        "error",
        "500",
        "Error code: 500 - no",
    )
    assert span.first_token_ms == 250
    assert span.metadata == {"k": {"a": 1}, "text": "x", "plan": "pro"}
    assert (span.user_id, span.session_id, span.is_rejected) == ("u1", "s1", False)


@pytest.mark.parametrize("kind", ["span", "agent", "chain", "tool", "event", "evaluator"])
def test_langfuse_totals_of_spans_are_no_call(kind: str):
    cost = '{"total": 5}'
    span = one(langfuse({"input": 10, "output": 5}, kind, langfuse__observation__cost_details=cost))
    assert span.is_call is False


def test_langfuse_observation_around_another_vocabulary():
    span = one(
        langfuse()
        | {"openinference.span.kind": "LLM", "llm.token_count.prompt": 7, "llm.provider": "openai"}
    )
    assert (span.dialect, span.provider, span.usage.input_tokens) == ("langfuse", "openai", 7)


def test_langfuse_trace_keys_on_spans_of_other_instrumentations():
    span = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-5.5",
            "langfuse.environment": "staging",
            "langfuse.trace.tags": ["a"],
            "langfuse.trace.name": "ask",
            "langfuse.session.id": "s",
            "langfuse.release": "2",
        },
        parent_span_id=bytes(7) + b"\x02",
    )
    assert (span.dialect, span.environment, span.tags) == ("gen_ai", "staging", ("a",))
    assert (span.trace_name, span.session_id, span.release) == ("ask", "s", "2")


# --- OpenLIT


def test_openlit_call_cost_and_application():
    span = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-5.5",
            "gen_ai.application_name": "shop",
            "gen_ai.environment": "staging",
            "gen_ai.sdk.version": "2.0",
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.usage.cost": 0.25,
            "gen_ai.server.time_to_first_token": 0.5,
            "gen_ai.request.user": "u1",
        },
        scope="openlit.otel.tracing",
    )
    assert (span.dialect, span.is_call, span.client_cost_usd) == ("openlit", True, Decimal("0.25"))
    assert (span.agent, span.environment, span.user_id) == ("shop", "staging", "u1")
    assert span.first_token_ms == 500


def test_openlit_media_is_a_call_once_it_has_a_cost():
    image = {
        "gen_ai.operation.name": "image",
        "gen_ai.environment": "default",
        "gen_ai.request.model": "gpt-image",
    }
    assert one(image).is_call is False
    assert one(image).environment == ""
    assert one(image | {"gen_ai.usage.cost": 0.04}).is_call is True


def test_openlit_workflow_and_tool_content():
    own = {"gen_ai.environment": "x"}
    flow = one(own | {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.input": '{"a":1}',
                      "gen_ai.workflow.output": "done", "gen_ai.usage.cost": 5.0})  # fmt: skip
    assert (flow.kind, flow.is_call, flow.input, flow.output) == ("chain", False, {"a": 1}, "done")
    tool = one(own | {"gen_ai.tool.name": "f", "gen_ai.tool.args": '{"b":2}'})
    assert (tool.kind, tool.input) == ("tool", {"b": 2})
    assert "gen_ai.tool.args" not in tool.attributes


# --- LiveKit


def livekit(name: str, **attributes: Any) -> Any:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    request = otlp_request(otlp_span(named, name=name), scope="livekit-agents")
    return decode(request.SerializeToString()).spans[0]


def test_livekit_model_request():
    metrics = {"ttft": 0.3, "prompt_tokens": 50, "completion_tokens": 9, "prompt_cached_tokens": 20,
               "total_tokens": 59, "request_id": "chatcmpl-1"}  # fmt: skip
    span = livekit(
        "llm_request",
        gen_ai__operation__name="chat",
        gen_ai__provider__name="openai",
        gen_ai__request__model="gpt-5.5",
        lk__llm_metrics=json.dumps(metrics),
        lk__speech_id="speech_1",
    )
    assert (span.dialect, span.is_call, span.response_id) == ("livekit", True, "chatcmpl-1")
    assert span.usage == Usage(
        input_tokens=50, output_tokens=9, cache_read_input_tokens=20, stated_total_tokens=59
    )
    assert span.first_token_ms == 300


@pytest.mark.parametrize("marker", ["lk.pii.", "lk."])
def test_livekit_turn_speech_and_tool(marker: str):
    context = {
        "items": [
            {"type": "message", "role": "user", "content": ["hi"]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "x"},
        ]
    }
    node = livekit(
        "llm_node",
        **{
            marker + "chat_ctx": json.dumps(context),
            marker + "response.text": "yo",
            "lk.response.ttft": 0.2,
        },
    )
    assert (node.kind, node.is_call, node.output, node.first_token_ms) == (
        "chain",
        False,
        "yo",
        200,
    )
    assert [item["role"] for item in node.input] == ["user", "assistant", "tool"]
    assert not any("chat_ctx" in key for key in node.attributes)
    tool = livekit(
        "function_tool",
        **{marker + "function_tool.arguments": '{"a":1}', marker + "function_tool.output": "bad",
           "lk.function_tool.is_error": True},
    )  # fmt: skip
    assert (tool.kind, tool.input, tool.output, tool.status) == ("tool", {"a": 1}, "bad", "error")
    turn = livekit("agent_turn", **{"lk.agent_label": "shop", marker + "room_name": "room1",
                                    marker + "participant_identity": "u1"})  # fmt: skip
    assert (turn.kind, turn.agent, turn.session_id, turn.user_id) == (
        "agent",
        "shop",
        "room1",
        "u1",
    )


# --- Google ADK


def adk(name: str, **attributes: Any) -> Any:
    named = {f"gcp.vertex.agent.{key}": json.dumps(value) if type(value) is dict else value
             for key, value in attributes.pop("own", {}).items()}  # fmt: skip
    named |= {key.replace("__", "."): value for key, value in attributes.items()}
    request = otlp_request(otlp_span(named, name=name), scope="gcp.vertex.agent", version="2.13.0")
    return decode(request.SerializeToString()).spans[0]


def test_adk_call():
    asked = {
        "model": "gemini-3-flash",
        "config": {
            "system_instruction": "be brief",
            "temperature": 0.1,
            "tools": [{"function_declarations": []}],
        },
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [{"function_call": {"id": "c1", "name": "f", "args": {"a": 1}}}],
            },
            {
                "role": "user",
                "parts": [{"function_response": {"id": "c1", "name": "f", "response": {"r": 1}}}],
            },
        ],
    }
    answer = {
        "content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "yo"}]},
        "finish_reason": "STOP",
        "usage_metadata": {
            "prompt_token_count": 100, "candidates_token_count": 20, "thoughts_token_count": 30,
            "cached_content_token_count": 40, "total_token_count": 150,
        },
    }  # fmt: skip
    span = adk(
        "call_llm",
        own={
            "llm_request": asked,
            "llm_response": answer,
            "session_id": "s1",
            "invocation_id": "i",
        },
        gen_ai__system="gcp.vertex.agent",
        gen_ai__request__model="gemini-3-flash",
        gen_ai__usage__input_tokens=100,
        gen_ai__usage__output_tokens=20,
    )
    assert (span.dialect, span.provider, span.is_call) == ("google_adk", "google", True)
    assert (span.session_id, span.finish_reason, span.scope_version) == ("s1", "stop", "2.13.0")
    assert span.usage == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_input_tokens=40,
        reasoning_output_tokens=30,
        stated_total_tokens=150,
    )
    assert [item["role"] for item in span.input] == ["system", "user", "assistant", "user"]
    assert span.input[2]["parts"][0]["arguments"] == {"a": 1}
    assert span.output[0]["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "yo"},
    ]
    assert (span.parameters["temperature"], len(span.tools)) == (0.1, 1)


def test_adk_tool_agent_and_withheld_content():
    tool = adk(
        "execute_tool f",
        own={"tool_call_args": {"a": 1}, "tool_response": {"r": 2}, "llm_request": "{}"},
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="f",
    )
    assert (tool.kind, tool.input, tool.output) == ("tool", {"a": 1}, {"r": 2})
    agent = adk("invoke_agent shop", gen_ai__operation__name="invoke_agent", gen_ai__agent__name="shop",
                gen_ai__conversation__id="s1", gen_ai__usage__input_tokens=5)  # fmt: skip
    assert (agent.kind, agent.agent, agent.session_id, agent.is_call) == (
        "agent",
        "shop",
        "s1",
        False,
    )
    bare = adk("call_llm", own={"llm_request": "{}", "llm_response": "<not serializable>"},
               gen_ai__request__model="gemini-3-flash", gen_ai__usage__input_tokens=5)  # fmt: skip
    assert (bare.input, bare.output, bare.is_call) == (None, None, True)


# --- which dialect reads a span


@pytest.mark.parametrize(
    ("attributes", "scope", "dialect"),
    [
        ({"gen_ai.anything": 1}, "x", "gen_ai"),
        ({"lk.whatever": 1}, "x", "livekit"),
        ({"gcp.vertex.agent.data": "{}"}, "x", "google_adk"),
        ({"gen_ai.request.model": "m"}, "opentelemetry.instrumentation.openai.v1", "traceloop"),
        ({"gen_ai.request.model": "m"}, "opentelemetry.util.genai.handler", "gen_ai"),
        ({"gen_ai.request.model": "m", "openinference.span.kind": "LLM"}, "x", "openinference"),
        ({"gen_ai.request.model": "m", "ai.operationId": "ai.toolCall"}, "ai", "vercel_ai"),
        ({"gen_ai.request.model": "m", "logfire.msg": "m"}, "pydantic-ai", "logfire"),
        ({"langfuse.observation.type": "span", "logfire.msg": "m"}, "x", "langfuse"),
        ({"http.request.method": "GET"}, "ai", "otel"),
        ({}, "livekit-agents", "livekit"),
        ({}, "", "otel"),
    ],
)
def test_the_first_in_rank_reads_a_span(attributes: dict[str, Any], scope: str, dialect: str):
    assert one(attributes, scope=scope).dialect == dialect
