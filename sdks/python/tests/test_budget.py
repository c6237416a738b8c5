"""A budget raises before the next call once the calls so far cost as much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from door import LOST, Door, Reply

from llmlab import BudgetExceeded, LLMLab, budget, generation, trace

Make = Callable[..., LLMLab]


def cents(item: dict) -> str | None:  # type: ignore[type-arg]
    """Every model call costs a cent."""
    calls = len(item["steps"])
    return str(Decimal("0.01") * calls) if calls else None


def call() -> str:
    with generation("call", model="m") as step:
        step.update(output="x")
    return "answered"


def test_the_call_after_the_last_cent_is_not_made(door: Door, make: Make) -> None:
    llm = make(door.url, flush_interval=60)
    door.cost = cents
    with llm.budget(usd="0.03") as limit:
        for _ in range(3):
            assert call() == "answered"
        with pytest.raises(BudgetExceeded, match=r"\$0\.03 is spent \(\$0\.03 so far\)") as caught:
            call()
    assert caught.value.spent_usd == Decimal("0.03")
    assert limit.spent_usd == Decimal("0.03")
    assert limit.remaining_usd == 0
    assert len(door.steps) == 3
    assert call() == "answered"


def test_budgets_nest_and_both_hold(door: Door, llm: LLMLab) -> None:
    door.cost = cents
    with budget(usd=0.05) as outer:
        with budget(usd=0.02):
            call()
            call()
            with pytest.raises(BudgetExceeded):
                call()
        call()
        assert outer.spent_usd == Decimal("0.02")
        llm.flush()
        assert outer.spent_usd == Decimal("0.03")
    with budget(usd=0.01), budget(usd=5):
        call()
        with pytest.raises(BudgetExceeded, match=r"\$0\.01"):
            call()


def test_only_its_own_calls_count(door: Door, llm: LLMLab) -> None:
    door.cost = cents
    with trace("mixed"):
        call()
        with llm.budget(usd=1) as first:
            call()
            call()
        with llm.budget(usd=1) as second:
            call()
    assert llm.flush()
    assert (first.spent_usd, second.spent_usd) == (Decimal("0.02"), Decimal("0.01"))


def test_unknown_costs_allow_or_block(door: Door, llm: LLMLab) -> None:
    with llm.budget(usd=1) as lenient:
        call()
        call()
    assert llm.flush()
    assert lenient.unknown_calls == 2
    with llm.budget(usd=1, on_unknown="block"):
        call()
        with pytest.raises(BudgetExceeded, match="the cost of one call is not known"):
            call()


def test_a_server_that_is_away_holds_nobody_up_for_long(make: Make) -> None:
    llm = make("http://127.0.0.1:9", timeout=0.2)
    with llm.budget(usd=1, timeout=0.2):
        assert [call(), call()] == ["answered", "answered"]
    with llm.budget(usd=1, on_unknown="block", timeout=0.2):
        call()
        with pytest.raises(BudgetExceeded, match="may be spent"):
            call()


@pytest.mark.parametrize("first", [True, False])
def test_calls_whose_answer_got_lost_are_unknown(first: bool, door: Door, llm: LLMLab) -> None:
    """On a new connection, and on a kept one where the request is repeated at once."""
    door.cost = cents
    if not first:
        call()
        assert llm.flush()
    door.replies = [Reply(LOST)]
    with llm.budget(usd=1) as limit:
        call()
        assert llm.flush()
    assert (limit.spent_usd, limit.unknown_calls, limit.pending) == (0, 1, set())
    assert len({step["id"] for step in door.steps}) == len(door.steps) - 1


def test_calls_that_wrap_others_are_not_unknown(door: Door, llm: LLMLab) -> None:
    def inner_only(item: dict) -> str | None:  # type: ignore[type-arg]
        return "0.01" if item["steps"] else None

    door.cost = inner_only
    with llm.budget(usd=1) as limit, generation("outer"):
        call()
    assert llm.flush()
    assert (limit.spent_usd, limit.unknown_calls) == (Decimal("0.01"), 0)


def test_refused_calls_are_unknown(door: Door, llm: LLMLab) -> None:
    door.replies = [Reply(400)]
    with llm.budget(usd=1) as limit:
        call()
        assert llm.flush()
    assert (limit.unknown_calls, limit.pending) == (1, set())


def test_unsampled_calls_are_unknown(door: Door, make: Make) -> None:
    llm = make(door.url, sample_rate=0)
    with llm.budget(usd=1) as limit:
        call()
        assert llm.flush()
    assert (limit.unknown_calls, limit.pending) == (1, set())


def test_decorated_and_async_calls_obey(door: Door, llm: LLMLab) -> None:
    door.cost = cents

    @generation
    def plain() -> int:
        return 1

    @generation
    async def slow() -> int:
        return 1

    async def main() -> None:
        async with llm.budget(usd="0.02"):
            assert await slow() == 1
            async with generation("inline"):
                pass
            with pytest.raises(BudgetExceeded):
                await slow()
            with pytest.raises(BudgetExceeded):
                async with generation("inline"):
                    pass

    asyncio.run(main())
    with llm.budget(usd="0.01"):
        assert plain() == 1
        with pytest.raises(BudgetExceeded):
            plain()


def test_a_limit_that_is_no_amount_is_refused_at_once(llm: LLMLab) -> None:
    for wrong in ("abc", -1, float("nan"), None):
        with pytest.raises(ValueError, match="usd is"):
            llm.budget(usd=wrong)
    with pytest.raises(ValueError, match="on_unknown"):
        llm.budget(usd=1, on_unknown="explode")
