"""Rules about the calls of a window: spend, cost per call, errors, latency, rates, calls without a price."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alerts.measures import causes, courses
from alerts.measures.base import Evidence, History, Reading
from alerts.measures.planning import Ask, exact, is_compared, last_minute, length_of, windows_of
from alerts.models import Alert, AlertKind
from core import formats
from costs.histogram import percentile
from costs.selectors.minutes import Window

DEFAULT_PERCENTILE = 95
CALLS_OF_FIELDS = frozenset(
    {
        "environment", "provider", "model", "agent", "direction", "compare_with", "window",
        "minimum_sample", "pending", "recover", "no_data",
    }
)  # fmt: skip
_ANY = CALLS_OF_FIELDS | {"user_id", "tag"}
# A window's figure for a rule; None: nothing to judge, or not known. Unknown is never zero.
Value = Callable[[Alert, Window], Decimal | None]


@dataclass(eq=False)
class WindowMeasure:
    """One figure of a window's calls (alerts.measures.base.Measure)."""

    kind: str
    label: str
    unit: str
    help: str
    value_of: Value
    fields: frozenset[str] = _ANY
    with_latency: bool = False
    # Calls count where they arrived, not where they happened.
    has_arrived: bool = False
    is_windowed: bool = True

    def sample_of(self, window: Window) -> int:
        """The calls a figure rests on."""
        if self.with_latency:
            return sum(window.latency)
        if self.kind == AlertKind.COST_PER_CALL:
            return window.sums.priced_calls
        return window.sums.calls

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """Three queries, four with rules of whole organisations. A rule whose minutes are not summed up yet has no
        reading: that is neither a value nor a lack of calls."""
        end = last_minute(now)
        compared = [alert for alert in alerts if is_compared(alert)]
        asks = [self.ask(alert, end) for alert in alerts]
        asks += [self.ask(alert, end - length_of(alert)) for alert in compared]
        found = windows_of(asks, with_latency=self.with_latency)
        before = dict(zip((one.pk for one in compared), found[len(alerts) :], strict=True))
        readings = []
        for alert, window in zip(alerts, found, strict=False):
            if window is None or (alert.pk in before and before[alert.pk] is None):
                continue
            readings.append(self.reading(alert, window, before.get(alert.pk)))
        return readings

    def ask(self, alert: Alert, end: dt.datetime) -> Ask:
        """The window of a rule that ends there."""
        return Ask(alert, end, length_of(alert), self.has_arrived)

    def reading(self, alert: Alert, window: Window, before: Window | None) -> Reading:
        """What a rule sees in a window, and in the one before it when it compares (pure)."""
        sample = self.sample_of(window)
        value = then = None
        if sample >= alert.minimum_sample:
            value = self.value_of(alert, window)
        now_value = value
        if before is not None:
            enough = self.sample_of(before) >= alert.minimum_sample
            then = self.value_of(alert, before) if enough else None
            value = change(then, value)
        return Reading(
            alert=alert,
            value=None if value is None else exact(value),
            sample=sample,
            now_value=None if now_value is None or before is None else exact(now_value),
            before_value=None if then is None else exact(then),
            facts=facts_of(self, window),
        )

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        return courses.history(self, alert, start, end)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        return causes.evidence(self, reading, now)


def change(before: Decimal | None, value: Decimal | None) -> Decimal | None:
    """The change in percent; None when one side is not known or there is nothing to compare with."""
    if before is None or value is None or before == 0:
        return None
    return (value - before) * 100 / before


def facts_of(measure: WindowMeasure, window: Window) -> Mapping[str, Any]:
    """What words and links need, JSON-able."""
    sums = window.sums
    known = sums.known_cost_usd
    return {
        "unit": measure.unit,
        "window_start": formats.instant(window.start),
        "window_end": formats.instant(window.end),
        "calls": sums.calls,
        "errors": sums.errors,
        "unpriced_calls": sums.unpriced_calls,
        "spent_usd": None if known is None else formats.plain_decimal(known),
    }


def _share(part: int, whole: int) -> Decimal | None:
    return Decimal(part) * 100 / whole if whole else None


def _per_minute(window: Window, count: int) -> Decimal | None:
    minutes = Decimal((window.end - window.start) // dt.timedelta(minutes=1))
    return count / minutes if minutes > 0 else None


def _latency(alert: Alert, window: Window) -> Decimal | None:
    found = percentile(window.latency, (alert.percentile or DEFAULT_PERCENTILE) / 100)
    return None if found is None else Decimal(repr(found))


SPEND = WindowMeasure(
    AlertKind.SPEND, "Spend", "usd",
    "What the calls of the window cost. Calls without a price are counted beside it, never as $0.",
    lambda alert, window: window.sums.known_cost_usd,
)  # fmt: skip
COST_PER_CALL = WindowMeasure(
    AlertKind.COST_PER_CALL, "Cost per call", "usd",
    "What a call with a price cost on average.",
    lambda alert, window: window.sums.cost_per_call,
)  # fmt: skip
ERROR_RATE = WindowMeasure(
    AlertKind.ERROR_RATE, "Error rate", "percent",
    "The share of calls that failed.",
    lambda alert, window: _share(window.sums.errors, window.sums.calls),
)  # fmt: skip
LATENCY = WindowMeasure(
    AlertKind.LATENCY, "Latency", "ms",
    "How long the given share of calls stayed within; p95 when none is given.",
    _latency, fields=CALLS_OF_FIELDS | {"percentile"}, with_latency=True,
)  # fmt: skip
CALL_RATE = WindowMeasure(
    AlertKind.CALL_RATE, "Call rate", "per_minute",
    "Calls a minute, on average over the window.",
    lambda alert, window: _per_minute(window, window.sums.calls),
)  # fmt: skip
TOKEN_RATE = WindowMeasure(
    AlertKind.TOKEN_RATE, "Token rate", "per_minute",
    "Input and output tokens a minute, on average over the window.",
    lambda alert, window: _per_minute(window, window.sums.total_tokens),
)  # fmt: skip
UNPRICED = WindowMeasure(
    AlertKind.UNPRICED, "Unpriced share", "percent",
    "The share of calls without a price: what they cost is in no amount.",
    lambda alert, window: _share(window.sums.unpriced_calls, window.sums.calls),
)  # fmt: skip
MEASURES = (SPEND, COST_PER_CALL, ERROR_RATE, LATENCY, CALL_RATE, TOKEN_RATE, UNPRICED)
