"""What each vocabulary's spans mean: real exporters' bodies, old and new names, counting conventions, calls."""

from decimal import Decimal

import msgspec
import pytest

from costs.usage import Usage
from tests.traces.decoding import START_NS, key_values, one, otlp_request, otlp_span, real_spans
from tests.traces.decoding import decode_protobuf as decode

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5.5",
    "gen_ai.response.model": "gpt-5.5-2026-04-23",
}
OI_CHAT = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-5.5", "llm.system": "openai"}
ANTHROPIC_USAGE = Usage(
    input_tokens=3050,
    output_tokens=120,
    cache_read_input_tokens=2000,
    cache_write_input_tokens=1000,
    cache_write_5m_input_tokens=600,
    cache_write_1h_input_tokens=400,
    reasoning_output_tokens=20,
)


def event(name: str, offset_ms: int = 0, **attributes):
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span.Event(
        name=name, time_unix_nano=START_NS + offset_ms * 1_000_000, attributes=key_values(named)
    )


# --- real exporters (otel-genai §3): bodies recorded from the pinned packages against a mock provider


def test_native_anthropic_sdk_counts_every_class():
    answered, refused = real_spans("native-anthropic")
    assert (answered.dialect, answered.scope_name) == ("gen_ai", "com.anthropic.sdk.python")
    assert answered.usage == ANTHROPIC_USAGE
    assert (answered.provider, answered.response_model) == ("anthropic", "claude-opus-5-5")
    assert (answered.service_tier, answered.finish_reason) == ("standard", "end_turn")
    assert answered.is_call
    assert answered.input == [
        {"role": "system", "parts": [{"type": "text", "content": "sys"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
    ]
    assert (refused.status, refused.error_type) == ("error", "rate_limit_error")
    assert refused.is_call
    assert refused.is_rejected


def test_openinference_anthropic_equals_the_native_counts():
    answered, refused = real_spans("oi-anthropic")
    assert answered.usage == msgspec.structs.replace(
        ANTHROPIC_USAGE, web_searches=1, stated_total_tokens=3170
    )
    assert (answered.kind, answered.operation, answered.response_id) == ("llm", "chat", "msg_1")
    assert answered.output == [{"role": "assistant", "parts": [{"type": "text", "content": "ok"}]}]
    assert (refused.error_type, refused.is_rejected) == ("anthropic.RateLimitError", True)


def test_openai_v2_chat_refusal_and_embedding():
    chat, refused, embedding = real_spans("openai-v2")
    assert chat.usage == Usage(input_tokens=10000, output_tokens=1000)
    assert (chat.service_tier, chat.finish_reason, chat.response_id) == (
        "flex",
        "stop",
        "chatcmpl-1",
    )
    assert chat.output[0]["parts"][0]["arguments"] == {"a": 1}
    assert (refused.error_type, refused.is_rejected, refused.usage) == (
        "RateLimitError",
        True,
        None,
    )
    assert embedding.kind == "embedding"
    assert embedding.usage == Usage(input_tokens=8)


def test_openinference_openai_calls_and_the_model_lookup_that_is_none():
    chat, refused, embedding, response, lookup = real_spans("oi-openai")
    assert chat.usage == Usage(
        input_tokens=10000,
        output_tokens=1000,
        cache_read_input_tokens=6000,
        reasoning_output_tokens=400,
        stated_total_tokens=11000,
    )
    assert chat.service_tier == "flex"  # only the raw answer says which tier served it
    assert (chat.request_model, chat.response_model) == ("gpt-5.5", "gpt-5.5-2026-04-23")
    assert chat.output[0]["parts"] == [
        {"type": "text", "content": "ok"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
    ]
    assert chat.tools[0]["function"]["name"] == "f"
    assert (refused.request_model, refused.is_rejected) == ("bad", True)
    assert embedding.usage == Usage(input_tokens=8, stated_total_tokens=8)
    assert embedding.input == [{"role": "user", "content": "abc"}]
    assert not any("vector" in name for name in embedding.attributes)
    assert response.usage == Usage(
        input_tokens=2000,
        output_tokens=300,
        cache_read_input_tokens=1024,
        cache_write_input_tokens=512,
        reasoning_output_tokens=120,
        stated_total_tokens=2300,
    )
    assert (lookup.kind, lookup.is_call, lookup.usage) == ("llm", False, None)
    assert all(span.is_call for span in (chat, refused, embedding, response))


# --- rows of §3 whose packages are not installed: their attributes as measured there


def test_traceloop_openai_chat():
    span = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-5.5",
            "gen_ai.response.model": "gpt-5.5-2026-04-23",
            "gen_ai.usage.input_tokens": 10000,
            "gen_ai.usage.output_tokens": 1000,
            "gen_ai.usage.total_tokens": 11000,
            "gen_ai.usage.cache_read.input_tokens": 6000,
            "gen_ai.usage.reasoning_tokens": 400,
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "hi",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "ok",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "f",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"a":1}',
        },
        scope="opentelemetry.instrumentation.openai.v1",
    )
    assert span.usage == Usage(
        input_tokens=10000,
        output_tokens=1000,
        cache_read_input_tokens=6000,
        reasoning_output_tokens=400,
        stated_total_tokens=11000,
    )
    assert span.finish_reason == "tool_call"
    assert span.input == [{"role": "user", "content": "hi"}]
    assert span.output[0]["parts"][1] == {
        "type": "tool_call",
        "id": "c1",
        "name": "f",
        "arguments": {"a": 1},
    }
    assert not any(name.startswith("gen_ai.prompt") for name in span.attributes)


def test_older_traceloop_anthropic_counts_exclusively():
    span = one(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Anthropic",
            "gen_ai.request.model": "claude-opus-5-5",
            "gen_ai.usage.prompt_tokens": 50,
            "gen_ai.usage.completion_tokens": 120,
            "gen_ai.usage.cache_read_input_tokens": 2000,
            "gen_ai.usage.cache_creation_input_tokens": 1000,
        },
        scope="opentelemetry.instrumentation.anthropic",
    )
    assert span.usage == Usage(
        input_tokens=3050,
        output_tokens=120,
        cache_read_input_tokens=2000,
        cache_write_input_tokens=1000,
        convention="guessed",
    )
    assert span.is_call
    assert span.flags == ()


