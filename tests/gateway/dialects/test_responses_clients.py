"""Responses clients on servers that only have Chat Completions, or Messages, through the official package."""

from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from gateway.dialects.passing import TranslationError
from gateway.dialects.sse import frame_json
from gateway.dialects.translate import translator
from gateway.structs import Dialect
from tests.gateway.dialects.wires import (
    Wire,
    chat_answer,
    chat_call,
    chat_stream,
    message,
    message_stream,
)

TOOLS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": "D.",
        "parameters": {"type": "object"},
        "strict": False,
    }
    for name in ("f", "g")
]


def made(model: str = "gpt-oss", **document: Any) -> dict[str, Any]:
    document = {"model": "alias", "input": "Hi", **document}
    return translator(Dialect.RESPONSES, Dialect.CHAT).request(document, model=model)


def test_request() -> None:
    schema = {"type": "json_schema", "name": "x", "schema": {}, "strict": True}
    found = made(
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Be short."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:x"},
                ],
            },
            {"type": "reasoning", "id": "r", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look."}],
            },
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}'},
            {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {
                "type": "function_call_output",
                "call_id": "b",
                "output": [
                    {"type": "input_text", "text": "2"},
                    {"type": "input_image", "image_url": "data:image/png;base64,A"},
                ],
            },
        ],
        tools=TOOLS,
        tool_choice={"type": "function", "name": "f"},
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=50,
        parallel_tool_calls=False,
        temperature=0.1,
        user="u",
        store=True,
        stream=True,
    )
    function = {"name": "f", "description": "D.", "parameters": {"type": "object"}, "strict": False}
    json_schema = {"name": "x", "schema": {}, "strict": True}
    assert found == {
        "model": "gpt-oss",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "system", "content": "Be short."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://x/a.png", "detail": "low"},
                    },
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"x":1}'},
                    },
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}],
            },
        ],
        "tools": [
            {"type": "function", "function": function},
            {"type": "function", "function": {**function, "name": "g"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": json_schema},
        "verbosity": "low",
        "reasoning_effort": "low",
        "max_completion_tokens": 50,
        "parallel_tool_calls": False,
        "temperature": 0.1,
        "user": "u",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"conversation": "c"}, "conversation"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"tools": TOOLS, "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "input.0.content.0",
        ),
        ({"input": [{"role": "user", "content": [5]}]}, ""),
    ],
)
def test_refused(document: dict[str, Any], field: str) -> None:
    with pytest.raises(TranslationError) as caught:
        made(**document)
    assert caught.value.field == field


def test_web_search_beside_other_tools_is_left_out_and_named() -> None:
    made_by = translator(Dialect.RESPONSES, Dialect.CHAT)
    document = {"model": "a", "input": "Hi", "tools": [*TOOLS, {"type": "web_search"}]}
    found = made_by.request(document, model="m")
    assert [tool["function"]["name"] for tool in found["tools"]] == ["f", "g"]
    assert made_by.dropped == ["tools.web_search"]
    named = {**document, "tool_choice": {"type": "function", "name": "f"}}
    assert len(made_by.request(named, model="m")["tools"]) == 2
    with pytest.raises(TranslationError, match=r"tools\.2"):
        made_by.request({**document, "tool_choice": {"type": "web_search"}}, model="m")


def streamed(wire: Wire, **asked: Any) -> Response:
    """Put together by the package's own accumulator."""
    with wire.openai().responses.stream(model="m", input="Hi", **asked) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def whole(wire: Wire, **asked: Any) -> Response:
    found: Response = wire.openai().responses.create(model="m", input="Hi", **asked)
    return found


CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
TEXTS = {
    "chat whole": lambda: whole(Wire(Dialect.CHAT, chat_answer({"content": "Hello"}))),
    "chat stream": lambda: streamed(
        Wire(Dialect.CHAT, chat_stream({"content": "Hel"}, {"content": "lo"}))
    ),
    "message whole": lambda: whole(
        Wire(Dialect.MESSAGES, message([{"type": "text", "text": "Hello"}]))
    ),
    "message stream": lambda: streamed(
        Wire(Dialect.MESSAGES, message_stream([{"type": "text", "text": "Hello"}]))
    ),
}
TOOL_CALLS = [chat_call(0, "a", "f", '{"x":1}'), chat_call(1, "b", "g", "{}")]
CALLS = {
    "chat whole": lambda: whole(
        Wire(
            Dialect.CHAT,
            chat_answer({"content": "Hello", "tool_calls": TOOL_CALLS}, "tool_calls"),
        ),
        tools=TOOLS,
    ),
    "chat stream": lambda: streamed(
        Wire(
            Dialect.CHAT,
            chat_stream({"content": "Hello"}, {"tool_calls": TOOL_CALLS}, finish="tool_calls"),
        ),
        tools=TOOLS,
    ),
    "message stream": lambda: streamed(
        Wire(
            Dialect.MESSAGES,
            message_stream(
                [
                    {"type": "text", "text": "Hello"},
                    CALL,
                    {"type": "tool_use", "id": "b", "name": "g", "input": {}},
                ],
                "tool_use",
            ),
        ),
        tools=TOOLS,
    ),
}


@pytest.mark.parametrize("way", TEXTS)
def test_text_and_usage(way: str) -> None:
    found = TEXTS[way]()
    assert (found.output_text, found.status) == ("Hello", "completed")
    usage = found.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 40, 140)
    assert usage.input_tokens_details.cached_tokens == 60
    assert usage.output_tokens_details.reasoning_tokens == 15


