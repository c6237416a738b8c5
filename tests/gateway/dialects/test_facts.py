"""What the door reads of a request, in every dialect, and what it refuses."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.structs import Dialect

CHAT, MESSAGES, RESPONSES = Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


def facts(dialect: Dialect, **body: Any) -> RequestFacts:
    return facts_of(dialect, msgspec.json.encode({"model": "m", **body}))


def turns(found: RequestFacts) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in found.turns]


def test_chat() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = facts(
        CHAT,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": [{"type": "text", "text": "Be short."}]},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "a cat"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=7,
        max_completion_tokens=9,
        n=2,
        user="u1",
        service_tier="flex",
        metadata={"team": "blue", "tags": ["x"], "n": 3},
    )
    assert found.system == "Be kind.\nBe short."
    assert turns(found) == [("user", "What is this?"), ("assistant", ""), ("tool", "a cat")]
    assert found.last_user_text == "What is this?"
    assert (found.is_stream, found.wants_usage, found.has_images) == (True, True, True)
    assert (found.max_output_tokens, found.choices) == (9, 2)
    assert found.tools == b'[{"function":{"name":"f","parameters":{}},"type":"function"}]'
    assert (found.user, found.service_tier, found.tags) == ("u1", "flex", ("x",))
    assert found.metadata == {"team": "blue"}
    assert 1_100 < found.input_tokens < 1_200


def test_messages() -> None:
    found = facts(
        MESSAGES,
        max_tokens=0,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "input": {}}]},
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
        metadata={"user_id": "u9", "x": "y"},
    )
    assert turns(found) == [("user", "Hi"), ("assistant", ""), ("tool", "7")]
    assert (found.system, found.last_user_text, found.user) == ("Be kind.", "Hi", "u9")
    assert (found.max_output_tokens, found.wants_usage) == (0, True)


def test_responses() -> None:
    found = facts(
        RESPONSES,
        instructions="Be kind.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "7"},
        ],
        max_output_tokens=50,
    )
    assert turns(found) == [("user", "Hi"), ("tool", "7")]
    assert (found.system, found.max_output_tokens) == ("Be kind.", 50)
    assert turns(facts(RESPONSES, input="Hi")) == [("user", "Hi")]
    assert turns(facts(RESPONSES, previous_response_id="r")) == []


@pytest.mark.parametrize(
    ("given", "expected", "tokens"),
    [
        ("abcd", ["abcd"], 5),
        (["abcd", "e"], ["abcd", "e"], 10),
        ([1, 2, 3], [], 3),
        ([[1, 2], [3]], [], 3),
    ],
)
def test_inputs_of_embeddings(given: Any, expected: list[str], tokens: int) -> None:
    found = facts(Dialect.EMBEDDINGS, input=given)
    assert [turn.text for turn in found.turns] == expected
    assert (found.input_tokens, found.max_output_tokens) == (tokens, 0)


def test_what_never_streams_does_not_stream() -> None:
    assert not facts(Dialect.EMBEDDINGS, input="x", stream=True).is_stream
    assert facts(CHAT, messages=HELLO, stream=True).is_stream


def test_choices_of_completions_count_prompts_and_best_of() -> None:
    assert facts(Dialect.COMPLETIONS, prompt=["a", "b"], n=2, best_of=3).choices == 6
    assert facts(Dialect.COMPLETIONS, prompt=[1, 2]).choices == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Where is my parcel? " * 10, 45, 60),
        ("Где моя посылка? " * 10, 55, 90),
        ("我的包裹在哪里" * 10, 45, 80),
        ("", 4, 4),
    ],
)
def test_estimated_tokens_are_near(text: str, least: int, most: int) -> None:
    found = facts(CHAT, messages=[{"role": "user", "content": text}])
    assert least <= found.input_tokens <= most
    assert found.input_bytes >= len(text.encode())


@pytest.mark.parametrize(
    ("dialect", "body", "field"),
    [
        (CHAT, b"", ""),
        (CHAT, b"[]", ""),
        (CHAT, b'{"model": "m"', ""),
        (CHAT, b'{"model": "\xff"}', ""),
        (CHAT, b'{"a":' * 100_000, ""),
        (CHAT, {"messages": HELLO}, "model"),
        (CHAT, {"model": 7, "messages": HELLO}, "model"),
        (CHAT, {"model": "", "messages": HELLO}, "model"),
        (CHAT, {"model": "x" * 201, "messages": HELLO}, "model"),
        (CHAT, {"model": "m"}, "messages"),
        (CHAT, {"model": "m", "messages": []}, "messages"),
        (CHAT, {"model": "m", "messages": ["x"]}, "messages.0"),
        (CHAT, {"model": "m", "messages": [{"content": "x"}]}, "messages.0.role"),
        (CHAT, {"model": "m", "messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        (
            CHAT,
            {"model": "m", "messages": [{"role": "user", "content": [7]}]},
            "messages.0.content.0",
        ),
        (CHAT, {"model": "m", "messages": HELLO, "stream": "yes"}, "stream"),
        (CHAT, {"model": "m", "messages": HELLO, "n": 0}, "n"),
        (CHAT, {"model": "m", "messages": HELLO, "max_tokens": "9"}, "max_tokens"),
        (CHAT, {"model": "m", "messages": HELLO, "stream_options": 1}, "stream_options"),
        (CHAT, {"model": "m", "messages": HELLO, "tools": {"a": 1}}, "tools"),
        (MESSAGES, {"model": "m", "messages": HELLO}, "max_tokens"),
        (MESSAGES, {"model": "m", "max_tokens": 1, "messages": [{"role": "x"}]}, "messages.0.role"),
        (RESPONSES, {"model": "m"}, "input"),
        (RESPONSES, {"model": "m", "input": 7}, "input"),
        (Dialect.EMBEDDINGS, {"model": "m", "input": []}, "input"),
        (Dialect.EMBEDDINGS, {"model": "m", "input": [None]}, "input.0"),
        (Dialect.COMPLETIONS, {"model": "m"}, "prompt"),
    ],
)
def test_refused(dialect: Dialect, body: Any, field: str) -> None:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(RequestError) as caught:
        facts_of(dialect, raw)
    assert caught.value.field == field
    assert caught.value.message


def test_what_is_not_read_is_not_judged() -> None:
    odd = {"temperature": "hot", "future": {"a": [1]}, "metadata": 7, "user": 3, "tags": "x"}
    found = facts(CHAT, messages=[{"role": "user", "content": [{"type": ["x"]}]}], **odd)
    assert found.document["future"] == {"a": [1]}
    assert (found.user, found.tags, found.metadata) == ("", (), {})


@pytest.mark.parametrize(
    ("given", "user", "session"),
    [
        ("ada", "ada", ""),
        ("user_ab_account_cd_session_ef", "user_ab_account_cd", "ef"),
        ('{"device_id":"d","account_uuid":"a","session_id":"s"}', "a", "s"),
        ('{"device_id":"d","account_uuid":"","session_id":"s"}', "d", "s"),
        ('{"session_id":7}', '{"session_id":7}', ""),
        ("{broken", "{broken", ""),
        ("_session_x", "_session_x", ""),
    ],
)
def test_claude_codes_users_and_sessions(given: str, user: str, session: str) -> None:
    found = facts(MESSAGES, max_tokens=1, messages=HELLO, metadata={"user_id": given})
    assert (found.user, found.session) == (user, session)


def test_litellms_session() -> None:
    found = facts(CHAT, messages=HELLO, litellm_session_id="s")
    assert found.session == "s"
    assert facts(CHAT, messages=HELLO, metadata={"session_id": "t"}).session == "t"


def test_what_cannot_be_counted_is_bounded() -> None:
    def measured(*parts: dict[str, Any]) -> tuple[int, int]:
        found = facts(CHAT, messages=[{"role": "user", "content": list(parts)}])
        return found.input_tokens, found.input_bytes

    linked = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
    small = {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}}
    pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 400_000}}
    named = {"type": "file", "file": {"file_id": "file-1"}}
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 640_000, "format": "wav"}}
    assert measured(linked) == (1_104, 6_004)
    assert measured(small) == (89, 6_004)
    assert measured(pdf) == (15_005, 150_014)
    assert measured(named) == (1_104, 100_004)
    assert measured(sound) == (1_104, 240_004)
    assert facts(RESPONSES, input="Hi", previous_response_id="r").input_bytes == 100_006


def test_no_limit_may_be_said_as_minus_one() -> None:
    assert facts(CHAT, messages=HELLO, max_tokens=-1).max_output_tokens is None