# --- names, old and new


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
    ],
)
def test_every_spelling_of_cache_writes(name: str):
    span = one(CHAT | {"gen_ai.usage.input_tokens": 100, name: 40})
    assert span.usage == Usage(input_tokens=100, cache_write_input_tokens=40)


def test_current_name_wins_over_the_deprecated_one():
    span = one(CHAT | {"gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.input_tokens": 2})
    assert span.usage.input_tokens == 2


@pytest.mark.parametrize(
    ("sent", "provider"),
    [
        ("az.ai.openai", "azure"),
        ("azure.ai.inference", "azure"),
        ("aws.bedrock", "aws"),
        ("gcp.vertex_ai", "google"),
        ("gemini", "google"),
        ("mistral_ai", "mistral"),
        ("xai", "x-ai"),
        ("x_ai", "x-ai"),
        ("moonshot_ai", "moonshotai"),
        ("groq", "groq"),
        ("deepseek", "deepseek"),
        ("Anthropic", "anthropic"),
        ("Langchain", ""),
        ("my-own-server", "my-own-server"),
    ],
)
def test_provider_names_become_one_id(sent: str, provider: str):
    assert one(CHAT | {"gen_ai.provider.name": sent}).provider == provider


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("acme.openai.azure.com", "azure"),
        ("api.groq.com", "groq"),
        ("api.openai.com", "openai"),
        ("127.0.0.1", "openai"),
    ],
)
def test_host_corrects_an_openai_client_that_points_elsewhere(host: str, provider: str):
    assert one(CHAT | {"server.address": host}).provider == provider


def test_provider_from_the_scope_only_when_certain():
    nameless = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-opus-5-5"}
    assert one(nameless, scope="com.anthropic.sdk.python").provider == "anthropic"
    assert one(nameless, scope="something.else").provider == ""


