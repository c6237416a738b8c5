"""Chat Completions requests as Anthropic gets them."""

from typing import Any

import pytest

from gateway.dialects.passing import TranslationError
from gateway.dialects.translate import translator
from gateway.structs import Dialect

NEW, OLD = "claude-opus-5-5", "claude-sonnet-4-5"
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
PNG = "data:image/png;base64,AAAA"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
CLOSED = {
    "type": "object",
    "properties": {"n": {"type": "integer", "description": "(minimum: 1)"}},
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "F.", "parameters": SCHEMA},
}


def made(model: str = NEW, **document: Any) -> dict[str, Any]:
    document = {"model": "alias", "messages": HI, **document}
    return translator(Dialect.CHAT, Dialect.MESSAGES).request(document, model=model)


def changed(model: str = NEW, **document: Any) -> dict[str, Any]:
    """What the request has beside model, messages and the default limit."""
    found = made(model, **document)
    usual = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 16384}
    return {key: value for key, value in found.items() if usual.get(key) != value}


def turns(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    found = made(messages=list(messages))["messages"]
    assert isinstance(found, list)
    return found


def call(name: str, arguments: str, function: str = "f") -> dict[str, Any]:
    return {
        "id": name,
        "type": "function",
        "function": {"name": function, "arguments": arguments},
    }


def test_conversation_with_parallel_tool_calls() -> None:
    found = made(
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Weather in A and B?"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [call("c1", '{"q":"A"}'), call("functions.f:1", "not json")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sun"},
            {
                "role": "tool",
                "tool_call_id": "functions.f:1",
                "content": [{"type": "text", "text": "rain"}],
            },
            {"role": "user", "content": "And?"},
        ],
        tools=[TOOL],
    )
    assert found["system"] == "Be kind."
    assert found["messages"] == [
        {"role": "user", "content": "Weather in A and B?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"q": "A"}},
                {
                    "type": "tool_use",
                    "id": "functions_f_1",
                    "name": "f",
                    "input": {"arguments": "not json"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sun"},
                {"type": "tool_result", "tool_use_id": "functions_f_1", "content": "rain"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert found["tools"] == [{"name": "f", "description": "F.", "input_schema": SCHEMA}]
    assert "tool_choice" not in found


def test_images_and_files() -> None:
    pdf = "data:application/pdf;base64,JVBE"
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": pdf, "filename": "a.pdf"}},
        {"type": "text", "text": ""},
    ]
    assert turns({"role": "user", "content": parts})[0]["content"] == [
        {"type": "text", "text": "Look"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "a.pdf",
        },
    ]


def test_cache_breakpoints_survive() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    found = made(
        messages=[
            {
                "role": "system",
                "content": [
                    {"type": "text", "text": "A", "cache_control": mark},
                    {"type": "text", "text": "B", "prompt_cache_breakpoint": {"mode": "explicit"}},
                ],
            },
            *HI,
        ]
    )
    assert found["system"] == [
        {"type": "text", "text": "A", "cache_control": mark},
        {"type": "text", "text": "B", "cache_control": {"type": "ephemeral"}},
    ]


def test_turns_begin_with_the_user_and_are_never_empty() -> None:
    assert turns({"role": "system", "content": "A"}) == [{"role": "user", "content": "A"}]
    assert turns({"role": "assistant", "content": "A"}, *HI)[0] == {
        "role": "user",
        "content": "Continue.",
    }
    # Blanks alone are refused as nothing is.
    assert turns(*HI, {"role": "assistant", "content": " \n"}, *HI) == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Hi"}],
        }
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 7, "max_tokens": 5}, {"max_tokens": 7}),
        ({"max_tokens": -1}, {}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", " ", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"service_tier": "priority"}, {"service_tier": "auto"}),
        ({"temperature": 0.5, "top_p": 1, "seed": 3, "logit_bias": {}}, {}),
        (
            {"reasoning_effort": "high"},
            {
                "output_config": {"effort": "high"},
                "thinking": {"type": "adaptive", "display": "summarized"},
            },
        ),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
        ),
        (
            {"response_format": {"type": "json_object"}},
            {"system": "Answer with one JSON object and nothing else."},
        ),
        ({"response_format": {"type": "text"}}, {}),
    ],
)
def test_parameters(document: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(**document) == expected


@pytest.mark.parametrize(
    ("model", "document", "expected"),
    [
        (OLD, {"temperature": 1.7, "top_p": 0.5}, {"temperature": 1}),
        (OLD, {"top_p": 0.5}, {"top_p": 0.5}),
        ("claude-opus-4-6", {"temperature": 0}, {"temperature": 0}),
        (
            OLD,
            {"reasoning_effort": "low", "temperature": 0.3},
            {"max_tokens": 18432, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        (
            OLD,
            {"reasoning_effort": "high", "max_tokens": 4096},
            {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        (OLD, {"reasoning_effort": "high", "max_tokens": 1000}, {"max_tokens": 1000}),
        (
            OLD,
            {"reasoning_effort": "max"},
            {"max_tokens": 32768, "thinking": {"type": "enabled", "budget_tokens": 16384}},
        ),
        ("claude-3-5-haiku-20241022", {}, {"max_tokens": 8192}),
        ("claude-3-haiku-20240307", {}, {"max_tokens": 4096}),
        ("claude-sonnet-4-20250514", {}, {}),
    ],
)
def test_parameters_by_model(
    model: str, document: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert changed(model, **document) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"type": "tool", "name": "f"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(document: dict[str, Any], expected: Any) -> None:
    assert made(tools=[TOOL], **document).get("tool_choice") == expected


def test_allowed_tools_are_the_only_ones() -> None:
    other = {"type": "function", "function": {"name": "g"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    found = made(tools=[TOOL, other], tool_choice=choice)
    assert [tool["name"] for tool in found["tools"]] == ["g"]
    assert found["tool_choice"] == {"type": "any"}


def test_schema_of_a_tool_is_an_objects() -> None:
    """Anthropic refuses one that does not say so; OpenAI does not."""
    bare = {"properties": {"x": {"type": "integer"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": bare}}
    assert made(tools=[tool])["tools"][0]["input_schema"] == {"type": "object", **bare}


def test_older_models_answer_in_json_by_a_tool() -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    found = made("claude-3-7-sonnet-latest", response_format=wanted)
    assert found["tools"] == [
        {"name": "answer_in_json", "description": "Give the answer.", "input_schema": SCHEMA}
    ]
    assert found["tool_choice"] == {"type": "tool", "name": "answer_in_json"}
    assert "output_config" not in found


def test_thinking_is_kept_or_left_off() -> None:
    """Anthropic refuses to think on when the thinking before a tool call is gone."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    asked = {"role": "assistant", "content": None, "tool_calls": [call("c", "{}")]}
    result = {"role": "tool", "tool_call_id": "c", "content": "7"}
    lost = made(messages=[*HI, asked, result], reasoning_effort="low")
    kept = made(
        messages=[*HI, {**asked, "thinking_blocks": [thought]}, result], reasoning_effort="low"
    )
    assert "thinking" not in lost
    assert kept["thinking"]["type"] == "adaptive"
    assert kept["messages"][1]["content"][0] == thought


def test_end_users_are_opaque() -> None:
    assert len(made(user="ada@example.com")["metadata"]["user_id"]) == 64


def test_what_only_hints_is_dropped_and_named() -> None:
    made_by = translator(Dialect.CHAT, Dialect.MESSAGES)
    document = {"model": "a", "messages": HI, "seed": 1, "temperature": 0.1, "store": False}
    made_by.request(document, model=NEW)
    assert made_by.dropped == ["seed", "store", "temperature"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0"),
        ({"tools": [7]}, "tools.0"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages.0.content.0.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content.0.image_url.url",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
                ]
            },
            "messages.0.content.0.file",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, ""),
    ],
)
def test_refused(document: dict[str, Any], field: str) -> None:
    with pytest.raises(TranslationError) as caught:
        made(**document)
    assert caught.value.field == field


def test_older_models_take_no_tools_beside_a_schema() -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    with pytest.raises(TranslationError, match="response_format"):
        made("claude-3-7-sonnet-latest", response_format=wanted, tools=[TOOL])
