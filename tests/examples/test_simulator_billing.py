"""The simulator's world of charges: exact sums, times, and refusals of what is no charge."""

import datetime as dt
from decimal import Decimal

import pytest

from core.http import OutboundClient
from tests.fakes.billing import BillingSimulator

AT = dt.datetime(2026, 11, 3, 10, tzinfo=dt.UTC)


def charge(amount: str, **values: object) -> dict[str, object]:
    return {
        "at": AT,
        "provider": "openai",
        "amount": Decimal(amount),
        "token_class": "input",
        **values,
    }


def test_sums_are_exact_and_follow_the_clock(bills: BillingSimulator) -> None:
    late = AT + dt.timedelta(days=2)
    bills.faults(clock=AT)
    bills.world(
        charge("12345678901234567890.000000000000000001", quantity=7, requests=2),
        charge("0.000000000000000002"),
        charge("5", currency="EUR", tier="priority"),
        charge("-1", visible_from=late),
        charge("3", visible_until=late),
    )
    found = bills.totals("openai")
    assert found["amounts"] == {"EUR": "5", "USD": "12345678901234567893.000000000000000003"}
    assert (found["quantities"], found["requests"], found["charges"]) == ({"input": "7"}, 2, 4)
    assert bills.totals("openai", without_tier="priority")["amounts"].keys() == {"USD"}
    bills.faults(clock=late)
    assert bills.totals("openai")["days"]["2026-11-03"] == "12345678901234567894.000000000000000003"
    bills.world(charge("1"), extend=True)
    assert bills.totals("openai")["charges"] == 5


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("world", {"charges": [{"provider": "openai"}]}),
        ("world", {"charges": [{"at": "soon", "provider": "openai"}]}),
        ("world", {"charges": [{"at": "2026-11-03", "provider": "openai", "price": "1"}]}),
        ("world", {"charges": [{"at": "2026-11-03", "provider": "openai", "amount": "much"}]}),
        ("faults", {"faults": [{"kind": "earthquake"}]}),
        ("faults", {"weather": "bad"}),
    ],
)
def test_what_is_no_charge_and_no_fault_is_refused(
    bills: BillingSimulator, path: str, document: dict[str, object]
) -> None:
    with OutboundClient() as client:
        reply = client.request("POST", f"{bills.url}/simulator/billing/{path}", json=document)
    assert reply.status == 400
    assert bills.totals("openai")["charges"] == 0
