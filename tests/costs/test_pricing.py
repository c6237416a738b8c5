"""Prices against genai-prices itself and against figures worked out by hand. Pinned to genai-prices
0.2.3.
"""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage as CatalogueUsage
from genai_prices import calc_price, data_snapshot

from costs.catalogue import Catalogue, Match, current_catalogue
from costs.pricing import QUANTUM, Priced, price_call
from costs.usage import ChargeableCall, Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STANDARD = Usage(input_tokens=10_000, output_tokens=1_000, cache_read_input_tokens=6_000)


def priced(
    provider: str, model: str, usage: Usage | None = STANDARD, at: datetime = NOON, **facts
) -> Priced:
    return price_call(
        ChargeableCall(
            record_id="r", occurred_at=at, provider=provider, model=model, usage=usage, **facts
        )
    )


def lines(result: Priced) -> list[tuple[str, ...]]:
    return [
        (row["class"], row["quantity"], row["unit_price_usd"], row["cost_usd"])
        for row in result.breakdown
    ]


@pytest.mark.parametrize(
    ("provider", "model", "cost", "matched"),
    [
        ("openai", "gpt-6-astra", "0.096", "gpt-6-astra"),
        ("openai", "gpt-6.1-sol", "0.0186", "gpt-6.1-sol"),
        ("openai", "gpt-5.5", "0.053", "gpt-5.5"),
        ("openai", "gpt-4o-mini", "0.00165", "gpt-4o-mini"),
        ("anthropic", "claude-opus-5-5", "0.0372", "claude-opus-5-5"),
        ("anthropic", "claude-sonnet-5-5", "0.0186", "claude-sonnet-5-5"),
        ("anthropic", "claude-haiku-5-5", "0.00096", "claude-haiku-5-5"),
        ("google", "gemini-3.8-flash", "0.0072", "gemini-3.8-flash"),
        ("google", "gemini-2.5-flash", "0.00388", "gemini-2.5-flash"),
        ("deepseek", "deepseek-chat", "0.0026", "deepseek-chat"),
        ("mistral", "mistral-large-latest", "0.026", "mistral-large"),
        ("azure", "gpt-4o", "0.0275", "gpt-4o"),
    ],
)
def test_golden_prices(provider, model, cost, matched):
    result = priced(provider, model)
    assert (result.status, result.cost_usd, result.matched_model) == (
        "priced",
        Decimal(cost),
        matched,
    )
    assert (result.flags, result.price_source) == ((), "genai-prices 0.2.3")


def test_embedding_has_no_output_and_is_fully_priced():
    result = priced("openai", "text-embedding-3-small", Usage(input_tokens=10_000))
    assert (result.status, result.cost_usd) == ("priced", Decimal("0.0002"))
    assert lines(result) == [("input", "10000", "0.00000002", "0.0002")]


def test_every_class_has_its_own_line_and_the_search_fee_is_in_the_total():
    usage = Usage(
        input_tokens=10_000,
        output_tokens=700,
        cache_read_input_tokens=8_000,
        cache_write_input_tokens=500,
        cache_write_5m_input_tokens=300,
        cache_write_1h_input_tokens=200,
        reasoning_output_tokens=200,
        web_searches=1,
        stated_total_tokens=10_700,
    )
    result = priced("anthropic", "claude-opus-5-5", usage)
    assert (result.status, result.cost_usd, result.flags) == ("priced", Decimal("0.0347"), ())
    assert lines(result) == [
        ("input", "1500", "0.000004", "0.006"),
        ("cache_read", "8000", "0.0000002", "0.0016"),
        ("cache_write_5m", "300", "0.000005", "0.0015"),
        ("cache_write_1h", "200", "0.000008", "0.0016"),
        ("output", "700", "0.00002", "0.014"),
        ("web_search", "1", "0.01", "0.01"),
    ]