@pytest.mark.parametrize("way", CALLS)
def test_tool_calls(way: str) -> None:
    found = CALLS[way]()
    text, *calls = found.output
    assert text.type == "message"
    assert [
        (call.call_id, call.name, call.arguments) for call in calls if call.type == "function_call"
    ] == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_reasoning_and_refusal() -> None:
    deltas = ({"reasoning_content": "hm"}, {"content": "I "}, {"refusal": "won't"})
    found = streamed(Wire(Dialect.CHAT, chat_stream(*deltas)))
    thought, said = found.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text == "hm"
    assert said.type == "message"
    assert [part.type for part in said.content] == ["output_text", "refusal"]
    answer = chat_answer({"reasoning_content": "hm", "content": "x"})
    assert [item.type for item in whole(Wire(Dialect.CHAT, answer)).output] == [
        "reasoning",
        "message",
    ]


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_incomplete(finish: str, reason: str) -> None:
    wire = Wire(Dialect.CHAT, chat_stream({"content": "Hel"}, finish=finish))
    *_, last = wire.openai().responses.create(model="m", input="Hi", stream=True)
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == reason
    found = whole(Wire(Dialect.CHAT, chat_answer({"content": "Hel"}, finish)))
    assert found.status == "incomplete"
    assert [item.status for item in found.output if item.type == "message"] == ["incomplete"]


TOKENS = [
    {"token": "Hel", "bytes": None, "logprob": -0.1, "top_logprobs": []},
    {"token": "lo", "bytes": None, "logprob": -0.2, "top_logprobs": []},
]
PLACE = {"start_index": 0, "end_index": 5, "title": "T", "url": "https://example.com/"}


def with_tokens_and_source() -> list[bytes]:
    """Two pieces with log probabilities, and the source of both behind them."""
    source = {"annotations": [{"type": "url_citation", "url_citation": PLACE}]}
    frames = chat_stream({"content": "Hel"}, {"content": "lo"}, source)
    said = [msgspec.json.encode({"content": [one]}) for one in TOKENS]
    for place, tokens in enumerate(said, 1):
        frames[place] = frames[place].replace(b'"logprobs":null', b'"logprobs":%b' % tokens)
    return frames


def whole_with_tokens_and_source() -> bytes:
    source = {"annotations": [{"type": "url_citation", "url_citation": PLACE}]}
    answer = msgspec.json.decode(chat_answer({"content": "Hello", **source}))
    answer["choices"][0]["logprobs"] = {"content": TOKENS, "refusal": None}
    return msgspec.json.encode(answer)


@pytest.mark.parametrize("is_stream", [True, False])
def test_sources_and_log_probabilities(is_stream: bool) -> None:
    if is_stream:
        found = streamed(Wire(Dialect.CHAT, with_tokens_and_source()), top_logprobs=1)
    else:
        found = whole(Wire(Dialect.CHAT, whole_with_tokens_and_source()), top_logprobs=1)
    (item,) = found.output
    assert item.type == "message"
    (part,) = item.content
    assert part.type == "output_text"
    assert part.text == "Hello"
    said = [(one.logprob, bytes(one.bytes)) for one in part.logprobs or ()]
    assert said == [(-0.1, b"Hel"), (-0.2, b"lo")]
    assert [one.model_dump() for one in part.annotations] == [{"type": "url_citation", **PLACE}]


def test_what_only_hints_is_named() -> None:
    made_by = translator(Dialect.RESPONSES, Dialect.CHAT)
    asked = {"model": "a", "input": "Hi", "prompt_cache_retention": "24h", "access_programs": []}
    assert set(made_by.request(asked, model="m")) == {"model", "messages"}
    assert made_by.dropped == ["prompt_cache_retention", "access_programs"]


def test_events_are_numbered_without_holes() -> None:
    wire = Wire(
        Dialect.CHAT,
        chat_stream({"content": "Hel"}, {"tool_calls": TOOL_CALLS}, finish="tool_calls"),
    )
    events = list(wire.openai().responses.create(model="m", input="Hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events][:5] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]


def test_request_is_repeated_in_the_answer() -> None:
    found = whole(
        Wire(Dialect.CHAT, chat_answer({"content": "x"})),
        temperature=0.3,
        metadata={"k": "v"},
        tools=TOOLS,
    )
    assert (found.temperature, found.metadata, len(found.tools)) == (0.3, {"k": "v"}, 2)


def test_error_inside_the_stream_is_raised_or_sent() -> None:
    error = frame_json({"error": {"message": "Busy", "type": "server_error", "code": "busy"}})
    wire = Wire(Dialect.CHAT, [*chat_stream({"content": "x"})[:2], error])
    *_, last = wire.openai().responses.create(model="m", input="Hi", stream=True)
    assert last.type == "error"
    assert (last.message, last.code, last.sequence_number) == ("Busy", "busy", 5)


def test_broken_stream() -> None:
    for provider, stream in (
        (Dialect.CHAT, chat_stream({"content": "x"}, {"tool_calls": TOOL_CALLS})),
        (Dialect.MESSAGES, message_stream([{"type": "text", "text": "Hello"}, CALL])),
    ):
        for cut in range(len(stream) - 2):
            wire = Wire(provider, stream[:cut])
            wire.breaks = True
            *before, last = wire.openai().responses.create(model="m", input="Hi", stream=True)
            assert last.type == "error"
            assert last.sequence_number == len(before)
