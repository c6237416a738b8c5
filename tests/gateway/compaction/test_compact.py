"""Compaction: what may not change does not, doing it twice changes nothing, and requests stay requests."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.compaction.compact import compact
from gateway.compaction.prose import joined, parts_of
from gateway.dialects.facts import facts_of
from gateway.structs import CompactRule, Dialect

ALL = CompactRule(whitespace=True, repeats=True, tool_results_after=1, history_tokens=300)
WHITESPACE = CompactRule(whitespace=True)
LONG = "The harvest report says that apples did well this year. " * 5

# Each stays byte for byte wherever it stands.
FIXED = [
    "```python\nx  =  1\n\n\n\ny  =  2   \n```",
    "~~~\na   b\n\n\n\nc   d\n~~~",
    "    indented   code\n    of   two lines",
    '{"a":   1,\n\n\n\n "b":  [1,   2]}',
    "[1,   2,\n\n\n   3]",
    "<doc>\n  a   b\n\n\n\nc   d  e\n</doc>",
    "| a   | b   |\n|-----|-----|\n| 1   | 2   |",
    "Name    Price\nApple   3.10\nPear    4.20",
    "> quoted   text\n> of    two lines",
    'She said: "well   then   go"',
    "“One   quote\n\n\n\nof two   paragraphs”",
    "`inline   code` here   and   there",
    "「引用   です\n\n\n\nつづく   文」",
    "‹ zwei   Absätze\n\n\n\nzitiert   ›",
    "Hon sa ’vi   ses   nu’ igen",
    "x\ty\n1\t2",
]
PROSE = [
    "Please   answer  briefly.   ",
    "Two\nlines   here",
    LONG,
    "It doesn't  matter.",
    "Ünïcode   tëxt",
]
GAPS = ["\n\n", "\n\n\n\n", "\n \n\n"]
texts = st.lists(
    st.tuples(st.sampled_from([*FIXED, *PROSE]), st.sampled_from(GAPS)), min_size=1, max_size=5
)


def chat(*texts: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}


def whole(pairs: list[tuple[str, str]]) -> str:
    return "".join(text + gap for text, gap in pairs)


@settings(max_examples=150, deadline=None)
@given(texts)
def test_code_data_and_quotes_keep_every_byte(pairs: list[tuple[str, str]]) -> None:
    text = whole(pairs)
    assert joined(parts_of(text)) == text
    document, _ = compact(WHITESPACE, Dialect.CHAT, chat(text))
    after = document["messages"][0]["content"]
    place = 0
    for piece, _gap in pairs:
        if piece in FIXED:
            place = after.index(piece, place) + len(piece)
    assert after.split() == text.split()


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=" \n\t\"'`<>/{}[]abc.|-~“”", max_size=80))
def test_any_text_keeps_its_words_and_settles_at_once(text: str) -> None:
    rule = CompactRule(whitespace=True, repeats=True)
    once, _ = compact(rule, Dialect.CHAT, chat(text, text, "end"))
    twice, saved = compact(rule, Dialect.CHAT, once)
    assert (twice, saved) == (once, {})
    assert [one["content"].split() for one in once["messages"]] == [
        one["content"].split() for one in chat(text, text, "end")["messages"]
    ]


def test_prose_loses_the_white_space_that_says_nothing() -> None:
    text = "Please   answer  briefly.   \n\n\n\n\nAnd   kindly."
    before = chat(text)
    kept = copy.deepcopy(before)
    document, saved = compact(WHITESPACE, Dialect.CHAT, before)
    assert document["messages"][0]["content"] == "Please answer briefly.\n\nAnd kindly."
    assert (saved, before) == ({"whitespace": 3}, kept)


@pytest.mark.parametrize("fixed", FIXED)
def test_what_is_fixed_is_untouched_between_prose(fixed: str) -> None:
    document, _ = compact(
        WHITESPACE, Dialect.CHAT, chat(f"Look   here.\n\n{fixed}\n\nThen  answer.")
    )
    assert document["messages"][0]["content"].startswith(f"Look here.\n\n{fixed}\n\n")


def test_a_quote_over_several_parts_of_a_message_is_one_quote() -> None:
    parts = [{"type": "text", "text": text} for text in ("<file>", "a   b", "</file>", "a   b")]
    document, _ = compact(
        WHITESPACE, Dialect.MESSAGES, {"messages": [{"role": "user", "content": parts}]}
    )
    found = [part["text"] for part in document["messages"][0]["content"]]
    assert found == ["<file>", "a   b", "</file>", "a b"]


def test_a_repeated_paragraph_becomes_a_reference_but_not_in_the_last_turn() -> None:
    document, saved = compact(
        CompactRule(repeats=True), Dialect.CHAT, chat(LONG, f"Again:\n\n{LONG}", f"Last\n\n{LONG}")
    )
    first, second, last = (one["content"] for one in document["messages"])
    assert (first, last) == (LONG, f"Last\n\n{LONG}")
    assert second == (
        "Again:\n\n[The same paragraph as above was left out here; it begins: The harvest report says that"
        " apples did well this year. …]"
    )
    assert saved["repeats"] > 30


def test_repeated_code_stays() -> None:
    code = "```\n" + "call()  # again\n" * 30 + "```"
    before = chat(code, code, "end")
    assert compact(ALL, Dialect.CHAT, before) == (before, {})


def agent(dialect: Dialect, steps: int) -> dict[str, Any]:
    """Exchanges of a question, a tool call, its long result and an answer."""
    items: list[dict[str, Any]] = []
    for number in range(steps):
        call, result = f"call_{number}", json.dumps({"rows": list(range(200))})
        question = {"role": "user", "content": f"Question   {number}"}
        if dialect is Dialect.CHAT:
            function = {"name": "f", "arguments": '{"a":  1}'}
            items += [
                question,
                {"role": "assistant", "content": None,
                 "tool_calls": [{"id": call, "type": "function", "function": function}]},
                {"role": "tool", "tool_call_id": call, "content": result},
                {"role": "assistant", "content": f"Answer  {number}"},
            ]  # fmt: skip
        elif dialect is Dialect.MESSAGES:
            use = {"type": "tool_use", "id": call, "name": "f", "input": {"a": "b  c"}}
            answer = {"type": "tool_result", "tool_use_id": call, "content": result}
            items += [
                question,
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [answer]},
                {"role": "assistant", "content": f"Answer  {number}"},
            ]
        else:
            made = {"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"}
            items += [
                question,
                made,
                {"type": "function_call_output", "call_id": call, "output": result},
                {"role": "assistant", "content": f"Answer  {number}"},
            ]
    items.append({"role": "user", "content": "Last   question"})
    return {
        Dialect.CHAT: {
            "model": "m",
            "messages": [{"role": "system", "content": "Be kind."}, *items],
        },
        Dialect.MESSAGES: {"model": "m", "max_tokens": 9, "system": "Be kind.", "messages": items},
        Dialect.RESPONSES: {"model": "m", "instructions": "Be kind.", "input": items},
    }[dialect]


WIRES = [Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES]


@pytest.mark.parametrize("dialect", WIRES)
def test_old_tool_results_become_notes(dialect: Dialect) -> None:
    document, saved = compact(CompactRule(tool_results_after=2), dialect, agent(dialect, 3))
    assert json.dumps(document).count("was left out here. Call the tool again") == 2
    assert saved["tool_results"] > 300
    assert compact(CompactRule(tool_results_after=2), dialect, document) == (document, {})


@pytest.mark.parametrize("dialect", WIRES)
@settings(max_examples=40, deadline=None)
@given(steps=st.integers(0, 6), budget=st.integers(100, 3000), after=st.integers(1, 5))
def test_a_compacted_conversation_is_still_one(
    dialect: Dialect, steps: int, budget: int, after: int
) -> None:
    rule = CompactRule(
        whitespace=True, repeats=True, tool_results_after=after, history_tokens=budget
    )
    before = agent(dialect, steps)
    kept = copy.deepcopy(before)
    document, saved = compact(rule, dialect, before)
    assert before == kept
    text = json.dumps(document)
    facts = facts_of(dialect, text.encode())
    assert facts.system == "Be kind."
    assert facts.last_user_text == "Last question"
    for number in range(steps):
        assert text.count(f'"call_{number}"') in (0, 2)
    assert facts.turns[0].role == "user"
    assert compact(rule, dialect, document) == (document, {})
    assert facts_of(dialect, json.dumps(before).encode()).input_tokens - facts.input_tokens >= (
        sum(saved.values()) * 0.5 - 10
    )


@pytest.mark.parametrize(
    "document",
    [{}, {"messages": "no"}, {"messages": [1]}, {"messages": [{"role": 1, "content": {"a": []}}]},
     {"messages": [{"role": "user", "content": [None, {"type": "text", "text": 3}]}]}],
)  # fmt: skip
def test_what_is_no_conversation_stays(document: dict[str, Any]) -> None:
    assert compact(ALL, Dialect.CHAT, document) == (document, {})
    assert compact(ALL, Dialect.EMBEDDINGS, {"input": "a   b"}) == ({"input": "a   b"}, {})
