"""Usage, names and the whole answer out of any provider's stream, also of bad ones."""

from typing import Any

import msgspec
import pytest

from costs.usage import Usage
from gateway.dialects.collect import Collector
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.dialects.sse import Events, frame, frame_json
from gateway.structs import Dialect

CHAT, MESSAGES, RESPONSES = Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
DONE = frame(b"[DONE]")


def facts() -> RequestFacts:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}
    return facts_of(CHAT, msgspec.json.encode(body))


def collected(dialect: Dialect, *frames: bytes) -> Collector:
    collector, events = Collector(dialect), Events()
    for one in frames:
        for event in events.feed(one):
            collector.event(event)
    return collector


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **rest: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    return frame_json({**head, "choices": [choice], **rest})


def usage_chunk(usage: Any) -> bytes:
    return frame_json({"id": "c1", "model": "gpt-x", "choices": [], "usage": usage})


HELLO = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}))
END = (chunk({"content": "lo"}), chunk(finish="stop"))


def test_chat_stream() -> None:
    found = collected(CHAT, *HELLO, *END, usage_chunk(USAGE), DONE)
    assert found.usage == Usage(input_tokens=10, output_tokens=4, stated_total_tokens=14)
    assert (found.response_id, found.model, found.finish_reason) == ("c1", "gpt-x", "stop")
    assert (found.text, found.is_complete, found.raw_usage) == ("Hello", True, USAGE)
    assert msgspec.json.decode(found.answer()) == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


@pytest.mark.parametrize(
    "frames",
    [
        (*HELLO, END[0], chunk(finish="stop", usage=USAGE), DONE),  # with the last choice
        (*HELLO, *END, usage_chunk(USAGE)),  # no end mark
        (
            *HELLO,
            chunk({"content": "lo"}, usage={**USAGE, "completion_tokens": 1}),
            chunk(finish="stop", usage=USAGE),
        ),  # on every chunk
        (*HELLO, *END, usage_chunk(USAGE), usage_chunk({**USAGE, **dict.fromkeys(USAGE, 0)}), DONE),
        (*HELLO, *END, usage_chunk(USAGE), chunk(usage=None), DONE),
        (usage_chunk(None), *HELLO, *END, usage_chunk(USAGE), DONE),  # Azure's empty first one
    ],
)
def test_chat_usage_in_odd_places(frames: tuple[bytes, ...]) -> None:
    found = collected(CHAT, *frames)
    assert found.usage == Usage(input_tokens=10, output_tokens=4, stated_total_tokens=14)
    assert found.text == "Hello"


@pytest.mark.parametrize(
    ("frames", "input_tokens", "output_tokens"),
    [
        ((*HELLO,), 104, 1),  # cut
        ((*HELLO, *END, DONE), 104, 2),  # never said
        ((*HELLO, *END, usage_chunk(None), DONE), 104, 2),
        ((*HELLO, *END, usage_chunk(dict.fromkeys(USAGE, 0)), DONE), 104, 2),
        ((*HELLO, *END, usage_chunk({**USAGE, "completion_tokens": 0}), DONE), 10, 2),
        ((*HELLO, *END, usage_chunk({"completion_tokens": 7}), DONE), 104, 7),
        ((*HELLO, *END, usage_chunk({"prompt_tokens": "x"}), DONE), 104, 2),
        ((chunk({"content": "x" * 40}, usage={**USAGE, "completion_tokens": 3}),), 10, 10),
        ((chunk({"reasoning_content": "y" * 40}),), 104, 10),
    ],
)
def test_chat_usage_is_estimated(
    frames: tuple[bytes, ...], input_tokens: int, output_tokens: int
) -> None:
    found = collected(CHAT, *frames)
    assert found.usage is None
    estimated = found.usage_or_estimate(facts())
    assert estimated.is_estimated
    assert (estimated.input_tokens, estimated.output_tokens) == (input_tokens, output_tokens)
    assert "usage_estimated" in found.flags


