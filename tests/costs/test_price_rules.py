"""Which rule a call gets, and what it then costs. Pinned to genai-prices 0.2.3."""

import datetime as dt
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs.price_rules import Rule, RuleSet, can_meet, compile_prices, fits
from costs.pricing import Priced, price_call
from costs.usage import ChargeableCall, Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOKENS = Usage(input_tokens=10_000, output_tokens=1_000, cache_read_input_tokens=6_000)
PRICES = [
    {"class": "input", "price_usd": "2"},
    {"class": "cache_read", "price_usd": "0.2"},
    {"class": "output", "price_usd": "8"},
]


def own(number: int = 1, prices: Any = None, **facts: Any) -> Rule:
    return Rule(number=number, plan=compile_prices(prices or PRICES), **facts)


def off(percent: str, number: int = 2, **facts: Any) -> Rule:
    return Rule(number=number, factor=1 - Decimal(percent) / 100, **facts)


def priced(*rules: Rule, provider="openai", model="gpt-5.5", usage=TOKENS, **facts: Any) -> Priced:
    call = ChargeableCall(
        record_id="r",
        occurred_at=facts.pop("at", NOON),
        provider=provider,
        model=model,
        usage=usage,
        **facts,
    )
    return price_call(call, RuleSet(1, rules))


def test_an_override_goes_before_the_catalogue_and_is_named():
    result = priced(own(12, provider="openai", pattern="gpt-5.5"))
    # 4,000 × $2 + 6,000 × $0.2 + 1,000 × $8, per million
    assert (result.status, result.cost_usd) == ("priced", Decimal("0.0172"))
    assert (result.price_source, result.matched_model) == ("override #12", "gpt-5.5")
    assert [line["class"] for line in result.breakdown] == ["input", "cache_read", "output"]


def test_a_discount_is_taken_off_the_catalogue_unit_by_unit():
    result = priced(off("15", 3, provider="openai", pattern="*"))
    assert result.cost_usd == Decimal("0.053") * Decimal("0.85") == Decimal("0.04505")
    assert result.price_source == "genai-prices 0.2.3, discount #3"
    assert sum(Decimal(line["cost_usd"]) for line in result.breakdown) == result.cost_usd
    assert [line["unit_price_usd"] for line in result.breakdown] == [
        "0.00000425", "0.000000425", "0.0000255",
    ]  # fmt: skip


def test_a_discount_is_taken_off_an_override_too():
    result = priced(own(1), off("10", 2))
    assert result.cost_usd == Decimal("0.01548")
    assert result.price_source == "override #1, discount #2"


def test_a_surcharge_is_a_negative_discount():
    assert priced(off("-10")).cost_usd == Decimal("0.0583")


def test_a_cost_given_by_the_caller_is_never_discounted():
    given = priced(off("50"), provider="acme", model="house-model", client_cost_usd=Decimal("0.25"))
    assert (given.status, given.cost_usd, given.price_source) == (
        "client",
        Decimal("0.25"),
        "client",
    )


def test_an_override_prices_what_the_catalogue_cannot():
    free = own(4, [{"class": "input", "price_usd": "0"}, {"class": "output", "price_usd": "0"}],
               provider="vllm", pattern="*")  # fmt: skip
    assert priced(provider="vllm", model="llama-4").unpriced_reason == "self_hosted"
    result = priced(free, provider="vllm", model="llama-4")
    assert (result.status, result.cost_usd) == ("priced", Decimal(0))


def test_a_rule_with_dates_holds_on_those_days_in_utc():
    rule = own(1, valid_from=dt.date(2026, 11, 20), valid_to=dt.date(2026, 11, 20))
    for moment, cost in (
        (datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC), "0.053"),
        (datetime(2026, 11, 20, tzinfo=UTC), "0.0172"),
        (datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC), "0.0172"),
        (datetime(2026, 11, 21, tzinfo=UTC), "0.053"),
        # The same moment as the first, written in another zone.
        (datetime.fromisoformat("2026-11-20T01:59:59+02:00"), "0.053"),
    ):
        assert priced(rule, at=moment).cost_usd == Decimal(cost), moment


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"provider": "openai", "pattern": "*"}, {"pattern": "gpt-5.5"}),
        ({"pattern": "gpt-5.5"}, {"pattern": "gpt-5*5"}),
        ({"pattern": "gpt-5*"}, {"pattern": "gpt*"}),
        ({"pattern": "gpt-5.5", "service_tier": "standard"}, {"pattern": "gpt-5.5"}),
    ],
)
def test_the_narrower_rule_wins_whatever_the_order(narrow, wide):
    first = own(1, [{"class": "input", "price_usd": "1"}, {"class": "output", "price_usd": "1"}])
    one = Rule(number=1, plan=first.plan, **narrow)
    other = own(2, **wide)
    assert priced(one, other).price_source == priced(other, one).price_source == "override #1"


