"""What the web processes counted (core.metrics), as totals at an instant, and what two of them say of the time between.

The counters live in the files under PROMETHEUS_MULTIPROC_DIR, which web and worker of one machine share. They begin
anew with a restart; a total that is smaller than the one before is taken as counted since then, as Prometheus does.
"""

import datetime as dt
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, multiprocess
from prometheus_client.metrics_core import Metric

from core import metrics  # noqa: F401 - its counters are what is read

INFINITE = "+Inf"
_REQUESTS, _SECONDS = "llmlab_http_requests", "llmlab_http_request_seconds"
_TIMEOUTS = "llmlab_db_pool_timeouts"


@dataclass(frozen=True)
class Totals:
    """Since the counters began: answers, those with a status from 500 on, answers within so many seconds (`bounds`,
    each with all faster ones), and requests that got no database connection."""

    answered: int = 0
    failed: int = 0
    bounds: Mapping[str, int] = field(default_factory=dict)
    pool_timeouts: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "answered": self.answered,
            "failed": self.failed,
            "bounds": dict(self.bounds),
            "pool_timeouts": self.pool_timeouts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Totals":
        return cls(data["answered"], data["failed"], data["bounds"], data["pool_timeouts"])

    def since(self, before: "Totals") -> "Totals":
        """What was counted after `before`; all of it when the counters began anew in between."""
        counted = sum(self.bounds.values())
        if self.answered < before.answered or counted < sum(before.bounds.values()):
            return self
        bounds = {one: number - before.bounds.get(one, 0) for one, number in self.bounds.items()}
        timeouts = self.pool_timeouts - before.pool_timeouts
        return Totals(
            self.answered - before.answered,
            max(0, self.failed - before.failed),
            bounds,
            timeouts if timeouts >= 0 else self.pool_timeouts,
        )

    def __add__(self, other: "Totals") -> "Totals":
        names = {*self.bounds, *other.bounds}
        return Totals(
            self.answered + other.answered,
            self.failed + other.failed,
            {one: self.bounds.get(one, 0) + other.bounds.get(one, 0) for one in names},
            self.pool_timeouts + other.pool_timeouts,
        )

    @property
    def failed_percent(self) -> Decimal | None:
        """Of the answers; None without any."""
        return Decimal(100) * self.failed / self.answered if self.answered else None

    def percentile_ms(self, percent: int) -> Decimal | None:
        """As Prometheus's histogram_quantile: inside a bound answers are taken as spread evenly. Beyond the last
        bound it says that bound. None without answers."""
        placed = sorted((Decimal(one), number) for one, number in self.bounds.items())
        whole = placed[-1][1] if placed else 0
        if not whole:
            return None
        wanted, low, below = Decimal(whole) * percent / 100, Decimal(0), 0
        for bound, number in placed:
            if number >= wanted:
                if not bound.is_finite():
                    return low * 1000
                share = (wanted - below) / (number - below) if number > below else Decimal(1)
                return (low + (bound - low) * share) * 1000
            low, below = bound, number
        return low * 1000


def read() -> Totals | None:
    """The totals of this machine's web processes; None when they cannot be seen from here."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        found = totals_of(registry.collect())
    else:
        found = totals_of(REGISTRY.collect())
    return found if found.bounds else None


def totals_of(families: Iterable[Metric]) -> Totals:
    """The totals that metric families hold. A status of 0 is a client that left: no answer."""
    answered = failed = timeouts = 0.0
    bounds: dict[str, float] = {}
    for family in families:
        if family.name not in (_REQUESTS, _SECONDS, _TIMEOUTS):
            continue
        for sample in family.samples:
            if sample.name == f"{_REQUESTS}_total" and sample.labels["status"] != "0":
                answered += sample.value
                failed += sample.value if sample.labels["status"] >= "500" else 0
            elif sample.name == f"{_SECONDS}_bucket":
                bound = sample.labels["le"]
                bounds[bound] = bounds.get(bound, 0) + sample.value
            elif sample.name == f"{_TIMEOUTS}_total":
                timeouts += sample.value
    whole = {one: int(number) for one, number in bounds.items()}
    return Totals(int(answered), int(failed), whole, int(timeouts))


def window(
    samples: Sequence[tuple[dt.datetime, Totals]], *, now: dt.datetime, length: dt.timedelta
) -> Totals | None:
    """What was counted in the last `length` (samples oldest first): from the last sample before it, or the first in
    it, to the newest. None while there is only one, or the newest is old."""
    if not samples or now - samples[-1][0] > length:
        return None
    # Samples are a minute apart and never exactly: half a minute is let go.
    begin = now - length - dt.timedelta(seconds=30)
    inside = [one for one in samples if one[0] >= begin]
    if len(inside) < 2:
        return None
    found = Totals()
    for (_, before), (_, after) in pairwise(inside):
        found += after.since(before)
    return found
