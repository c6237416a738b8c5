"""LangChain and LangGraph, the real ones: their runs are steps, and each model call is counted once."""

from __future__ import annotations

import json
from typing import Any

import installed
import pytest

Steps = list[dict[str, Any]]


@pytest.fixture(scope="module", params=installed.names("langchain"))
def played(request: pytest.FixtureRequest, simulator: str) -> dict[str, Any]:
    told = installed.output_of(request.param, "langchain_program.py", simulator)
    steps: dict[str, Any] = json.loads(told)
    return steps


def _tree(steps: Steps) -> list[str]:
    """Lines of type and name, indented below their parents, in the order of their start."""
    ids = {step["id"]: step for step in steps}
    assert len({step["trace_id"] for step in steps}) == 1
    lines: list[str] = []

    def add(parent: str, depth: int) -> None:
        for step in sorted(steps, key=lambda step: float(step["started_ns"])):
            if step["parent_id"] == parent:
                lines.append("  " * depth + f"{step['type']} {step['name']}")
                add(step["id"], depth + 1)

    add("", 0)
    assert len(lines) == len(ids), "a step hangs under nothing"
    return lines


def _only(steps: Steps, kind: str) -> dict[str, Any]:
    (step,) = [step for step in steps if step["type"] == kind]
    return step


@pytest.mark.parametrize("scenario", ["chain", "async_chain"])
def test_a_chain_is_a_tree_with_one_call(played: dict[str, Any], scenario: str) -> None:
    told, steps = played[scenario]["told"], played[scenario]["steps"]
    assert _tree(steps) == [
        "chain RunnableSequence",
        "  chain ChatPromptTemplate",
        "  chain ChatOpenAI",
        "    llm chat",
    ]
    call = _only(steps, "llm")
    assert call["usage"]["total_tokens"] == 118
    assert call["output"]["content"] == told
    root = next(step for step in steps if not step["parent_id"])
    assert root["input"] == {"topic": "cats"}
    assert root["output"]["content"] == told


@pytest.mark.parametrize(
    ("scenario", "name"),
    [("claude", "ChatAnthropic"), ("stream", "ChatOpenAI"), ("async_stream", "ChatOpenAI")],
)
def test_a_models_run_is_a_chain_around_the_call(
    played: dict[str, Any], scenario: str, name: str
) -> None:
    steps = played[scenario]["steps"]
    assert _tree(steps) == [f"chain {name}", "  llm chat"]
    call = _only(steps, "llm")
    assert call["usage"]
    assert ("time_to_first_token_ms" in call) == ("stream" in scenario)
    assert "usage" not in _only(steps, "chain")


def test_what_runs_beside_each_other_has_its_own_parents(played: dict[str, Any]) -> None:
    steps = played["parallel"]["steps"]
    names = {step["id"]: step["name"] for step in steps}
    assert len(_tree(steps)) == 9
    calls = [step for step in steps if step["type"] == "llm"]
    assert sorted((names[call["parent_id"]], call["provider"]) for call in calls) == [
        ("ChatAnthropic", "anthropic"),
        ("ChatOpenAI", "openai"),
    ]


def test_a_graph_with_a_tool_is_one_tree(played: dict[str, Any]) -> None:
    steps = played["graph"]["steps"]
    assert _tree(steps) == [
        "chain LangGraph",
        "  chain agent",
        "    chain ChatOpenAI",
        "      llm chat",
        "    chain tools_condition",
        "  chain tools",
        "    tool weather",
        "  chain agent",
        "    chain ChatOpenAI",
        "      llm chat",
        "    chain tools_condition",
    ]
    assert _only(steps, "tool")["input"]["city"]


def test_a_retriever_keeps_its_question_and_documents(played: dict[str, Any]) -> None:
    (step,) = played["retriever"]["steps"]
    assert (step["type"], step["name"], step["input"]) == ("retriever", "Shelf", "cats")
    assert step["output"][0]["page_content"] == "about cats"
    assert step["output"][0]["metadata"] == {"page": 3}


def test_embeddings_are_recorded_by_the_client(played: dict[str, Any]) -> None:
    (step,) = played["embeddings"]["steps"]
    assert (step["type"], step["usage"]["total_tokens"]) == ("embedding", 1)


def test_a_model_no_client_is_below_is_the_call_itself(played: dict[str, Any]) -> None:
    (step,) = played["own_model"]["steps"]
    assert (step["type"], step["name"]) == ("llm", "GenericFakeChatModel")
    assert (step["model"], step["finish_reason"]) == ("m-1", "stop")
    assert step["usage"]["input_tokens"] == 12
    assert step["usage"]["input_tokens_details"]["cached_tokens"] == 4
    assert step["usage_convention"] == "inclusive"
    assert step["output"]["content"] == "Hello"


def test_errors_are_those_of_the_run_and_of_the_call(played: dict[str, Any]) -> None:
    (step,) = played["failing"]["steps"]
    assert (step["status"], step["error"]["type"]) == ("error", "ValueError")
    steps = played["failing_model"]["steps"]
    assert [step["status"] for step in steps] == ["error", "error"]
    assert _only(steps, "llm")["error"]["type"] == "api_error"


def test_nothing_is_recorded_after_uninstrument(played: dict[str, Any]) -> None:
    assert played["after"]["steps"] == []
    assert played["after"]["told"] == played["chain"]["told"]