def test_cached_tokens_without_a_cache_price_are_shown_at_the_input_price():
    assert lines(priced("mistral", "mistral-large-latest")) == [
        ("input", "4000", "0.000002", "0.008"),
        ("cache_read", "6000", "0.000002", "0.012"),
        ("output", "1000", "0.000006", "0.006"),
    ]


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [(272_000, "2.72"), (272_001, "5.44002")],
    ids=["at the threshold", "past it"],
)
def test_passing_a_threshold_reprices_the_whole_request(tokens, cost):
    assert priced(
        "openai", "gpt-6-astra", Usage(input_tokens=tokens, output_tokens=0)
    ).cost_usd == Decimal(cost)


def test_threshold_counts_cached_input_too():
    usage = Usage(input_tokens=100_001, output_tokens=0, cache_read_input_tokens=100_000)
    below = Usage(input_tokens=100_000, output_tokens=0, cache_read_input_tokens=100_000)
    reading = priced("anthropic", "claude-haiku-5-5", usage).breakdown[1]["unit_price_usd"]
    assert Decimal(reading) == 5 * Decimal(
        priced("anthropic", "claude-haiku-5-5", below).breakdown[0]["unit_price_usd"]
    )


@pytest.mark.parametrize(
    ("provider", "model", "at", "cost"),
    [
        ("openai", "o3", datetime(2025, 5, 1, tzinfo=UTC), "50"),
        ("openai", "o3", datetime(2025, 6, 15, tzinfo=UTC), "10"),
        ("google", "gemini-3.8-flash", NOON, "4.5"),
        ("google", "gemini-3.8-flash", datetime(2027, 1, 2, tzinfo=UTC), "9"),
    ],
)
def test_price_is_the_one_in_force_when_the_call_happened(provider, model, at, cost):
    million = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert priced(provider, model, million, at).cost_usd == Decimal(cost)


def test_price_by_time_of_day_is_not_remembered_for_the_day():
    costs = [
        priced("deepseek", "deepseek-chat", at=NOON.replace(hour=hour, minute=minute)).cost_usd
        for hour, minute in [(16, 29), (16, 30), (23, 59), (0, 29), (0, 30)]
    ]
    assert costs == [Decimal(text) for text in ("0.0026", "0.0013", "0.0013", "0.0013", "0.0026")]


def test_day_of_a_price_is_the_day_in_utc():
    million = Usage(input_tokens=1_000_000, output_tokens=0)
    just_before = datetime.fromisoformat("2027-01-01T00:30:00+01:00")
    assert priced("google", "gemini-3.8-flash", million, just_before).cost_usd == Decimal("0.75")
    assert priced(
        "google", "gemini-3.8-flash", million, just_before + timedelta(minutes=30)
    ).cost_usd == Decimal("1.5")


@pytest.mark.parametrize(
    ("provider", "model", "facts", "cost"),
    [
        ("openai", "gpt-5.5", {"processing": "batch"}, "0.0265"),
        ("openai", "gpt-5.5", {"service_tier": "batch"}, "0.0265"),
        ("openai", "gpt-5.5", {"service_tier": "flex"}, "0.0265"),
        ("openai", "gpt-5.5", {"service_tier": "priority"}, "0.1325"),
        ("openai", "gpt-5.5", {"service_tier": "fast"}, "0.1325"),
        ("openai", "gpt-5.5", {"service_tier": "default"}, "0.053"),
        ("openai", "gpt-5.5", {"service_tier": "auto"}, "0.053"),
        ("anthropic", "claude-opus-5-5", {"processing": "batch"}, "0.0186"),
        ("anthropic", "claude-opus-5-5", {"service_tier": "batch"}, "0.0186"),
        (
            "anthropic",
            "claude-opus-5-5",
            {"service_tier": "standard", "speed": "standard"},
            "0.0372",
        ),
        ("anthropic", "claude-opus-5-5", {"speed": "fast"}, "0.0744"),
        ("google", "gemini-3.8-flash", {"processing": "batch"}, "0.0036"),
        ("google", "gemini-3.8-flash", {"service_tier": "ON_DEMAND"}, "0.0072"),
    ],
)
def test_tier_is_priced_by_its_variant(provider, model, facts, cost):
    result = priced(provider, model, **facts)
    assert (result.status, result.cost_usd, result.flags) == ("priced", Decimal(cost), ())


