"""Which candidate a series is forecast with, and how wrong that was (pure; runs beside costs.forecasting.candidates).

From days in the past (origins), each candidate says what came next and is held against it. What is judged is what
people are shown: the sum to the end of the horizon. The interval is made of the winner's own errors (conformal): eight
of ten past sums lay within it, so eight of ten to come should.
"""

from dataclasses import dataclass

import numpy as np

from costs.forecasting.candidates import CANDIDATES, WEEK, Days, Kept, naive, run

# Two weeks to learn the week from and one to be judged by.
MIN_TRAIN = 14
MIN_DAYS = 21
MAX_DAYS = 182
ORIGINS = 20
LEVEL = 0.8
BLEND = "blend"


@dataclass(frozen=True)
class Outcome:
    """A forecast: the days, the sum's interval, and the back-test behind them."""

    method: str
    path: Days
    low: Days
    high: Days
    total: float
    total_low: float
    total_high: float
    # Mean absolute error of the sum over the mean sum, ours and the naive rule's.
    error_share: float
    naive_error_share: float
    tested: int
    covered: int


def trimmed(days: Days) -> Days:
    """From the first day with spend, at most the last MAX_DAYS."""
    seen = np.flatnonzero(days)
    return days[seen[0] :][-MAX_DAYS:] if len(seen) else days[:0]


def origins_of(length: int, horizon: int) -> list[int]:
    """Lengths of history to forecast from, spread over the past; the horizon after each is known."""
    first, last = MIN_TRAIN, length - horizon
    if first > last:
        return []
    # The older half of a long history says little about now, and each origin costs time.
    first = max(first, min(last - 5 * WEEK, length // 3))
    step = max(1, round((last - first) / ORIGINS))
    return sorted({last - place for place in range(0, last - first + 1, step)})[-ORIGINS:]


def forecast(days: Days, horizon: int) -> Outcome | None:
    """The best candidate's forecast of the next `horizon` days; None when the history is too short to be judged."""
    known = trimmed(days)
    if len(known) < MIN_DAYS or horizon < 1:
        return None
    # A short history is judged over the days it has; _stretched widens what they say.
    judged = min(horizon, max(WEEK, (len(known) - MIN_TRAIN) // 2))
    origins = origins_of(len(known), judged)
    truth = np.array([known[at : at + judged] for at in origins])
    paths = {name: _paths(name, known, origins, judged) for name in CANDIDATES}
    method, tested = _choose(paths, truth)
    path = _path(method, known, horizon)
    return _outcome(method, tested, path, known, truth, origins, horizon)


def _paths(name: str, known: Days, origins: list[int], judged: int) -> Days:
    """What a candidate would have said at each origin."""
    kept = Kept()
    return np.array([run(name, known[:at], judged, kept) for at in origins])


def _choose(paths: dict[str, Days], truth: Days) -> tuple[str, Days]:
    """The method with the smallest back-tested error, and its paths from each origin."""
    errors = {name: _error(found, truth) for name, found in paths.items()}
    ranked = sorted(errors, key=lambda name: (errors[name], name))
    blend = np.mean([paths[name] for name in ranked[:3]], axis=0)
    best = ranked[0]
    # The mean of the best is steadier than the best: a single one must be clearly better.
    if errors[best] < 0.85 * _error(blend, truth):
        return best, paths[best]
    return f"{BLEND}:{'+'.join(ranked[:3])}", blend


def _error(found: Days, truth: Days) -> float:
    """Mean absolute error of the sums over the mean sum, later origins counting more."""
    weight = np.linspace(0.5, 1.5, len(truth))
    wrong = np.abs(found.sum(axis=1) - truth.sum(axis=1))
    return float((wrong * weight).sum() / max((truth.sum(axis=1) * weight).sum(), 1e-12))


def _path(method: str, days: Days, horizon: int) -> Days:
    names = method.removeprefix(f"{BLEND}:").split("+")
    return np.asarray(np.mean([run(name, days, horizon) for name in names], axis=0))


def _outcome(
    method: str,
    tested: Days,
    path: Days,
    known: Days,
    truth: Days,
    origins: list[int],
    horizon: int,
) -> Outcome:
    judged = truth.shape[1]
    daily = float(known[-8 * WEEK :].mean())
    # The share of a sum that errors are measured against never nears zero, so that empty weeks do not blow it up.
    floor = 0.1 * daily
    sums, real = tested.sum(axis=1), truth.sum(axis=1)
    ratios = (real - sums) / (sums + floor * judged)
    low, high = interval(ratios)
    stretch = max(1.0, horizon / judged) ** 0.5
    total = float(path.sum())
    base = total + floor * horizon
    least = _noise(truth - tested, horizon) / max(base, 1e-12)
    low, high = min(low * stretch, -least), max(high * stretch, least)
    covered = int(((ratios >= low) & (ratios <= high)).sum())
    day_low, day_high = interval(((truth - tested) / (tested + floor)).ravel(), is_paired=True)
    wrong = float(np.abs(real - sums).sum() / max(real.sum(), 1e-12))
    plain = np.array([naive(known[:at], judged) for at in origins]).sum(axis=1)
    return Outcome(
        method=method,
        path=path,
        low=np.maximum(path + day_low * (path + floor), 0.0),
        high=path + day_high * (path + floor),
        total=total,
        total_low=max(total + low * base, 0.0),
        total_high=total + high * base,
        error_share=wrong,
        naive_error_share=float(np.abs(real - plain).sum() / max(real.sum(), 1e-12)),
        tested=len(origins),
        covered=covered,
    )


def _noise(wrong: Days, horizon: int) -> float:
    """What daily noise alone makes of a sum, eight times of ten: of its days, and of a level known from four weeks.

    Sums that happened to come out well in the few windows of the past do not promise more than that.
    """
    spread = 1.4826 * float(np.median(np.abs(wrong - np.median(wrong))))
    return 1.2816 * spread * float(np.sqrt(horizon * (1 + horizon / 28)))


def interval(ratios: Days, *, is_paired: bool = False) -> tuple[float, float]:
    """The lower and upper share that hold LEVEL of the errors, with room for how few they are.

    Origins that lie close overlap, so they are fewer than they look: each end is moved out by a conformal rank.
    """
    count = len(ratios)
    tail = (1 - LEVEL) / 2
    if not is_paired:
        tail = max(0.0, tail - 0.5 / (count / 3 + 1))
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return min(float(low), 0.0), max(float(high), 0.0)
