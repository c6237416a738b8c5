"""Back-test of the forecasts on fourteen series: ours against "every day like last week's", and what the interval
holds.

`python -m benchmarks.forecast` prints the table. Twelve series are made by rule, two have the shape of published data
sets, made again by a generator of our own (nothing of the data is here):

* *encyclopedia*: daily page views of a sports player's article, the example data set of a well-known forecasting
  library: strong weekday, a yearly season, bursts that fade over a week, noise in logarithms;
* *bicycles*: daily hires of a city's bicycles (UCI repository): yearly season, growth between the years, weekday,
  and days of bad weather that halve the day.

What is judged is what LLMLab shows: the sum of the days that are left of the month, from many days of the last seven
months; each forecast sees only the days before it.
"""

import argparse
import datetime as dt
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from costs.forecasting.backtest import forecast
from costs.forecasting.candidates import Days, naive

DAYS = 420
FIRST = dt.date(2025, 6, 2)  # a Monday
Generator = np.random.Generator
PLACE = np.arange(DAYS)
OFFICE = np.array([1.08, 1.12, 1.1, 1.06, 0.98, 0.38, 0.34])


def weekday(weight: float = 1.0) -> Days:
    """Busy from Monday to Friday."""
    return (1 - weight + weight * OFFICE)[PLACE % 7]


def noise(rng: Generator, share: float) -> Days:
    return np.exp(rng.normal(0, share, DAYS) - share**2 / 2)


def flat(rng: Generator) -> Days:
    """One level, noise of 15 %."""
    return 100 * noise(rng, 0.15)


def office(rng: Generator) -> Days:
    """Weekdays."""
    return 240 * weekday() * noise(rng, 0.1)


def trend(rng: Generator) -> Days:
    """A straight rise with weekdays."""
    return (80 + 0.6 * PLACE) * weekday() * noise(rng, 0.1)


def growth(rng: Generator) -> Days:
    """Four per cent a week, with weekdays."""
    return 15 * 1.04 ** (PLACE / 7) * weekday(0.8) * noise(rng, 0.12)


def steps(rng: Generator) -> Days:
    """A new level now and then: another model, another customer."""
    level, changes = np.full(DAYS, 120.0), rng.choice(np.arange(40, DAYS - 20), 5, replace=False)
    for at in changes:
        level[at:] *= rng.choice([0.5, 0.7, 1.5, 2.2])
    return level * weekday() * noise(rng, 0.1)


def spikes(rng: Generator) -> Days:
    """Days of three to eight times the usual, one in thirty."""
    peak = np.where(rng.random(DAYS) < 1 / 30, rng.uniform(3, 8, DAYS), 1.0)
    return 90 * weekday() * noise(rng, 0.1) * peak


def intermittent(rng: Generator) -> Days:
    """Nothing on two days of three: evaluations that are run by hand."""
    return np.where(rng.random(DAYS) < 0.33, 60 * noise(rng, 0.6), 0.0)


def holidays(rng: Generator) -> Days:
    """Weekdays, and some weeks of the year at a third."""
    days = 150 * weekday() * noise(rng, 0.1)
    for at in (75, 205, 300, 385):
        days[at : at + 9] *= 0.35
    return days


def decline(rng: Generator) -> Days:
    """Moving to a cheaper model: two per cent less every week."""
    return 400 * 0.98 ** (PLACE / 7) * weekday() * noise(rng, 0.15)


def wander(rng: Generator) -> Days:
    """A level that wanders, as a product with few users does."""
    level = np.zeros(DAYS)
    for at in range(1, DAYS):
        level[at] = 0.97 * level[at - 1] + rng.normal(0, 0.09)
    return 60 * np.exp(level) * weekday(0.7) * noise(rng, 0.15)


def month_end(rng: Generator) -> Days:
    """Reports on the last three days of each month at triple cost."""
    days = [FIRST + dt.timedelta(days=int(place)) for place in PLACE]
    is_late = np.array([(day + dt.timedelta(days=3)).month != day.month for day in days])
    return 110 * weekday() * noise(rng, 0.1) * np.where(is_late, 3.0, 1.0)


def launches(rng: Generator) -> Days:
    """Features that are found by their users within weeks, one after the other."""
    level = np.full(DAYS, 30.0)
    for at in (60, 150, 240, 330):
        level += rng.uniform(30, 90) / (1 + np.exp(-(PLACE - at - 14) / 6))
    return level * weekday(0.9) * noise(rng, 0.12)