@pytest.mark.parametrize(
    ("operation", "kind", "is_call"),
    [
        ("chat", "llm", True),
        ("text_completion", "llm", True),
        ("generate_content", "llm", True),
        ("embeddings", "embedding", True),
        ("invoke_agent", "agent", False),
        ("create_agent", "agent", False),
        ("invoke_workflow", "chain", False),
        ("execute_tool", "tool", False),
        ("retrieval", "retrieval", False),
    ],
)
def test_only_calls_are_calls_even_with_tokens(operation: str, kind: str, is_call: bool):
    span = one(CHAT | {"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 5})
    assert (span.kind, span.is_call) == (kind, is_call)


def test_unnamed_operation_with_tokens_and_model_is_a_chat():
    span = one({"gen_ai.request.model": "gpt-5.5", "gen_ai.usage.output_tokens": 5})
    assert (span.operation, span.is_call) == ("chat", True)


def test_unnamed_operation_of_an_agent_is_no_call():
    span = one(
        {
            "gen_ai.agent.name": "bot",
            "gen_ai.request.model": "gpt-5.5",
            "gen_ai.usage.output_tokens": 5,
        }
    )
    assert (span.kind, span.agent, span.is_call) == ("agent", "bot", False)


def test_streaming_chat_without_counts_is_a_call_without_usage():
    span = one(CHAT)
    assert (span.is_call, span.usage) == (True, None)


# --- conventions and conservation


def test_cached_above_input_is_corrupt_for_an_inclusive_provider():
    span = one(CHAT | {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 11})
    assert span.usage.input_tokens == 10
    assert span.flags == ("token_subset_exceeds_whole",)


def test_stated_total_proves_the_exclusive_convention():
    span = one(
        CHAT
        | {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.input_tokens": 50,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.cache_read.input_tokens": 2000,
            "gen_ai.usage.total_tokens": 2170,
        }
    )
    assert (span.usage.input_tokens, span.usage.convention, span.flags) == (2050, "exclusive", ())


def test_total_that_does_not_add_up_is_flagged():
    counts = {"input": 10, "output": 5, "total": 99}
    span = one(CHAT | {f"gen_ai.usage.{name}_tokens": count for name, count in counts.items()})
    assert span.flags == ("tokens_do_not_add_up",)
    assert (span.usage.input_tokens, span.usage.stated_total_tokens) == (10, 99)


def test_reasoning_beside_the_output_is_added_when_the_total_proves_it():
    span = one(
        CHAT
        | {
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.reasoning_tokens": 30,
            "gen_ai.usage.total_tokens": 150,
        }
    )
    assert (span.usage.output_tokens, span.usage.reasoning_output_tokens) == (50, 30)
    assert span.flags == ()


@pytest.mark.parametrize(
    ("value", "tokens", "flags"),
    [
        ("12", 12, ()),
        (12.0, 12, ()),
        (-5, None, ("bad_token_count",)),
        (1e308, None, ("bad_token_count",)),
        (float("nan"), None, ("bad_token_count",)),
        ("many", None, ("bad_token_count",)),
        (True, None, ("bad_token_count",)),
        (0.5, None, ("bad_token_count",)),
        (2**63 - 1, None, ("bad_token_count",)),
    ],
)
def test_token_counts_of_every_type(value, tokens, flags):
    span = one(CHAT | {"gen_ai.usage.input_tokens": value})
    assert (span.usage.input_tokens if span.usage else None) == tokens
    assert span.flags == flags
    assert span.is_call


# --- errors


@pytest.mark.parametrize(
    ("attributes", "is_rejected"),
    [
        ({"error.type": "429"}, True),
        ({"error.type": "openai.BadRequestError"}, True),
        ({"error.type": "AuthenticationError"}, True),
        ({"error.type": "not_found_error"}, True),
        ({"error.type": "UnprocessableEntityError"}, True),
        ({"error.type": "InternalServerError"}, False),
        ({"error.type": "APITimeoutError"}, False),
        ({"error.type": "500"}, False),
        ({"http.response.status_code": 403}, True),
        ({"http.response.status_code": 529, "error.type": "rate_limit"}, False),
        ({"error.type": "RateLimitError", "gen_ai.usage.input_tokens": 5}, False),
    ],
)
def test_a_provider_refusal_costs_nothing(attributes, is_rejected):
    span = one(CHAT | attributes, status={"code": 2})
    assert (span.status, span.is_call, span.is_rejected) == ("error", True, is_rejected)


def test_error_comes_from_the_exception_event():
    raised = event("exception", exception__type="ValueError", exception__message="boom")
    span = one({}, events=[raised], status={"code": 2, "message": "less exact"})
    assert (span.status, span.error_type, span.error_message) == ("error", "ValueError", "boom")


# --- content


def test_message_events_become_messages_and_are_not_shown_twice():
    events = [
        event("gen_ai.system.message", content="be brief"),
        event("gen_ai.user.message", content="hi"),
        event("gen_ai.choice", finish_reason="stop", message='{"role":"assistant","content":"ok"}'),
        event("custom", 250, detail="kept"),
    ]
    span = one(CHAT, events=events)
    assert span.input == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]
    assert span.output == [{"role": "assistant", "content": "ok", "finish_reason": "stop"}]
    assert span.finish_reason == "stop"
    assert span.events == [{"name": "custom", "offset_ms": 250.0, "attributes": {"detail": "kept"}}]


def test_operation_details_event_carries_the_messages():
    said = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    span = one(
        CHAT,
        events=[event("gen_ai.client.inference.operation.details", gen_ai__input__messages=said)],
    )
    assert span.input == said
    assert span.events == []


def test_tool_step_carries_arguments_and_result():
    span = one(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.arguments": '{"q":"x"}',
            "gen_ai.tool.call.result": "found",
        }
    )
    assert (span.kind, span.input, span.output) == ("tool", {"q": "x"}, "found")


