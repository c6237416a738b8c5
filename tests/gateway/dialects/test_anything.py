"""Whatever a provider sends and however a request is bent: no exception escapes, no stream stays open."""

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from gateway.dialects.collect import Collector
from gateway.dialects.facts import RequestError, facts_of
from gateway.dialects.sse import DONE, Event, Events, frame
from gateway.dialects.translate import can_translate, translator
from gateway.structs import Dialect
from tests.gateway.dialects.wires import chat_call, chat_stream, message_stream

CHAT, MESSAGES, RESPONSES = Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES
SEEDS = range(60)
ODD: list[Any] = [None, True, -1, 3.5, 10**30, "", "x", [], [1], ["x"], {}, {"a": 1}, [[{}]]]


def bent(value: Any, chance: random.Random, share: float) -> Any:
    """The value with some of its inner values replaced, left out or doubled."""
    if chance.random() < share:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {
            key: bent(inner, chance, share)
            for key, inner in value.items()
            if chance.random() > share / 2
        }
    if isinstance(value, list):
        twice = [item for item in value for _ in range(1 + (chance.random() < share))]
        return [bent(item, chance, share) for item in twice]
    return value


def bent_stream(stream: list[bytes], chance: random.Random) -> bytes:
    made = []
    for event in Events().feed(b"".join(stream)):
        if chance.random() < 0.1:
            continue
        document: Any = event.document
        data = event.data
        if document is not None and chance.random() < 0.5:
            data = msgspec.json.encode(bent(document, chance, 0.15))
        if chance.random() < 0.05:
            data = data[: len(data) // 2]
        made.append(frame(data, event.name))
    return b"".join(made)


STREAMS = {
    CHAT: chat_stream(
        {"reasoning_content": "hm"},
        {"content": "Hello"},
        {"tool_calls": [chat_call(0, "a", "f", '{"x":1}'), chat_call(1, "b", "g", "{}")]},
        {"refusal": "No."},
    ),
    MESSAGES: message_stream(
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
        ],
        "tool_use",
    ),
}
BODIES: dict[Dialect, Any] = {
    CHAT: {
        "model": "m",
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,A"}},
                ],
            },
            {"role": "assistant", "tool_calls": [chat_call(0, "a", "f", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "7"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "stop": ["x"],
        "reasoning_effort": "low",
        "metadata": {"a": "b"},
        "user": "u",
    },
    MESSAGES: {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "S"}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "text", "text": "7"}],
                    }
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u"},
        "stop_sequences": ["x"],
    },
    RESPONSES: {
        "model": "m",
        "instructions": "S",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "7"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}},
        "reasoning": {"effort": "low"},
    },
}
PAIRS = [
    (client, provider)
    for client in BODIES
    for provider in (CHAT, MESSAGES)
    if can_translate(client, provider)
]


def parts_of(stream: bytes, chance: random.Random) -> Iterator[Event]:
    events, at = Events(), 0
    while at < len(stream):
        step = chance.randrange(1, 200)
        yield from events.feed(stream[at : at + step])
        at += step
    yield from events.end()


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_bent_streams(client: Dialect, provider: Dialect) -> None:
    facts = facts_of(CHAT, msgspec.json.encode(BODIES[CHAT]))
    for seed in SEEDS:
        chance = random.Random(seed)
        collector, made = Collector(provider), translator(client, provider)
        sent = b""
        for event in parts_of(bent_stream(STREAMS[provider], chance), chance):
            collector.event(event)
            sent += made.event(event)
        sent += made.end()
        msgspec.json.decode(collector.answer())
        assert collector.usage_or_estimate(facts).is_known
        assert isinstance(collector.text, str)
        for event in Events().feed(sent):
            assert event.document is not None or event.data == DONE or client is provider


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_bent_answers(client: Dialect, provider: Dialect) -> None:
    whole = Collector(provider)
    for event in Events().feed(b"".join(STREAMS[provider])):
        whole.event(event)
    answer = msgspec.json.decode(whole.answer())
    facts = facts_of(CHAT, msgspec.json.encode(BODIES[CHAT]))
    for seed in SEEDS:
        body = msgspec.json.encode(bent(answer, random.Random(seed), 0.08))
        collector = Collector(provider)
        collector.whole(body)
        assert collector.usage_or_estimate(facts).is_known
        assert isinstance(collector.text, str)
        with suppress(ValueError):
            msgspec.json.decode(translator(client, provider).answer(body))


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_bent_requests(client: Dialect, provider: Dialect) -> None:
    taken = 0
    for seed in SEEDS:
        body = msgspec.json.encode(bent(BODIES[client], random.Random(seed), 0.05))
        try:
            facts = facts_of(client, body)
            made = translator(client, provider).request(facts.document, model="claude-x")
        except RequestError:
            continue
        taken += 1
        msgspec.json.encode(made)
        assert made["model"] == "claude-x"
    assert taken > 3
