"""Budgets set in LLMLab: read by the program, and a guard that never waits for them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from door import Door

from llmlab import BudgetExceeded, LLMLab, generation, trace, update_current
from llmlab.server_budgets import ServerBudget, first_refusing

Make = Callable[..., LLMLab]
CONTRACT = json.loads(
    (Path(__file__).resolve().parents[2] / "contract" / "budgets.json").read_text(encoding="utf-8")
)


def answer(**values: Any) -> dict[str, Any]:
    """One hard budget of everything, spent."""
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    one = {
        **CONTRACT["answer"]["results"][5],
        "name": "Everything",
        "resets_at": later.isoformat(),
        **values,
    }
    return {"results": [one], "poll_after_seconds": 30}


def say(door: Door, document: Any) -> None:
    door.reading = lambda path, headers: (
        (304, {"ETag": '"a"'}, None)
        if headers.get("if-none-match") == '"a"'
        else (200, {"ETag": '"a"'}, document)
    )


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def call(model: str = "m") -> str:
    with generation("call", model=model) as step:
        step.update(output="x")
    return "answered"


@pytest.mark.parametrize("case", CONTRACT["cases"], ids=lambda case: case["name"])
def test_the_contract_says_which_budget_refuses(case: dict[str, Any]) -> None:
    budgets = [ServerBudget(one) for one in CONTRACT["answer"]["results"]]
    now = dt.datetime.fromisoformat(case["at"].replace("Z", "+00:00"))
    found = first_refusing(budgets, now, case["user"], case["model"], case["tags"])
    assert (found and found.name) == case["refused_by"]


def test_budgets_are_read_with_every_digit_and_asked_for_once_they_change(
    door: Door, llm: LLMLab
) -> None:
    say(door, CONTRACT["answer"])
    found = llm.budgets()
    assert found is not None
    assert [one.name for one in found][:2] == ["Ada", "Core team"]
    assert found[6].remaining_usd == Decimal("0.000000000001")
    assert found[0].resets_at == dt.datetime(2026, 12, 1, tzinfo=dt.timezone.utc)
    assert llm.budgets() == found
    (path, first), (_, second) = door.reads
    assert path == "/api/v1/projects/shop/budgets"
    assert first["authorization"] == "Bearer llmlab_sk_test"
    assert ("if-none-match" in first, second["if-none-match"]) == (False, '"a"')


def test_a_call_is_refused_once_the_answer_is_known_and_never_waits(door: Door, make: Make) -> None:
    llm = make(door.url, server_budgets=True)
    slow = answer()

    def reading(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        time.sleep(0.4)
        return 200, {}, slow

    door.reading = reading
    started = time.monotonic()
    assert call() == "answered"
    assert time.monotonic() - started < 0.3
    wait_for(lambda: llm.server_budgets.known)
    with pytest.raises(
        BudgetExceeded, match=r"'Everything' of LLMLab is spent \(\$50\.25 of \$50\)"
    ) as caught:
        call()
    assert (caught.value.name, caught.value.limit_usd) == ("Everything", Decimal(50))

    async def calling() -> None:
        async with generation("call", model="m"):
            pass

    with pytest.raises(BudgetExceeded):
        asyncio.run(calling())
    assert len(door.reads) == 1


def test_only_calls_that_count_are_refused(door: Door, make: Make) -> None:
    llm = make(door.url, server_budgets=True)
    say(door, answer(scope="user", value="ada", counts_every_call=False))
    llm.budgets()
    assert call() == "answered"
    with trace("work", user="ada"), pytest.raises(BudgetExceeded):
        call()
    with trace("work"):
        update_current(user="bob")
        assert call() == "answered"


def test_the_program_goes_on_when_the_server_is_away_or_refuses(
    door: Door, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    away = make("http://127.0.0.1:9", server_budgets=True)
    assert away.budgets() is None
    assert call() == "answered"
    llm = make(door.url, server_budgets=True)
    for document in ({"results": [{"id": 1}]}, [], {"results": None}, "x"):
        say(door, document)
        assert llm.budgets() is None
    assert call() == "answered"
    door.reading = lambda path, headers: (403, {}, {"detail": "This API key lacks the scope read."})
    with caplog.at_level(logging.WARNING, "llmlab"):
        other = make(door.url)
        assert other.budgets() is None
        assert other.budgets() is None
    assert [one.message for one in caplog.records if "lacks the scope" in one.message] == [
        "LLMLab: budgets could not be read, nothing is refused: the server answered 403: This API key lacks the"
        " scope read."
    ]


def test_a_period_that_ended_meanwhile_refuses_nothing(door: Door, make: Make) -> None:
    llm = make(door.url, server_budgets=True)
    past = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=1)
    say(door, answer(resets_at=past.isoformat()))
    llm.budgets()
    assert call() == "answered"


def test_without_the_setting_nothing_is_asked(door: Door, llm: LLMLab) -> None:
    say(door, answer())
    assert call() == "answered"
    assert llm.flush()
    assert door.reads == []
