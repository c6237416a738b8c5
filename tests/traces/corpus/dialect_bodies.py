"""Malformed variants of every dialect: a good span of each, and in turn each of its keys with each poison."""

import json
from datetime import datetime
from typing import Any

from tests.traces.corpus.case import Case, raw_json
from tests.traces.corpus.otlp_json import OTHER, request, span

_DEEP = "[" * 5_000 + "]" * 5_000
POISON: tuple[Any, ...] = (
    None, True, -1, 2**62, 1.5, 1e308, float("nan"), float("inf"), "", "null", "NaN", "-5", "9" * 400,
    '{"a":', '{"a":1}}', '"unfinished', _DEEP, '{"a":' * 3_000, '[{"role":5,"content":{"a":[null]}}]',
    '{"messages":"x","usage":[1],"choices":[5,{"message":7}],"content":[{"type":[]}]}',
    '{"input_tokens":-5,"output_tokens":1e400,"total":"many","input":{"a":1}}', '"\\ud800\\u0000"', "a\x00b\u2028",
    [], {}, [None, [[]], {"a": {}}], {"role": 1, "parts": "x", "items": [3]}, "0" * 16, "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+14:00", "x" * 3_000,
)  # fmt: skip
Example = tuple[str, dict[str, Any]]


def examples() -> dict[str, Example]:
    """A span of every dialect with most of its keys: scope and attributes."""
    said = json.dumps([{"role": "user", "content": [{"type": "text", "text": "hi"}]}])
    gen_ai = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.input.messages": said,
    }  # fmt: skip
    asked = {"config": {"system_instruction": {"parts": [{}]}}, "contents": [{"parts": [{}]}]}
    told = {"content": {"parts": [{"text": "x"}]}, "usage_metadata": {"prompt_token_count": 5}}
    usage = json.dumps({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15})
    return {
        "traceloop": ("opentelemetry.instrumentation.openai.v1", gen_ai | {
            "llm.request.type": "chat", "traceloop.span.kind": "workflow", "traceloop.entity.input": "{}",
            "traceloop.entity.output": '"x"', "traceloop.association.properties.user_id": "u",
            "traceloop.prompt.key": "k", "traceloop.workflow.name": "w", "gen_ai.openai.api_base": "https://h/v1",
            "llm.request.functions.0.parameters": "{}", "gen_ai.prompt.0.content": "hi",
        }),
        "vercel": ("ai", {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m", "ai.model.provider": "openai.chat",
            "ai.usage.inputTokens": 10, "ai.usage.outputTokens": 5, "ai.prompt.messages": said, "ai.prompt": "{}",
            "ai.response.providerMetadata": '{"openai":{"cachedPromptTokens":5}}', "ai.response.text": "x",
            "ai.response.toolCalls": '[{"toolName":"f","input":"{}"}]', "ai.response.msToFirstChunk": 5.0,
            "ai.prompt.tools": ["{}"], "ai.telemetry.metadata.tags": ["a"], "ai.telemetry.metadata.userId": "u",
            "ai.toolCall.args": "{}", "ai.values": ['"x"'], "ai.settings.maxRetries": 2, "ai.response.object": "{}",
        }),
        "logfire": ("pydantic-ai", gen_ai | {
            "logfire.span_type": "pending_span", "logfire.pending_parent_id": "000000000000000a",
            "logfire.msg": "m", "logfire.tags": '["a"]', "logfire.level_num": 17, "gen_ai.usage.raw": usage,
            "all_messages_events": '[{"event.name":"gen_ai.choice","message":{}}]', "request_data": "{}",
            "response_data": '{"message":{}}', "final_result": "x", "model_request_parameters": "{}",
            "gen_ai.response.finish_reasons": '["stop"]', "duration": 1.5, "pydantic_ai.all_messages": "[]",
        }),
        "logfire-log": ("logfire.openai", gen_ai | {"logfire.span_type": "log", "duration": 1.5}),
        "mlflow": ("mlflow.tracing.provider", {
            "mlflow.spanType": '"CHAT_MODEL"', "mlflow.traceRequestId": '"tr-1"', "mlflow.llm.model": '"m"',
            "mlflow.spanInputs": json.dumps({"model": "m", "messages": json.loads(said)}),
            "mlflow.spanOutputs": '{"id":"x","choices":[{"message":{"role":"assistant","content":"y"}}]}',
            "mlflow.chat.tokenUsage": usage, "mlflow.llm.cost": '{"total_cost":0.5}', "mlflow.chat.tools": "[]",
            "mlflow.linkedPrompts": '[{"name":"p","version":"1"}]', "mlflow.traceTag.a": "b", "user.id": '"u"',
            "mlflow.message.format": '"openai"', "mlflow.llm.provider": '"openai"',
        }),
        "langfuse": ("langfuse-sdk", {
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": "m",
            "langfuse.observation.input": said, "langfuse.observation.output": '{"role":"assistant","content":"x"}',
            "langfuse.observation.usage_details": '{"input":10,"output":5,"total":15}',
            "langfuse.observation.cost_details": '{"input":0.1,"output":0.2}',
            "langfuse.observation.completion_start_time": '"2026-11-18T11:06:40.250Z"',
            "langfuse.observation.model.parameters": "{}", "langfuse.observation.level": "ERROR",
            "langfuse.observation.status_message": "Error code: 404 - x", "langfuse.observation.prompt.name": "p",
            "langfuse.observation.prompt.version": 3, "langfuse.observation.metadata": "{}",
            "langfuse.observation.metadata.k": '"v"', "langfuse.trace.tags": ["a"], "langfuse.trace.name": "t",
            "langfuse.environment": "e", "langfuse.trace.input": "{}", "user.id": "u", "session.id": "s",
        }),
        "openlit": ("openlit.otel.tracing", gen_ai | {
            "gen_ai.environment": "e", "gen_ai.application_name": "a", "gen_ai.usage.cost": 0.5,
            "gen_ai.tool.args": "{}", "gen_ai.workflow.output": "x", "gen_ai.server.time_to_first_token": 0.5,
        }),
        "livekit": ("livekit-agents", gen_ai | {
            "lk.llm_metrics": '{"ttft":0.3,"prompt_tokens":5}', "lk.pii.chat_ctx": '{"items":[{"role":"user"}]}',
            "lk.response.ttft": 0.2, "lk.pii.response.text": "x", "lk.agent_label": "a", "lk.pii.room_name": "r",
            "lk.function_tool.is_error": True, "lk.pii.function_tool.arguments": "{}",
        }),
        "google_adk": ("gcp.vertex.agent", {
            "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-3-flash",
            "gcp.vertex.agent.llm_request": json.dumps(asked),
            "gcp.vertex.agent.llm_response": json.dumps(told),
            "gcp.vertex.agent.session_id": "s", "gcp.vertex.agent.tool_call_args": "{}",
            "gcp.vertex.agent.tool_response": "{}", "gcp.vertex.agent.data": "{}", "gen_ai.usage.input_tokens": 5,
        }),
        "gen_ai": ("opentelemetry.util.genai.handler", gen_ai | {
            "gen_ai.output.messages": said, "gen_ai.response.finish_reasons": ["stop"], "gen_ai.tool.definitions": "[]",
            "gen_ai.system_instructions": "[]", "gen_ai.tool.call.arguments": "{}", "error.type": "x",
        }),
        "openinference": ("openinference.instrumentation.openai", {
            "openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 5,
            "llm.input_messages.0.message.contents.0.message_content.text": "x", "metadata": "{}",
            "llm.invocation_parameters": "{}", "output.value": '{"usage":{"cache_creation":{}}}', "tag.tags": ["a"],
            "llm.cost.total": 0.5, "session.id": "s", "llm.tools.0.tool.json_schema": "{}",
        }),
    }  # fmt: skip


def _any_value(value: Any) -> dict[str, Any] | None:
    """A value in OTLP's JSON, as a careless sender would write it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {
            "doubleValue": str(value) if value != value or abs(value) == float("inf") else value
        }
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    listed = [{"key": key, "value": _any_value(item)} for key, item in value.items()]
    return {"kvlistValue": {"values": listed}}


def _request(now: datetime, scope: str, attributes: dict[str, Any]) -> bytes:
    listed = [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]
    sent = request(
        span(now, attributes=listed, parentSpanId="eee19b7ec3c1b176"), span(now, spanId=OTHER)
    )
    sent["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": scope}
    return raw_json(sent)


def cases(now: datetime) -> list[Case]:
    """Every dialect's keys, each with poisons in turn; the span is kept, whatever of it could not be read."""
    found = []
    for name, (scope, good) in examples().items():
        for place, key in enumerate(good):
            # A third of the poisons for each key, another third for the next: the property test takes them all.
            for number in range(place % 3, len(POISON), 3):
                body = _request(now, scope, {**good, key: POISON[number]})
                found.append(
                    Case(name=f"dialect/{name}/{key}/{number}", door="otlp", body=body, statuses=(200,),
                         stored=2, rejected=0)
                )  # fmt: skip
    return found
