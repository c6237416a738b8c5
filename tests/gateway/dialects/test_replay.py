"""An answer out of a cache streams, and adds up to itself: by our collector and by the official clients."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.collect import Collector
from gateway.dialects.replay import as_stream, pieces_of
from gateway.dialects.sse import Events
from gateway.structs import Dialect
from tests.gateway.dialects.wires import CHAT_USAGE, MESSAGE, MESSAGE_USAGE, Wire

LONG = "Ein Satz mit Wörtern, der lang ist. " * 9
CALLS = [
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
    {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
]


def chat(message: dict[str, Any], **rest: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": "stop", **rest}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt-x",
        "choices": [choice],
        "usage": CHAT_USAGE,
        "service_tier": "default",
        "future": {"a": [1]},
    }


def messages(*content: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        **MESSAGE,
        "content": list(content),
        "stop_reason": "end_turn",
        "usage": MESSAGE_USAGE,
        **rest,
    }


def response(*output: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 7,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-x",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 6,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 11,
        },
        **rest,
    }


NOTE = {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "T", "url": "https://x"}
SAID = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": LONG, "annotations": [NOTE], "logprobs": []}],
}
CALL = {
    "type": "function_call",
    "id": "fc",
    "call_id": "a",
    "name": "f",
    "arguments": '{"x":1}',
    "status": "completed",
}
CITED = {
    "type": "char_location",
    "cited_text": "a",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
    "file_id": None,
}
ANSWERS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat": (Dialect.CHAT, chat({"content": LONG, "annotations": []})),
    "chat calls": (Dialect.CHAT, chat({"tool_calls": CALLS}, finish_reason="tool_calls")),
    "chat both": (Dialect.CHAT, chat({"content": "x", "tool_calls": CALLS})),
    "chat empty": (Dialect.CHAT, chat({"content": ""})),
    "chat refusal": (Dialect.CHAT, chat({"refusal": "No."})),
    "chat thinking": (Dialect.CHAT, chat({"content": "x", "reasoning_content": LONG})),
    "chat logprobs": (
        Dialect.CHAT,
        chat({"content": "x y"}, logprobs={"content": [], "refusal": None}, extra={"a": 1}),
    ),
    "completions": (
        Dialect.COMPLETIONS,
        {
            "id": "c",
            "object": "text_completion",
            "created": 7,
            "model": "x",
            "choices": [
                {"index": index, "text": LONG, "logprobs": None, "finish_reason": "length"}
                for index in (0, 1)
            ],
            "usage": CHAT_USAGE,
        },
    ),
    "messages": (
        Dialect.MESSAGES,
        messages(
            {"type": "thinking", "thinking": LONG, "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": LONG, "citations": [CITED]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": [1, "é"]}},
            {"type": "tool_use", "id": "u", "name": "g", "input": {}},
        ),
    ),
    "messages stop": (
        Dialect.MESSAGES,
        messages(stop_reason="stop_sequence", stop_sequence="END"),
    ),
    "responses": (Dialect.RESPONSES, response(SAID, CALL)),
    "responses cut": (
        Dialect.RESPONSES,
        response(SAID, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    ),
    "responses other": (Dialect.RESPONSES, response({"type": "future_item", "id": "x", "n": 1})),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_stream_adds_up_to_the_answer(name: str) -> None:
    dialect, answer = ANSWERS[name]
    frames = as_stream(dialect, msgspec.json.encode(answer))
    collector, events = Collector(dialect), Events()
    for frame in frames:
        (event,) = events.feed(frame)
        collector.event(event)
    assert collector.is_complete
    assert collector.flags == []
    assert msgspec.json.decode(collector.answer()) == answer
    if dialect is not Dialect.RESPONSES or "other" not in name:
        assert collector.usage is not None


def replayed(name: str, **kwargs: Any) -> Wire:
    dialect, answer = ANSWERS[name]
    return Wire(dialect, as_stream(dialect, msgspec.json.encode(answer), **kwargs))


def test_openai_reads_chat() -> None:
    chat_api = replayed("chat calls").openai().chat.completions
    with chat_api.stream(model="m", messages=[{"role": "user", "content": "x"}]) as stream:
        for _ in stream:
            pass
        (choice,) = stream.get_final_completion().choices
    calls = choice.message.tool_calls or []
    assert [call.function.arguments for call in calls] == ['{"x":1}', ""]
    assert choice.finish_reason == "tool_calls"


def test_openai_reads_completions() -> None:
    wire = replayed("completions")
    wire.is_strict = False  # its types know no unfinished choice, its server does
    api = wire.openai().completions
    chunks = list(api.create(model="m", prompt="x", stream=True))
    texts = [choice.text for chunk in chunks for choice in chunk.choices if choice.index == 1]
    assert "".join(texts) == LONG
    assert len(texts) > 5


@pytest.mark.parametrize("name", ["responses", "responses cut"])
def test_openai_reads_responses(name: str) -> None:
    events = list(replayed(name).openai().responses.create(model="m", input="x", stream=True))
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert last.response.output_text == LONG
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_anthropic_reads_messages() -> None:
    api = replayed("messages").anthropic().messages
    with api.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
        found = stream.get_final_message()
    thinking, _, text, call, empty = found.content
    assert (thinking.type, text.type, call.type, empty.type) == (
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    )
    assert text.type == "text"
    assert text.text == LONG
    assert call.type == empty.type == "tool_use"
    assert (call.input, empty.input) == ({"x": [1, "é"]}, {})
    assert found.usage.output_tokens == 40


def test_usage_comes_only_when_asked_for() -> None:
    dialect, answer = ANSWERS["chat"]
    frames = as_stream(dialect, msgspec.json.encode(answer), wants_usage=False)
    assert not any(b'"usage"' in frame for frame in frames)
    assert frames[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("text", ["", "a", LONG, "x" * 20_000, "é " * 9_000])
def test_pieces_add_up_and_are_not_many(text: str) -> None:
    pieces = list(pieces_of(text))
    assert "".join(pieces) == text
    assert len(pieces) <= 101
    assert all(pieces)


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        (Dialect.EMBEDDINGS, b"{}"),
        (Dialect.CHAT, b"{}"),
        (Dialect.CHAT, b"x"),
        (Dialect.CHAT, b"1"),
    ],
)
def test_what_is_no_answer_is_refused(dialect: Dialect, answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        as_stream(dialect, answer)