def test_chat_tool_calls_in_pieces() -> None:
    def call(index: int | None, **rest: Any) -> bytes:
        return chunk({"tool_calls": [{"index": index, **rest} if index is not None else rest]})

    found = collected(
        CHAT,
        call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(0, function={"arguments": '{"x"'}),
        call(1, id="b", type="function", function={"name": "g", "arguments": "{}"}),
        call(0, function={"arguments": ":1}"}),
        chunk(finish="tool_calls"),
    )
    (choice,) = msgspec.json.decode(found.answer())["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"type": "function", "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"type": "function", "id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_chat_several_choices_logprobs_and_unknown_fields() -> None:
    def piece(index: int, text: str, finish: str | None = None) -> bytes:
        logs = {"content": [{"token": text}]}
        delta = {"content": text, "future": {"a": text}}
        choice = {"index": index, "delta": delta, "logprobs": logs, "finish_reason": finish}
        return frame_json({"id": "c", "choices": [choice], "provider": "p"})

    found = collected(CHAT, piece(1, "b"), piece(0, "a"), piece(1, "c", "length"), piece(0, "d"))
    assert not found.is_complete
    made = msgspec.json.decode(found.answer())
    assert made["provider"] == "p"
    assert [one["message"]["content"] for one in made["choices"]] == ["ad", "bc"]
    assert made["choices"][1]["message"]["future"] == {"a": "bc"}
    assert made["choices"][1]["logprobs"] == {"content": [{"token": "b"}, {"token": "c"}]}


@pytest.mark.parametrize(
    "frames",
    [
        (frame(b'{"choices":[{"delta":'), frame(b"oops"), frame(b"[]")),
        (frame_json({"choices": 7}), frame_json({"choices": [7]})),
        (frame_json({"choices": [{"delta": {"tool_calls": 5}}]}),),
        (frame_json({"choices": [{"index": "a", "delta": {"content": "x"}}]}),),
    ],
)
def test_chat_broken_events_are_flagged_and_the_rest_is_read(frames: tuple[bytes, ...]) -> None:
    found = collected(CHAT, *HELLO, *frames, *END, usage_chunk(USAGE), DONE)
    assert found.text == "Hello"
    assert found.usage is not None
    assert found.flags == ["broken_events"]


def test_chat_error_inside_a_stream() -> None:
    error = {"error": {"message": "Overloaded", "type": "server_error", "code": None}}
    found = collected(CHAT, *HELLO, frame_json(error), DONE)
    assert found.error is not None
    assert (found.error.reason, found.error.message) == ("error", "Overloaded")
    assert not found.is_complete


def event(kind: str, **data: Any) -> bytes:
    return frame_json({"type": kind, **data}, kind)


def started(**usage: Any) -> bytes:
    message = {"id": "msg", "type": "message", "role": "assistant", "model": "claude-x"}
    rest: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return event("message_start", message={**message, **rest})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> tuple[bytes, ...]:
    return (
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    )


TEXT = block(
    0,
    {"type": "text", "text": ""},
    {"type": "text_delta", "text": "Hel"},
    {"type": "text_delta", "text": "lo"},
)
STOP = event("message_stop")


def ended(reason: str = "end_turn", **usage: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage=usage)


def test_messages_stream_replaces_and_never_adds() -> None:
    start = {
        "input_tokens": 100,
        "cache_read_input_tokens": 50,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    found = collected(
        MESSAGES,
        started(**start),
        event("ping"),
        *TEXT,
        ended(output_tokens=60),
        ended(output_tokens=120, input_tokens=101, output_tokens_details={"thinking_tokens": 9}),
        STOP,
    )
    assert found.usage == Usage(
        input_tokens=181,
        output_tokens=120,
        cache_read_input_tokens=50,
        cache_write_input_tokens=30,
        cache_write_5m_input_tokens=10,
        cache_write_1h_input_tokens=20,
        reasoning_output_tokens=9,
        convention="exclusive",
    )
    assert (found.service_tier, found.text, found.is_complete) == ("standard", "Hello", True)


def test_messages_blocks_of_all_kinds() -> None:
    found = collected(
        MESSAGES,
        started(input_tokens=1),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "a"},
            {"type": "citations_delta", "citation": {"type": "char_location"}},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"x":'},
            {"type": "input_json_delta", "partial_json": "1}"},
        ),
        *block(3, {"type": "future"}, {"type": "future_delta", "more": "z"}),
        ended("tool_use", output_tokens=9),
        STOP,
    )
    made = msgspec.json.decode(found.answer())
    assert made["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
        {"type": "future", "more": "z"},
    ]
    assert (made["stop_reason"], made["usage"]) == (
        "tool_use",
        {"input_tokens": 1, "output_tokens": 9},
    )
    assert found.flags == []


def test_messages_iterations_count_what_the_totals_leave_out() -> None:
    body = {
        "id": "m",
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 6,
            "iterations": [
                {"type": "compaction", "input_tokens": 100, "output_tokens": 20},
                {"type": "message", "input_tokens": 5, "output_tokens": 6},
            ],
        },
    }
    found = Collector(MESSAGES)
    found.whole(msgspec.json.encode(body))
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (105, 26)


@pytest.mark.parametrize(
    ("frames", "input_tokens", "output_tokens"),
    [
        ((started(input_tokens=7, cache_read_input_tokens=3, output_tokens=1), *TEXT), 10, 2),
        ((started(input_tokens=7, output_tokens=1), *TEXT, ended(output_tokens=0), STOP), 7, 2),
        ((started(input_tokens=0, output_tokens=0), *TEXT, ended(output_tokens=0), STOP), 104, 2),
        ((*TEXT, ended(output_tokens=9), STOP), 104, 9),
        ((), 104, 0),
    ],
)
def test_messages_usage_is_estimated(
    frames: tuple[bytes, ...], input_tokens: int, output_tokens: int
) -> None:
    found = collected(MESSAGES, *frames)
    estimated = found.usage_or_estimate(facts())
    # A start that said one token and an end that says none: one is what was counted, and too few to be true.
    assert (estimated.input_tokens, estimated.output_tokens) in (
        (input_tokens, output_tokens),
        (input_tokens, 1),
    )


