"""Anthropic's reports of both generations, read over HTTP: cents, null workspaces, keys by share of usage."""

from decimal import Decimal
from typing import Any

import pytest

from core.http import OutboundClient
from costs.providers.anthropic import PLUGIN, _bounds, _cost_line, _dimensions, _usage_lines
from costs.providers.base import Permanent, Reading
from costs.splitting import split
from tests.costs.billing.worlds import KEYS, at, charge, day
from tests.fakes.billing import BillingSimulator

MODEL = "claude-opus-5-5"


def read(bills: BillingSimulator, first: int = 1, end: int = 11) -> Reading:
    with OutboundClient() as client:
        return PLUGIN.read(
            client,
            {"admin_key": KEYS["anthropic"]},
            {"base_url": bills.url},
            day(first),
            day(end),
        )


@pytest.fixture(autouse=True)
def _clock(bills: BillingSimulator) -> None:
    set_faults(bills)


def set_faults(bills: BillingSimulator, **state: Any) -> None:
    bills.faults(clock="2026-11-20T12:00:00Z", **state)


def claude(when: int, amount: str, **values: Any) -> dict[str, Any]:
    return charge("anthropic", at(when), amount, **{"sub_account": "wrkspc_1", **values})


def test_cents_as_text_become_dollars_with_every_digit(bills: BillingSimulator) -> None:
    bills.world(
        claude(3, "48.0012345"),
        claude(3, "0.02", token_class="web_search", model="", quantity=2, requests=0, sub_account="", key=""),
    )  # fmt: skip
    costs = {line.token_class: line for line in read(bills).costs}
    line = costs["input"]
    assert (line.amount, line.currency, line.model) == (Decimal("48.0012345"), "USD", MODEL)
    assert (line.source, line.service_tier, line.quantity) == ("cost_report", "", 1000)
    # A null workspace is the default one; a search's bill names no model.
    assert (costs["web_search"].sub_account_id, costs["web_search"].model) == ("default", "")


def test_money_without_keys_is_divided_by_usage_to_the_last_digit(bills: BillingSimulator) -> None:
    bills.world(
        claude(3, "10", key="key_1", quantity=1),
        claude(3, "0", key="key_2", quantity=1),
        claude(3, "0", key="", quantity=1),
        claude(4, "2.5", token_class="output", quantity=7),
        claude(4, "1", token_class="cache_write_1h", quantity=9, tier="batch"),
    )
    reading = read(bills)
    parts = {line.provider_key_id: line for line in reading.costs if line.day == day(3)}
    assert sum(line.amount for line in parts.values()) == 10
    assert sorted(parts) == ["", "key_1", "key_2"]
    assert all(line.is_allocated for line in parts.values())
    assert {str(line.amount)[:8] for line in parts.values()} == {"3.333333"}
    whole = [line for line in reading.costs if line.day == day(4)]
    assert [(one.provider_key_id, one.is_allocated) for one in whole] == [("key_1", False)] * 2
    assert {one.service_tier for one in whole} == {"", "batch"}


def test_what_only_the_bill_knows_stays_whole(bills: BillingSimulator) -> None:
    bills.world(
        claude(3, "4", token_class="other", unit="hours", model="", description="Code Execution Usage")
    )  # fmt: skip
    (line,) = read(bills).costs
    assert (line.token_class, line.provider_key_id, line.is_allocated) == ("other", "", False)
    assert line.description == "Code Execution Usage"


def test_priority_spend_is_in_usage_but_not_in_the_first_generations_bill(
    bills: BillingSimulator,
) -> None:
    bills.world(claude(3, "4"), claude(3, "9", tier="priority"))
    reading = read(bills)
    assert sum(line.amount for line in reading.costs) == 4
    assert {line.service_tier for line in reading.usage} == {"", "priority"}


def test_analytics_are_taken_instead_never_beside(bills: BillingSimulator) -> None:
    bills.world(
        claude(3, "4", list_amount=Decimal("4.5")),
        claude(3, "9.123456789", tier="priority", key="key_2"),
        claude(19, "1"),
        claude(20, "100"),
    )
    set_faults(bills, flags=["analytics"], page_size=1)
    reading = read(bills, end=21)
    assert {line.source for line in reading.costs} == {"analytics"}
    by_key = {line.provider_key_id: line for line in reading.costs if line.day == day(3)}
    assert by_key["key_2"].amount == Decimal("9.123456789")
    assert (by_key["key_1"].amount, by_key["key_1"].list_amount) == (4, Decimal("4.5"))
    assert not any(line.is_allocated for line in reading.costs)
    assert reading.data_through == at(20, 8)
    assert sum(line.amount for line in reading.costs) == Decimal("114.123456789")
    assert sum(line.requests or 0 for line in reading.usage) == 20


