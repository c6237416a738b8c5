"""Live runs against the real simulator, told to a sink that remembers."""

import random

import pytest

from examples.demo.live import LiveRun
from examples.demo.otlp import otlp_body
from examples.demo.providers import ProviderError, Providers


class Notes:
    """Keeps what a run tells."""

    def __init__(self):
        self.items, self.stories = [], []

    def send_items(self, items):
        self.items += items

    def send_otlp(self, stories):
        assert otlp_body(stories)
        self.stories += stories


@pytest.fixture
def providers(simulator_url):
    with Providers(simulator_url) as providers:
        yield providers


def played(providers, seed, *, is_live):
    notes = Notes()
    LiveRun(notes, providers, random.Random(seed), is_live=is_live).run()
    return notes


def test_live_run_is_told_step_by_step(providers):
    items = played(providers, 5, is_live=True).items
    first, last = items[0], items[-1]
    assert (first["status"], first["steps"][0]["status"]) == ("running", "running")
    assert "ended_at" not in first
    assert (last["status"], last["steps"][0]["status"]) == ("ok", "ok")
    assert last["output"] == last["steps"][0]["output"]
    assert {item["trace_id"] for item in items} == {first["trace_id"]}
    states = {}
    for item in items:
        step = item["steps"][0]
        states.setdefault(step["id"], []).append((step["status"], "first_token_ms" in step))
    assert all(seen[0] == ("running", False) for seen in states.values())
    assert all(seen[-1][0] == "ok" for seen in states.values())
    assert [("running", False), ("running", True), ("ok", True)] in states.values()


def test_otlp_run_is_told_once_at_its_end(providers):
    notes = played(providers, 5, is_live=False)
    assert notes.items == []
    assert [story.steps[0].name for story in notes.stories] == ["support-answer"]


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "gpt-6.1-sol", "acme-llama-70b"])
def test_counts_of_both_dialects_include_the_cache(providers, model):
    messages = [
        {"role": "system", "content": "x" * 8000},
        {"role": "user", "content": "Where is it?"},
    ]
    seen = []
    answer = providers.chat(model, messages, with_tools=False, first=lambda: seen.append(1))
    assert seen == [1]
    assert len(answer.text) > 50
    cached = answer.counts.get("cache_read_input_tokens", 0) + answer.counts.get(
        "cache_write_input_tokens", 0
    )
    assert 1900 <= cached <= 2000
    assert answer.counts["input_tokens"] > cached


def test_tool_call_is_rebuilt_from_the_stream(providers):
    for model in ("claude-sonnet-5-5", "gpt-5-mini"):
        answer = providers.chat(
            model,
            [{"role": "user", "content": "find my order"}],
            with_tools=True,
            first=lambda: None,
        )
        assert answer.tool_calls[0]["name"] == "lookup_order"
        assert '"order"' in answer.tool_calls[0]["arguments"]


@pytest.mark.parametrize("model", ["claude-sonnet-5-5+rate_limit:1", "gpt-5-mini+overloaded"])
def test_refused_call_is_a_provider_error(providers, model):
    with pytest.raises(ProviderError):
        providers.chat(
            model, [{"role": "user", "content": "hi"}], with_tools=False, first=lambda: None
        )
