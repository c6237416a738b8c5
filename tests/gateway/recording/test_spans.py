"""What a recorded step says: who said what, where the time went, and what was tried."""

from typing import Any

import msgspec
import pytest

from gateway.recording.spans import span_of
from gateway.recording.timing import Timing, timing_of
from gateway.structs import CachePlan, CacheRule, Dialect
from tests.gateway.recording import calls
from traces.conversation import messages_of

SYSTEM = "Be brief."
HELLO = "Say hello."
SHAPES: dict[Dialect, tuple[dict[str, Any], dict[str, Any]]] = {
    Dialect.CHAT: (
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": [{"type": "text", "text": HELLO}]},
            ]
        },
        calls.ANSWER,
    ),
    Dialect.MESSAGES: (
        {"system": SYSTEM, "messages": [{"role": "user", "content": HELLO}], "max_tokens": 9},
        {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
    ),
    Dialect.RESPONSES: (
        {"instructions": SYSTEM, "input": HELLO},
        {
            "id": "resp_1",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello!"}],
                }
            ],
        },
    ),
}


def end(dialect: Dialect, body: dict[str, Any], answer: dict[str, Any], **values: Any) -> Any:
    encode = msgspec.json.encode
    one = calls.call(dialect=dialect, body=encode({"model": "fast", **body}))
    return calls.finished(of=one, answer=encode(answer), **values)


@pytest.mark.parametrize("dialect", SHAPES)
def test_the_conversation_is_readable_whatever_the_wire(dialect: Dialect) -> None:
    span = span_of(end(dialect, *SHAPES[dialect]))
    asked, answered = messages_of(span.input, "user"), messages_of(span.output, "assistant")
    assert asked is not None
    assert answered is not None
    assert [(one.words, one.parts[0].text) for one in asked + answered] == [
        ("System", SYSTEM),
        ("User", HELLO),
        ("Assistant", "Hello!"),
    ]


@pytest.mark.parametrize(
    ("kind", "raw", "speed"),
    [
        ("anthropic", {"speed": "standard"}, "standard"),
        ("anthropic", {"speed": "fast"}, "fast"),
        ("anthropic", None, "fast"),
        ("openai", None, ""),
    ],
)
def test_speed_is_the_one_that_was_served(kind: str, raw: Any, speed: str) -> None:
    body, answer = SHAPES[Dialect.MESSAGES]
    one = end(Dialect.MESSAGES, {**body, "speed": "fast"}, answer, raw_usage=raw)
    target = msgspec.structs.replace(one.attempts[0].target, kind=kind)
    one.attempts = [msgspec.structs.replace(one.attempts[0], target=target)]
    assert span_of(one).speed == speed


def test_bodies_without_a_conversation() -> None:
    span = span_of(end(Dialect.EMBEDDINGS, {"input": ["a", "b"]}, {"data": [{"embedding": [0.1]}]}))
    assert (span.kind, span.operation, span.input, span.output) == (
        "embedding",
        "embeddings",
        ["a", "b"],
        None,
    )
    span = span_of(
        end(Dialect.COMPLETIONS, {"prompt": HELLO}, {"choices": [{"text": "Hi", "index": 0}]})
    )
    assert (span.input, span.output) == (HELLO, [{"role": "assistant", "content": "Hi"}])
    broken = calls.call(body=b"\xff{")
    span = span_of(calls.finished(of=broken, answer=b"[1"))
    assert (span.input, span.output) == (None, None)


def test_values_no_column_takes_are_made_fit() -> None:
    raw = b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}'
    who = calls.caller(user="u" * 900, tags=("a" * 300, "", "b"), metadata={"k": "v\x00"})
    span = span_of(
        calls.finished(of=calls.call(body=raw, caller=who, model="m" * 200), message="\x00" * 9999)
    )
    assert span.input == [{"role": "user", "content": "a\ufffdb"}]
    assert len(span.user_id) == 200
    assert [len(tag) for tag in span.tags] == [200, 1]
    assert span.metadata == {"k": "v\ufffd"}
    assert "\x00" not in span.error_message


