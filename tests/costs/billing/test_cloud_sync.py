"""The clouds' bills through the sync: what is stored is what the simulator says was billed."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from core.ids import uuid7
from costs.models import BilledCost, BilledRevision, BillingAccount, CurrencyRate, ProviderSync
from projects.connections import seal_credentials
from projects.models import ProviderConnection
from tests.costs.billing import test_azure, test_google
from tests.costs.billing.worlds import NOW, day, finished, start
from tests.factories.accounts import OrganizationFactory
from tests.fakes.billing import BillingSimulator

pytestmark = pytest.mark.django_db
LATE = NOW + dt.timedelta(days=1)


def account_of(bills: BillingSimulator, provider: str) -> BillingAccount:
    organization, identity = OrganizationFactory(), uuid7()
    settings: dict[str, str] = {"base_url": bills.url}
    credentials = {"client_secret": "s3cret-of-the-app"}
    if provider == "azure":
        settings |= {
            "tenant_id": "t",
            "client_id": "app",
            "scope": "subscriptions/0000",
            "login_url": bills.url,
        }
    else:
        settings |= {"dataset": "billing"}
        credentials = {"service_account_json": test_google.key_file(bills.url)}
    connection = ProviderConnection.objects.create(
        id=identity,
        organization=organization,
        provider=provider,
        name=provider,
        credentials=seal_credentials(organization, identity, credentials),
        settings=settings,
        status=ProviderConnection.Status.VERIFIED,
    )
    zone = "UTC" if provider == "azure" else "America/Los_Angeles"
    return BillingAccount.objects.create(
        connection=connection, organization=organization, time_zone=zone, history_from=day(1) - dt.timedelta(days=1)
    )  # fmt: skip


def read(account: BillingAccount, now: dt.datetime = NOW) -> ProviderSync:
    sync = finished(start(account, now=now), now)
    assert sync.state == ProviderSync.State.DONE, sync.error
    return sync


def billed(account: BillingAccount, currency: str = "USD") -> Decimal:
    rows = BilledCost.objects.filter(account=account, currency=currency)
    return rows.aggregate(total=Sum("amount"))["total"] or Decimal(0)


def world_of(provider: str) -> list[dict[str, Any]]:
    if provider == "azure":
        return [*test_azure.month(), test_azure.charge(3, currency="EUR", amount=Decimal(10))]
    return [*test_google.month(), test_google.charge(3, currency="EUR", amount=Decimal(10))]


def correction(provider: str) -> dict[str, Any]:
    made = test_azure.charge if provider == "azure" else test_google.charge
    return made(3, amount=Decimal("-0.000000000000000007"), visible_from=LATE)


@pytest.mark.parametrize("provider", ["azure", "google"])
def test_a_month_is_stored_to_the_last_digit_and_corrected_late(
    bills: BillingSimulator, provider: str
) -> None:
    CurrencyRate.objects.create(currency="EUR", valid_from=day(1), usd_per_unit=Decimal("1.1"))
    account = account_of(bills, provider)
    bills.world(*world_of(provider), correction(provider))
    bills.faults(clock=NOW, page_size=9)
    sync = read(account)
    totals = bills.totals(provider)["amounts"]
    assert billed(account) == Decimal(totals["USD"])
    (euro,) = BilledCost.objects.filter(account=account, currency="EUR")
    assert (euro.amount, euro.amount_usd) == (Decimal(10), Decimal(11))
    assert sync.rows_added == BilledCost.objects.filter(account=account).count()
    assert not BilledRevision.objects.filter(account=account).exists()

    again = read(account, NOW + dt.timedelta(minutes=5))
    assert (again.rows_added, again.rows_changed, again.rows_removed) == (0, 0, 0)

    bills.faults(clock=LATE)
    read(account, LATE)
    assert billed(account) == Decimal(bills.totals(provider)["amounts"]["USD"])
    (revision,) = BilledRevision.objects.filter(account=account)
    assert (revision.after or 0) - (revision.before or 0) == Decimal("-0.000000000000000007")