def encyclopedia(rng: Generator) -> Days:
    """Public shape: page views of a sports player."""
    season = 1 + 0.9 * np.exp(-(((PLACE % 365 - 210) / 60.0) ** 2))
    week = np.array([1.45, 1.05, 0.9, 0.88, 0.87, 0.85, 1.15])[PLACE % 7]
    burst = np.zeros(DAYS)
    for at in rng.choice(DAYS - 10, 9, replace=False):
        burst[at:] += rng.uniform(0.5, 2.2) * np.exp(-np.arange(DAYS - at) / 3.0)
    return 85 * season * week * np.exp(burst) * noise(rng, 0.18)


def bicycles(rng: Generator) -> Days:
    """Public shape: hires of a city's bicycles."""
    season = 1 - 0.55 * np.cos((PLACE - 20) / 365 * 2 * np.pi)
    week = np.array([0.97, 1.0, 1.01, 1.02, 1.04, 1.0, 0.93])[PLACE % 7]
    rain = np.where(rng.random(DAYS) < 0.12, rng.uniform(0.3, 0.7, DAYS), 1.0)
    return 140 * season * (1 + 0.5 * PLACE / 365) * week * rain * noise(rng, 0.16)


SERIES: dict[str, Callable[[Generator], Days]] = {
    function.__name__: function
    for function in (
        flat, office, trend, growth, steps, spikes, intermittent, holidays, decline, wander, month_end, launches,
        encyclopedia, bicycles,
    )
}  # fmt: skip


@dataclass
class Score:
    """What came of one series."""

    name: str
    asked: int = 0
    held: int = 0
    wrong: float = 0.0
    wrong_naive: float = 0.0
    spent: float = 0.0
    stated: float = 0.0

    @property
    def error(self) -> float:
        return self.wrong / self.spent

    @property
    def naive_error(self) -> float:
        return self.wrong_naive / self.spent

    @property
    def coverage(self) -> float:
        return self.held / self.asked


def left_of_month(place: int) -> int:
    """How many days the month has from this day on."""
    day = FIRST + dt.timedelta(days=place)
    after = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return (after - day).days


def origins(every: int, last_days: int = 210) -> Iterator[tuple[int, int]]:
    """The days to forecast from, with the number of days that are left of their month."""
    for place in range(DAYS - last_days, DAYS, every):
        if place + left_of_month(place) <= DAYS:
            yield place, left_of_month(place)


def judge(name: str, *, seed: int, every: int) -> Score:
    """Forecast one series from each origin and add up the errors."""
    days = SERIES[name](np.random.default_rng([seed, *name.encode()]))
    score = Score(name)
    for place, left in origins(every):
        made = forecast(days[:place], left)
        assert made is not None
        real = float(days[place : place + left].sum())
        score.asked += 1
        score.held += made.total_low <= real <= made.total_high
        score.wrong += abs(made.total - real)
        score.wrong_naive += abs(float(naive(days[:place], left).sum()) - real)
        score.spent += real
        score.stated += made.error_share
    return score


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--every", type=int, default=7, help="days between origins")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}; seed {options.seed}")
    print(f"{'series':14} {'ours':>7} {'naive':>7} {'stated':>7} {'held':>7}")
    start, scores = time.perf_counter(), []
    for name in SERIES:
        if options.only and name not in options.only.split(","):
            continue
        one = judge(name, seed=options.seed, every=options.every)
        scores.append(one)
        print(
            f"{name:14} {one.error:7.1%} {one.naive_error:7.1%} {one.stated / one.asked:7.1%} {one.coverage:7.1%}",
            flush=True,
        )
    beaten = sum(one.error < one.naive_error for one in scores)
    held = sum(one.held for one in scores) / sum(one.asked for one in scores)
    asked = sum(one.asked for one in scores)
    print(f"better than last week's rule on {beaten} of {len(scores)}; interval holds {held:.1%}")
    print(f"{asked} forecasts, {(time.perf_counter() - start) / asked * 1000:.0f} ms each")
    return 0 if options.only or (beaten >= 10 and 0.75 <= held <= 0.9) else 1


if __name__ == "__main__":
    raise SystemExit(main())
