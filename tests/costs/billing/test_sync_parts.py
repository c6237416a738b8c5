"""Parts of a sync: what a broken step leaves, how many queries one takes, waits and pauses, lines that are one."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import outbox
from costs.billing import plan, step
from costs.billing import sync as engine
from costs.models import BilledCost, BilledUsage, CurrencyRate
from costs.providers import asking
from costs.providers.base import CostLine, Permanent, decimal_of, merged
from tests.costs.billing.worlds import (
    NOW,
    account_of,
    at,
    billed,
    charge,
    day,
    finished,
    read,
    start,
    steps,
    total,
)
from tests.fakes.billing import BillingSimulator


@pytest.fixture(autouse=True)
def _clock(bills: BillingSimulator) -> None:
    bills.faults(clock=NOW)


@pytest.mark.django_db
def test_a_step_that_breaks_after_writing_leaves_nothing_and_is_repeated(
    bills: BillingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills.world(*(charge("openai", at(number), "1.5") for number in range(10, 21)))
    account = account_of(bills)
    sync = start(account)
    whole = step._move_sync

    def breaks(*_: Any) -> None:
        raise RuntimeError("the worker lost its database")

    monkeypatch.setattr(step, "_move_sync", breaks)
    item = outbox.claim(now=NOW + dt.timedelta(days=3))
    assert item is not None
    assert outbox.run(item.pk, now=NOW) is False
    assert BilledCost.objects.count() == BilledUsage.objects.count() == 0
    monkeypatch.setattr(step, "_move_sync", whole)
    assert finished(sync).state == "done"
    assert billed(account) == total(bills)
    assert sync.rows_added == BilledCost.objects.count() + BilledUsage.objects.count()


@pytest.mark.django_db
def test_steps_that_wait_for_a_provider_are_not_in_ingestions_way(bills: BillingSimulator) -> None:
    sync = start(account_of(bills))
    later = NOW + dt.timedelta(days=3)
    assert outbox.claim(now=later, is_slow=False) is None
    item = outbox.claim(now=later, is_slow=True)
    assert item is not None
    assert outbox.run(item.pk, now=NOW)
    sync.refresh_from_db()
    assert sync.next_day > sync.first_day


@pytest.mark.django_db
def test_a_step_takes_as_many_queries_for_many_lines_as_for_few(bills: BillingSimulator) -> None:
    def queries(lines: int) -> int:
        bills.world(
            *(charge("openai", at(19), "1.5", key=f"key_{number}") for number in range(lines))
        )
        account = account_of(bills, history_from=day(18))
        start(account)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            steps()
        assert billed(account) == Decimal("1.5") * lines
        return len(captured)

    assert queries(300) == queries(3)


@pytest.mark.django_db
def test_dollars_follow_the_rate_of_the_lines_day(bills: BillingSimulator) -> None:
    CurrencyRate.objects.create(currency="EUR", valid_from=day(15), usd_per_unit=Decimal("1.1"))
    bills.world(*(charge("openai", at(number), "5", currency="EUR") for number in (14, 16)))
    account = account_of(bills)
    read(account)
    found = dict(BilledCost.objects.filter(account=account).values_list("day", "amount_usd"))
    assert found == {day(14): None, day(16): Decimal("5.5")}


@pytest.mark.django_db
def test_a_provider_without_a_plugin_and_an_unreadable_credential_are_told(
    bills: BillingSimulator,
) -> None:
    with pytest.raises(LookupError):
        engine.check_connection(provider="acme", credentials={}, settings={})
    account = account_of(bills)
    connection_row = account.connection
    sync = start(account)
    connection_row.credentials = b"x" * 40
    connection_row.save()
    assert finished(sync).state == "failed"
    assert "enter them again" in sync.error


def line(**values: Any) -> CostLine:
    bounds = {"day": day(1), "starts_at": at(1, 0), "ends_at": at(2, 0)}
    given = {"source": "costs", "provider": "openai", "amount": Decimal(1), "currency": "USD"}
    return CostLine(**(bounds | given | values))


def test_lines_nobody_can_tell_apart_are_one_and_its_sum_is_exact() -> None:
    amount = Decimal("12345678901234567890.123456789012345678")
    one, other = line(amount=amount, quantity=Decimal(1)), line(quantity=None, is_allocated=True)
    (found,) = merged([one, other])
    assert found.amount == Decimal("12345678901234567891.123456789012345678")
    assert found.quantity is None
    assert found.is_allocated
    different = [
        replace(one, **{name: "x"}) for name in ("model", "sku_id", "description", "region")
    ]
    assert len(merged([one, *different, replace(one, currency="EUR")])) == 6
    assert len({one.natural_key, *(item.natural_key for item in different)}) == 5
    # Names may change: it stays the same line.
    assert replace(one, sub_account_name="New name").natural_key == one.natural_key


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "", None, True, "12,5", {}])
def test_no_amount_is_made_of_what_is_none(value: Any) -> None:
    with pytest.raises(Permanent, match="an amount"):
        decimal_of(value, "an amount")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e9", 86400.0),
        ("Fri, 20 Nov 2026 12:31:00 GMT", 60.0),
        ("Fri, 20 Nov 2026 12:00:00 GMT", 0.0),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_every_form(text: str, seconds: float | None) -> None:
    found = asking.retry_after_s(
        {"retry-after": text}, dt.datetime(2026, 11, 20, 12, 30, tzinfo=dt.UTC)
    )
    assert found == seconds


def test_waits_grow_are_spread_and_never_shorter_than_asked_for() -> None:
    waits = [
        plan.wait_before_retry(attempts=n, retry_after_s=None, chance=lambda: 0.0)
        for n in range(1, 9)
    ]
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]
    spread = plan.wait_before_retry(attempts=1, retry_after_s=40, chance=lambda: 1.0)
    assert spread == 50


def test_pauses_after_failures_double_up_to_a_day() -> None:
    def pause(failures: int, schedule: str = "hourly") -> dt.timedelta | None:
        account: Any = SimpleNamespace(schedule=schedule, failures_in_a_row=failures)
        found = plan.next_run(account=account, now=NOW, chance=lambda: 0.0)
        return found - NOW if found else None

    minutes = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    assert [pause(n) for n in range(1, 12)] == [dt.timedelta(minutes=m) for m in minutes]
    assert (pause(0), pause(0, "daily"), pause(3, "manual")) == (
        dt.timedelta(hours=1),
        dt.timedelta(days=1),
        None,
    )
