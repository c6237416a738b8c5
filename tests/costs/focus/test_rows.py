"""FOCUS rows: exact values, null rules and products for any charge; the checker finds what is wrong."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from costs.focus.check import check_rows
from costs.focus.columns import VERSIONS, columns_of
from costs.focus.rows import Charge, flat_tags, focus_row, focus_values, unit_name

DAY = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
MONTH = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def charge(**more: Any) -> Charge:
    facts: dict[str, Any] = {
        "start": DAY,
        "end": DAY + dt.timedelta(days=1),
        "period_start": MONTH,
        "period_end": dt.datetime(2026, 12, 1, tzinfo=dt.UTC),
        "account_id": "org-1",
        "provider": "openai",
        "model": "gpt-5.5",
        "token_class": "input",
        "quantity": Decimal(4000),
        "unit": "tokens",
        "amount": Decimal("0.02"),
    }
    return Charge(**(facts | more))


def findings(*charges: Charge, version: str = "1.2") -> list[str]:
    names = [column.name for column in columns_of(version)]
    rows = [dict(zip(names, focus_row(one, version), strict=True)) for one in charges]
    texts = [{n: None if v is None else str(v) for n, v in row.items()} for row in rows]
    return list(check_rows(names, texts, version))


def test_the_reference_row() -> None:
    row = focus_values(
        charge(unit_price=Decimal("0.000005"), key_id="key_1", key_name="prod key", calls=3)
    )
    wanted = {
        "BilledCost": "0.02", "EffectiveCost": "0.02", "ListCost": "0.02", "ContractedCost": "0.02",
        "BillingCurrency": "USD", "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z", "ChargePeriodStart": "2026-11-20T00:00:00Z",
        "ChargePeriodEnd": "2026-11-21T00:00:00Z", "ChargeCategory": "Usage", "ChargeClass": None,
        "ChargeFrequency": "Usage-Based", "ConsumedQuantity": "4000", "ConsumedUnit": "Tokens",
        "PricingQuantity": "0.004", "PricingUnit": "1000000 Tokens", "ListUnitPrice": "5",
        "ContractedUnitPrice": "5", "PricingCategory": "Standard", "ProviderName": "OpenAI",
        "PublisherName": "OpenAI", "ServiceName": "OpenAI API", "SkuId": "openai/gpt-5.5/input",
        "SkuMeter": "Input Tokens", "ResourceId": "key_1", "ResourceType": "API Key",
        "x_InputTokens": 4000, "x_OutputTokens": None, "x_RequestCount": 3,
    }  # fmt: skip
    assert {name: row.get(name) for name in wanted} == wanted
    assert row["SkuPriceId"] == "openai/gpt-5.5/input/standard/usd-5"
    assert json.loads(row["SkuPriceDetails"]) == {"x_Model": "gpt-5.5", "x_ServiceTier": "standard"}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_its_columns_and_conforms(version: str) -> None:
    names = [column.name for column in columns_of(version)]
    official = [name for name in names if not name.startswith("x_")]
    assert len(official) == {"1.0": 43, "1.2": 57, "1.3": 65}[version]
    kinds = [
        charge(),
        charge(category="credit", amount=Decimal("-1.5"), quantity=None, unit=""),
        charge(category="tax", amount=Decimal("0.3"), quantity=None, unit=""),
        charge(category="purchase", amount=Decimal(20), description="Monthly seat", quantity=None),
        charge(category="adjustment", amount=Decimal("-0.1"), is_correction=True),
        charge(quantity=None, unit="", calls=7),
        charge(quantity=None, unit=""),
        charge(amount=Decimal("-0.4")),
        charge(amount=Decimal(0), quantity=Decimal(0)),
        charge(token_class="web_search", unit="searches", quantity=Decimal(3)),
        charge(currency="eur", amount_usd=Decimal("0.0216"), sub_id="p1", sub_type="Project"),
    ]
    assert findings(*kinds, version=version) == []


def test_discounts_show_list_and_contracted_prices() -> None:
    row = focus_values(
        charge(
            amount=Decimal("0.017"),
            unit_price=Decimal("0.00000425"),
            list_unit_price=Decimal("0.000005"),
        )
    )
    assert (row["ListUnitPrice"], row["ListCost"]) == ("5", "0.02")
    assert (row["ContractedUnitPrice"], row["ContractedCost"], row["BilledCost"]) == (
        "4.25",
        "0.017",
        "0.017",
    )


amounts = st.decimals(-1000, 100_000, places=18)
quantities = st.one_of(
    st.none(), st.integers(0, 10**13).map(Decimal), st.decimals(0, 10**9, places=9)
)


@examples(max_examples=80)
@given(
    amount=amounts,
    listed=st.one_of(st.none(), amounts),
    quantity=quantities,
    unit=st.sampled_from(["tokens", "requests", "", "characters", "GB"]),
    price=st.one_of(st.none(), st.decimals(0, 1, places=15)),
    category=st.sampled_from(["usage", "purchase", "credit", "tax", "adjustment"]),
    calls=st.one_of(st.none(), st.integers(0, 10**9)),
)
def test_any_charge_conforms_and_keeps_its_amount(
    amount: Decimal,
    listed: Decimal | None,
    quantity: Decimal | None,
    unit: str,
    price: Decimal | None,
    category: str,
    calls: int | None,
) -> None:
    made = charge(
        amount=amount, list_amount=listed, quantity=quantity, unit=unit, unit_price=price,
        category=category, calls=calls,
    )  # fmt: skip
    assert findings(made) == []
    row = focus_values(made)
    assert Decimal(row["BilledCost"]) == amount
    for name in ("ListCost", "ContractedCost", "PricingQuantity", "ListUnitPrice"):
        # DECIMAL(38, 18) holds it.
        if row[name] is not None:
            whole, _, part = row[name].lstrip("-").partition(".")
            assert len(part) <= 18
            assert len(whole) <= 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"BilledCost": None}, "BilledCost is null"),
        ({"BilledCost": "1,000"}, "plain decimal"),
        ({"ListCost": "0.021"}, "ListUnitPrice × PricingQuantity is 0.020, but ListCost is 0.021"),
        ({"ConsumedUnit": None}, "ConsumedUnit is null, but ChargeCategory is Usage"),
        ({"ConsumedUnit": "tokens"}, "a unit is like"),
        ({"ChargeCategory": "usage"}, "allowed are"),
        ({"ChargeCategory": "Tax"}, "SkuId is given, but ChargeCategory is Tax"),
        ({"Tags": '{"a":{"b":1}}'}, "never nested"),
        ({"Tags": "team=a"}, "JSON object"),
        ({"BillingAccountName": " "}, "never blank"),
        ({"ChargePeriodStart": "2026-12-20T00:00:00Z"}, "ChargePeriodStart is not before"),
        ({"BillingPeriodStart": "2026-11-01"}, "it must be like"),
        ({"ResourceId": "key"}, "ResourceType is null"),
        ({"BillingCurrency": "Euro"}, "three capital letters"),
        ({"ListUnitPrice": "-5"}, "never negative"),
    ],
)
def test_the_checker_names_row_column_and_rule(change: dict[str, Any], words: str) -> None:
    names = [column.name for column in columns_of("1.2")]
    row = dict(zip(names, focus_row(charge(), "1.2"), strict=True)) | change
    texts = {n: None if v is None else str(v) for n, v in row.items()}
    found = list(check_rows(names, [texts], "1.2"))
    assert any(one.startswith("row 1: ") and words in one for one in found), found


def test_the_checker_compares_columns_with_the_version() -> None:
    names = [column.name for column in columns_of("1.2")]
    assert "column SkuMeter is not in this version; it came with 1.1" in list(
        check_rows(names, [], "1.0")
    )
    assert "column HostProviderName is missing" in list(check_rows(names, [], "1.3"))
    assert next(check_rows(["x_Own", *names], [], "1.2")).endswith("after a custom column")


def test_tags_are_flat_and_ours_carry_a_prefix() -> None:
    tags = flat_tags(["team:support", "gold", "team:ops", "a:"], {"project": "shop", "agent": ""})
    assert tags == {
        "team": "support",
        "gold": True,
        "team:ops": True,
        "a:": True,
        "llmlab/project": "shop",
    }
    assert [unit_name(one) for one in ("token", "request", "search", "1K tokens", "GB")] == [
        "Tokens", "Requests", "Searches", "", "GB",
    ]  # fmt: skip
