"""Rates of currencies: dated, unknown stays unknown, and a change reaches what was billed before."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DomainError
from core.models import Job
from costs import signals
from costs.billing import rate_changes
from costs.billing.rate_changes import clean_rate, read_csv, reconvert, set_rates
from costs.billing.rates import convert, current_rates, rate_for
from costs.models import BilledCost, CurrencyRate
from tests.costs.repricing import finish
from tests.factories.billing import (
    DAY,
    BilledCostFactory,
    BillingAccountFactory,
    CurrencyRateFactory,
)

pytestmark = pytest.mark.django_db
NEXT = DAY + dt.timedelta(days=1)


def rate(currency="EUR", day=DAY, usd="1.1"):
    return clean_rate(currency=currency, valid_from=day, usd_per_unit=usd)


def finish_all() -> None:
    for job in Job.objects.filter(kind="costs.reconvert"):
        finish(job)


def test_a_rate_holds_from_its_day_until_the_next() -> None:
    CurrencyRateFactory(valid_from=DAY, usd_per_unit="1.1")
    CurrencyRateFactory(valid_from=NEXT, usd_per_unit="1.2")
    assert rate_for("EUR", DAY - dt.timedelta(days=1)) is None
    assert rate_for("EUR", DAY) == Decimal("1.1")
    assert rate_for("EUR", NEXT + dt.timedelta(days=400)) == Decimal("1.2")
    assert rate_for("GBP", DAY) is None
    assert convert(Decimal("2.5"), "EUR", NEXT) == Decimal("3")
    assert convert(Decimal("2.5"), "GBP", NEXT) is None


def test_the_us_dollar_is_one_without_a_query(django_assert_num_queries) -> None:
    amount = Decimal("0.123456789012345678")
    with django_assert_num_queries(0):
        assert (rate_for("USD", DAY), convert(amount, "USD", DAY)) == (1, amount)


def test_many_lines_ask_once(django_assert_num_queries) -> None:
    CurrencyRateFactory()
    with django_assert_num_queries(2):
        rates = current_rates()
        assert [rates.convert(Decimal(n), "EUR", DAY) for n in range(50)][-1] == Decimal("53.9")


@settings(max_examples=12)
@given(
    amount=st.decimals(
        min_value=-(10**12), max_value=10**12, places=18, allow_nan=False, allow_infinity=False
    ),
    usd=st.decimals(min_value=Decimal("1e-10"), max_value=10**6, places=10),
)
def test_python_and_postgresql_convert_alike(amount: Decimal, usd: Decimal) -> None:
    CurrencyRate.objects.filter(currency="EUR").delete()
    line = BilledCostFactory(currency="EUR", amount=amount)
    set_rates(rates=[rate(usd=str(usd))], now=timezone.now())
    finish_all()
    line.refresh_from_db()
    assert line.amount_usd == convert(amount, "EUR", DAY)


def test_a_new_rate_reaches_what_was_billed_before_and_nobody_else() -> None:
    account = BillingAccountFactory()
    early = BilledCostFactory(account=account, currency="EUR", day=DAY - dt.timedelta(days=1))
    line = BilledCostFactory(account=account, currency="EUR", amount="2")
    late = BilledCostFactory(
        account=account, currency="EUR", amount="3", day=DAY + dt.timedelta(days=70)
    )
    dollars = BilledCostFactory(account=account)
    pounds = BilledCostFactory(currency="GBP")
    told = []

    def hear(**news) -> None:
        told.append((news["account_id"], news["first_day"]))

    signals.sync_finished.connect(hear)
    set_rates(rates=[rate()], now=timezone.now())
    changes = Job.objects.filter(kind=rate_changes.KIND)
    assert changes.get().organization_id == account.organization_id
    finish_all()
    found = dict(BilledCost.objects.values_list("pk", "amount_usd"))
    assert found == {
        early.pk: None,
        line.pk: Decimal("2.2"),
        late.pk: Decimal("3.3"),
        dollars.pk: Decimal("1.25"),
        pounds.pk: None,
    }
    assert {one for one, _ in told} == {account.pk}
    assert len(told) == 2
    assert changes.get().message == "2 lines have a new amount in US dollars."


def test_a_rate_that_is_gone_leaves_unknown_not_zero() -> None:
    row = CurrencyRateFactory()
    line = BilledCostFactory(currency="EUR", amount_usd="1.375")
    row.delete()
    reconvert(now=timezone.now(), currencies=["EUR"])
    finish_all()
    line.refresh_from_db()
    assert line.amount_usd is None


def test_a_csv_of_rates_is_taken_as_a_whole(tmp_path, capsys) -> None:
    CurrencyRateFactory(usd_per_unit="9")
    file = tmp_path / "rates.csv"
    file.write_text(
        "\ufeffcurrency,valid_from,usd_per_unit,note\n"
        "eur,2026-11-02,1.1,ECB\nGBP,2026-11-02,1.3142857143,\n\n"
    )
    call_command("import_rates", str(file))
    assert list(
        CurrencyRate.objects.order_by("currency").values_list("currency", "usd_per_unit", "note")
    ) == [("EUR", Decimal("1.1"), "ECB"), ("GBP", Decimal("1.3142857143"), "")]
    assert "2 rates set" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "first line"),
        ("currency,valid_from,usd_per_unit\n", "no rate"),
        ("currency,valid_from\nEUR,2026-11-02\n", "first line"),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02\n", "Line 2 has 2 values"),
        ("currency,valid_from,usd_per_unit\nEURO,2026-11-02,1\n", "Line 2: currency is 'EURO'"),
        ("currency,valid_from,usd_per_unit\nUSD,2026-11-02,1\n", "always 1"),
        ("currency,valid_from,usd_per_unit\nEUR,soon,1\n", "valid_from is 'soon'"),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02,0\n", "usd_per_unit is '0'"),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02,NaN\n", "usd_per_unit is 'NaN'"),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02,1e999999999\n", "usd_per_unit"),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02,1.12345678901\n", "ten decimals"),
        (
            "currency,valid_from,usd_per_unit\nEUR,2026-11-02,1\nEUR,2026-11-02,2\n",
            "Line 3: EUR on 2026-11-02 is in the file twice",
        ),
        ("currency,valid_from,usd_per_unit\nEUR,2026-11-02,1\x00\n", "NUL"),
    ],
)
def test_a_wrong_csv_is_refused_in_words(tmp_path, text, words) -> None:
    with pytest.raises(DomainError) as caught:
        read_csv(text)
    assert words in caught.value.detail
    file = tmp_path / "rates.csv"
    file.write_text(text)
    with pytest.raises(CommandError):
        call_command("import_rates", str(file))
    assert not CurrencyRate.objects.exists()