def test_rows_after_the_refresh_are_not_taken(bills: BillingSimulator) -> None:
    bills.faults(clock="2026-11-20T02:00:00Z", flags=["analytics"])
    bills.world(claude(19, "1"), charge("anthropic", at(20, 1), "100"))
    reading = read(bills, first=19, end=21)
    assert [line.amount for line in reading.costs] == [1]
    assert reading.data_through == at(19, 22)


def test_analytics_that_answer_with_nothing_are_not_believed(bills: BillingSimulator) -> None:
    """A report that has just been opened is empty; the old one still knows."""
    bills.faults(clock="2026-11-05T01:00:00Z", flags=["analytics"])
    bills.world(charge("anthropic", at(5, 0), "3"))
    reading = read(bills, first=5, end=6)
    assert [(line.source, line.amount) for line in reading.costs] == [("cost_report", 3)]


def test_days_before_analytics_come_from_the_reports(bills: BillingSimulator) -> None:
    set_faults(bills, flags=["analytics"])
    with OutboundClient() as client:
        PLUGIN.read(
            client,
            {"admin_key": KEYS["anthropic"]},
            {"base_url": bills.url},
            day(1).replace(year=2025),
            day(2).replace(year=2025),
        )
    assert not any("analytics" in one["path"] for one in bills.received())


@pytest.mark.parametrize(
    ("status", "code"), [(401, "unauthorized"), (403, "forbidden"), (404, "not_found")]
)
def test_refusals_have_their_own_words(bills: BillingSimulator, status: int, code: str) -> None:
    fault = {"kind": "status", "status": status, "message": "No.", "path": "_report", "times": -1}
    set_faults(bills, faults=[fault])
    with pytest.raises(Permanent, match="It says: No") as told:
        read(bills)
    assert told.value.code == code


def test_the_check_says_what_the_key_cannot_see(bills: BillingSimulator) -> None:
    def check() -> Any:
        with OutboundClient() as client:
            return PLUGIN.check(client, {"admin_key": KEYS["anthropic"]}, {"base_url": bills.url})

    assert "divided by usage" in check().warnings[0]
    set_faults(bills, flags=["analytics"])
    assert check().warnings == ()
    assert check().account_name == "Simulated"
    whose = check().account_id
    set_faults(bills, faults=[{"kind": "status", "status": 403, "path": "organizations/me"}])
    assert (len(whose), check().account_id) == (36, "")


def test_shares_add_up_whatever_the_weights() -> None:
    numbers = (1, 1, 1, 3, 7, 0, 11)
    weights = {name: Decimal(number) for name, number in zip("abcdefg", numbers, strict=True)}
    for amount in ("10", "-10", "0.000000000000000001", "123456789.123456789012345678", "0"):
        parts = split(Decimal(amount), weights)
        assert sum(parts.values()) == Decimal(amount)
        assert all(part.as_tuple().exponent >= -18 for part in parts.values())  # type: ignore[operator]


BUCKET = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("cost_type", "token_type", "token_class"),
    [
        ("tokens", "cache_creation.ephemeral_2h_input_tokens", "other"),
        ("robots", None, "other"),
        (None, None, "other"),
        ("web_search", None, "web_search"),
        ("tokens", "cache_read_input_tokens", "cache_read"),
    ],
)
def test_kinds_nobody_knows_keep_their_money(
    cost_type: str | None, token_type: str | None, token_class: str
) -> None:
    row = {"amount": "123.78912", "cost_type": cost_type, "token_type": token_type}
    line = _cost_line(_bounds(BUCKET), row)
    assert (line.amount, line.token_class, line.currency) == (
        Decimal("1.2378912"),
        token_class,
        "USD",
    )


def test_counts_nobody_knows_and_missing_ones() -> None:
    row = {
        "uncached_input_tokens": 5,
        "output_tokens": None,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_2h_input_tokens": 3},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 4},
        "requests": None,
    }
    lines = _usage_lines(_bounds(BUCKET), row, _dimensions(row), "analytics")
    assert {(one.token_class, one.unit, int(one.quantity or 0)) for one in lines} == {
        ("input", "tokens", 5),
        ("cache_write_5m", "tokens", 2),
        ("other", "tokens", 3),
        ("web_search", "requests", 1),
        ("other", "requests", 4),
    }
