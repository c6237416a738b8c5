"""When thresholds and limits were reached, hour by hour, and where a period will end."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import pytest

from costs.budgets.crossings import Terms, crossings, running_totals, terms_of
from costs.budgets.outlook import Pace, outlook_of, pace_of
from costs.budgets.periods import period_now
from costs.budgets.selectors import Standing
from costs.budgets.sums import Amount
from costs.models import Budget

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def budget_of(**values):
    return Budget(**{"period": "monthly", "amount_usd": Decimal(100), "thresholds": [50]} | values)


def found(budget, hours, since="2026-01-01", terms=None):
    said = terms or Terms(budget.amount_usd, tuple(budget.thresholds))
    mapped = {at(when): Decimal(cost) for when, cost in hours}
    return [
        (one.mark, f"{one.at:%m-%d %H}", str(one.spent_usd))
        for one in crossings(
            budget, mapped, said if callable(said) else lambda _: said, since=at(since)
        )
    ]


def test_each_share_fires_once_in_its_hour_and_anew_in_the_next_period() -> None:
    hours = [("2026-09-30T23:00", 60), ("2026-10-01T00:00", 49), ("2026-10-02T05:00", 1),
             ("2026-10-03T05:00", 49), ("2026-10-04T07:00", 1), ("2026-10-05T07:00", 900)]  # fmt: skip
    assert found(budget_of(), hours) == [
        (50, "09-30 23", "60"), (50, "10-02 05", "50"), (100, "10-04 07", "100"),
    ]  # fmt: skip
    assert found(budget_of(), hours, since="2026-10-03") == [(100, "10-04 07", "100")]


def test_several_shares_in_one_hour_all_fire() -> None:
    assert [
        one[0] for one in found(budget_of(thresholds=[50, 80, 150]), [("2026-10-01T01:00", 149)])
    ] == [50, 80, 100]


def test_a_rolling_window_forgets_its_oldest_day_and_fires_again() -> None:
    budget = budget_of(period="rolling", rolling_days=2, thresholds=[])
    hours = [("2026-10-01T05:00", 70), ("2026-10-02T05:00", 30), ("2026-10-03T05:00", 20),
             ("2026-10-04T05:00", 79), ("2026-10-04T06:00", 1)]  # fmt: skip
    assert found(budget, hours) == [(100, "10-02 05", "100"), (100, "10-04 06", "100")]


def test_a_rolling_window_that_stays_full_fires_once() -> None:
    budget = budget_of(period="rolling", rolling_days=2, thresholds=[])
    hours = [(f"2026-10-0{day}T05:00", 60) for day in range(1, 7)]
    assert found(budget, hours) == [(100, "10-02 05", "120")]


def test_days_of_another_zone_and_days_before_the_budget_count_to_their_own_period() -> None:
    budget = budget_of(
        period="daily", time_zone="America/New_York", starts_on=dt.date(2026, 10, 2), thresholds=[]
    )
    hours = [
        ("2026-10-02T03:00", 200),
        ("2026-10-02T04:00", 60),
        ("2026-10-03T03:00", 40),
        ("2026-10-03T04:00", 99),
    ]
    assert found(budget, hours) == [(100, "10-03 03", "100")]


def test_the_limit_that_held_then_decides() -> None:
    changes = [
        SimpleNamespace(valid_from=at(when), amount_usd=Decimal(usd), thresholds=[], is_hard=False, is_paused=rest)
        for when, usd, rest in (("2026-10-01", 100, False), ("2026-10-03", 300, False), ("2026-10-05", 1, True))
    ]  # fmt: skip
    hours = [
        ("2026-10-02T00:00", 90),
        ("2026-10-03T00:00", 90),
        ("2026-10-04T00:00", 120),
        ("2026-10-06T00:00", 1),
    ]
    assert found(budget_of(), hours, terms=terms_of(changes)) == [(100, "10-04 00", "300")]


def test_running_totals_begin_anew_with_each_period() -> None:
    days = {dt.date(2026, 10, day): Decimal(day) for day in range(25, 32)} | {
        dt.date(2026, 11, 1): Decimal(5)
    }
    first, end = dt.date(2026, 10, 30), dt.date(2026, 11, 3)
    assert running_totals(budget_of(), days, first, end) == [165, 196, 5, 5]
    assert running_totals(budget_of(period="rolling", rolling_days=2), days, first, end) == [
        59,
        61,
        36,
        5,
    ]


def standing(now="2026-11-20T12:00", spent="40", **values):
    budget, when = budget_of(**values), at(now)
    return Standing(budget, period_now(budget, when), Amount(Decimal(spent)), when, True)


@pytest.mark.parametrize(
    ("values", "pace", "words", "gone"),
    [
        ({}, "10", "At this pace the money is gone on Thu 26 Nov, 4 days before the month ends", 26),
        ({}, "5.8", "the money is gone on Mon 30 Nov, on the last day of the month", 30),
        ({}, "2", "$61.00 are spent when the month ends, 61.0% of the budget", None),
        ({}, "0", "$40.00 are spent when the month ends", None),
        ({"spent": "100"}, "1", "The money is gone: spent to the last cent", None),
        ({"spent": "130.5"}, "1", "The money is gone: $30.50 over", None),
        ({"period": "daily"}, "240", "gone today at about 18:00", 20),
        ({"period": "daily", "time_zone": "Asia/Tokyo"}, "240", "$70.00 are spent when the day ends", None),
        ({"period": "weekly"}, "24", "gone on Sun 22 Nov, on the last day of the week", 22),
        ({"period": "rolling", "rolling_days": 7}, "20", "7 days cost $140.00, 140.0% of the budget", None),
        ({"is_paused": True}, "10", "Paused", None),
        ({"ends_on": dt.date(2026, 11, 22)}, "20", "$90.00 are spent when", None),
        ({"starts_on": dt.date(2026, 12, 1)}, "20", "Begins on Tue 1 Dec", None),
    ],
)  # fmt: skip
def test_the_outlook_in_words(values, pace, words, gone) -> None:
    found = outlook_of(standing(**values), Pace(Decimal(pace), 7))
    assert words in found.words
    assert (found.gone_on.day if found.gone_on else None) == gone


def test_a_pace_is_the_mean_of_the_days_since_the_first_that_cost() -> None:
    assert pace_of([Decimal(0)] * 5 + [Decimal(3), Decimal(0)]) == Pace(Decimal("1.5"), 2)
    assert pace_of([Decimal(0)] * 7) == Pace(Decimal(0), 7)
    assert "no whole days" in outlook_of(standing(), pace_of([])).words


def test_a_forecast_goes_before_the_pace_and_is_named() -> None:
    path = {dt.date(2026, 11, day): Decimal(1) for day in range(20, 31)} | {
        dt.date(2026, 11, 24): Decimal(80)
    }
    found = outlook_of(standing(), Pace(Decimal(2), 7, path))
    assert "gone on Tue 24 Nov, 6 days before the month ends (by the forecast)" in found.words


def test_a_rolling_window_is_full_on_the_day_its_days_say() -> None:
    days = {dt.date(2026, 11, day): Decimal(10) for day in range(16, 20)} | {
        dt.date(2026, 11, 20): Decimal(0)
    }
    found = outlook_of(standing(period="rolling", rolling_days=7), Pace(Decimal(20), 7), days=days)
    # 40 + half a day of 20; then 20 a day come and, from the 23rd on, 10 a day leave.
    assert (found.gone_on, found.path[1]) == (
        dt.date(2026, 11, 23),
        (dt.date(2026, 11, 21), Decimal(70)),
    )


def test_when_the_money_was_gone_is_said_with_its_hour() -> None:
    words = outlook_of(
        standing(spent="120"), Pace(Decimal(1), 7), gone_at=at("2026-11-17T14:00")
    ).words
    assert (
        words
        == "The money was gone on Tue 17 Nov in the hour from 14:00, 13 days before the month ends; $20.00 over."
    )
