"""Real clients of every supported version against the simulator: each way to call gives one right step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import front as fronts
import installed
import pytest
import scenarios

CHAT_MODEL, THINKING_MODEL, CLAUDE = "gpt-4o-mini-2024-07-18", "gpt-5-mini-2025-08-07", "claude-opus-5-5"  # fmt: skip


@pytest.fixture(scope="session")
def front(simulator: str) -> Iterator[str]:
    with fronts.running_front(simulator) as address:
        yield address


Played = tuple[str, dict[str, Any]]


def _played(library: str, name: str, simulator: str, front: str) -> Played:
    if name == "here":
        return name, scenarios.played(library, simulator, front)
    told = installed.output_of(name, "scenarios.py", library, simulator, front)
    return name, json.loads(told)


@pytest.fixture(scope="session", params=["here", *installed.names("openai")])
def openai(request: pytest.FixtureRequest, simulator: str, front: str) -> Played:
    return _played("openai", request.param, simulator, front)


@pytest.fixture(scope="session", params=["here", *installed.names("anthropic")])
def anthropic(request: pytest.FixtureRequest, simulator: str, front: str) -> Played:
    return _played("anthropic", request.param, simulator, front)


def _step(played: Played, scenario: str) -> tuple[Any, dict[str, Any]]:
    """What the program was told and the one step of a scenario; the test is over if it is missing."""
    name, told = played
    found = told[scenario]
    if "missing" in found:
        assert name != "here" or "botocore" in found["missing"], found
        pytest.skip(f"{name} does not have it: {found['missing']}")
    assert len(found["steps"]) == 1, found["steps"]
    return found["told"], found["steps"][0]


WHOLE = ["chat", "chat_raw", "chat_streaming_response", "azure", "async_chat"]
STREAMS = ["chat_stream_helper", "async_stream"]


@pytest.mark.parametrize("scenario", WHOLE)
def test_a_chat_is_one_step_however_it_is_called(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["type"] == "llm"
    assert step["name"] == step["operation"] == "chat"
    assert step["status"] == "ok"
    assert step["provider"] == ("azure" if scenario == "azure" else "openai")
    assert step["request_model"] == ("ours" if scenario == "azure" else "gpt-4o-mini")
    assert step["model"] == CHAT_MODEL
    assert step["input"] == scenarios.HI
    assert step["output"]["content"] == told
    assert step["usage"]["total_tokens"] == 79
    assert step["finish_reason"] == "stop"
    assert step["attributes"] == {"server.address": "127.0.0.1"}
    assert "time_to_first_token_ms" not in step
    assert step.get("parameters") == ({"temperature": 0.5} if scenario == "chat" else None)


@pytest.mark.parametrize("scenario", STREAMS)
def test_a_streamed_chat_is_one_step_with_its_usage(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["status"] == "ok"
    assert step["output"]["content"] == told
    assert step["usage"]["total_tokens"] == 79
    assert step["attributes"] == {"server.address": "127.0.0.1", "stream": True}
    assert 0 < step["time_to_first_token_ms"] <= step["duration_ms"]
    assert "parameters" not in step


@pytest.mark.parametrize("scenario", ["chat_stream", "chat_stream_gzip"])
def test_usage_is_asked_for_and_hidden_from_who_did_not_ask(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["usage"]["total_tokens"] == 79
    assert told == {"text": step["output"]["content"], "usages": 0, "empty": 0}


def test_usage_the_caller_asked_for_is_left_to_them(openai: Played) -> None:
    told, step = _step(openai, "chat_stream_usage")
    assert step["usage"]["total_tokens"] == 79
    assert told == {"text": step["output"]["content"], "usages": 1, "empty": 1}


def test_a_server_that_refuses_stream_options_is_asked_again_without(openai: Played) -> None:
    found = openai[1]["chat_stream_refused_options"]
    first, second = found["steps"]
    assert [len(seen["text"]) > 0 for seen in found["told"]] == [True, True]
    for step in (first, second):
        assert step["status"] == "ok"
        assert "usage" not in step
        assert step["attributes"] == {"server.address": "127.0.0.1", "stream": True}


@pytest.mark.parametrize("scenario", ["chat_stream_left", "async_stream_left"])
def test_a_stream_left_early_is_read_to_its_end(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["status"] == "ok"
    assert step["output"]["content"].startswith(told)
    assert step["usage"]["total_tokens"] == 79
    assert len(step["output"]["content"]) > len(told)
    assert "stopped_reading" not in step["attributes"]


@pytest.mark.parametrize("scenario", ["chat_tools", "chat_stream_tools"])
def test_tools_and_their_calls_are_recorded(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["tools"] == [scenarios.TOOL]
    (call,) = step["output"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"])["city"]
    assert step["finish_reason"] == "tool_calls"
    if told:
        assert call["function"]["arguments"] == told


def test_parse_is_recorded_with_its_schema(openai: Played) -> None:
    told, step = _step(openai, "chat_parse")
    assert step["output"]["content"] == told
    assert step["parameters"]["response_format"]["json_schema"]["name"] == "Answer"


def test_a_connection_that_breaks_in_a_stream_is_an_error_with_what_came(openai: Played) -> None:
    _, step = _step(openai, "chat_stream_cut")
    assert step["status"] == "error"
    assert step["error"]["type"] == "RemoteProtocolError"
    assert step["output"]["content"]
    assert "usage" not in step


def test_retries_are_one_step(openai: Played) -> None:
    _retried(openai, 500, "api_error")


def test_retries_of_messages_are_one_step(anthropic: Played) -> None:
    _retried(anthropic, 529, "overloaded_error")


def _retried(played: Played, status: int, kind: str) -> None:
    told, step = _step(played, "error_retried")
    assert told["raised"] is not None
    assert step["status"] == "error"
    assert step["error"]["type"] == kind
    assert step["error"]["message"]
    assert step["attributes"] == {"server.address": "127.0.0.1", "http.status": status, "retries": 1}  # fmt: skip


def test_no_connection_is_an_error_of_the_exceptions_type(openai: Played) -> None:
    _, step = _step(openai, "error_connection")
    assert step["status"] == "error"
    assert step["error"]["type"] == "APIConnectionError"
    assert "Connection refused" in step["error"]["message"]
    assert step["input"] == scenarios.HI


def test_embeddings_are_counted_not_kept(openai: Played) -> None:
    _, step = _step(openai, "embeddings")
    assert step["type"] == "embedding"
    assert step["name"] == "embeddings"
    assert step["input"] == ["a", "b"]
    assert step["attributes"]["vectors"] == 2
    assert step["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert "output" not in step


@pytest.mark.parametrize("scenario", ["responses", "responses_stream", "responses_stream_helper"])
def test_responses_are_recorded_whole_and_streamed(openai: Played, scenario: str) -> None:
    told, step = _step(openai, scenario)
    assert step["model"] == THINKING_MODEL
    assert step["input"] == "Hi"
    assert step["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert step["finish_reason"] == "stop"
    text = step["output"][0]["content"][0]["text"]
    assert told == ("response.completed" if scenario == "responses_stream" else text)
    assert ("time_to_first_token_ms" in step) == ("stream" in scenario)


MESSAGES = ["message", "message_raw", "beta_message", "async_message"]
MESSAGE_STREAMS = ["message_stream_helper", "async_stream_helper", "message_stream_left"]


@pytest.mark.parametrize("scenario", [*MESSAGES, *MESSAGE_STREAMS, "message_stream"])
def test_a_message_is_one_step_however_it_is_called(anthropic: Played, scenario: str) -> None:
    told, step = _step(anthropic, scenario)
    assert step["type"] == "llm"
    assert step["status"] == "ok"
    assert step["provider"] == "anthropic"
    assert step["model"] == step["request_model"] == CLAUDE
    assert step["parameters"] == {"max_tokens": 60}
    system = [{"role": "system", "content": "Be short."}] if scenario == "message" else []
    assert step["input"] == [*system, *scenarios.HI]
    text = step["output"]["content"][0]["text"]
    assert text.startswith(told) or told == "message_stop"
    assert step["usage"]["output_tokens"] == 60
    assert step["service_tier"] == "standard"
    assert ("stream" in step["attributes"]) == ("stream" in scenario)


def test_tool_use_of_a_message_is_recorded(anthropic: Played) -> None:
    told, step = _step(anthropic, "message_tools")
    assert step["output"]["content"][-1]["input"] == told
    assert step["finish_reason"] == "tool_use"
    assert step["tools"][0]["name"] == "weather"


@pytest.mark.parametrize("scenario", ["bedrock", "bedrock_stream", "vertex"])
def test_other_hosts_of_anthropics_models(anthropic: Played, scenario: str) -> None:
    _, step = _step(anthropic, scenario)
    is_vertex = scenario == "vertex"
    assert step["provider"] == ("gcp.vertex_ai" if is_vertex else "aws.bedrock")
    assert step["request_model"] == ("claude@1" if is_vertex else "anthropic.claude-v1:0")
    assert step["model"] == CLAUDE
    assert step["usage"]["output_tokens"] == 60
    assert step["output"]["content"][0]["text"]


def test_an_error_within_a_stream_is_recorded(anthropic: Played) -> None:
    _, step = _step(anthropic, "message_stream_error")
    assert step["status"] == "error"
    assert step["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_a_list_of_models_is_no_call(openai: Played) -> None:
    assert openai[1]["models"] == {"told": True, "steps": []}


def test_counting_tokens_is_no_call(anthropic: Played) -> None:
    found = anthropic[1]["count_tokens"]
    assert "missing" in found or found == {"told": True, "steps": []}
