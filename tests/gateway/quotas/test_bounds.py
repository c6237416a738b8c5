"""The worst case is never less than what the ledger charges later."""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from costs.pricing import price_call
from costs.usage import ChargeableCall, Usage
from gateway.dialects.facts import facts_of
from gateway.guards.schemas import may_ask_again
from gateway.quotas.bounds import Bounds, bounds_of
from gateway.quotas.lines import subject_of
from gateway.structs import Decision, Dialect, GuardRule, Target

AT = dt.datetime(2026, 11, 18, 10, 20, 30, tzinfo=dt.UTC)


def target(model: str, provider: str = "openai") -> Target:
    return Target(connection="c", kind="openai", model=model, provider=provider)


def of(dialect: Dialect, document: dict[str, Any], *targets: Target, **more: Any) -> Bounds:
    body = msgspec.json.encode(document)
    return bounds_of(facts_of(dialect, body), Decision(targets=targets), body=body, at=AT, **more)


def chat(**values: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello there"}], **values}


@pytest.mark.parametrize(
    ("dialect", "document", "one", "usage"),
    [
        (Dialect.CHAT, chat(max_tokens=50), target("gpt-4o-mini"), {}),
        (Dialect.CHAT, chat(max_tokens=50, n=4), target("gpt-4o"), {"output_tokens": 200}),
        (Dialect.CHAT, chat(), target("gpt-4o-mini"), {"output_tokens": 16_384}),
        (
            Dialect.MESSAGES,
            {
                "model": "m",
                "max_tokens": 50,
                "system": [
                    {"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral"}}
                ],
                "messages": [{"role": "user", "content": "Hi"}],
            },
            target("claude-sonnet-4-5", "anthropic"),
            {"input_tokens": 400, "cache_write_input_tokens": 400},
        ),
        (
            Dialect.EMBEDDINGS,
            {"model": "m", "input": "some text to embed"},
            target("text-embedding-3-small"),
            {"output_tokens": 0},
        ),
    ],
)
def test_no_bill_is_above_it(
    dialect: Dialect, document: dict[str, Any], one: Target, usage: dict[str, int]
) -> None:
    found = of(dialect, document, one)
    used = Usage(**{"input_tokens": 11, "output_tokens": 50, **usage})
    priced = price_call(
        ChargeableCall(
            record_id="",
            occurred_at=AT,
            provider=one.provider,
            model=one.model,
            request_model=one.model,
            usage=used,
        )
    )
    assert found.usd is not None
    assert priced.cost_usd is not None
    assert 0 < priced.cost_usd <= found.usd <= 3 * priced.cost_usd


def test_the_dearest_target_counts_and_a_hedge_twice() -> None:
    cheap, dear = target("gpt-4o-mini"), target("gpt-4o")
    most = of(Dialect.CHAT, chat(max_tokens=50), cheap, dear).usd
    assert most == of(Dialect.CHAT, chat(max_tokens=50), dear).usd
    assert most is not None
    assert of(Dialect.CHAT, chat(max_tokens=50), dear, is_hedged=True).usd == 2 * most


def test_an_answer_that_is_judged_may_be_asked_for_twice() -> None:
    asked = chat(max_tokens=50, response_format={"type": "json_object"})
    once = of(Dialect.CHAT, asked, target("gpt-4o"))
    twice = of(Dialect.CHAT, asked, target("gpt-4o"), may_ask_again=True)
    # The second time the first answer, and what is wrong with it, are part of the question.
    again = of(
        Dialect.CHAT,
        {**asked, "messages": [*asked["messages"], {"role": "assistant", "content": "x" * 600}]},
        target("gpt-4o"),
    )
    assert once.usd is not None
    assert twice.usd is not None
    assert again.usd is not None
    assert once.usd + again.usd < twice.usd
    assert once.tokens + again.tokens < twice.tokens
    rules = (GuardRule(kind="json_schema", action="mask"),)
    assert may_ask_again(rules, Dialect.CHAT, asked, is_stream=False)
    assert not may_ask_again(rules, Dialect.CHAT, asked, is_stream=True)
    assert not may_ask_again(rules, Dialect.CHAT, chat(), is_stream=False)
    assert not may_ask_again((GuardRule(kind="json_schema"),), Dialect.CHAT, asked, is_stream=False)


def test_fast_costs_more_where_it_is_known() -> None:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    fast = {**asked, "speed": "fast"}
    claude = Target(connection="c", kind="anthropic", model="claude-opus-5-5", provider="anthropic")
    usual = of(Dialect.MESSAGES, asked, claude).usd
    most = of(Dialect.MESSAGES, fast, claude).usd
    assert usual is not None
    assert most is not None
    assert most > usual
    gpt = target("gpt-4o")
    assert of(Dialect.MESSAGES, fast, gpt).usd == of(Dialect.MESSAGES, asked, gpt).usd


def test_one_target_without_a_price_makes_it_unknown() -> None:
    found = of(Dialect.CHAT, chat(max_tokens=9), target("gpt-4o"), target("x", "ollama"))
    assert found.usd is None
    assert found.unpriced == "x at ollama (self hosted)"


def test_counting_tokens_costs_nothing() -> None:
    found = of(Dialect.COUNT_TOKENS, chat(), target("claude-sonnet-4-5", "anthropic"))
    assert (found.tokens, found.usd) == (0, Decimal(0))


def test_subjects_are_what_a_database_holds() -> None:
    assert subject_of("ann") == "ann"
    for odd in ("\0", "\ud800", "x" * 300):
        assert subject_of(odd).startswith("sha256:")
