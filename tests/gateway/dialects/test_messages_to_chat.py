"""Anthropic requests as Chat Completions servers get them."""

from typing import Any

import pytest

from gateway.dialects.passing import TranslationError
from gateway.dialects.translate import translator
from gateway.structs import Dialect

HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
STRICT = {**OPEN, "required": ["a"], "additionalProperties": False}
TOOL = {"name": "f", "description": "F.", "input_schema": OPEN, "cache_control": {"type": "x"}}


def made(model: str = "gpt-5.5", kind: str = "openai", **document: Any) -> dict[str, Any]:
    document = {"model": "alias", "max_tokens": 9, "messages": HI, **document}
    made_by = translator(Dialect.MESSAGES, Dialect.CHAT, kind=kind)
    return made_by.request(document, model=model)


def changed(model: str = "gpt-5.5", kind: str = "openai", **document: Any) -> dict[str, Any]:
    """What the request has beside model, messages and its limit."""
    usual = ("model", "messages", "max_completion_tokens", "max_tokens")
    return {key: value for key, value in made(model, kind, **document).items() if key not in usual}


def test_conversation_with_parallel_tool_calls_and_pictures_in_results() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    found = made(
        system=[
            {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Be short."},
        ],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "é"}},
                    {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "sun"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no"}, image],
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
    )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}
    assert found["messages"] == [
        {"role": "system", "content": "Be kind.\nBe short."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, picture]},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a":"é"}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "sun"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no"},
        {"role": "user", "content": [picture, {"type": "text", "text": "And?"}]},
    ]


def test_documents_and_search_results_become_text_or_files() -> None:
    blocks = [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}},
        {
            "type": "search_result",
            "title": "S",
            "source": "https://x",
            "content": [{"type": "text", "text": "found"}],
        },
    ]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JV"}
    found = made(messages=[{"role": "user", "content": blocks}])["messages"]
    assert found == [{"role": "user", "content": "T\nS (https://x)\nfound"}]
    found = made(messages=[{"role": "user", "content": [{"type": "document", "source": pdf}]}])
    file = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JV"}
    assert found["messages"][0]["content"] == [{"type": "file", "file": file}]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, {}),
        (
            {"stream": True},
            {"stream": True, "stream_options": {"include_usage": True}},
        ),
        (
            {"temperature": 1, "top_p": 0.9, "stop_sequences": ["x"]},
            {"temperature": 1, "stop": ["x"]},
        ),
        ({"top_k": 5}, {}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 10_000}},
            {"reasoning_effort": "medium"},
        ),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            {"reasoning_effort": "xhigh"},
        ),
        ({"thinking": {"type": "adaptive"}}, {}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": STRICT}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": STRICT, "strict": True},
                }
            },
        ),
        (
            {"output_format": {"type": "json_schema", "schema": OPEN}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": OPEN, "strict": False},
                }
            },
        ),
    ],
)
def test_parameters(document: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(**document) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {}),
        ({"type": "auto"}, {}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "f"},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"parallel_tool_calls": False},
        ),
    ],
)
def test_tools(choice: Any, expected: dict[str, Any]) -> None:
    found = changed(tools=[TOOL], tool_choice=choice)
    function = {"name": "f", "parameters": OPEN, "description": "F."}
    assert found == {"tools": [{"type": "function", "function": function}], **expected}


@pytest.mark.parametrize(
    ("model", "kind", "field"),
    [
        ("gpt-4o", "openai", "max_completion_tokens"),
        ("my-deployment", "azure", "max_completion_tokens"),
        ("openai/gpt-5.5", "compatible", "max_completion_tokens"),
        ("llama-70b", "compatible", "max_tokens"),
        ("gemini-3-pro", "gemini", "max_tokens"),
    ],
)
def test_limit_has_the_name_the_server_knows(model: str, kind: str, field: str) -> None:
    assert made(model, kind)[field] == 9


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("gpt-6-astra", "max", "max"),
        ("gpt-5.5", "max", "xhigh"),
        ("gpt-5-mini", "xhigh", "high"),
        ("o4-mini", "max", "high"),
        ("gemini-3-pro", "xhigh", "high"),
        ("gpt-5-mini", "low", "low"),
    ],
)
def test_effort_in_words_the_model_knows(model: str, asked: str, told: str) -> None:
    assert changed(model, output_config={"effort": asked}) == {"reasoning_effort": told}


def test_google_gets_only_what_it_knows() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"const": 1},
            "additionalProperties": {"type": "array", "items": {"propertyNames": {}}},
        },
    }
    made_by = translator(Dialect.MESSAGES, Dialect.CHAT, kind="gemini")
    document = {
        "model": "a",
        "max_tokens": 9,
        "messages": HI,
        "temperature": 0.3,
        "top_k": 4,
        "service_tier": "auto",
        "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "input_schema": schema, "strict": True}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }
    found = made_by.request(document, model="gemini-3-pro")
    assert found == {
        "model": "gemini-3-pro",
        "messages": HI,
        "max_tokens": 9,
        "temperature": 0.3,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "a": {"enum": [1]},
                            "additionalProperties": {"type": "array", "items": {}},
                        },
                    },
                },
            }
        ],
    }
    assert made_by.dropped == ["top_k", "parallel_tool_calls", "user", "service_tier"]
    assert schema["$schema"] == "x"


def test_models_that_do_not_think_are_not_told_to() -> None:
    asked: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert changed("gpt-4o", **asked) == {}
    assert changed("gemini-3-pro", "gemini", **asked) == {"reasoning_effort": "low"}
    assert changed("llama", "compatible", top_k=5, **asked) == {"top_k": 5}


def test_long_names_are_shortened_the_same_way_each_time() -> None:
    found = made(metadata={"user_id": "user_" + "x" * 100})
    assert len(found["user"]) == 64
    long = "toolu_" + "x" * 60
    found = made(
        messages=[
            {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "f"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long}]},
        ]
    )
    called, result = found["messages"]
    assert len(called["tool_calls"][0]["id"]) <= 40
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                    }
                ]
            },
            "messages.0.content.0.source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
            "messages.0.content.0.type",
        ),
        ({"messages": [{"role": "user", "content": ["x"]}]}, ""),
        ({"metadata": 7}, ""),
    ],
)
def test_refused(document: dict[str, Any], field: str) -> None:
    with pytest.raises(TranslationError) as caught:
        made(**document)
    assert caught.value.field == field


def test_web_search_beside_other_tools_is_left_out_and_named() -> None:
    made_by = translator(Dialect.MESSAGES, Dialect.CHAT)
    search = {"type": "web_search_20250305", "name": "web_search"}
    document = {"model": "a", "max_tokens": 9, "messages": HI, "tools": [search, TOOL]}
    found = made_by.request(document, model="m")
    assert [tool["function"]["name"] for tool in found["tools"]] == ["f"]
    assert made_by.dropped == ["tools.web_search"]


def test_server_tools_in_the_history_are_left_out() -> None:
    blocks = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "Found."},
    ]
    found = made(messages=[*HI, {"role": "assistant", "content": blocks}, *HI])
    assert found["messages"][1] == {"role": "assistant", "content": "Found."}
