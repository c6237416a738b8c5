"""Which calls are waste and how much of each, to the last digit."""

import datetime as dt
from decimal import Decimal
from typing import Any

from traces.waste.calls import Call, read_prompt, says_anything
from traces.waste.detect import detect

AT = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
# $1 per token in, $2 out: easy sums. Cached input costs a tenth.
PRICES = (Decimal(1), Decimal("0.1"), Decimal(1))


def call(number: int, *, text: str = "", messages: Any = None, **fields: Any) -> Call:
    """Call `number`, one minute after the one before; its prompt is `text`, or `messages`."""
    tokens_in, tokens_out = fields.pop("tokens", (10, 5))
    cost = Decimal(tokens_in + 2 * tokens_out)
    defaults: dict[str, Any] = {
        "trace_id": f"t{number}",
        "span_id": "s",
        "at": AT + number * MINUTE,
        "provider": "openai",
        "model": "m",
        "agent": "",
        "feature": "",
        "cost_usd": cost,
        "classes": {
            "input": (Decimal(tokens_in), Decimal(1), Decimal(tokens_in)),
            "output": (Decimal(tokens_out), Decimal(2), Decimal(2 * tokens_out)),
        },
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "prompt": read_prompt(
            {"input": messages or [{"role": "user", "content": text or str(number)}]}
        ),
        "has_output": True,
    }
    return Call(**{**defaults, **fields})


def found(*calls: Call) -> dict[str, tuple[int, Decimal]]:
    """Kind → (calls, dollars)."""
    sums: dict[str, tuple[int, Decimal]] = {}
    for one in detect(calls, lambda _: PRICES).findings():
        calls_before, usd = sums.get(one.kind, (0, Decimal(0)))
        sums[one.kind] = (calls_before + one.calls, usd + one.wasted_usd)
    return sums


def test_paid_failure_is_the_whole_call() -> None:
    assert found(
        call(1, is_error=True, error_type="timeout"), call(2, is_error=True, cost_usd=Decimal(0))
    ) == {"paid_failure": (1, Decimal(20))}


def test_storm_is_all_but_the_last_of_three_in_a_trace() -> None:
    same = {"text": "again", "trace_id": "t"}
    assert found(call(1, **same), call(2, **same), call(3, **same)) == {
        "retry_storm": (2, Decimal(40))
    }


def test_two_or_slow_repeats_are_duplicates_not_a_storm() -> None:
    same = {"text": "again", "trace_id": "t"}
    assert found(call(1, **same), call(2, **same)) == {"duplicate": (1, Decimal(20))}
    assert found(call(1, **same), call(20, **same), call(40, **same)) == {
        "duplicate": (2, Decimal(40))
    }


def test_duplicates_of_one_place_are_one_finding_whatever_was_asked_twice() -> None:
    calls = [call(1, text="a"), call(2, text="b"), call(3, text="a"), call(4, text="b")]
    other = [call(5, text="a", agent="other"), call(6, text="b", agent="other")]
    findings = detect([*calls, *other], lambda _: PRICES).findings()
    assert [(one.agent, one.calls) for one in findings] == [("", 2), ("other", 2)]


def test_duplicate_needs_the_same_model_and_the_whole_prompt() -> None:
    assert found(call(1, text="a"), call(2, text="a", model="other"), call(3, text="a ")) == {}


def test_failed_first_try_makes_no_duplicate() -> None:
    first = call(1, text="a", is_error=True, cost_usd=Decimal(0))
    assert found(first, call(2, text="a")) == {}


def test_unused_output_is_the_outputs_price() -> None:
    assert found(call(1, finish_reason="cancelled"), call(2, has_output=False)) == {
        "unused_output": (2, Decimal(20))
    }
    assert found(call(1, has_output=None)) == {}


def test_truncated_is_the_whole_call() -> None:
    assert found(call(1, finish_reason="MAX_TOKENS"), call(2, finish_reason="stop")) == {
        "truncated": (1, Decimal(20))
    }


def test_a_call_counts_under_its_first_kind_only() -> None:
    one = call(1, is_error=True, finish_reason="length", has_output=False)
    assert found(one) == {"paid_failure": (1, Decimal(20))}


def _long(number: int, **fields: Any) -> Call:
    system = {"role": "system", "content": "x" * 9_970}
    messages = [system, {"role": "user", "content": f"{number:>100}"}]
    return call(number, messages=messages, tokens=(2_000, 1), **fields)


def test_missed_cache_is_the_shared_beginning_at_the_difference_of_prices() -> None:
    chars = len(_long(1).prompt.prefixes[0][0]) and _long(1).prompt.prefixes  # type: ignore[union-attr]
    assert chars is not None
    shared, whole = chars[0][1], chars[-1][1]
    tokens = 2_000 * shared // whole // 128 * 128
    assert tokens == 1920
    assert found(_long(1), _long(2)) == {"missed_cache": (1, tokens * Decimal("0.9"))}


def test_cache_that_was_read_or_too_late_is_not_missed() -> None:
    assert found(_long(1), _long(2, cache_read_tokens=1_920)) == {}
    assert found(_long(1), _long(7)) == {}


def test_short_beginnings_cannot_be_cached() -> None:
    system = {"role": "system", "content": "x" * 400}
    calls = [
        call(number, messages=[system, {"role": "user", "content": str(number)}], tokens=(500, 1))
        for number in (1, 2)
    ]
    assert found(*calls) == {}


def test_oversized_is_the_input_beyond_the_usual() -> None:
    usual = [call(number, tokens=(1_000, 1)) for number in range(20)]
    assert found(*usual, call(21, tokens=(10_000, 1))) == {"oversized": (1, Decimal(9_000))}
    assert found(*usual[:18], call(21, tokens=(10_000, 1))) == {}


def test_small_reasons_are_kept_together_with_their_dollars() -> None:
    calls = [
        call(number, agent=f"a{number}", is_error=True, cost_usd=Decimal(number + 1))
        for number in range(203)
    ]
    rows = detect(calls, lambda _: PRICES).findings()
    assert len(rows) == 201
    assert (rows[-1].fingerprint, rows[-1].detail, rows[-1].calls, rows[-1].wasted_usd) == (
        "", "3 smaller ones", 3, Decimal(6),
    )  # fmt: skip
    assert sum(row.wasted_usd for row in rows) == sum(range(1, 204))


def test_what_an_answer_says() -> None:
    def said(output: Any) -> bool | None:
        return says_anything({"output": output})

    assert said([{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}]}]) is True
    assert said([{"role": "assistant", "parts": [{"type": "tool_call", "name": "f"}]}]) is True
    assert said([{"role": "assistant", "content": " "}]) is False
    assert said([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]}]) is False
    assert says_anything({"input": "x"}) is None


def test_prompt_differs_by_tools_and_order() -> None:
    base = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    marks = {
        read_prompt(content).whole  # type: ignore[union-attr]
        for content in (
            {"input": base},
            {"input": base[::-1]},
            {"input": base, "tools": [{"name": "f"}]},
            {"input": base[:1]},
        )
    }
    assert len(marks) == 4
    assert read_prompt({"input": ""}) is None
