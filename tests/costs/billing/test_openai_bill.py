"""OpenAI's Costs and Usage APIs, read over HTTP: paging, traps, refusals."""

from decimal import Decimal
from typing import Any

import pytest

from core.http import OutboundClient
from costs.providers.base import Permanent, Reading, Retryable
from costs.providers.openai import PLUGIN, _cost_line, category_of, parse_line_item, split_tokens
from tests.costs.billing.worlds import KEYS, at, charge, day
from tests.fakes.billing import BillingSimulator


def read(bills: BillingSimulator, first: int = 1, end: int = 11, key: str = "") -> Reading:
    with OutboundClient() as client:
        return PLUGIN.read(
            client,
            {"admin_key": key or KEYS["openai"]},
            {"base_url": f"{bills.url}/v1"},
            day(first),
            day(end),
        )


@pytest.fixture(autouse=True)
def _clock(bills: BillingSimulator) -> None:
    bills.faults(clock="2026-11-20T12:00:00Z")


def set_faults(bills: BillingSimulator, **state: Any) -> None:
    bills.faults(clock="2026-11-20T12:00:00Z", **state)


def test_a_day_of_costs_and_usage(bills: BillingSimulator) -> None:
    bills.world(
        charge("openai", at(3, 1), "12.3456789", quantity=2469135),
        charge("openai", at(3, 2), "1.10", token_class="output", quantity=250, requests=0),
        charge("openai", at(3, 2), "0.4", token_class="cache_read", quantity=400, requests=0),
        charge("openai", at(3), "7", tier="batch", key="key_2"),
        charge("openai", at(3), "0.42", token_class="web_search", model="", sub_account="", key="",
               description="web search tool calls", unit="", quantity=3),
        charge("openai", at(4), "-5", category="credit", description="Free trial credits", model="",
               token_class="", quantity=0, requests=0, key="", sub_account=""),
    )  # fmt: skip
    reading = read(bills)
    costs = {
        (line.model, line.token_class, line.service_tier, line.description): line
        for line in reading.costs
    }
    model = "gpt-5.5-2026-04-23"
    line = costs[model, "input", "", f"{model}, input_tokens"]
    assert (line.amount, line.currency, line.quantity, line.unit) == (
        Decimal("12.3456789"), "USD", Decimal(2469135), "tokens",
    )  # fmt: skip
    assert (line.sub_account_id, line.provider_key_id, line.day) == ("proj_a", "key_1", day(3))
    assert line.starts_at == at(3, 0)
    assert costs[model, "input", "batch", f"{model}, batch input_tokens"].provider_key_id == "key_2"
    search = costs["", "web_search", "", "web search tool calls"]
    assert (search.amount, search.sub_account_id) == (Decimal("0.42"), "")
    assert costs["", "other", "", "Free trial credits"].category == "credit"
    assert sum(one.amount for one in reading.costs) == Decimal("16.2656789")

    usage = {(line.token_class, line.service_tier): line for line in reading.usage}
    assert usage["input", ""].quantity == 2469135
    assert usage["cache_read", ""].quantity == 400
    assert usage["output", ""].quantity == 250
    assert usage["input", "batch"].quantity == 1000
    assert usage["web_search", ""].quantity == 3
    # Calls are counted by lines of their own: adding the column up counts each once.
    assert sum(line.requests or 0 for line in reading.usage) == 5 + 5 + 5
    assert {line.token_class for line in reading.usage if line.requests} == {"request"}


def test_every_page_is_read_and_empty_days_are_nothing(bills: BillingSimulator) -> None:
    bills.world(*(charge("openai", at(number), f"{number}.01") for number in (1, 2, 5, 9, 10)))
    set_faults(bills, page_size=2)
    reading = read(bills)
    assert [line.day.day for line in reading.costs] == [1, 2, 5, 9, 10]
    assert sum(line.amount for line in reading.costs) == Decimal("27.05")
    # Ten days in pages of two, from costs and each of the usage reports.
    assert reading.requests == 5 * 12


def test_amounts_as_text_keep_their_digits(bills: BillingSimulator) -> None:
    bills.world(charge("openai", at(3), "0.123456789012345678", currency="EUR"))
    for flags in ([], ["text_amounts"]):
        set_faults(bills, flags=flags)
        (line,) = read(bills).costs
        assert (line.amount, line.currency) == (Decimal("0.123456789012345678"), "EUR")


def test_an_organisation_without_costs_by_key_is_asked_without(bills: BillingSimulator) -> None:
    bills.world(charge("openai", at(3), "1"), charge("openai", at(3), "2", key="key_2"))
    set_faults(bills, flags=["no_key_costs"])
    (line,) = read(bills).costs
    assert (line.amount, line.provider_key_id, line.sub_account_id) == (Decimal(3), "", "proj_a")