def test_openinference_retrieval_documents_cost_and_context():
    span = one(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "query",
            "retrieval.documents.0.document.id": "d1",
            "retrieval.documents.0.document.content": "text",
            "retrieval.documents.0.document.score": 0.5,
            "retrieval.documents.0.document.metadata": '{"page": 3}',
            "session.id": "s",
            "user.id": "u",
            "tag.tags": ["a", "b", "a"],
            "metadata": '{"k": 1}',
            "agent.name": "bot",
        }
    )
    assert (span.kind, span.is_call, span.input) == ("retrieval", False, "query")
    assert span.output == [{"id": "d1", "content": "text", "score": 0.5, "metadata": {"page": 3}}]
    assert (span.session_id, span.user_id, span.tags) == ("s", "u", ("a", "b"))
    assert (span.metadata, span.agent) == ({"k": 1}, "bot")


@pytest.mark.parametrize(
    ("cost", "expected", "flags"),
    [
        (0.1, Decimal("0.100000000000"), ()),
        ("0.0000012", Decimal("0.000001200000"), ()),
        (-1.0, None, ("bad_client_cost",)),
        (float("nan"), None, ("bad_client_cost",)),
        (float("inf"), None, ("bad_client_cost",)),
        ("much", None, ("bad_client_cost",)),
    ],
)
def test_client_cost_is_exact_or_flagged(cost, expected, flags):
    span = one(OI_CHAT | {"llm.token_count.prompt": 5, "llm.cost.total": cost})
    assert (span.client_cost_usd, span.flags) == (expected, flags)


@pytest.mark.parametrize("kind", ["CHAIN", "AGENT", "TOOL", "GUARDRAIL", "EVALUATOR", "RERANKER"])
def test_openinference_wrappers_are_never_calls(kind: str):
    span = one(OI_CHAT | {"openinference.span.kind": kind, "llm.token_count.prompt": 5})
    assert span.is_call is False


def test_multimodal_message_parts():
    base = "llm.input_messages.0.message.contents"
    span = one(
        OI_CHAT
        | {
            "llm.input_messages.0.message.role": "user",
            f"{base}.0.message_content.type": "text",
            f"{base}.0.message_content.text": "what is this",
            f"{base}.1.message_content.type": "image",
            f"{base}.1.message_content.image.image.url": "https://x.test/a.png",
        }
    )
    assert span.input == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "what is this"},
                {"type": "image", "uri": "https://x.test/a.png"},
            ],
        }
    ]


def test_resource_gives_environment_release_and_agent():
    request = otlp_request(
        otlp_span(CHAT),
        resource={
            "service.name": "shop-bot",
            "service.version": "1.2",
            "deployment.environment.name": "prod",
        },
    )
    span = decode(request.SerializeToString()).spans[0]
    assert (span.agent, span.release, span.environment) == ("shop-bot", "1.2", "prod")


def test_span_of_another_vocabulary_is_kept_as_a_plain_step():
    span = one({"http.request.method": "GET", "http.response.status_code": 200})
    assert (span.dialect, span.kind, span.is_call) == ("otel", "span", False)
    assert span.attributes == {"http.request.method": "GET", "http.response.status_code": 200}


def test_first_token_and_parameters():
    span = one(
        CHAT | {"gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.request.temperature": 0.2}
    )
    assert (span.first_token_ms, span.parameters) == (250.0, {"temperature": 0.2})
