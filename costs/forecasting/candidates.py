"""Ways to go on from a history of daily amounts (pure; numpy and statsmodels, never imported by web or workers).

Each takes the days so far (oldest first) and says the next ones. None is right for every series: the back-test
(costs.forecasting.backtest) chooses per series. All of them know the weekday; none knows a calendar.
"""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

Days = NDArray[np.float64]
Candidate = Callable[[Days, int], Days]
WEEK = 7


def clean(days: Days) -> Days:
    """Single days far off their surroundings drawn in to them; a new level that holds four days is left alone."""
    weekday = profile(days)
    flat = days / weekday[np.arange(len(days)) % WEEK]
    padded = np.pad(flat, WEEK, mode="reflect") if len(flat) > WEEK else flat
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * WEEK + 1)
    middle = np.median(windows, axis=1)
    spread = 1.4826 * np.median(np.abs(windows - middle[:, None]), axis=1)
    spread = np.maximum(spread, 0.05 * middle)
    bounded = np.clip(flat, np.maximum(middle - 4 * spread, 0), middle + 4 * spread)
    return np.asarray(bounded * weekday[np.arange(len(days)) % WEEK])


def profile(days: Days, weeks: int = 8) -> Days:
    """What each place in the week is to its week's mean, by the median over the last weeks; place 0 is the first day's.

    Shrunk towards 1 where few weeks speak, so that two weeks do not make a rhythm of noise.
    """
    count = min(weeks, len(days) // WEEK)
    if count < 2:
        return np.ones(WEEK)
    tail = days[len(days) - count * WEEK :].reshape(count, WEEK)
    means = tail.mean(axis=1, keepdims=True)
    rows = tail[means[:, 0] > 0] / means[means[:, 0] > 0]
    if len(rows) < 2:
        return np.ones(WEEK)
    found = np.median(rows, axis=0)
    found = np.maximum(found, 0.02)
    shape = (found / found.mean() * len(rows) + 1.0) / (len(rows) + 1.0)
    # The tail begins at a place of its own in the week.
    return np.asarray(np.roll(shape, (len(days) - count * WEEK) % WEEK))


def _ahead(days: Days, horizon: int, shape: Days) -> Days:
    """The weekday shape of the days to come."""
    return shape[(len(days) + np.arange(horizon)) % WEEK]


def naive(days: Days, horizon: int) -> Days:
    """Every day like the same day of the last week: the rule to beat."""
    return np.asarray(days[-WEEK:][np.arange(horizon) % WEEK])


def month_mean(days: Days, horizon: int) -> Days:
    """The mean of the last four weeks in the shape of the week. Keeps what spikes and empty days add up to."""
    return np.full(horizon, days[-28:].mean()) * _ahead(days, horizon, profile(days))


def quarter_mean(days: Days, horizon: int) -> Days:
    """The same of the last eight weeks, for series that are empty on most days."""
    return np.full(horizon, days[-56:].mean()) * _ahead(days, horizon, profile(days))


def fortnight_median(days: Days, horizon: int) -> Days:
    """The median of the last two weeks without their weekdays: single days do not move it."""
    shape = profile(days)
    flat = days / shape[np.arange(len(days)) % WEEK]
    return float(np.median(flat[-14:])) * _ahead(days, horizon, shape)


def week_mean(days: Days, horizon: int) -> Days:
    """The last week's mean in the shape of the week: quick after a step."""
    return np.full(horizon, clean(days)[-WEEK:].mean()) * _ahead(days, horizon, profile(days))


def drift(days: Days, horizon: int) -> Days:
    """Steady growth: the median weekly step of the last six weeks' logarithms goes on, damped."""
    weeks = min(8, len(days) // WEEK)
    tail = clean(days)[len(days) - weeks * WEEK :].reshape(weeks, WEEK).mean(axis=1)
    if weeks < 3 or (tail <= 0).any():
        return week_mean(days, horizon)
    logs = np.log(tail)
    places = np.arange(weeks)
    pairs = [(logs[j] - logs[i]) / (j - i) for i in places for j in places if j > i]
    step = float(np.clip(np.median(pairs), -0.25, 0.25)) / WEEK
    level = float(np.median(logs - places * WEEK * step) + (weeks - 1) * WEEK * step)
    steps = step * (np.cumsum(0.99 ** np.arange(horizon)) + WEEK // 2)
    return np.asarray(np.exp(level + steps) * _ahead(days, horizon, profile(days)))


class Kept:
    """The weights a search found for a shorter history: they hold for four more weeks, which saves most searches.

    A back-test goes from the oldest day on, so no weight knows days it is judged by.
    """

    def __init__(self) -> None:
        self.length = 0
        self.weights: Days | None = None

    def for_length(self, length: int) -> Days | None:
        return self.weights if 0 <= length - self.length < 4 * WEEK else None

    def keep(self, length: int, weights: Days) -> None:
        self.length, self.weights = length, weights


def _ets(days: Days, horizon: int, kept: Kept | None, *, has_trend: bool, is_log: bool) -> Days:
    scale = float(days.mean()) or 1.0
    scaled = days / scale
    level = np.log(scaled + 0.01) if is_log else scaled
    model = ETSModel(
        level,
        error="add",
        trend="add" if has_trend else None,
        damped_trend=has_trend,
        seasonal="add",
        seasonal_periods=WEEK,
        initialization_method="heuristic",
    )
    with warnings.catch_warnings():
        # A search that stops early still gives a forecast, and the back-test judges it.
        warnings.simplefilter("ignore")
        weights = kept.for_length(len(days)) if kept else None
        if weights is None:
            fitted = model.fit(disp=False, maxiter=60)
            if kept:
                kept.keep(len(days), fitted.params)
        else:
            fitted = model.smooth(weights)
        path = np.asarray(fitted.forecast(horizon), dtype=np.float64)
    if is_log:
        left = np.asarray(fitted.resid)[WEEK:]
        spread = 1.4826 * float(np.median(np.abs(left - np.median(left))))
        # exp() of a mean is a median: what the noise adds on average comes back in.
        path = np.exp(np.minimum(path + min(spread, 0.8) ** 2 / 2, 20.0)) - 0.01
    return path * scale


def ets_raw(days: Days, horizon: int, kept: Kept | None = None) -> Days:
    """Exponential smoothing, damped trend and weekdays in dollars."""
    return _ets(clean(days), horizon, kept, has_trend=True, is_log=False)


def ets_log(days: Days, horizon: int, kept: Kept | None = None) -> Days:
    """The same in logarithms: growth and weekdays in per cent."""
    return _ets(clean(days), horizon, kept, has_trend=True, is_log=True)


def ets_level(days: Days, horizon: int, kept: Kept | None = None) -> Days:
    """In logarithms without a trend."""
    return _ets(clean(days), horizon, kept, has_trend=False, is_log=True)


PLAIN: dict[str, Candidate] = {
    "month_mean": month_mean,
    "quarter_mean": quarter_mean,
    "fortnight_median": fortnight_median,
    "week_mean": week_mean,
    "drift": drift,
}
SEARCHED = {"ets_raw": ets_raw, "ets_log": ets_log, "ets_level": ets_level}


CANDIDATES = (*PLAIN, *SEARCHED)


def run(name: str, days: Days, horizon: int, kept: Kept | None = None) -> Days:
    """A candidate's days, none below zero; where it fails on a strange series, the mean of four weeks."""
    try:
        path = PLAIN[name](days, horizon) if name in PLAIN else SEARCHED[name](days, horizon, kept)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        path = month_mean(days, horizon)
    # Nobody's spend is fifty times its highest day tomorrow: a search gone wild, not a forecast.
    return np.clip(np.nan_to_num(path, nan=0.0), 0.0, 50 * float(days.max()) if len(days) else 0.0)
