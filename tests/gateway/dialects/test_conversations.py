"""Whole conversations with tools: official clients, our translation, the simulated provider of the other wire."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from gateway.dialects.collect import Collector
from gateway.dialects.facts import facts_of
from gateway.dialects.sse import Events
from gateway.dialects.translate import translator
from gateway.structs import Dialect
from tests.fakes.simulator import running_simulator
from tests.gateway.dialects.wires import PATHS, Wire

SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
ASK = "Where is my order A-17? Please look up the order."
_BACK = {dialect: path for path, dialect in PATHS.items()}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_simulator() as found:
        yield found


class Live(Wire):
    """A wire to a provider that runs."""

    def __init__(self, provider: Dialect, model: str, address: str) -> None:
        super().__init__(provider, b"")
        self.model = model
        self._address = address
        self.collected: list[Collector] = []

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        client = PATHS[request.url.path]
        facts = facts_of(client, request.content)
        made = translator(client, self.provider, wants_usage=facts.wants_usage)
        body = made.request(facts.document, model=self.model)
        headers = {"x-api-key": "k", "authorization": "Bearer k"}
        url = self._address + _BACK[self.provider]
        answer = httpx2.post(url, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        collector = Collector(self.provider)
        self.collected.append(collector)
        if not facts.is_stream:
            collector.whole(answer.content)
            return httpx2.Response(
                200,
                content=made.answer(answer.content),
                headers={"content-type": "application/json"},
            )
        given = b""
        for event in Events().feed(answer.content):
            collector.event(event)
            given += made.event(event)
        return httpx2.Response(
            200, content=given + made.end(), headers={"content-type": "text/event-stream"}
        )


def test_anthropic_client_on_openai(address: str) -> None:
    wire = Live(Dialect.CHAT, "gpt-5.5", address)
    client: Any = wire.anthropic()
    tools: Any = [{"name": "look_up_order", "description": "Order.", "input_schema": SCHEMA}]
    turns: list[Any] = [{"role": "user", "content": ASK}]
    asked: dict[str, Any] = {"model": "m", "max_tokens": 500, "tools": tools}
    with client.messages.stream(messages=turns, **asked) as stream:
        first = stream.get_final_message()
    (call,) = first.content
    assert (first.stop_reason, call.type) == ("tool_use", "tool_use")
    assert isinstance(call.input, dict)
    assert call.input["order"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "On its way."}
    turns += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(messages=turns, **asked)
    assert (second.stop_reason, second.content[0].type) == ("end_turn", "text")
    _usage_is_the_same(wire, first.usage, second.usage)


def _usage_is_the_same(wire: Live, *stated: Any) -> None:
    """What the client reads and what we record are one."""
    for collector, usage in zip(wire.collected, stated, strict=True):
        recorded = collector.usage
        assert recorded is not None
        assert recorded.output_tokens == usage.output_tokens
        read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
        assert recorded.input_tokens == usage.input_tokens + read + written


def test_openai_client_on_anthropic(address: str) -> None:
    wire = Live(Dialect.MESSAGES, "claude-sonnet-4-6", address)
    chat: Any = wire.openai().chat.completions
    function = {"name": "look_up_order", "description": "Order.", "parameters": SCHEMA}
    asked: dict[str, Any] = {"model": "m", "tools": [{"type": "function", "function": function}]}
    turns: list[Any] = [{"role": "user", "content": ASK}]
    with chat.stream(
        messages=turns, reasoning_effort="low", stream_options={"include_usage": True}, **asked
    ) as stream:
        for _ in stream:
            pass
        first = stream.get_final_completion()
    said = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert said.tool_calls
    kept = said.model_dump(exclude_none=True)
    assert kept["thinking_blocks"][0]["signature"]
    kept.pop("parsed", None)
    for call in kept["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    answered = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "On its way."}
    second = chat.create(messages=[*turns, kept, answered], reasoning_effort="low", **asked)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content
    for collector, answer in zip(wire.collected, (first, second), strict=True):
        recorded = collector.usage
        assert recorded is not None
        assert answer.usage is not None
        assert recorded.output_tokens == answer.usage.completion_tokens
        assert recorded.input_tokens == answer.usage.prompt_tokens


@pytest.mark.parametrize(
    ("provider", "model"), [(Dialect.CHAT, "acme-llama-70b"), (Dialect.MESSAGES, "claude-opus-5-5")]
)
def test_responses_client_elsewhere(address: str, provider: Dialect, model: str) -> None:
    responses: Any = Live(provider, model, address).openai().responses
    tool: Any = {
        "type": "function",
        "name": "look_up_order",
        "description": "Order.",
        "parameters": SCHEMA,
        "strict": False,
    }
    turns: list[Any] = [{"role": "user", "content": ASK}]
    with responses.stream(model="m", input=turns, tools=[tool]) as stream:
        for _ in stream:
            pass
        first = stream.get_final_response()
    call = first.output[-1]
    assert call.type == "function_call"
    turns += [item.model_dump(exclude_none=True) for item in first.output]
    turns += [{"type": "function_call_output", "call_id": call.call_id, "output": "On its way."}]
    second = responses.create(model="m", input=turns, tools=[tool])
    assert second.output_text
    assert second.status == "completed"
