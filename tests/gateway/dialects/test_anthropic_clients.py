"""The official anthropic package reads every answer and stream we make of Chat Completions', strictly."""

from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from gateway.dialects.sse import frame_json
from gateway.structs import Dialect
from tests.gateway.dialects.wires import CHAT_USAGE, Wire, chat_answer, chat_call, chat_stream

HI: list[Any] = [{"role": "user", "content": "Hi"}]
TOOLS: list[Any] = [{"name": name, "input_schema": {"type": "object"}} for name in ("f", "g")]
SAID = ({"content": "Hel"}, {"content": "lo"})
THOUGHT: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def whole(answer: bytes, **asked: Any) -> Message:
    client = Wire(Dialect.CHAT, answer).anthropic()
    asked = {"tools": TOOLS, **asked}
    found: Message = client.messages.create(model="m", max_tokens=9, messages=HI, **asked)
    return found


def streamed(stream: list[bytes], *, step: int = 0, **asked: Any) -> Message:
    """Put together by the package's own accumulator."""
    wire = Wire(Dialect.CHAT, stream)
    wire.step = step
    asked = {"tools": TOOLS, **asked}
    with wire.anthropic().messages.stream(
        model="m", max_tokens=9, messages=HI, **asked
    ) as accumulated:
        return accumulated.get_final_message()


def blocks(found: Message) -> list[dict[str, Any]]:
    return [block.model_dump(exclude_none=True, exclude_unset=True) for block in found.content]


TEXT = {"type": "text", "text": "Hello"}


@pytest.mark.parametrize(
    "found",
    [lambda: whole(chat_answer({"content": "Hello"})), lambda: streamed(chat_stream(*SAID))],
)
def test_text_and_usage(found: Any) -> None:
    made = found()
    assert blocks(made) == [TEXT]
    assert (made.id, made.model, made.stop_reason) == ("c1", "gpt-x", "end_turn")
    usage = made.usage
    assert (usage.input_tokens, usage.output_tokens) == (30, 40)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 10)
    assert usage.output_tokens_details.thinking_tokens == 15


CALLS = [
    {"type": "tool_use", "id": "a", "name": "f", "input": {"city": "Zürich"}},
    {"type": "tool_use", "id": "b", "name": "g", "input": {}},
]


def test_parallel_tool_calls() -> None:
    calls = [chat_call(0, "a", "f", '{"city":"Zürich"}'), chat_call(1, "b", "g", "{}")]
    for one in calls:
        one.pop("index")
    made = whole(chat_answer({"content": "Hello", "tool_calls": calls}, "tool_calls"))
    assert (blocks(made), made.stop_reason) == ([TEXT, *CALLS], "tool_use")


