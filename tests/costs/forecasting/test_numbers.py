"""The numbers: forecasts that beat last week's rule, intervals that hold, strange days, and the process they run in."""

import sys
from decimal import Decimal

import numpy as np
import pytest

from benchmarks.forecast import SERIES, judge
from costs.forecasting import backtest, outliers, process
from costs.forecasting.candidates import CANDIDATES, run

RNG = np.random.default_rng(5)
WEEK = np.array([1.1, 1.1, 1.1, 1.0, 1.0, 0.4, 0.4])


def office(days: int, level: float = 100.0, share: float = 0.06) -> np.ndarray:
    return level * WEEK[np.arange(days) % 7] * np.random.default_rng(3).normal(1, share, days)


def test_most_shapes_are_forecast_better_than_by_last_week_and_most_intervals_hold():
    scores = [judge(name, seed=7, every=210) for name in SERIES]
    # One origin each; the benchmark's bar is of hundreds.
    assert sum(one.error < one.naive_error for one in scores) >= 9
    assert sum(one.error for one in scores) < 0.9 * sum(one.naive_error for one in scores)
    assert 9 <= sum(one.held for one in scores) <= 14


def test_a_weekday_pattern_goes_on():
    made = backtest.forecast(office(90), 14)
    assert made is not None
    coming = 100 * WEEK[(90 + np.arange(14)) % 7]
    assert np.abs(made.path - coming).max() < 12
    assert made.total_low < made.total < made.total_high
    assert made.error_share < 0.08
    assert made.tested >= 20


@pytest.mark.parametrize("days", [0, 1, 20])
def test_short_histories_are_not_forecast(days):
    assert backtest.forecast(office(days), 10) is None
    assert outliers.outliers(office(days), least=1) == []


def test_days_before_the_first_spend_are_no_history():
    assert backtest.forecast(np.concatenate([np.zeros(100), office(15)]), 10) is None


def test_three_weeks_are_forecast_to_a_whole_month_with_a_wide_interval():
    short, long = backtest.forecast(office(22), 30), backtest.forecast(office(180), 30)
    assert short is not None
    assert long is not None
    assert short.total_high - short.total_low > long.total_high - long.total_low


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize(
    "days",
    [
        np.zeros(40),
        np.full(40, 7.0),
        np.where(np.arange(60) % 9 == 0, 50.0, 0.0),
        np.where(np.arange(60) == 30, 1e6, 1e-6),
        np.exp(np.arange(60) / 3),
        np.zeros(14),
    ],
    ids=["nothing", "same", "seldom", "one", "exploding", "short"],
)
def test_no_candidate_breaks_on_a_strange_series(name, days):
    path = run(name, days, 31)
    assert path.shape == (31,)
    assert np.isfinite(path).all()
    assert (path >= 0).all()


def test_a_dear_day_a_cheap_day_and_a_day_under_way_are_found():
    days = office(80)
    days[70] *= 3
    days[75] *= 0.1
    found = outliers.outliers(days, least=1, running=400.0)
    assert [one.place for one in found] == [10, 5, 0]
    assert [one.score > 0 for one in found] == [True, False, True]
    assert found[0].low < found[0].expected < found[0].high < days[70]


def test_usual_days_small_dollars_and_growth_are_not_strange():
    assert outliers.outliers(office(80), least=1, running=20.0) == []
    days = office(80)
    days[-1] *= 3
    assert outliers.outliers(days / 1000, least=1) == []
    growing = office(120) * 1.01 ** np.arange(120)
    assert outliers.outliers(growing, least=1) == []


def test_the_process_says_the_same_and_leaves_no_library_behind(own_process, db):
    days = [Decimal(f"{amount:.6f}") for amount in office(60)]
    task = process.task_of("a", days, horizon=9, running=Decimal(900), least=Decimal(1))
    before = {name for name in ("statsmodels", "pandas") if name in sys.modules}
    said = process.fit([task])["a"]
    assert {name for name in ("statsmodels", "pandas") if name in sys.modules} == before
    made = backtest.forecast(np.array([float(one) for one in days]), 9)
    assert made is not None
    assert said["forecast"]["low"] == f"{made.total_low:.6f}"
    assert len(said["forecast"]["path"]) == 9
    assert [one["place"] for one in said["outliers"]] == [0]
    assert process.fit([]) == {}


def test_a_process_that_fails_says_why(own_process, db):
    with pytest.raises(RuntimeError, match="horizon"):
        process.fit([{"key": "a", "days": []}])
