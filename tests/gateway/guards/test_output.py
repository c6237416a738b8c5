"""Checks of answers: whole, and streams cut anywhere."""

import json
import random
from typing import Any

import pytest

from gateway.dialects.collect import Collector
from gateway.dialects.replay import as_stream
from gateway.dialects.sse import Events
from gateway.guards.output import GuardBlockedError, OutputGuard
from gateway.guards.schemas import asked_for, wrong_with
from gateway.structs import Dialect, GuardRule

KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "QUJD\n" * 200 + "-----END PRIVATE KEY-----"
MASK = (
    GuardRule(kind="pii", action="mask", on="output"),
    GuardRule(kind="secrets", action="mask", on="both"),
    GuardRule(kind="patterns", action="mask", on="output", patterns=("(?i)project xanadu",)),
)
WORDS = "The quick brown fox jumps over the lazy dog again and again. " * 6


def answer(dialect: Dialect, text: str) -> dict[str, Any]:
    arguments = json.dumps({"to": "\njane@example.com"})
    if dialect is Dialect.CHAT:
        call = {
            "index": 0,
            "id": "c",
            "type": "function",
            "function": {"name": "f", "arguments": arguments},
        }
        message = {"role": "assistant", "content": text, "tool_calls": [call]}
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
    if dialect is Dialect.MESSAGES:
        blocks = [
            {"type": "text", "text": text},
            {"type": "tool_use", "id": "c", "name": "f", "input": json.loads(arguments)},
        ]
        return {
            "id": "x",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": blocks,
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "x", "object": "response", "status": "completed", "model": "m", "created_at": 1, "output": [
        {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": parts},
        {"type": "function_call", "id": "j", "call_id": "c", "name": "f", "arguments": arguments},
    ], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}  # fmt: skip


def letter_by_letter(dialect: Dialect, text: str) -> bytes:
    """The answer's stream, its text in pieces of three letters."""
    out = []
    for event in as_stream(dialect, json.dumps(answer(dialect, text)).encode()):
        (parsed,) = Events().feed(event)
        document = parsed.document
        place = _text_of(document) if document else None
        if place is None:
            out.append(event)
            continue
        holder, field = place
        said = holder[field]
        for start in range(0, len(said), 3):
            holder[field] = said[start : start + 3]
            name = b"event: %b\n" % parsed.name.encode() if parsed.name else b""
            out.append(name + b"data: " + json.dumps(document).encode() + b"\n\n")
    return b"".join(out)


def _text_of(document: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    if document.get("type") in ("response.output_text.delta",):
        return document, "delta"
    delta = document.get("delta")
    if isinstance(delta, dict) and delta.get("text"):
        return delta, "text"
    for choice in document.get("choices", ()):
        if choice.get("delta", {}).get("content"):
            return choice["delta"], "content"
    return None


def through(guard: OutputGuard, stream: bytes, seed: int = 1) -> bytes:
    """The stream as it comes out, fed in pieces of any size."""
    draw, out, place = random.Random(seed), [], 0
    while place < len(stream):
        size = draw.randint(1, 400)
        out.append(guard.feed(stream[place : place + size]))
        place += size
    return b"".join([*out, guard.end()])


def collected(dialect: Dialect, stream: bytes) -> Any:
    collector = Collector(dialect)
    events = Events()
    for event in [*events.feed(stream), *events.end()]:
        collector.event(event)
    assert collector.is_complete
    assert collector.flags == [] or collector.flags == ["usage_estimated"]
    return json.loads(collector.answer())


WIRES = [Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES]
FOUND = [
    ("Write to jane@example.com today", "Write to [email] today"),
    (f"{WORDS}The key is {KEY}.", f"{WORDS}The key is [secret]."),
    (f"{KEY} {WORDS}", f"[secret] {WORDS}"),
    (f"{WORDS}{PEM} {WORDS}", f"{WORDS}[secret] {WORDS}"),
    (f"{WORDS}Say Project Xanadu. {WORDS}", f"{WORDS}Say [removed]. {WORDS}"),
    (f"{WORDS}4111 1111 1111 1111 {WORDS}", f"{WORDS}[card] {WORDS}"),
    (f"日本語のテキスト{'あ' * 400} jané@example.com", f"日本語のテキスト{'あ' * 400} [email]"),
    (WORDS, WORDS),
]


@pytest.mark.parametrize("dialect", WIRES)
@pytest.mark.parametrize(("said", "heard"), FOUND)
def test_a_stream_says_what_the_masked_answer_says(dialect: Dialect, said: str, heard: str) -> None:
    guard = OutputGuard(MASK, dialect)
    out = through(guard, letter_by_letter(dialect, said))
    shown = json.dumps(collected(dialect, out))
    assert json.dumps(heard)[1:-1] in shown
    assert b"jane@" not in out
    assert KEY.encode() not in out
    assert (
        json.loads(OutputGuard(MASK, dialect).whole(json.dumps(answer(dialect, said)).encode()))
        is not None
    )
    assert collected(dialect, out) == json.loads(
        OutputGuard(MASK, dialect).whole(
            json.dumps(collected(dialect, letter_by_letter(dialect, said))).encode()
        )
    )
    assert "guard:pii:masked" in guard.flags


def test_the_beginning_does_not_wait_for_the_end() -> None:
    guard = OutputGuard(MASK, Dialect.CHAT)
    stream = letter_by_letter(Dialect.CHAT, WORDS)
    out = guard.feed(stream[: len(stream) * 3 // 4])
    collector = Collector(Dialect.CHAT)
    for event in Events().feed(out):
        collector.event(event)
    assert collector.text.startswith("The quick")


def test_json_is_let_through_whole_and_stays_json() -> None:
    text = json.dumps({"note": "\njane@example.com", "long": WORDS})
    out = through(OutputGuard(MASK, Dialect.CHAT), letter_by_letter(Dialect.CHAT, text))
    message = collected(Dialect.CHAT, out)["choices"][0]["message"]
    assert json.loads(message["content"]) == {"note": "\n[email]", "long": WORDS}
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": "\n[email]"}


@pytest.mark.parametrize("dialect", WIRES)
def test_a_block_ends_a_stream_before_what_it_found(dialect: Dialect) -> None:
    guard = OutputGuard((GuardRule(kind="secrets", action="block", on="output"),), dialect)
    stream = letter_by_letter(dialect, f"{WORDS}{KEY}")
    sent = []

    def send() -> None:
        for place in range(0, len(stream), 50):
            sent.append(guard.feed(stream[place : place + 50]))

    with pytest.raises(GuardBlockedError) as caught:
        send()
    assert b"sk-proj" not in b"".join(sent)
    assert "abcdef" not in str(caught.value)
    assert guard.flags == ["guard:secrets:blocked"]
    with pytest.raises(GuardBlockedError):
        guard.whole(json.dumps(answer(dialect, KEY)).encode())


def test_a_flag_lets_every_byte_through() -> None:
    guard = OutputGuard((GuardRule(kind="pii", on="output"),), Dialect.CHAT)
    stream = letter_by_letter(Dialect.CHAT, "jane@example.com")
    assert through(guard, stream) == stream
    body = json.dumps(answer(Dialect.CHAT, "jane@example.com")).encode()
    assert guard.whole(body) == body
    assert guard.flags == ["guard:pii:flagged"]


def test_tokens_beside_the_text_do_not_tell_what_was_masked() -> None:
    body = answer(Dialect.CHAT, "jane@example.com")
    body["choices"][0]["logprobs"] = {"content": [{"token": "jane", "logprob": -1}]}
    made = json.loads(OutputGuard(MASK, Dialect.CHAT).whole(json.dumps(body).encode()))
    assert made["choices"][0]["logprobs"] is None


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        (Dialect.CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}),
        (Dialect.RESPONSES, {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        (Dialect.MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)  # fmt: skip
def test_the_schema_is_the_requests_own(dialect: Dialect, document: dict[str, Any]) -> None:
    assert asked_for(dialect, document) == SCHEMA
    assert asked_for(dialect, {}) is None


def said(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


def test_what_is_wrong_is_said_to_the_model() -> None:
    assert wrong_with(Dialect.CHAT, SCHEMA, said('{"n": 1}')) == ""
    assert "integer" in wrong_with(Dialect.CHAT, SCHEMA, said('{"n": "1"}'))
    assert "no JSON" in wrong_with(Dialect.CHAT, SCHEMA, said("Sure! {}"))
    # Schemas are clients': no address in them is read, no pattern runs away.
    assert wrong_with(Dialect.CHAT, {"$ref": "http://127.0.0.1:9/x"}, said("{}")) == ""
    slow = {"type": "string", "pattern": "^(a+)+$"}
    assert wrong_with(Dialect.CHAT, slow, said(json.dumps("a" * 50 + "b")))