def piece(index: int | None, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {"function": {"arguments": text}}
    return {"tool_calls": [{**found, "index": index} if index is not None else found]}


def begin(index: int | None, name: str, function: str, text: str = "") -> dict[str, Any]:
    call = chat_call(index or 0, name, function, text)
    if index is None:
        call.pop("index")
    return {"tool_calls": [call]}


CITY = '{"city":"Zürich"}'
WAYS_OF_SERVERS = {
    "openai": [
        begin(0, "a", "f"),
        piece(0, '{"city":'),
        piece(0, '"Zürich"}'),
        begin(1, "b", "g"),
        piece(1, "{}"),
    ],
    "interleaved": [
        begin(0, "a", "f", CITY[:3]),
        begin(1, "b", "g"),
        piece(0, CITY[3:]),
        piece(1, "{}"),
    ],
    "no index": [begin(None, "a", "f", CITY), begin(None, "b", "g", "{}")],
    "no index, pieces": [begin(None, "a", "f"), piece(None, CITY), begin(None, "b", "g", "{}")],
    "same index": [begin(0, "a", "f", CITY), begin(0, "b", "g", "{}")],
    "both at once": [
        {"tool_calls": [chat_call(0, "a", "f", CITY), chat_call(1, "b", "g", "{}")]},
    ],
    "name later": [
        {"tool_calls": [{"index": 0, "id": "a", "type": "function"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": CITY}}]},
        begin(1, "b", "g", "{}"),
    ],
}


@pytest.mark.parametrize("way", WAYS_OF_SERVERS)
def test_parallel_tool_calls_streamed_in_any_way(way: str) -> None:
    stream = chat_stream(*SAID, *WAYS_OF_SERVERS[way], finish="tool_calls")
    made = streamed(stream)
    assert (blocks(made), made.stop_reason) == ([TEXT, *CALLS], "tool_use")


def test_servers_that_say_stop_after_a_call() -> None:
    made = streamed(chat_stream(begin(0, "a", "f", CITY), finish="stop"))
    assert made.stop_reason == "tool_use"


def test_googles_signature_comes_back() -> None:
    extra = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
    call = {**chat_call(0, "call_1", "f", "{}"), "extra_content": extra}
    made = streamed(chat_stream({"tool_calls": [call]}, finish="tool_calls"))
    (used,) = made.content
    assert used.type == "tool_use"
    wire = Wire(Dialect.CHAT, chat_answer({"content": "ok"}))
    result: Any = [{"type": "tool_result", "tool_use_id": used.id, "content": "7"}]
    turns: list[Any] = [
        *HI,
        {"role": "assistant", "content": made.content},
        {"role": "user", "content": result},
    ]
    wire.anthropic().messages.create(model="m", max_tokens=9, messages=turns, tools=TOOLS)
    _, asked, answered = wire.asked["messages"]
    assert asked["tool_calls"][0]["extra_content"] == extra
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "call_1"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_is_shown_to_who_asked_for_it(field: str) -> None:
    stream = chat_stream({field: "hm "}, {field: "hm"}, *SAID)
    thought = {"type": "thinking", "thinking": "hm hm", "signature": ""}
    assert blocks(streamed(stream)) == [TEXT]
    assert blocks(streamed(stream, **THOUGHT)) == [thought, TEXT]
    answer = chat_answer({field: "hm hm", "content": "Hello"})
    assert blocks(whole(answer)) == [TEXT]
    assert blocks(whole(answer, **THOUGHT)) == [thought, TEXT]


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("function_call", "tool_use"),
        ("some_future_reason", "end_turn"),
    ],
)
def test_finish_reasons(finish: str, stop: str) -> None:
    assert whole(chat_answer({"content": "Hello"}, finish)).stop_reason == stop
    assert streamed(chat_stream(*SAID, finish=finish)).stop_reason == stop


def test_refusal() -> None:
    made = whole(chat_answer({"refusal": "No."}))
    assert (blocks(made), made.stop_reason) == ([{"type": "text", "text": "No."}], "refusal")
    made = streamed(chat_stream({"refusal": "N"}, {"refusal": "o."}))
    assert (blocks(made), made.stop_reason) == ([{"type": "text", "text": "No."}], "refusal")


@pytest.mark.parametrize("usage", [None, dict.fromkeys(CHAT_USAGE, 0)])
def test_usage_that_was_not_said_is_estimated(usage: Any) -> None:
    made = streamed(chat_stream(*SAID, usage=usage))
    assert (made.usage.input_tokens, made.usage.output_tokens) == (29, 2)


def test_empty_answer() -> None:
    made = streamed(chat_stream())
    assert (blocks(made), made.stop_reason) == ([], "end_turn")
    assert blocks(whole(chat_answer({"content": ""}))) == []


@pytest.mark.parametrize("step", [1, 7, 100])
def test_pieces_of_any_size_give_the_same(step: int) -> None:
    stream = chat_stream(*SAID, *WAYS_OF_SERVERS["openai"], finish="tool_calls")
    assert streamed(stream, step=step) == streamed(stream)


def test_events_come_in_anthropics_order() -> None:
    wire = Wire(Dialect.CHAT, chat_stream(*SAID, *WAYS_OF_SERVERS["openai"], finish="tool_calls"))
    client = wire.anthropic()
    stream = client.messages.create(model="m", max_tokens=9, messages=HI, stream=True)
    assert [event.type for event in stream] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        *("content_block_start", "content_block_delta", "content_block_stop"),
        "message_delta",
        "message_stop",
    ]


def test_error_inside_the_stream_is_raised() -> None:
    error = frame_json({"error": {"message": "Busy", "type": "rate_limit_error", "code": None}})
    client = Wire(Dialect.CHAT, [*chat_stream(*SAID)[:2], error]).anthropic()
    with pytest.raises(anthropic.APIStatusError, match="Busy") as caught:
        list(client.messages.create(model="m", max_tokens=9, messages=HI, stream=True))
    assert caught.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]


def test_broken_stream_is_raised() -> None:
    stream = chat_stream(*SAID, *WAYS_OF_SERVERS["openai"], finish="tool_calls")
    for cut in range(len(stream) - 1):
        wire = Wire(Dialect.CHAT, stream[:cut])
        wire.breaks = True
        with pytest.raises(anthropic.APIStatusError, match=r"It broke\."):
            list(
                wire.anthropic().messages.create(model="m", max_tokens=9, messages=HI, stream=True)
            )


def test_stop_sequence_is_named_where_the_server_tells() -> None:
    answer = chat_answer({"content": "x"})
    answer = answer.replace(b'"finish_reason"', b'"stop_reason":"END","finish_reason"')
    made = whole(answer, stop_sequences=["END"])
    assert (made.stop_reason, made.stop_sequence) == ("stop_sequence", "END")
