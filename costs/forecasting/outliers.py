"""Days of a series that are far from what was to be expected (pure; runs beside costs.forecasting.candidates).

The series is split into level, weekday and rest (STL, robust), in logarithms, so that a dear week is not taken for a
strange one. A day counts when its rest is far from the usual rest (median absolute deviation), by a share of the
expected that matters, and by dollars that matter.
"""

from dataclasses import dataclass

import numpy as np
from statsmodels.tsa.seasonal import STL

from costs.forecasting.backtest import MIN_DAYS, trimmed
from costs.forecasting.candidates import WEEK, Days

SCORE = 4.0
SHARE = 0.3
# Days back that are looked at; older ones were, when they were new.
LOOK = 31
# Keeps empty days finite in logarithms; a share of the mean day.
FLOOR = 0.05
# Rests smaller than this are no deviation, however quiet the series.
LEAST_SPREAD = 0.06
SPARSE = 0.4


@dataclass(frozen=True)
class Outlier:
    """`place` counts from the end of the days given: 1 is the last; 0 the running day after them."""

    place: int
    expected: float
    low: float
    high: float
    score: float


def outliers(days: Days, *, least: float, running: float | None = None) -> list[Outlier]:
    """The strange days, oldest first; none where the history is too short. `least` are the dollars that matter.

    `running` is what the day after the last has cost so far: it can be too much already, never too little.
    """
    known = trimmed(days)
    if len(known) < MIN_DAYS:
        return []
    scale = float(known.mean())
    # An empty day is nothing strange where most are.
    is_sparse = float(np.mean(known == 0)) > SPARSE
    expected, spread = (_of_sparse if is_sparse else _of_dense)(known, scale)
    logs = np.log(known / scale + FLOOR)
    count = len(known)
    strange = [
        _judged(count - at, float(known[at]), float(logs[at]), expected[at], spread, scale, least)
        for at in range(max(0, count - LOOK), count)
    ]
    if running is not None and running > 0:
        log = float(np.log(running / scale + FLOOR))
        made = _judged(0, running, log, expected[count], spread, scale, least)
        strange.append(made if made and made.score > 0 else None)
    return [one for one in strange if one is not None and (one.score > 0 or not is_sparse)]


def _of_dense(known: Days, scale: float) -> tuple[Days, float]:
    """Expected logarithms of each day and the one after, and the spread of the rest."""
    logs = np.log(known / scale + FLOOR)
    parts = STL(logs, period=WEEK, seasonal=13, trend=21, robust=True).fit()
    trend, season = np.asarray(parts.trend), np.asarray(parts.seasonal)
    rest = logs - trend - season
    following = trend[-1] + season[-WEEK]
    return np.append(trend + season, following), _spread(rest[-8 * WEEK :])


def _of_sparse(known: Days, scale: float) -> tuple[Days, float]:
    """Of a series that is empty on most days, the days with spend are compared with each other."""
    logs = np.log(known[known > 0] / scale + FLOOR)
    middle = float(np.median(logs))
    return np.full(len(known) + 1, middle), max(_spread(logs - middle), 0.3)


def _spread(rest: Days) -> float:
    return max(1.4826 * float(np.median(np.abs(rest - np.median(rest)))), LEAST_SPREAD)


def _judged(
    place: int, amount: float, log: float, usual: float, spread: float, scale: float, least: float
) -> Outlier | None:
    score = (log - usual) / spread
    expected, low, high = (
        max(float(np.exp(usual + width * spread) - FLOOR), 0.0) * scale
        for width in (0.0, -SCORE, SCORE)
    )
    excess = abs(amount - expected)
    if abs(score) < SCORE or excess < max(SHARE * expected, least):
        return None
    return Outlier(place, expected, low, high, max(-9999.0, min(score, 9999.0)))
