"""Masks and sampling."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from door import Door

from llmlab import LLMLab, extract, score, span, trace
from llmlab.testing import captured

Make = Callable[..., LLMLab]


def test_masks_reach_every_text_and_no_fact() -> None:
    said = {"metadata": {"ada@example.com": ["bob@example.org"]}}
    with captured(mask="email, phone") as record, trace("t", **said) as root:
        with span("s", input=[{"content": "ada@example.com"}], output="+14155552671") as step:
            step.update(tools=[{"d": "ada@example.com"}], metadata={"m": "ada@example.com"})
            step.update(model="ada@example.com", parameters={"user": "ada@example.com"})
        score("s", 1, reason="from ada@example.com")
        root.error = {"type": "E", "message": "ada@example.com failed"}
    found = record.step("s")
    assert found["input"] == [{"content": "[email]"}]
    assert found["output"] == "[phone]"
    assert found["tools"] == [{"d": "[email]"}]
    assert found["metadata"] == {"m": "[email]"}
    assert found["model"] == "ada@example.com"
    assert found["parameters"] == {"user": "[email]"}
    assert record.step("t")["error"]["message"] == "[email] failed"
    assert record.items[-1]["metadata"] == {"[email]": ["[email]"]}
    assert record.scores[0]["reason"] == "from [email]"


def test_own_masks_and_what_happens_when_they_fail(caplog: pytest.LogCaptureFixture) -> None:
    def shout(text: str) -> str:
        if "bad" in text:
            raise ValueError(text)
        return text.upper()

    with captured(mask=["email", shout]) as record:
        for text in ("hello ada@example.com", "bad 1", "bad 2"):
            with span("s", input=text):
                pass
        assert [s["input"] for s in record.steps] == [
            "HELLO [EMAIL]",
            "[mask failed]",
            "[mask failed]",
        ]
    assert caplog.text.count("a mask failed") == 1
    with captured(mask=lambda text: None) as record:
        with span("s", input="secret"):
            pass
        assert record.step("s")["input"] == "[mask failed]"


def test_an_unknown_mask_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with captured(mask="email,emial") as record:
        with span("s", input="ada@example.com"):
            pass
        assert record.step("s")["input"] == "[email]"
    assert "mask is 'emial'" in caplog.text


def test_unsampled_traces_are_not_sent(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)
    with trace("a"), span("b"):
        score("s", 1)
    assert llm.flush()
    assert door.requests == []
    assert llm.stats()["not_sampled"] == 2


def test_errors_are_kept_with_their_whole_trace(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)
    with trace("a"):
        with span("before"):
            pass
        with pytest.raises(ValueError, match="x"), span("bad"):
            raise ValueError("x")
        with span("after"):
            pass
        assert llm.flush()
        assert door.requests == []
    assert llm.flush()
    assert [step["name"] for step in door.steps] == ["before", "bad", "after", "a"]


def test_an_error_that_only_the_background_sees_keeps_the_trace(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)
    with trace("a"):
        step = llm.start_step("call", "llm")
        llm.end_step(step, status="unknown", late=lambda: {"error": {"type": "E", "message": "m"}})
    assert llm.flush()
    assert [s["status"] for s in door.steps] == ["error", "ok"]


def test_the_callers_decision_wins(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)
    with extract(f"00-{'a' * 32}-{'b' * 16}-01"), trace("kept"):
        pass
    llm.settings.sample_rate = 1.0
    with extract(f"00-{'c' * 32}-{'b' * 16}-00"), trace("dropped"):
        pass
    assert llm.flush()
    assert [step["name"] for step in door.steps] == ["kept"]


def test_held_steps_are_bounded(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)

    @trace
    def root() -> None:
        for index in range(1_100):
            with span(str(index)):
                pass
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        root()
    assert llm.flush()
    assert len(door.steps) == 1_000
    assert door.steps[-1]["name"] == "root"
    open_roots = [llm.start_step(f"root {n}") for n in range(1_100)]
    for root in open_roots:
        llm.end_step(llm.start_step("child", parent=root))
    assert llm.flush()
    assert len(llm.delivery.collector.holding._traces) == 1_000
