"""Azure's plugin against the simulator's Cost Management API, over HTTP."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from core.http import OutboundClient
from costs.providers.azure import PLUGIN
from costs.providers.base import CostLine, Permanent, ProviderError, Reading, Retryable
from costs.providers.registry import plugin_for
from tests.fakes.billing import BillingSimulator

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
FIRST, END = dt.date(2026, 11, 1), dt.date(2026, 11, 4)
ACCOUNT = "/subscriptions/0000/resourcegroups/rg1/providers/microsoft.cognitiveservices/accounts/"
CREDENTIALS = {"client_secret": "s3cret-of-the-app"}


def charge(day: int = 1, hour: int = 0, **facts: Any) -> dict[str, Any]:
    return {
        "at": dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC),
        "provider": "azure",
        "sub_account": f"{ACCOUNT}chat",
        "model": "gpt-5.4",
        "token_class": "input",
        "region": "global",
        "quantity": 2_469_135,
        "amount": Decimal("6.1728375"),
        **facts,
    }


def month() -> list[dict[str, Any]]:
    """Two accounts, four days, every class, odd digits."""
    classes = ("input", "cache_read", "cache_write", "output")
    return [
        charge(
            day,
            hour,
            sub_account=ACCOUNT + account,
            token_class=token_class,
            tier="batch" if account == "nightly" else "",
            model="gpt-5.6-luna",
            context_window="short",
            quantity=1_000 * day + hour,
            amount=Decimal(day * 7 + hour) + Decimal("0.123456789012345678"),
        )
        for day in (1, 2, 3, 4)
        for hour in (0, 5, 23)
        for account in ("chat", "nightly")
        for token_class in classes
    ]


@pytest.fixture
def azure(bills: BillingSimulator) -> Iterator["Azure"]:
    with OutboundClient() as client:
        bills.faults(clock=NOW)
        yield Azure(bills, client)


class Azure:
    """The plugin, pointed at the simulator."""

    def __init__(self, bills: BillingSimulator, client: OutboundClient) -> None:
        self.bills, self.client = bills, client
        self.settings = {
            "tenant_id": "11111111-2222-3333-4444-555555555555",
            "client_id": "app",
            "scope": "subscriptions/0000",
            "login_url": bills.url,
            "base_url": f"{bills.url}/",
        }

    def read(self, first: dt.date = FIRST, end: dt.date = END, **settings: Any) -> Reading:
        return PLUGIN.read(self.client, CREDENTIALS, {**self.settings, **settings}, first, end)

    def only(self, **settings: Any) -> CostLine:
        (line,) = self.read(**settings).costs
        return line

    def refusal(self, **settings: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.read(**settings)
        return caught.value

    def set(self, **state: Any) -> None:
        self.bills.faults(clock=NOW, **state)

    def sent(self) -> list[tuple[str, str]]:
        return [(one["method"], one["path"].rsplit("/", 1)[-1]) for one in self.bills.received()]


def total(reading: Reading) -> Decimal:
    return sum((line.amount for line in reading.costs), Decimal(0))


def test_a_line_says_what_azure_billed(azure: Azure) -> None:
    azure.bills.world(charge(model="gpt-4o-2024-08-06", region="data_zone", tier="batch"))
    line = azure.only()
    assert (line.day, line.provider, line.source) == (FIRST, "azure", "query")
    assert line.starts_at == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert line.ends_at - line.starts_at == dt.timedelta(days=1)
    assert (line.model, line.token_class, line.service_tier, line.region) == (
        "gpt-4o-2024-08-06", "input", "batch", "data_zone",
    )  # fmt: skip
    assert (line.sub_account_id, line.sub_account_name) == (f"{ACCOUNT}chat", "chat")
    assert (line.quantity, line.unit) == (Decimal(2_469_135), "tokens")
    assert (line.amount, line.currency, line.category) == (Decimal("6.1728375"), "USD", "usage")
    assert line.description == "gpt 4o 0806 Batch Inp DZ 1M Tokens"
    assert plugin_for("azure") is PLUGIN
    assert PLUGIN.time_zone({}) == "UTC"


@pytest.mark.parametrize("flags", [[], ["azure_shuffled"], ["azure_get_pages"]])
def test_all_pages_add_up_to_the_bill(azure: Azure, flags: list[str]) -> None:
    """Next pages by POST, by GET where POST is refused, columns in any order: to the last digit."""
    azure.bills.world(*month())
    azure.set(page_size=5, flags=flags)
    reading = azure.read(end=dt.date(2026, 11, 5))
    totals = azure.bills.totals("azure")
    assert len(reading.costs) == 32
    assert total(reading) == Decimal(totals["amounts"]["USD"])
    for day, amount in totals["days"].items():
        of_day = [one.amount for one in reading.costs if one.day.isoformat() == day]
        assert sum(of_day) == Decimal(amount)
    for token_class, quantity in totals["quantities"].items():
        quantities = [one.quantity or 0 for one in reading.costs if one.token_class == token_class]
        assert sum(quantities) == Decimal(quantity)
    # A token, 7 pages, and one refused POST where GET is wanted.
    assert reading.requests == 9 if "azure_get_pages" in flags else 8
    methods = {one["method"] for one in azure.bills.received() if "$skiptoken" in str(one["query"])}
    assert methods == ({"GET", "POST"} if "azure_get_pages" in flags else {"POST"})


def test_the_question_is_the_one_azure_understands(azure: Azure) -> None:
    azure.bills.world(charge())
    azure.read(meter_categories="Foundry Models, Azure OpenAI")
    token, query = azure.bills.received()
    assert token["body"]["grant_type"] == "client_credentials"
    assert token["body"]["scope"] == f"{azure.bills.url}/.default"
    assert query["path"] == "/subscriptions/0000/providers/Microsoft.CostManagement/query"
    assert dict(query["query"]) == {"api-version": "2025-03-01"}
    body = query["body"]
    assert (body["type"], body["timeframe"]) == ("ActualCost", "Custom")
    assert body["timePeriod"] == {"from": "2026-11-01T00:00:00Z", "to": "2026-11-03T23:59:59Z"}
    assert body["dataset"]["filter"]["dimensions"] == {
        "name": "MeterCategory", "operator": "In", "values": ["Foundry Models", "Azure OpenAI"],
    }  # fmt: skip


def test_days_outside_the_question_are_left_alone(azure: Azure) -> None:
    azure.bills.world(*month())
    for flags in ([], ["azure_wide_days"]):
        azure.set(flags=flags)
        lines = azure.read(dt.date(2026, 11, 2), dt.date(2026, 11, 3)).costs
        assert {line.day.day for line in lines} == {2}


def test_no_content_is_no_lines(azure: Azure) -> None:
    reading = azure.read()
    assert (reading.costs, reading.usage, reading.requests) == ([], [], 2)


def test_an_unknown_meter_keeps_its_money(azure: Azure) -> None:
    azure.bills.world(charge(description="6.2 vega ShortCo Inp Std Gl 1M Tokens"))
    line = azure.only()
    assert (line.model, line.token_class, line.unit) == ("azure:unmapped", "other", "")
    assert line.amount == Decimal("6.1728375")
    assert line.description == "6.2 vega ShortCo Inp Std Gl 1M Tokens"


def test_provisioned_hours_reservations_and_refunds(azure: Azure) -> None:
    unit = {
        "tier": "provisioned",
        "token_class": "other",
        "model": "",
        "unit": "hours",
        "quantity": 24,
    }
    azure.bills.world(
        charge(**unit, amount=Decimal(24)),
        charge(**unit, amount=Decimal(4_416), sub_account="/providers/microsoft.capacity/orders/1"),
        charge(2, amount=Decimal("-0.75")),
    )
    found = {line.category: line for line in azure.read().costs}
    assert (found["usage"].model, found["usage"].quantity) == ("azure:provisioned", Decimal(24))
    assert (found["usage"].unit, found["usage"].service_tier) == ("hours", "provisioned")
    assert found["purchase"].amount == Decimal(4_416)
    assert (found["adjustment"].amount, found["adjustment"].model) == (Decimal("-0.75"), "gpt-5.4")


def test_the_billing_currency_is_kept(azure: Azure) -> None:
    azure.bills.world(charge(currency="EUR"), charge(currency="USD", amount=Decimal(1)))
    assert {line.currency: line.amount for line in azure.read().costs} == {
        "EUR": Decimal("6.1728375"),
        "USD": Decimal(1),
    }


def test_a_missing_currency_is_never_taken_for_dollars(azure: Azure) -> None:
    azure.bills.world(charge())
    azure.set(flags=["azure_no_currency"])
    assert azure.only().currency == "XXX"


def test_other_services_are_no_business_of_ours(azure: Azure) -> None:
    azure.bills.world(charge())
    azure.set(flags=["azure_other_services"])
    assert azure.only().model == "gpt-5.4"


def test_a_late_correction_changes_the_line_and_keeps_its_key(azure: Azure) -> None:
    azure.bills.world(charge(), charge(amount=Decimal("0.25"), visible_from=NOW))
    azure.bills.faults(clock=NOW - dt.timedelta(hours=1))
    before = azure.only()
    azure.set()
    after = azure.only()
    assert after.natural_key == before.natural_key
    assert after.amount - before.amount == Decimal("0.25")


def test_a_token_that_runs_out_is_replaced_once(azure: Azure) -> None:
    azure.bills.world(*month())
    expired = {
        "kind": "status",
        "status": 401,
        "path": "query",
        "message": "The token has expired.",
    }
    azure.set(page_size=20, faults=[expired])
    assert len(azure.read().costs) == 24
    assert azure.sent() == [
        ("POST", "token"), ("POST", "query"), ("POST", "token"), ("POST", "query"), ("POST", "query"),
    ]  # fmt: skip
    azure.set(faults=[{**expired, "times": 2}])
    refusal = azure.refusal()
    assert isinstance(refusal, Permanent)
    assert refusal.code == "unauthorized"


@pytest.mark.parametrize(
    ("flags", "retry_after", "waits"),
    [
        (["azure_qpu_wait"], 17, 17.0),
        (["azure_consumption_wait"], 9, 9.0),
        (["azure_qpu_wait", "azure_consumption_wait"], 30, 30.0),
        ([], 5, 5.0),
        ([], None, 60.0),
        ([], "soon", 60.0),
    ],
)
def test_throttling_says_how_long_to_wait(
    azure: Azure, flags: list[str], retry_after: Any, waits: float
) -> None:
    fault = {
        "kind": "status",
        "status": 429,
        "path": "query",
        "message": "Too many requests. Please retry.",
    }
    azure.set(flags=flags, faults=[{**fault, "retry_after": retry_after}])
    refusal = azure.refusal()
    assert isinstance(refusal, Retryable)
    assert refusal.retry_after_s == waits
    assert "Too many requests" in refusal.message
    assert refusal.requests == 2


def test_trouble_in_the_middle_gives_nothing_rather_than_half(azure: Azure) -> None:
    azure.bills.world(*month())
    for fault in ({"kind": "status", "status": 503}, {"kind": "garbage"}):
        azure.set(page_size=20, faults=[{**fault, "path": "query"}])
        assert isinstance(azure.refusal(), Retryable)


def test_pages_that_lead_nowhere_end(azure: Azure) -> None:
    azure.bills.world(*month())
    azure.set(page_size=5, faults=[{"kind": "loop", "times": -1}])
    assert "circle" in azure.refusal().message
    azure.set(page_size=5, flags=["azure_foreign_pages"])
    refusal = azure.refusal()
    assert "elsewhere.example" in refusal.message
    assert isinstance(refusal, Permanent)


@pytest.mark.parametrize(
    ("settings", "secret", "code", "words"),
    [
        ({}, "wrong-invalid", "unauthorized", "AADSTS7000215"),
        ({"tenant_id": "unknown"}, "s", "unauthorized", "AADSTS90002"),
        ({"tenant_id": "a/b"}, "s", "refused", "tenant"),
        ({"scope": "subscriptions/forbidden"}, "s", "forbidden", "Cost Management Reader"),
        ({"scope": "subscriptions/0000/../x"}, "s", "refused", "scope"),
        ({"scope": ""}, "s", "refused", "scope"),
        ({"base_url": "http://169.254.169.254"}, "s", "address_refused", "LLMLAB_OUTBOUND_ALLOW"),
    ],
)
def test_refusals_say_what_to_do(
    azure: Azure, settings: dict[str, str], secret: str, code: str, words: str
) -> None:
    with pytest.raises(Permanent) as caught:
        PLUGIN.check(azure.client, {"client_secret": secret}, {**azure.settings, **settings})
    assert caught.value.code == code
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert "wrong-invalid" not in caught.value.message


def test_the_check_says_what_it_sees(azure: Azure) -> None:
    checked = PLUGIN.check(azure.client, CREDENTIALS, azure.settings)
    assert (checked.account_name, checked.scope) == ("0000", "Subscription 0000")
    assert checked.account_id == "subscriptions/0000"
    some = azure.settings | {"meter_categories": "Foundry Models, Compute"}
    assert PLUGIN.check(azure.client, CREDENTIALS, some).account_slices == (
        "compute",
        "foundry models",
    )
    group = azure.settings | {"scope": "providers/Microsoft.Management/managementGroups/all"}
    assert "cannot tell which" in PLUGIN.check(azure.client, CREDENTIALS, group).warnings[0]
    assert "no costs" in checked.warnings[0]
    azure.bills.world(charge(currency="EUR"), charge(description="6.2 vega Inp Gl 1M Tokens"))
    azure.set(page_size=1)
    (warning,) = PLUGIN.check(azure.client, CREDENTIALS, azure.settings).warnings
    assert "EUR" in warning
    azure.set()
    words = " ".join(PLUGIN.check(azure.client, CREDENTIALS, azure.settings).warnings)
    assert "azure:unmapped" in words
    assert "vega" in words


@pytest.mark.parametrize(
    "scope",
    ["subscriptions/0000/resourceGroups/rg-1.(a)", "/providers/Microsoft.Management/managementGroups/mg",
     "providers/Microsoft.Billing/billingAccounts/a:b_2019-05-31/billingProfiles/P-1/invoiceSections/S"],
)  # fmt: skip
def test_every_kind_of_scope_is_asked(azure: Azure, scope: str) -> None:
    azure.bills.world(charge())
    assert azure.only(scope=scope).amount == Decimal("6.1728375")
    assert azure.bills.received()[-1]["path"].startswith(
        f"/{scope.strip('/')}/providers/Microsoft.CostM"
    )


def test_people_name_the_meters_that_are_not_known(azure: Azure) -> None:
    azure.bills.world(charge(description="6.2 vega ShortCo cd Inp PP Gl 1M Tokens", quantity=3))
    line = azure.only(model_names="other = x; 6.2 VEGA* = gpt-6.2-vega")
    assert (line.model, line.token_class, line.service_tier) == (
        "gpt-6.2-vega", "cache_read", "priority",
    )  # fmt: skip
    assert (line.quantity, line.unit) == (Decimal(3), "tokens")
    assert "names no model" in azure.refusal(model_names="6.2 vega").message
    azure.bills.world(charge(description="Vega Unit of work"))
    assert azure.only(model_names="vega* = gpt-6.2-vega").model == "gpt-6.2-vega"


def test_the_last_two_days_are_not_settled(azure: Azure) -> None:
    known = azure.read().data_through
    assert known is not None
    assert dt.timedelta(hours=47) < dt.datetime.now(dt.UTC) - known < dt.timedelta(hours=49)
