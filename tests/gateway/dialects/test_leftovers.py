"""A conversation goes on with another provider: what the first one left is not the next one's to refuse."""

from typing import Any

import pytest

from gateway.dialects.tool_ids import packed_id, unpacked
from gateway.dialects.translate import translator
from gateway.structs import Dialect

SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}
UNSIGNED = {"type": "thinking", "thinking": "hm", "signature": ""}
TEXT = {"type": "text", "text": "x"}


def passed(dialect: Dialect, kind: str = "", **document: Any) -> dict[str, Any]:
    document["model"] = "a"
    before = repr(document)
    made = translator(dialect, dialect, kind=kind).request(document, model="a")
    assert repr(document) == before
    return made


@pytest.mark.parametrize(
    ("kind", "left"),
    [("openai", {}), ("azure", {}), ("compatible", {"reasoning_content": "hm"})],
)
def test_claudes_thinking_stays_out_of_chat(kind: str, left: dict[str, Any]) -> None:
    said = {"role": "assistant", "content": "x"}
    thought = {**said, "reasoning_content": "hm", "thinking_blocks": [SIGNED]}
    other = {**said, "reasoning_content": "its own"}
    found = passed(Dialect.CHAT, kind, messages=[thought, other, 7])
    assert found["messages"] == [{**said, **left}, other, 7]


def test_unsigned_thinking_stays_out_of_messages() -> None:
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [UNSIGNED, TEXT]},
        {"role": "assistant", "content": [SIGNED, TEXT]},
        {"role": "assistant", "content": [UNSIGNED]},
    ]
    found = passed(Dialect.MESSAGES, messages=turns)["messages"]
    assert found == [
        turns[0],
        {"role": "assistant", "content": [TEXT]},
        turns[2],
        {"role": "assistant", "content": "…"},
    ]


def test_our_reasoning_stays_out_of_responses() -> None:
    ours = {"type": "reasoning", "id": "rs_llmlab_1", "summary": []}
    theirs = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert passed(Dialect.RESPONSES, input=[ours, theirs])["input"] == [theirs]


@pytest.mark.parametrize("model", ["deepseek-reasoner", "moonshotai/Kimi-K2-Thinking"])
def test_models_that_think_on_see_what_they_thought(model: str) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    turns = [
        {"role": "assistant", "content": [UNSIGNED, call]},
        {"role": "assistant", "content": [UNSIGNED, TEXT]},
    ]
    document = {"model": "a", "max_tokens": 9, "messages": turns}
    made = translator(Dialect.MESSAGES, Dialect.CHAT)
    first, second = made.request(document, model=model)["messages"]
    assert first["reasoning_content"] == "hm"
    assert "reasoning_content" not in second
    assert "reasoning_content" not in made.request(document, model="mistral")["messages"][0]


@pytest.mark.parametrize(
    "call",
    [
        {"id": "call_1"},
        {"id": "functions.f:0"},
        {"id": "a", "extra_content": {"google": {"thought_signature": "x" * 500}}},
        {"id": ""},
    ],
)
def test_names_of_calls_come_back(call: dict[str, Any]) -> None:
    name = packed_id(call)
    assert all(char.isalnum() or char in "_-" for char in name)
    assert unpacked(name) == (call["id"], call.get("extra_content"))


@pytest.mark.parametrize("name", ["a__extra__", "a__extra__!!", "a__extra__bnVsbA", "x" * 60])
def test_names_nobody_packed_are_only_shortened(name: str) -> None:
    own, extra = unpacked(name)
    assert extra is None
    assert 0 < len(own) <= 40
