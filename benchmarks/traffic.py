"""Spans as real exporters send them: an agent's turn with model calls and tools, GenAI attributes, 1–2 KB of text."""

import json
import random
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

WORDS = """
refund order invoice customer account delivery policy agent answer question payment card change address subscription
cancel renew the a of and with when please could you my is not was charged twice
""".split()  # noqa: SIM905 - easier to read than forty quoted words
MODELS = (
    ("openai", "gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("acme", "acme-llama-70b", "acme-llama-70b"),  # no price: must stay unpriced
)
TRACE_SPANS = 11  # one agent, six model calls, four tools


def text(chance: random.Random, size: int) -> str:
    """About `size` characters of words."""
    words = chance.choices(WORDS, k=size // 6)
    return " ".join(words)


def attribute(key: str, value: str | int | bool | float | list[str]) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    if isinstance(value, list):
        any_value = AnyValue()
        any_value.array_value.values.extend(AnyValue(string_value=item) for item in value)
        return KeyValue(key=key, value=any_value)
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _messages(role: str, content: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": content}]}])


def _attributes(span: Span, values: dict[str, str | int | bool | float | list[str]]) -> None:
    span.attributes.extend(attribute(key, value) for key, value in values.items())


def _model_call(chance: random.Random, span: Span) -> None:
    provider, asked, answered = chance.choice(MODELS)
    span.name, span.kind = f"chat {asked}", Span.SPAN_KIND_CLIENT
    _attributes(
        span,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": asked,
            "gen_ai.response.model": answered,
            "gen_ai.response.id": f"resp_{chance.getrandbits(64):016x}",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.usage.input_tokens": chance.randrange(300, 4000),
            "gen_ai.usage.output_tokens": chance.randrange(20, 600),
            "server.address": f"api.{provider}.com",
            "server.port": 443,
            "user.id": f"user-{chance.randrange(200)}",
            "gen_ai.conversation.id": f"session-{chance.randrange(500)}",
            "gen_ai.input.messages": _messages("user", text(chance, chance.randrange(1000, 2000))),
            "gen_ai.output.messages": _messages(
                "assistant", text(chance, chance.randrange(1000, 2000))
            ),
        },
    )


def _tool_call(chance: random.Random, span: Span) -> None:
    name = chance.choice(("lookup_order", "search_docs", "refund_payment"))
    span.name, span.kind = f"execute_tool {name}", Span.SPAN_KIND_INTERNAL
    _attributes(
        span,
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": f"call_{chance.getrandbits(48):012x}",
            "gen_ai.tool.call.arguments": json.dumps({"order": chance.randrange(10**6)}),
            "gen_ai.tool.call.result": json.dumps({"text": text(chance, 300)}),
        },
    )
    if chance.random() < 0.05:
        span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "upstream timed out"
        _attributes(span, {"error.type": "TimeoutError"})


def trace_spans(chance: random.Random, now_ns: int) -> list[Span]:
    """One agent turn, children first, as a batch exporter receives them."""
    trace_id = chance.randbytes(16)
    root = Span(trace_id=trace_id, span_id=chance.randbytes(8), name="invoke_agent support")
    start = now_ns - chance.randrange(10, 60) * 10**9
    root.kind, root.start_time_unix_nano = Span.SPAN_KIND_INTERNAL, start
    spans = []
    at = start + 10**6
    for place in range(TRACE_SPANS - 1):
        span = Span(trace_id=trace_id, span_id=chance.randbytes(8), parent_span_id=root.span_id)
        (_tool_call if place % 5 in (1, 3) else _model_call)(chance, span)
        span.start_time_unix_nano = at
        at += chance.randrange(50, 900) * 10**6
        span.end_time_unix_nano = at
        spans.append(span)
    root.end_time_unix_nano = at + 10**6
    _attributes(
        root, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support-agent"}
    )
    return [*spans, root]


def requests(count: int, *, spans: int = 100, seed: int = 1) -> Iterator[tuple[bytes, list[Span]]]:
    """`count` encoded export requests of `spans` spans each; traces run over the borders, as with a real exporter."""
    chance = random.Random(seed)
    pending: list[Span] = []
    for _ in range(count):
        while len(pending) < spans:
            pending += trace_spans(chance, time.time_ns())
        batch, pending = pending[:spans], pending[spans:]
        yield export_request(batch), batch


def export_request(spans: list[Span]) -> bytes:
    """The wire form with the resource and scope of the OpenTelemetry Python SDK."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(
        attribute(key, value)
        for key, value in {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
            "service.name": "support-bot",
            "service.version": "1.4.0",
            "deployment.environment.name": "production",
        }.items()
    )
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "opentelemetry.util.genai.handler", "1.0b0"
    scope.spans.extend(spans)
    return request.SerializeToString()