def test_what_the_caller_wants_not_recorded_is_not() -> None:
    span = span_of(end(Dialect.CHAT, *SHAPES[Dialect.CHAT], flags=("omit_input",)))
    assert span.input is None
    assert span.output is not None
    span = span_of(end(Dialect.CHAT, *SHAPES[Dialect.CHAT], flags=("omit_output",)))
    assert span.input is not None
    assert span.output is None


def test_each_try_is_an_event() -> None:
    call = calls.call()
    west = msgspec.structs.replace(calls.TARGET, connection="0" * 32, provider="azure", step=1)
    tries = [
        calls.tried(call, status=429, error="rate_limit", message="slow down", retry_after_s=2.0),
        calls.tried(call, after=3.0, target=west, request_id="req_9"),
    ]
    span = span_of(calls.finished(of=call, attempts=tries, ended_at=call.accepted_at + 4))
    assert span.provider == "azure"
    first, second = span.events
    assert first["attributes"]["error.type"] == "rate_limit"
    assert first["offset_ms"] == pytest.approx(12, abs=0.01)
    assert second["attributes"]["request_id"] == "req_9"
    assert span.attributes["llmlab.gateway.fallbacks"] == 1
    assert span.attributes["llmlab.gateway.retry_ms"] == pytest.approx(2988, abs=0.01)


def parts(timing: Timing) -> float:
    values = [getattr(timing, name) for name in timing.__struct_fields__]
    named = dict(zip(timing.__struct_fields__, values, strict=True))
    return sum(v or 0 for n, v in named.items() if n not in ("total", "first_token"))


def test_the_parts_of_the_time_add_up_to_the_whole() -> None:
    call = calls.call(cache_s=0.001)
    timing = timing_of(calls.finished(of=call))
    assert timing.door == pytest.approx(3, abs=0.01)
    assert timing.cache == pytest.approx(1, abs=0.01)
    assert timing.queue == pytest.approx(6, abs=0.01)
    assert timing.prepare == pytest.approx(2, abs=0.01)
    assert timing.retry is None
    assert timing.provider == pytest.approx(500, abs=0.01)
    assert timing.first_token == pytest.approx(250, abs=0.01)
    assert timing.send == pytest.approx(8, abs=0.01)
    assert parts(timing) == pytest.approx(timing.total)


@pytest.mark.parametrize("queued", [-5.0, 0.0, 900.0])
@pytest.mark.parametrize("claimed", [-1.0, 0.0, 900.0])
def test_clocks_that_disagree_give_no_negative_part(queued: float, claimed: float) -> None:
    call = calls.call()
    call.queued_at, call.claimed_at = call.accepted_at + queued, call.accepted_at + claimed
    timing = timing_of(calls.finished(of=call))
    values = [getattr(timing, name) for name in timing.__struct_fields__]
    assert all(value is None or value >= 0 for value in values)
    assert parts(timing) == pytest.approx(timing.total)


def test_a_hit_is_time_in_the_cache() -> None:
    plan = CachePlan(key="k", scope="s", rule=CacheRule(exact=True))
    call = calls.call(queued_at=0.0, claimed_at=0.0, cache=plan, cache_s=0.002)
    hit = calls.finished(
        of=call, attempts=[], state="cached", cached_id="1" * 32, ended_at=call.accepted_at + 0.005
    )
    timing = timing_of(hit)
    assert (timing.queue, timing.provider) == (None, None)
    assert timing.cache == pytest.approx(2, abs=0.01)
    assert parts(timing) == pytest.approx(timing.total)


def test_looking_for_meaning_is_time_of_the_cache_not_of_the_worker() -> None:
    plan = CachePlan(key="k", scope="s", rule=CacheRule(semantic=True))
    call = calls.call(cache=plan, cache_s=0.0021)
    timing = timing_of(calls.finished(of=call))
    assert timing.cache == pytest.approx(2.1, abs=0.01)
    assert timing.prepare == pytest.approx(0, abs=0.01)
    assert timing.door == pytest.approx(3.9, abs=0.01)
    assert parts(timing) == pytest.approx(timing.total)


def test_only_a_stream_has_a_first_token() -> None:
    end = calls.finished(of=calls.call(is_stream=False))
    assert span_of(end).first_token_ms is None
    assert timing_of(end).first_token is None
    assert timing_of(end).provider == pytest.approx(500, abs=0.01)