@pytest.mark.parametrize(
    ("provider", "model", "request_model", "rule", "hit"),
    [
        ("gcp.gemini", "gemini-2.5-pro", "", {"provider": "google"}, True),
        ("litellm", "openai/gpt-5.5", "", {"provider": "openai", "pattern": "gpt-5.5"}, True),
        ("litellm", "openai/house-tune", "", {"provider": "openai", "pattern": "house-tune"}, True),
        ("", "gpt-5.5", "", {"provider": "openai"}, True),
        ("openai-compatible", "gpt-5.5", "", {"provider": "openai"}, False),
        ("azure", "gpt-4o", "my-deployment", {"provider": "azure", "pattern": "my-deploy*"}, True),
        ("openai", "gpt-4o-2024-08-06", "", {"pattern": "gpt-4o"}, True),  # the catalogue's name
        ("openai", "gpt-4o-2024-08-06", "", {"pattern": "gpt-4o-mini"}, False),
        ("openai", "GPT-4o", "", {"pattern": "gpt-4o"}, True),
        ("google", "models/gemini-2.5-pro", "", {"pattern": "gemini-2.5-pro"}, True),
        ("openrouter", "openai/gpt-5.5", "", {"provider": "openai"}, False),
    ],
)
def test_a_rule_finds_its_calls_by_every_name_they_go_by(provider, model, request_model, rule, hit):
    result = priced(own(7, **rule), provider=provider, model=model, request_model=request_model)
    assert (result.price_source == "override #7") is hit


def test_tiers_of_service_and_of_length():
    batch = own(1, [{"class": "input", "price_usd": "1"}, {"class": "output", "price_usd": "4"}],
                service_tier="batch")  # fmt: skip
    assert priced(batch).price_source == "genai-prices 0.2.3"
    assert priced(batch, processing="batch").price_source == "override #1"
    every = own(2)
    odd = priced(every, service_tier="scale-7")
    assert (odd.status, odd.flags) == ("priced", ())  # the rule speaks for every tier
    assert priced(batch, service_tier="scale-7").status == "partial"
    long = own(3, [
        {"class": "input", "price_usd": "2", "tiers": [{"above_input_tokens": 9_999, "price_usd": "4"}]},
        {"class": "output", "price_usd": "8"},
    ])  # fmt: skip
    assert priced(long).cost_usd == Decimal("0.048")  # the whole call, cached input as input
    small = Usage(input_tokens=9_999, output_tokens=0)
    assert priced(long, usage=small).cost_usd == Decimal("0.019998")


def test_searches_and_requests_are_priced_per_thousand():
    rule = own(1, [{"class": "input", "price_usd": "1"}, {"class": "output", "price_usd": "1"},
                   {"class": "web_search", "price_usd": "10"}, {"class": "request", "price_usd": "5"}])  # fmt: skip
    usage = Usage(input_tokens=1_000, output_tokens=0, web_searches=3)
    assert priced(rule, usage=usage).cost_usd == Decimal("0.001") + Decimal("0.03") + Decimal(
        "0.005"
    )


def test_a_call_without_usage_stays_unpriced_under_an_override():
    assert priced(own(1), usage=None).unpriced_reason == "no_usage"


def test_what_an_override_leaves_out_makes_the_price_partial():
    rule = own(1, [{"class": "input", "price_usd": "1"}])
    result = priced(rule)
    assert (result.status, result.flags) == ("partial", ("class_unpriced",))


PATTERNS = st.text("ab*", max_size=7)


def _spelled(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return _spelled(pattern[1:], name) or (bool(name) and _spelled(pattern, name[1:]))
    return bool(name) and name[0] == pattern[0] and _spelled(pattern[1:], name[1:])


@settings(max_examples=400, deadline=None)
@given(PATTERNS, st.text("ab", max_size=7))
def test_a_pattern_fits_as_defined(pattern, name):
    assert fits(pattern, name) is _spelled(pattern, name)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, PATTERNS, st.text("ab", max_size=6))
def test_two_patterns_can_meet_when_a_name_fits_both(one, other, name):
    if fits(one, name) and fits(other, name):
        assert can_meet(one, other)
    assert can_meet(one, other) is can_meet(other, one)
    if "*" not in one:
        assert can_meet(one, other) is fits(other, one)
