"""Checked streams of servers that put text elsewhere: nothing found in a whole answer passes in a stream."""

import json
from typing import Any

import pytest

from gateway.dialects.collect import Collector
from gateway.dialects.sse import Events, frame_json
from gateway.guards.output import OutputGuard
from gateway.structs import Dialect
from tests.gateway.guards.test_output import MASK, WORDS

SAID = f"{WORDS}Write to jane@example.com now. {WORDS}"


def heard(dialect: Dialect, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    """The events as they come out."""
    guard = OutputGuard(MASK, dialect)
    named = dialect is not Dialect.CHAT
    out = b"".join(guard.feed(frame_json(one, one["type"] if named else "")) for one in documents)
    out += guard.end()
    assert b"jane@" not in out
    assert "guard:pii:masked" in guard.flags
    return [event.document or {} for event in Events().feed(out)]


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def cut(text: str) -> list[str]:
    return [text[place : place + 7] for place in range(0, len(text), 7)]


# Mistral's lists, OpenRouter's details, the calls of before tools.
PLACES: dict[str, Any] = {
    "content": lambda text: [{"type": "text", "text": text}],
    "thinking": lambda text: [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}],
    "reasoning_details": lambda text: [{"type": "reasoning.text", "index": 0, "text": text}],
    "function_call": lambda text: {"arguments": text},
    "of_the_future": lambda text: {"deeply": [{"index": [], "said": [text]}]},
}


@pytest.mark.parametrize("name", PLACES)
def test_text_in_a_chunk_is_masked_wherever_it_stands(name: str) -> None:
    made, field = PLACES[name], "content" if name == "thinking" else name
    events = heard(
        Dialect.CHAT, *(chunk({field: made(text)}) for text in cut(SAID)), chunk({}, "stop")
    )
    pieces = [json.dumps(one["choices"][0]["delta"].get(field)) for one in events]
    # Each piece has the shape of the provider's; together they say what the whole would.
    before, after = json.dumps(made("@@")).split("@@")
    assert all(one.startswith(before) and one.endswith(after) for one in pieces[:-1])
    text = "".join(one[len(before) : -len(after)] for one in pieces[:-1])
    assert text == SAID.replace("jane@example.com", "[email]")


def test_calls_of_servers_that_number_none_stay_apart() -> None:
    def call(name: str, to: str) -> dict[str, Any]:
        function = {"name": name, "arguments": json.dumps({"to": to})}
        return {"index": 0, "id": f"call_{name}", "type": "function", "function": function}

    calls = [call("f", "jane@example.com"), call("g", "jim@example.com")]
    events = heard(
        Dialect.CHAT,
        chunk({"role": "assistant", "tool_calls": calls}),
        chunk({"tool_calls": [call("h", "you")]}),
        chunk({}, "tool_calls"),
    )
    collector = Collector(Dialect.CHAT)
    for event in Events().feed(b"".join(map(frame_json, events))):
        collector.event(event)
    message = json.loads(collector.answer())["choices"][0]["message"]
    found = [(one["id"], json.loads(one["function"]["arguments"])) for one in message["tool_calls"]]
    assert found == [
        ("call_f", {"to": "[email]"}), ("call_g", {"to": "[email]"}), ("call_h", {"to": "you"})
    ]  # fmt: skip


def test_results_of_the_providers_own_tools_are_masked() -> None:
    result = {"type": "bash_code_execution_result", "stdout": "jane@example.com", "return_code": 0}
    block = {"type": "bash_code_execution_tool_result", "tool_use_id": "s", "content": result}
    first, *_ = heard(
        Dialect.MESSAGES,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_stop"},
    )
    assert first["content_block"]["content"] == {**result, "stdout": "[email]"}


@pytest.mark.parametrize(
    "kind", ["code_interpreter_call_code", "audio.transcript", "of_the_future"]
)
def test_every_text_of_responses_is_masked(kind: str) -> None:
    events = heard(
        Dialect.RESPONSES,
        *(
            {"type": f"response.{kind}.delta", "output_index": 0, "item_id": "i", "delta": text,
             "sequence_number": place}
            for place, text in enumerate(cut(SAID))
        ),
        {"type": f"response.{kind}.done", "output_index": 0, "code": SAID, "sequence_number": 99},
    )  # fmt: skip
    *pieces, done = events
    assert "".join(one["delta"] for one in pieces) == done["code"]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