def test_messages_error_inside_a_stream() -> None:
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    found = collected(MESSAGES, started(input_tokens=7), *TEXT, error)
    assert found.error is not None
    assert (found.error.reason, found.error.code) == ("error", "overloaded_error")
    assert found.usage is None


RESPONSE = {
    "id": "resp",
    "object": "response",
    "status": "completed",
    "model": "gpt-x",
    "service_tier": "default",
    "output": [
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 2000,
        "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 512},
        "output_tokens": 300,
        "output_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": 2300,
    },
    "tool_usage": {"web_search": {"num_requests": 2}},
}


def response_events() -> list[bytes]:
    opening = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    item = {"type": "message", "id": "m", "role": "assistant", "status": "in_progress"}
    where = {"item_id": "m", "output_index": 0, "content_index": 0}
    return [
        event("response.created", response=opening, sequence_number=0),
        event("response.output_item.added", output_index=0, item=item, sequence_number=1),
        event("response.output_text.delta", **where, delta="Hel", sequence_number=2),
        event("response.output_text.delta", **where, delta="lo", sequence_number=3),
        event("response.completed", response=RESPONSE, sequence_number=4),
    ]


def test_responses_stream() -> None:
    found = collected(RESPONSES, *response_events())
    assert found.usage == Usage(
        input_tokens=2000,
        output_tokens=300,
        cache_read_input_tokens=1024,
        cache_write_input_tokens=512,
        reasoning_output_tokens=120,
        web_searches=2,
        stated_total_tokens=2300,
    )
    assert (found.text, found.finish_reason, found.service_tier) == (
        "Hello",
        "completed",
        "default",
    )
    assert msgspec.json.decode(found.answer()) == RESPONSE


def test_responses_cut() -> None:
    found = collected(RESPONSES, *response_events()[:-1])
    assert (found.is_complete, found.usage, found.text) == (False, None, "Hello")
    made = msgspec.json.decode(found.answer())
    assert made["status"] == "incomplete"
    assert made["output"][0]["content"][0]["text"] == "Hello"
    assert found.estimate(facts()).output_tokens == 2


def test_thoughts_of_responses_cut() -> None:
    item = {"type": "reasoning", "id": "r", "summary": []}
    where = {"item_id": "r", "output_index": 0, "content_index": 0}
    found = collected(
        RESPONSES,
        event("response.output_item.added", output_index=0, item=item),
        event("response.reasoning_text.delta", **where, delta="h"),
        event("response.reasoning_text.delta", **where, delta="m"),
    )
    made = msgspec.json.decode(found.answer())["output"]
    assert made[0]["content"] == [{"type": "reasoning_text", "text": "hm"}]


def test_responses_failed_and_incomplete() -> None:
    failed = {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "No"}}
    found = collected(RESPONSES, event("response.failed", response=failed))
    assert found.error is not None
    assert (found.error.code, found.error.message) == ("server_error", "No")
    reason = {"reason": "max_output_tokens"}
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": reason}
    found = collected(RESPONSES, event("response.incomplete", response=cut))
    assert (found.finish_reason, found.is_complete) == ("max_output_tokens", True)


def test_whole_answers() -> None:
    found = Collector(Dialect.EMBEDDINGS)
    body = b'{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}'
    found.whole(body)
    assert found.usage == Usage(input_tokens=3, stated_total_tokens=3)
    assert (found.answer(), found.model) == (body, "e")
    counted = Collector(Dialect.COUNT_TOKENS)
    counted.whole(b'{"input_tokens": 12}')
    assert counted.usage == Usage(input_tokens=0, output_tokens=0)
    text = Collector(Dialect.COMPLETIONS)
    text.whole(
        msgspec.json.encode(
            {"id": "c", "choices": [{"text": "Hi", "finish_reason": "stop"}], "usage": USAGE}
        )
    )
    assert (text.text, text.finish_reason, text.usage is not None) == ("Hi", "stop", True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": 5}', b'{"choices":[5]}'])
def test_broken_whole_answers_are_flagged(body: bytes) -> None:
    found = Collector(CHAT)
    found.whole(body)
    assert "broken_answer" in found.flags
    assert found.usage is None


def test_corrupt_usage_is_flagged() -> None:
    found = collected(
        CHAT,
        *HELLO,
        *END,
        usage_chunk({**USAGE, "prompt_tokens_details": {"cached_tokens": 99}}),
        DONE,
    )
    assert found.usage is not None
    assert "token_subset_exceeds_whole" in found.flags


def test_completions_stream() -> None:
    def piece(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return frame_json({"id": "c", "object": "text_completion", "choices": [choice]})

    found = collected(
        Dialect.COMPLETIONS, piece("Hel"), piece("lo", "stop"), usage_chunk(USAGE), DONE
    )
    made = msgspec.json.decode(found.answer())
    assert (made["object"], made["choices"][0]["text"]) == ("text_completion", "Hello")
    assert found.usage is not None
