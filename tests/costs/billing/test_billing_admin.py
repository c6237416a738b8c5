"""The operators' pages of the bill: rates are set and bills follow, the rest is to look at, and no secret is shown."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core.models import Job
from costs.models import BilledCost, CurrencyRate
from tests.costs.repricing import finish
from tests.factories.accounts import UserFactory
from tests.factories.billing import (
    DAY,
    SECRET,
    BilledCostFactory,
    BilledRevisionFactory,
    BillingAccountFactory,
    CurrencyRateFactory,
    ProviderSyncFactory,
)

pytestmark = pytest.mark.django_db
RATES = "/admin/costs/currencyrate/"
RATE = {"currency": "eur", "valid_from": str(DAY), "usd_per_unit": "1.1", "note": "ECB"}


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory(operator=True))
    return client


def finish_all() -> None:
    for job in Job.objects.filter(kind="costs.reconvert"):
        finish(job)


def test_a_rate_is_added_changed_and_deleted_and_bills_follow(operator) -> None:
    line = BilledCostFactory(currency="EUR", amount="2")
    assert operator.post(f"{RATES}add/", RATE).status_code == 302
    rate = CurrencyRate.objects.get()
    assert rate.currency == "EUR"
    finish_all()
    assert str(BilledCost.objects.get(pk=line.pk).amount_usd.normalize()) == "2.2"
    operator.post(f"{RATES}{rate.pk}/change/", RATE | {"usd_per_unit": "2"})
    finish_all()
    assert BilledCost.objects.get(pk=line.pk).amount_usd == 4
    operator.post(f"{RATES}{rate.pk}/delete/", {"post": "yes"})
    finish_all()
    assert BilledCost.objects.get(pk=line.pk).amount_usd is None


@pytest.mark.parametrize(
    "change",
    [{"currency": "USD"}, {"currency": "EURO"}, {"usd_per_unit": "0"}, {"valid_from": "soon"}],
)
def test_a_wrong_rate_is_refused(operator, change) -> None:
    assert operator.post(f"{RATES}add/", RATE | change).status_code == 200
    assert not CurrencyRate.objects.exists()


def test_a_csv_of_rates_is_imported_or_refused_whole(operator) -> None:
    assert "Import a CSV" in operator.get(RATES).content.decode()
    good = SimpleUploadedFile("r.csv", b"currency,valid_from,usd_per_unit\nEUR,2026-11-02,1.1\n")
    wrong = SimpleUploadedFile(
        "r.csv", b"currency,valid_from,usd_per_unit\nGBP,2026-11-02,1.3\nEUR,2026-11-02,x\n"
    )
    refused = operator.post(f"{RATES}import/", {"file": wrong})
    assert "Line 3: usd_per_unit" in refused.content.decode()
    assert not CurrencyRate.objects.exists()
    binary = SimpleUploadedFile("r.csv", b"\xff\xfe\x00")
    assert "UTF-8" in operator.post(f"{RATES}import/", {"file": binary}).content.decode()
    assert operator.post(f"{RATES}import/", {"file": good}).status_code == 302
    assert CurrencyRate.objects.count() == 1


def test_rates_are_for_operators_with_the_permission(client) -> None:
    client.force_login(UserFactory(is_staff=True))
    CurrencyRateFactory()
    for path in ("", "import/", "add/"):
        assert client.get(f"{RATES}{path}").status_code == 403
    client.force_login(UserFactory())
    assert client.get(f"{RATES}import/").status_code == 302


def test_runs_and_connections_are_shown_without_secrets(operator) -> None:
    account = BillingAccountFactory()
    run = ProviderSyncFactory(account=account, error="The provider says no.")
    revision = BilledRevisionFactory(account=account)
    for path in (
        "costs/providersync/",
        f"costs/providersync/{run.pk}/change/",
        "costs/billingaccount/",
        f"costs/billingaccount/{account.pk}/change/",
        "projects/providerconnection/",
        f"projects/providerconnection/{account.connection_id}/change/",
        "costs/billedrevision/",
        f"costs/billedrevision/{revision.pk}/change/",
        "costs/billingmapping/",
        "costs/providersync/?q=says&state=done",
        "costs/billedrevision/?q=gpt",
    ):
        page = operator.get(f"/admin/{path}")
        assert page.status_code == 200, path
        assert SECRET not in page.content.decode()
        assert "credentials" not in page.content.decode().lower()
    assert operator.post(f"/admin/costs/providersync/{run.pk}/delete/").status_code == 403
