"""Stories as OTLP, the way an OpenTelemetry exporter would send them (GenAI vocabulary)."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from examples.demo.story import Step, Story

OPERATIONS = {
    "llm": "chat", "embedding": "embeddings", "tool": "execute_tool", "agent": "invoke_agent",
    "chain": "invoke_workflow", "retrieval": "retrieval",
}  # fmt: skip
COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_input_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}


def otlp_body(stories: Sequence[Story]) -> bytes:
    """One protobuf request with all spans of the stories, grouped by service."""
    request = ExportTraceServiceRequest()
    groups: dict[tuple[str, str, str], ResourceSpans] = {}
    for story in stories:
        facts = story.facts
        key = (facts["agent_name"], facts["environment"], facts.get("release", ""))
        group = groups.get(key)
        if group is None:
            group = groups[key] = request.resource_spans.add()
            named = ("service.name", "deployment.environment.name", "service.version")
            for name, value in zip(named, key, strict=True):
                group.resource.attributes.append(_pair(name, value))
            scope = group.scope_spans.add().scope
            scope.name, scope.version = "fernhill.agents", "1.4.0"
        group.scope_spans[0].spans.extend(_span(story, step) for step in story.steps)
    return request.SerializeToString()


def _span(story: Story, step: Step) -> Span:
    start = _nanoseconds(story.started_at + dt.timedelta(seconds=step.start))
    span = Span(
        trace_id=bytes.fromhex(story.trace_id),
        span_id=bytes.fromhex(step.id),
        parent_span_id=bytes.fromhex(step.parent_id),
        name=step.name,
        kind=Span.SPAN_KIND_CLIENT if step.kind == "llm" else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(step.seconds * 1e9),
    )
    if step.error:
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = step.error["message"]
    attributes = _attributes(step)
    if not step.parent_id:
        attributes |= _trace_attributes(story)
    span.attributes.extend(
        _pair(name, value) for name, value in attributes.items() if value is not None
    )
    return span


def _attributes(step: Step) -> dict[str, Any]:
    facts = step.facts
    found: dict[str, Any] = {"gen_ai.operation.name": OPERATIONS.get(step.kind)}
    if step.error:
        found["error.type"] = step.error["type"]
    if step.kind in ("llm", "embedding"):
        found["gen_ai.provider.name"] = facts["provider"]
        found["gen_ai.request.model"] = facts.get("request_model", facts["model"])
        if not step.error:
            found["gen_ai.response.model"] = facts["model"]
        found |= {name: facts[key] for key, name in COUNTS.items() if key in facts}
        if "finish_reason" in facts:
            found["gen_ai.response.finish_reasons"] = [facts["finish_reason"]]
        if "first_token_ms" in facts:
            found["gen_ai.response.time_to_first_chunk"] = facts["first_token_ms"] / 1000
        if step.kind == "llm":
            found["gen_ai.input.messages"] = _text(_messages(step.input or [], "user"))
            found["gen_ai.output.messages"] = step.output and _text(
                _messages([step.output], "assistant")
            )
        return found
    if step.kind == "tool":
        found["gen_ai.tool.name"] = step.name
        found["gen_ai.tool.call.arguments"] = _text(step.input)
        found["gen_ai.tool.call.result"] = step.output and _text(step.output)
        return found
    if step.kind in ("agent", "chain"):
        found["gen_ai.input.messages"] = step.input and _text(
            _messages([_text(step.input)], "user")
        )
        found["gen_ai.output.messages"] = step.output and _text(
            _messages([_text(step.output)], "assistant")
        )
        return found
    found["input.value"] = step.input and _text(step.input)
    found["output.value"] = step.output and _text(step.output)
    return found


def _trace_attributes(story: Story) -> dict[str, Any]:
    facts = story.facts
    return {
        "gen_ai.agent.name": facts["agent_name"],
        "user.id": facts.get("user"),
        "gen_ai.conversation.id": facts.get("session"),
        "llmlab.tags": facts.get("tags"),
        "llmlab.feature": facts.get("feature"),
        "llmlab.prompt.version": facts.get("prompt_version"),
    }


def _messages(values: list[Any], role: str) -> list[dict[str, Any]]:
    messages = []
    for value in values:
        item = (
            value
            if isinstance(value, dict) and "role" in value
            else {"role": role, "content": value}
        )
        parts: list[dict[str, Any]] = []
        if item.get("content"):
            parts.append({"type": "text", "content": item["content"]})
        for call in item.get("tool_calls", ()):
            parts.append({"type": "tool_call", "id": f"call_{len(parts)}", **call})
        messages.append({"role": item["role"], "parts": parts})
    return messages


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _nanoseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1_000


def _pair(name: str, value: Any) -> KeyValue:
    return KeyValue(key=name, value=_any(value))


def _any(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(string_value=str(value))
