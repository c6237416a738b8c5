"""Charges of a small organisation at a provider, and an account of LLMLab that reads them."""

import datetime as dt
from decimal import Decimal
from typing import Any

from core import outbox
from core.ids import uuid7
from costs.billing import sync as engine
from costs.models import BilledCost, BilledUsage, BillingAccount, ProviderSync
from projects.connections import seal_credentials
from projects.models import ProviderConnection
from tests.factories.accounts import OrganizationFactory

NOW = dt.datetime(2026, 11, 20, 12, 30, tzinfo=dt.UTC)
KEYS = {"openai": "sk-admin-abcdefghijklmnop1234", "anthropic": "sk-ant-admin01-abcdefghijklmnop"}
MODELS = {"openai": "gpt-5.5-2026-04-23", "anthropic": "claude-opus-5-5"}


def day(number: int) -> dt.date:
    """A day of November 2026."""
    return dt.date(2026, 11, number)


def at(number: int, hour: int = 10) -> dt.datetime:
    return dt.datetime(2026, 11, number, hour, tzinfo=dt.UTC)


def charge(provider: str, when: dt.datetime, amount: str, **values: Any) -> dict[str, Any]:
    """A charge for the simulator's world."""
    return {
        "at": when,
        "provider": provider,
        "sub_account": "proj_a",
        "key": "key_1",
        "model": MODELS[provider],
        "tier": "default" if provider == "openai" else "standard",
        "token_class": "input",
        "quantity": 1000,
        "requests": 5,
        "amount": Decimal(amount),
        **values,
    }


def account_of(bills: Any, provider: str = "openai", **values: Any) -> BillingAccount:
    """A verified connection to the simulator, its history from the tenth of November."""
    organization = values.pop("organization", None) or OrganizationFactory()
    identity = uuid7()
    credentials = {"admin_key": values.pop("key", KEYS[provider])}
    connection = ProviderConnection.objects.create(
        id=identity,
        organization=organization,
        provider=provider,
        name=f"{provider} {identity.hex[-6:]}",
        credentials=seal_credentials(organization, identity, credentials),
        settings={"base_url": bills.url + ("/v1" if provider == "openai" else "")},
        status=ProviderConnection.Status.VERIFIED,
    )
    values.setdefault("history_from", day(10))
    return BillingAccount.objects.create(connection=connection, organization=organization, **values)


def start(
    account: BillingAccount, kind: str = "manual", now: dt.datetime = NOW, **values: Any
) -> ProviderSync:
    fresh = BillingAccount.objects.select_related("connection").get(pk=account.pk)
    return engine.start_sync(account=fresh, kind=kind, now=now, **values)


def steps(most: int = 50, now: dt.datetime = NOW) -> int:
    """Run what the outbox holds, waits skipped; returns how many rows were done."""
    later, done = max(now, dt.datetime.now(dt.UTC)), 0
    for _ in range(most):
        later += dt.timedelta(days=3)
        item = outbox.claim(now=later)
        if item is None:
            break
        # What waits is due, but for the work itself it is still the day of the test.
        outbox.run(item.pk, now=now)
        done += 1
    return done


def finished(sync: ProviderSync, now: dt.datetime = NOW) -> ProviderSync:
    steps(now=now)
    sync.refresh_from_db()
    return sync


def read(account: BillingAccount, now: dt.datetime = NOW, **values: Any) -> ProviderSync:
    """One sync from start to end."""
    return finished(start(account, now=now, **values), now)


def billed(account: BillingAccount) -> Decimal:
    return sum(
        BilledCost.objects.filter(account=account).values_list("amount", flat=True), Decimal(0)
    )


def used(account: BillingAccount, token_class: str) -> Decimal:
    rows = BilledUsage.objects.filter(account=account, token_class=token_class)
    return sum((one or Decimal(0) for one in rows.values_list("quantity", flat=True)), Decimal(0))


def total(bills: Any, provider: str = "openai", **values: Any) -> Decimal:
    """What the simulator says was billed in dollars."""
    found: str = bills.totals(provider, **values)["amounts"].get("USD", "0")
    return Decimal(found)