@pytest.mark.parametrize(
    ("provider", "model", "facts", "at"),
    [
        ("google", "gemini-3.8-flash", {"service_tier": "flex"}, NOON),
        ("google", "gemini-3.8-flash", {"service_tier": "ON_DEMAND_PRIORITY"}, NOON),
        ("openai", "gpt-5.5", {"service_tier": "scale"}, NOON),
        ("openai", "gpt-5.5", {"processing": "flex"}, NOON),
        ("openai", "gpt-5.5", {"speed": "turbo"}, NOON),
        ("openai", "gpt-5.5", {"processing": "batch"}, datetime(2026, 10, 13, tzinfo=UTC)),
        ("azure", "gpt-5.5", {"processing": "batch"}, NOON),
    ],
)
def test_tier_without_a_price_is_partial_at_the_standard_price(provider, model, facts, at):
    result = priced(provider, model, at=at, **facts)
    assert (result.status, result.flags) == ("partial", ("tier_unpriced",))
    assert result.cost_usd == priced(provider, model, at=at).cost_usd


@pytest.mark.parametrize(
    ("provider", "model", "matched"),
    [
        ("openai", "GPT-4o-2024-08-06", "gpt-4o"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("", "openai/gpt-4o", "gpt-4o"),
        ("litellm", "anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        (
            "gcp.vertex_ai",
            "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
            "gemini-2.5-pro",
        ),
        ("az.ai.openai", "gpt-4o", "gpt-4o"),
        ("OpenAI", "gpt-4o", "gpt-4o"),
    ],
)
def test_names_are_cleaned_up(provider, model, matched):
    result = priced(provider, model)
    assert (result.status, result.matched_model, result.flags) == ("priced", matched, ())


def test_provider_taken_from_the_model_name_is_flagged():
    result = priced("", "claude-sonnet-5-5")
    assert (result.status, result.matched_model, result.flags) == (
        "priced",
        "claude-sonnet-5-5",
        ("provider_guessed",),
    )


def test_deployment_name_falls_back_to_the_model_asked_for():
    assert priced("azure", "my-gpt", request_model="gpt-4o").matched_model == "gpt-4o"


@pytest.mark.parametrize(
    ("provider", "model", "usage", "reason"),
    [
        ("openai", "gpt-99", STANDARD, "unknown_model"),
        ("openai", "", STANDARD, "no_model"),
        ("", "acme-llama-70b", STANDARD, "unknown_model"),
        ("", "acme/gpt-4o", STANDARD, "unknown_model"),
        ("ollama", "gpt-4o", STANDARD, "self_hosted"),
        ("vllm", "gpt-oss-120b", STANDARD, "self_hosted"),
        ("openai-compatible", "gpt-4o", STANDARD, "self_hosted"),
        ("lmstudio", "gpt-4o", STANDARD, "self_hosted"),
        ("my-openai-proxy", "gpt-4o", STANDARD, "unknown_provider"),
        ("openai", "gpt-4o", None, "no_usage"),
        ("openai", "gpt-4o", Usage(), "no_usage"),
        ("openai", "whisper-1", STANDARD, "no_price"),
        ("cerebras", "qwen-3-coder-480b", STANDARD, "no_price"),
        ("openai", "gpt-4o", Usage(input_tokens=10**18, output_tokens=1), "out_of_range"),
    ],
)
def test_unknown_is_never_zero(provider, model, usage, reason):
    result = priced(provider, model, usage)
    assert (result.status, result.cost_usd, result.unpriced_reason) == ("unpriced", None, reason)
    assert result.breakdown == []


def test_zero_tokens_said_out_loud_cost_zero():
    result = priced("openai", "gpt-4o", Usage(input_tokens=0, output_tokens=0))
    assert (result.status, result.cost_usd, result.breakdown) == ("priced", Decimal(0), [])


@pytest.mark.parametrize("fact", ["is_cache_hit", "is_rejected"])
def test_cached_and_refused_calls_are_free(fact):
    result = priced("acme", "unknown", None, **{fact: True}, client_cost_usd=Decimal(9))
    assert (result.status, result.cost_usd, result.unpriced_reason) == ("free", Decimal(0), "")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "omni-moderation-latest"), ("openrouter", "qwen/qwq-32b:free")],
)
def test_models_given_away_are_free_not_unpriced(provider, model):
    result = priced(provider, model)
    assert (result.status, result.cost_usd) == ("free", Decimal(0))