def test_a_report_an_organisation_does_not_have_is_left_out(bills: BillingSimulator) -> None:
    bills.world(charge("openai", at(3), "1"))
    set_faults(bills, faults=[{"kind": "status", "status": 404, "path": "images", "times": -1}])
    assert read(bills).costs


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"status": 401}, "unauthorized", "does not accept the credentials"),
        ({"status": 403}, "forbidden", "may not read the bill"),
        ({"status": 404}, "not_found", "does not know this address"),
        ({"status": 400, "times": -1}, "invalid_request", "refuses the question"),
        ({"status": 302}, "redirected", "redirects are not followed"),
        ({"kind": "flood", "megabytes": 10}, "reply_too_large", "larger than 8 MiB"),
    ],
)
def test_what_another_try_does_not_help(
    bills: BillingSimulator, fault: dict[str, Any], code: str, words: str
) -> None:
    set_faults(bills, faults=[{"kind": "status", "message": "The provider's words.", **fault}])
    with pytest.raises(Permanent, match=words) as told:
        read(bills)
    assert told.value.code == code
    assert told.value.requests >= 1


@pytest.mark.parametrize(
    ("fault", "after", "words"),
    [
        ({"status": 429, "retry_after": 7}, 7.0, "slow down"),
        ({"status": 429}, None, "slow down"),
        ({"status": 429, "retry_after": "soon"}, None, "slow down"),
        ({"status": 500}, None, "has a problem"),
        ({"status": 503, "retry_after": 99999999}, 86400.0, "has a problem"),
        ({"kind": "garbage"}, None, "is no JSON"),
        ({"kind": "loop", "times": -1}, None, "circle"),
    ],
)
def test_what_passes(
    bills: BillingSimulator, fault: dict[str, Any], after: float | None, words: str
) -> None:
    set_faults(bills, faults=[{"kind": "status", "message": "Busy.", **fault}])
    with pytest.raises(Retryable, match=words) as told:
        read(bills)
    assert told.value.retry_after_s == after


def test_a_project_key_is_told_apart_from_a_wrong_one(bills: BillingSimulator) -> None:
    with pytest.raises(Permanent, match="Missing scopes") as told:
        read(bills, key="sk-proj-abcdefghijkl")
    assert told.value.code == "forbidden"
    with OutboundClient() as client:
        found = PLUGIN.check(client, {"admin_key": KEYS["openai"]}, {"base_url": f"{bills.url}/v1"})
    assert "Every project" in found.scope


@pytest.mark.parametrize(
    ("item", "parsed"),
    [
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "input", "")),
        ("gpt-6-astra, cached input", ("gpt-6-astra", "cache_read", "")),
        ("gpt-6-astra, cache_write_30m_tokens", ("gpt-6-astra", "cache_write", "")),
        ("GPT-6-Astra, flex output_tokens", ("gpt-6-astra", "output", "flex")),
        ("gpt-audio, audio_output_tokens", ("gpt-audio", "output_audio", "")),
        ("gpt-image-2, image input tokens", ("gpt-image-2", "input_image", "")),
        ("gpt-5, fine-tuning training hours", ("gpt-5", "other", "")),
        ("gpt-5, web search tool calls", ("gpt-5", "web_search", "")),
        ("web search tool calls", ("", "web_search", "")),
        ("Code interpreter, shared sessions", ("", "other", "")),
        ("", ("", "", "")),
    ],
)
def test_line_items(item: str, parsed: tuple[str, str, str]) -> None:
    assert parse_line_item(item) == parsed
    assert category_of(item) == "usage"


def test_usage_rows_with_and_without_the_finer_counts_add_up() -> None:
    whole = {
        "input_tokens": 1000, "input_uncached_tokens": 500, "input_cached_tokens": 400,
        "input_cache_write_tokens": 100, "input_text_tokens": 400, "input_audio_tokens": 50,
        "input_image_tokens": 50, "output_tokens": 250, "output_audio_tokens": 30,
    }  # fmt: skip
    found = split_tokens(whole)
    assert found["input"] == 400
    assert sum(found.values()) == 1250
    old = split_tokens({"input_tokens": 1000, "input_cached_tokens": 400, "output_tokens": 250})
    assert (old["input"], old["cache_read"], old["output"]) == (600, 400, 250)


def test_rows_that_say_little_or_something_new_keep_their_money() -> None:
    bounds = {"day": day(3), "starts_at": at(3, 0), "ends_at": at(4, 0)}
    bare = _cost_line(bounds, {"amount": {"value": "0.42"}, "line_item": None, "project_id": None})
    assert (bare.amount, bare.currency, bare.description, bare.quantity) == (
        Decimal("0.42"), "USD", "", None,
    )  # fmt: skip
    row = {"amount": {"value": Decimal("2"), "currency": "eur"}, "line_item": "gpt-9, dreams"}
    new = _cost_line(bounds, row | {"quantity": Decimal("3.5"), "quantity_unit": "parsecs"})
    assert (new.model, new.token_class, new.unit, new.currency) == (
        "gpt-9", "other", "parsecs", "EUR",
    )  # fmt: skip
    thousands = _cost_line(
        bounds, row | {"quantity": Decimal("1.5"), "quantity_unit": "1000_tokens"}
    )
    assert (thousands.quantity, thousands.unit) == (Decimal("1500.0"), "tokens")
    with pytest.raises(Permanent, match="an amount"):
        _cost_line(bounds, {"line_item": "gpt-9, input"})
