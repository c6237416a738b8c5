"""Forecasts and anomalies as the job leaves them."""

import datetime as dt
from decimal import Decimal

from factory.django import DjangoModelFactory

from costs.models import SpendAnomaly, SpendForecast

DAY = dt.date(2026, 11, 15)
MADE = dt.datetime(2026, 11, 16, 6, 30, tzinfo=dt.UTC)


class SpendForecastFactory(DjangoModelFactory[SpendForecast]):
    """A month half spent; pass `organization=` and what matters to the test."""

    class Meta:
        model = SpendForecast

    kind = "total"
    month = dt.date(2026, 11, 1)
    made_at = MADE
    from_day = dt.date(2026, 11, 16)
    actual_usd = Decimal("100.5")
    expected_usd = Decimal("200.25")
    low_usd = Decimal(180)
    high_usd = Decimal("230.123456")
    error_share = Decimal("0.081")
    naive_error_share = Decimal("0.2")
    tested = 24
    covered = 20
    method = "blend"
    path = [{"day": "2026-11-16", "usd": "99.75", "low": "79.5", "high": "129.623456"}]


class SpendAnomalyFactory(DjangoModelFactory[SpendAnomaly]):
    """A day three times as dear as usual, with its cause."""

    class Meta:
        model = SpendAnomaly

    kind = "total"
    day = DAY
    actual_usd = Decimal(30)
    expected_usd = Decimal(10)
    low_usd = Decimal(6)
    high_usd = Decimal(15)
    excess_usd = Decimal(20)
    score = Decimal("9.5")
    found_at = MADE
    causes = [
        {"where": {"model": "gpt-5", "feature": "nightly"}, "is_other_users": False, "usd": "18.5",
         "actual_usd": "20.5", "expected_usd": "2", "calls": 41, "expected_calls": 4},
        {"where": {}, "is_other_users": False, "usd": "1.5", "actual_usd": "9.5", "expected_usd": "8", "calls": 20,
         "expected_calls": 18},
    ]  # fmt: skip
