"""The official openai package reads every answer and stream we make of Anthropic's, strictly."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from gateway.structs import Dialect
from tests.gateway.dialects.wires import Wire, message, message_stream

HI: list[Any] = [{"role": "user", "content": "Hi"}]
TEXT = {"type": "text", "text": "Hello you"}
THINKING = {"type": "thinking", "thinking": "hm hm", "signature": "sig"}
CALLS = [
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Zürich"}},
    {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("f", "g")
]


def whole(content: list[dict[str, Any]], stop: str = "end_turn", **rest: Any) -> ChatCompletion:
    wire = Wire(Dialect.MESSAGES, message(content, stop, **rest))
    return wire.openai().chat.completions.create(model="m", messages=HI, tools=TOOLS)


def streamed(
    content: list[dict[str, Any]], stop: str = "end_turn", *, step: int = 0, **asked: Any
) -> ChatCompletion:
    """Put together by the package's own accumulator."""
    wire = Wire(Dialect.MESSAGES, message_stream(content, stop))
    wire.step = step
    asked = {"tools": TOOLS, "stream_options": {"include_usage": True}, **asked}
    chat = wire.openai().chat.completions
    with chat.stream(model="m", messages=HI, **asked) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


@pytest.mark.parametrize("answer", [whole, streamed])
def test_text(answer: Any) -> None:
    found = answer([TEXT])
    (choice,) = found.choices
    assert (choice.message.content, choice.finish_reason) == ("Hello you", "stop")
    assert (found.id, found.model, found.service_tier) == ("msg_1", "claude-x", "default")
    usage = found.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 40, 140)
    assert usage.prompt_tokens_details.cached_tokens == 60
    assert usage.prompt_tokens_details.cache_write_tokens == 10
    assert usage.completion_tokens_details.reasoning_tokens == 15


@pytest.mark.parametrize("answer", [whole, streamed])
def test_parallel_tool_calls(answer: Any) -> None:
    (choice,) = answer([TEXT, *CALLS], "tool_use").choices
    assert (choice.message.content, choice.finish_reason) == ("Hello you", "tool_calls")
    calls = [
        (call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls
    ]
    assert calls == [("toolu_1", "f", '{"city":"Zürich"}'), ("toolu_2", "g", "{}")]


@pytest.mark.parametrize("answer", [whole, streamed])
def test_thinking_travels_so_that_it_can_come_back(answer: Any) -> None:
    (choice,) = answer([THINKING, TEXT]).choices
    said = choice.message.model_dump()
    assert said["content"] == "Hello you"
    assert said["reasoning_content"] == "hm hm"
    assert said["thinking_blocks"] == [THINKING]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("some_future_reason", "stop"),
    ],
)
def test_stop_reasons(stop: str, finish: str) -> None:
    assert whole([TEXT], stop).choices[0].finish_reason == finish
    client = Wire(Dialect.MESSAGES, message_stream([TEXT], stop)).openai()
    chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert chunks[-1].choices[0].finish_reason == finish


def test_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    (choice,) = whole([], "refusal", stop_details=details).choices
    assert (choice.message.content, choice.message.refusal) == ("", "No.")
    wire = Wire(Dialect.MESSAGES, message_stream([], "refusal", stop_details=details))
    stream = wire.openai().chat.completions.create(model="m", messages=HI, stream=True)
    pieces = [one.choices[0] for one in stream]
    assert [one.delta.refusal for one in pieces if one.delta.refusal] == ["No."]
    assert pieces[-1].finish_reason == "content_filter"


def test_answer_in_json_by_a_tool_reads_as_text() -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    call = [{"type": "tool_use", "id": "t", "name": "answer_in_json", "input": {"n": 1}}]
    wire = Wire(Dialect.MESSAGES, message(call, "tool_use"))
    wire.model = "claude-3-7-sonnet-latest"
    chat = wire.openai().chat.completions
    (choice,) = chat.create(model="m", messages=HI, response_format=schema).choices
    assert (choice.message.content, choice.finish_reason) == ('{"n":1}', "stop")
    wire.answer = message_stream(call, "tool_use")
    stream = chat.create(model="m", messages=HI, response_format=schema, stream=True)
    chunks = [chunk.choices[0] for chunk in stream]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == '{"n":1}'
    assert chunks[-1].finish_reason == "stop"


def test_usage_comes_only_when_asked_for() -> None:
    def chunks(**asked: Any) -> list[Any]:
        client = Wire(Dialect.MESSAGES, message_stream([TEXT])).openai()
        stream = client.chat.completions.create(model="m", messages=HI, stream=True, **asked)
        return list(stream)

    without = chunks()
    assert all(chunk.choices and chunk.usage is None for chunk in without)
    with_usage = chunks(stream_options={"include_usage": True})
    assert [bool(chunk.choices) for chunk in with_usage] == [True] * len(without) + [False]
    assert with_usage[-1].usage.total_tokens == 140


@pytest.mark.parametrize("step", [1, 7, 100])
def test_pieces_of_any_size_give_the_same(step: int) -> None:
    assert streamed([TEXT, *CALLS], "tool_use", step=step) == streamed([TEXT, *CALLS], "tool_use")


def test_error_inside_the_stream_is_raised() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
    client = Wire(Dialect.MESSAGES, [*message_stream([TEXT])[:4], error]).openai()
    with pytest.raises(openai.APIError, match="Busy") as caught:
        list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert caught.value.code == "overloaded_error"


def test_broken_stream_is_raised() -> None:
    for cut in range(1, 8):
        wire = Wire(Dialect.MESSAGES, message_stream([TEXT, *CALLS])[:cut])
        wire.breaks = True
        with pytest.raises(openai.APIError, match=r"It broke\."):
            list(wire.openai().chat.completions.create(model="m", messages=HI, stream=True))