def test_caller_cost_counts_where_ours_is_unknown_or_incomplete():
    unknown = priced("ollama", "llama", client_cost_usd=Decimal("0.5"))
    partial = priced(
        "google", "gemini-3.8-flash", service_tier="flex", client_cost_usd=Decimal("0.0036")
    )
    known = priced("openai", "gpt-5.5", client_cost_usd=Decimal("0.5"))
    assert (unknown.status, unknown.cost_usd, unknown.unpriced_reason) == (
        "client",
        Decimal("0.5"),
        "",
    )
    assert (partial.status, partial.cost_usd, partial.flags) == (
        "client",
        Decimal("0.0036"),
        ("tier_unpriced",),
    )
    assert (known.status, known.cost_usd) == ("priced", Decimal("0.053"))


@pytest.mark.parametrize("text", ["-1", "NaN", "Infinity", "100000000"])
def test_caller_cost_that_cannot_be_money_is_ignored_and_flagged(text):
    result = priced("ollama", "llama", client_cost_usd=Decimal(text))
    assert (result.status, result.cost_usd, result.flags) == (
        "unpriced",
        None,
        ("client_cost_invalid",),
    )


def test_part_larger_than_its_whole_is_not_priced():
    result = priced(
        "openai", "gpt-5.5", Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=11)
    )
    assert (result.status, result.unpriced_reason, result.flags) == (
        "unpriced",
        "inconsistent_usage",
        ("tokens_do_not_add_up",),
    )


def test_total_that_does_not_add_up_is_priced_and_flagged():
    usage = Usage(input_tokens=10_000, output_tokens=1_000, stated_total_tokens=11_400)
    result = priced("openai", "gpt-5.5", usage)
    assert (result.status, result.flags) == ("priced", ("tokens_do_not_add_up",))


@pytest.mark.parametrize(
    ("model", "usage", "flag"),
    [
        ("gpt-5.5", Usage(input_tokens=10), "output_unreported"),
        ("gpt-5.5", Usage(output_tokens=10), "input_unreported"),
        (
            "gpt-4o-audio-preview",
            Usage(input_tokens=10, output_tokens=1, input_audio_tokens=5),
            "audio_unpriced",
        ),
        ("gpt-4", Usage(input_tokens=10, output_tokens=1, web_searches=1), "class_unpriced"),
    ],
)
def test_missing_part_makes_the_price_partial(model, usage, flag):
    result = priced("openai", model, usage)
    assert (result.status, result.flags) == ("partial", (flag,))
    assert result.cost_usd > 0


def test_cached_audio_is_assumed_to_be_the_least_possible():
    usage = Usage(
        input_tokens=1_000, output_tokens=0, cache_read_input_tokens=900, input_audio_tokens=300
    )
    result = priced("google", "gemini-2.5-flash", usage)
    assert result.flags == ("cache_split_assumed",)
    assert [row[:2] for row in lines(result)] == [
        ("cache_read", "700"),
        ("cache_read_audio", "200"),
        ("input_audio", "100"),
    ]


def random_usage(chance: random.Random) -> Usage:
    total = chance.choice(
        [0, 1, chance.randrange(5_000), chance.randrange(500_000), chance.randrange(3_000_000)]
    )
    read = chance.randrange(total + 1) if chance.random() < 0.6 else 0
    five = chance.randrange(total - read + 1) if chance.random() < 0.4 else 0
    hour = chance.randrange(total - read - five + 1) if chance.random() < 0.4 else 0
    rest = total - read - five - hour
    audio = chance.randrange(rest + 1) if chance.random() < 0.2 else 0
    image = chance.randrange(rest - audio + 1) if chance.random() < 0.2 else 0
    output = chance.randrange(20_000)
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_input_tokens=read,
        cache_write_input_tokens=five + hour,
        cache_write_5m_input_tokens=five,
        cache_write_1h_input_tokens=hour,
        input_audio_tokens=audio,
        input_image_tokens=image,
        reasoning_output_tokens=chance.randrange(output + 1),
        web_searches=chance.choice([0, 0, 1, 7]),
    )


