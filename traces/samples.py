"""A small real agent run for "send a test trace": it goes through the same writer as any program's spans."""

import datetime as dt
from typing import Any

from core import crypto
from core.ids import uuid7
from costs.usage import Usage
from projects.models import Project
from traces.ingest.capture import capture_of
from traces.ingest.span import NormalSpan
from traces.ingest.write import IngestContext, write_spans

Json = dict[str, Any]
PROVIDER, MODEL = "openai", "gpt-4o-mini"
QUESTION = "What is the weather in Lisbon, and do I need an umbrella?"
ANSWER = "It is 18 °C in Lisbon with light rain until the evening, so take an umbrella."
_CALL: Json = {
    "type": "tool_call",
    "id": "call_weather_1",
    "name": "get_weather",
    "arguments": {"city": "Lisbon"},
}
_WEATHER: Json = {"city": "Lisbon", "celsius": 18, "condition": "light rain", "until": "evening"}
_TOOLS: list[Json] = [
    {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]


def send_test_trace(*, project: Project, user_label: str, now: dt.datetime) -> str:
    """Store an agent run (agent → model, tool, model) that just ended; returns its trace id.

    Raises OperationalError when PostgreSQL is away; nothing is stored then.
    """
    trace_id = uuid7().hex
    start = now - dt.timedelta(milliseconds=2_950)
    spans = _spans(trace_id, start, user_label)
    cipher = crypto.data_cipher(project.organization.data_key)
    capture = capture_of(project.content_capture, project.masking)
    context = IngestContext(project_id=project.pk, cipher=cipher, capture=capture)
    write_spans(context, spans, now=now)
    return trace_id


def _spans(trace_id: str, start: dt.datetime, user_label: str) -> list[NormalSpan]:
    def at(milliseconds: int) -> dt.datetime:
        return start + dt.timedelta(milliseconds=milliseconds)

    root = f"{trace_id[:8]}-agent"
    said: list[Json] = [
        {"role": "system", "content": "You answer questions about the weather in one sentence."},
        {"role": "user", "content": QUESTION},
    ]
    asked: Json = {"role": "assistant", "parts": [_CALL]}
    told: Json = {"role": "tool", "tool_call_id": "call_weather_1", "name": "get_weather", "parts": [
        {"type": "tool_call_response", "id": "call_weather_1", "response": _WEATHER}
    ]}  # fmt: skip
    agent = NormalSpan(
        trace_id=trace_id, span_id=root, name="weather-agent", kind="agent", trace_name="weather-agent",
        agent="weather-agent", started_at=start, ended_at=at(2_900), input=QUESTION, output=ANSWER,
        environment="test", user_id=user_label[:200], tags=("llmlab-test",), operation="invoke_agent",
        dialect="llmlab", metadata={"sent_from": "LLMLab: send a test trace"},
    )  # fmt: skip
    plan = _call(
        trace_id, f"{trace_id[:8]}-plan", root, "plan", at(40), at(1_240),
        usage=Usage(input_tokens=214, output_tokens=21), said=said, answer=[asked], finish="tool_calls",
    )  # fmt: skip
    tool = NormalSpan(
        trace_id=trace_id, span_id=f"{trace_id[:8]}-tool", parent_span_id=root, name="get_weather", kind="tool",
        started_at=at(1_260), ended_at=at(1_680), input=_CALL["arguments"], output=_WEATHER,
        operation="execute_tool", environment="test", agent="weather-agent", dialect="llmlab",
    )  # fmt: skip
    answer = _call(
        trace_id, f"{trace_id[:8]}-answer", root, "answer", at(1_700), at(2_880),
        usage=Usage(input_tokens=268, output_tokens=27, cache_read_input_tokens=128), said=[*said, asked, told],
        answer=[{"role": "assistant", "content": ANSWER}], finish="stop",
    )  # fmt: skip
    return [agent, plan, tool, answer]


def _call(
    trace_id: str,
    span_id: str,
    parent: str,
    name: str,
    started_at: dt.datetime,
    ended_at: dt.datetime,
    *,
    usage: Usage,
    said: list[Json],
    answer: list[Json],
    finish: str,
) -> NormalSpan:
    return NormalSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        kind="llm",
        started_at=started_at,
        ended_at=ended_at,
        first_token_ms=310.0,
        provider=PROVIDER,
        request_model=MODEL,
        response_model=MODEL,
        operation="chat",
        usage=usage,
        is_call=True,
        finish_reason=finish,
        environment="test",
        agent="weather-agent",
        input=said,
        output=answer,
        tools=_TOOLS,
        parameters={"temperature": 0.2, "max_tokens": 200},
        attributes={"gen_ai.provider.name": PROVIDER, "gen_ai.request.model": MODEL},
        dialect="llmlab",
    )
