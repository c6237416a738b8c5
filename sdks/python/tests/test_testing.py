"""The exporter for users' own tests."""

from __future__ import annotations

import pytest
from door import Door

from llmlab import LLMLab, current_client, score, span, trace, update_current
from llmlab.client import clients
from llmlab.testing import TestExporter, captured


@trace(tags=["support"])
def answer(question: str) -> str:
    with span("search"):
        update_current(user="ada")
    score("helpful", True)
    return "On its way"


def test_it_needs_no_server_and_no_key() -> None:
    with captured() as record:
        assert answer("Where?") == "On its way"
        step = record.step("answer")
        assert (step["input"], step["output"]) == ({"question": "Where?"}, "On its way")
        assert [child["name"] for child in record.children(step)] == ["search"]
        (trace_id,) = record.traces
        item = record.traces[trace_id]
        assert (item["user"], item["tags"], item["status"]) == ("ada", ["support"], "ok")
        assert [one["name"] for one in item["steps"]] == ["search", "answer"]
        assert record.scores == [{**record.scores[0], "name": "helpful", "value": True}]
        record.clear()
        assert (record.steps, record.scores) == ([], [])
        with pytest.raises(LookupError, match="0 steps are called 'answer'; recorded: none"):
            record.step("answer")
    assert clients == []


def test_it_diverts_the_client_there_is(door: Door, llm: LLMLab) -> None:
    answer("before")
    with captured() as record:
        assert current_client() is llm
        answer("inside")
        assert record.step("answer")["input"] == {"question": "inside"}
    answer("after")
    assert llm.flush()
    asked = [step["input"]["question"] for step in door.steps if step["name"] == "answer"]
    assert asked == ["before", "after"]


def test_it_turns_on_a_client_that_is_off() -> None:
    off = LLMLab(enabled=False)
    with captured() as record:
        answer("x")
        assert len(record.steps) == 2
    assert not off.is_on
    answer("y")
    assert len(record.items) == 2


def test_an_exporter_of_ones_own() -> None:
    exporter = TestExporter()
    llm = LLMLab(exporter=exporter, sample_rate=1)
    answer("x")
    assert llm.flush()
    assert len(exporter.steps) == 2
    llm.shutdown()