def catalogue_cost(
    provider: str, model: str, usage: Usage, at: datetime, context: dict[str, str]
) -> Decimal:
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_write_input_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_input_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_input_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "input_image_tokens": usage.input_image_tokens,
        "cache_audio_read_tokens": 0,
        "cache_image_read_tokens": 0,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        "web_searches": usage.web_searches,
    }
    return calc_price(
        CatalogueUsage(**counts),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=context,
    ).total_price


CONTEXTS = [({}, {})] * 3 + [
    ({"processing": "batch"}, {"processing": "batch"}),
    ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ({"service_tier": "priority"}, {"service_tier": "priority"}),
    ({"speed": "fast"}, {"speed": "fast"}),
]


def test_whole_catalogue_agrees_with_genai_prices_to_the_last_digit():
    chance = random.Random(20261120)
    compared = 0
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            for _ in range(2):
                usage = random_usage(chance)
                at = NOON - timedelta(minutes=chance.randrange(-200_000, 900_000))
                facts, context = chance.choice(CONTEXTS)
                try:
                    expected = catalogue_cost(provider.id, model.id, usage, at, context)
                except LookupError:
                    assert (
                        priced(provider.id, model.id, usage, at, **facts).unpriced_reason
                        == "unknown_model"
                    )
                    continue
                result = priced(provider.id, model.id, usage, at, **facts)
                compared += 1
                if result.unpriced_reason == "no_price":
                    assert expected == 0, (provider.id, model.id)
                    continue
                assert result.cost_usd in (expected, expected.quantize(QUANTUM)), (
                    model.id,
                    usage,
                    at,
                )
                rows = sum((Decimal(row["cost_usd"]) for row in result.breakdown), Decimal(0))
                assert rows == expected, (provider.id, model.id)
    assert compared > 4_000


def test_breakdown_quantities_add_up_to_the_tokens_used():
    chance = random.Random(3)
    for _ in range(200):
        usage = random_usage(chance)
        result = priced("anthropic", "claude-opus-5-5", usage)
        quantities = {row["class"]: int(row["quantity"]) for row in result.breakdown}
        quantities.pop("web_search", None)
        assert sum(quantities.values()) == usage.input_tokens + usage.output_tokens
        assert quantities.get("cache_read", 0) == usage.cache_read_input_tokens
        assert quantities.get("cache_write_1h", 0) == usage.cache_write_1h_input_tokens
        assert quantities.get("cache_write_5m", 0) == usage.cache_write_5m_input_tokens


def test_memory_of_names_is_bounded():
    catalogue = Catalogue(data_snapshot.get_snapshot(), max_matches=10)
    for number in range(50):
        assert catalogue.find("openai", f"gpt-99-{number}", "") == "unknown_model"
    assert len(catalogue._matches) <= 10


def test_replaced_catalogue_is_used_at_once():
    before = current_catalogue()
    bundled = data_snapshot.get_snapshot()
    only_anthropic = [item for item in bundled.providers if item.id == "anthropic"]
    data_snapshot.set_custom_snapshot(
        data_snapshot.DataSnapshot(providers=only_anthropic, from_auto_update=False)
    )
    try:
        assert priced("openai", "gpt-5.5").unpriced_reason == "unknown_provider"
        assert isinstance(current_catalogue().find("anthropic", "claude-opus-5-5", ""), Match)
    finally:
        data_snapshot.set_custom_snapshot(None)
    assert priced("openai", "gpt-5.5").cost_usd == Decimal("0.053")
    assert current_catalogue() is not before
