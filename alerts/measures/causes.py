"""What made up a value, or its change: the models, agents, features and users behind it, and its course up to now."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from alerts.figures import COUNTED, figure
from alerts.measures.base import Cause, Evidence, Point, Reading
from alerts.measures.links import link
from alerts.measures.planning import (
    exact,
    is_compared,
    length_of,
    projects_of,
    scope_of,
    windows_of,
)
from alerts.models import Alert, AlertKind
from core import formats
from core.ranges import parse_instant
from costs.histogram import bucket_of
from costs.selectors.courses import parts_of, stretches_by
from costs.selectors.minutes import Segment, Window, coverage, segments

if TYPE_CHECKING:
    from alerts.measures.windows import WindowMeasure

PLACES, EACH, READ = 24, 2, 50
HOUR = dt.timedelta(hours=1)
# Dimension, the column of the sums, and the dimension of the sums it needs of its own (kept by the hour).
_BY = (
    ("model", "model", ""),
    ("agent", "agent", ""),
    ("feature", "value", "feature"),
    ("user", "value", "user"),
)
_COLUMN = {"user": "user_id"}
# What a part is weighed by, and how the weight is written.
Weight = Callable[[Window], Decimal]
_ORDER = {
    AlertKind.SPEND: "cost_usd",
    AlertKind.COST_PER_CALL: "cost_usd",
    AlertKind.ERROR_RATE: "errors",
    AlertKind.UNPRICED: "unpriced_calls",
}


@dataclass(frozen=True)
class _Weighing:
    weight: Weight
    words: Callable[[Decimal, Window], str]


def evidence(measure: "WindowMeasure", reading: Reading, now: dt.datetime) -> Evidence:
    """At most sixteen queries; asked for once, when a rule fires or its severity rises."""
    alert = reading.alert
    start, end = window_times(reading, now)
    url, label = link(alert, start, end)
    return Evidence(
        rows=rows_of(measure, reading),
        points=points_of(measure, alert, end),
        causes=[] if measure.has_arrived else causes_of(measure, reading, start, end),
        url=url,
        url_label=label,
    )


def window_times(reading: Reading, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The window a reading was taken of."""
    facts = reading.facts
    if "window_start" in facts:
        return tuple(
            parse_instant(str(facts[name]), name) for name in ("window_start", "window_end")
        )  # type: ignore[return-value]
    return now - length_of(reading.alert), now


def rows_of(measure: "WindowMeasure", reading: Reading) -> list[tuple[str, str]]:
    """The small table: the value, then what it is made of."""
    facts, counted = reading.facts, COUNTED.get(measure.kind, "")
    if is_compared(reading.alert):
        rows = [
            (measure.label, figure(reading.now_value, measure.unit, counted)),
            ("The window before", figure(reading.before_value, measure.unit, counted)),
        ]
    else:
        rows = [(measure.label, figure(reading.value, measure.unit, counted))]
    rows.append(("Calls", formats.count(facts["calls"])))
    if facts["errors"]:
        rows.append(("Failed", formats.count(facts["errors"])))
    if facts["unpriced_calls"]:
        rows.append(("Without a price", formats.count(facts["unpriced_calls"])))
    if measure.kind != AlertKind.SPEND:
        spent = facts["spent_usd"]
        rows.append(("Spend", "unknown" if spent is None else formats.money(Decimal(spent))))
    return rows


def points_of(measure: "WindowMeasure", alert: Alert, end: dt.datetime) -> list[Point]:
    """The last 24 windows, or the windows that ended in the last 24 hours when they are longer than one. Three or four
    queries."""
    length = length_of(alert)
    step = min(length, HOUR)
    ends = [end - back * step for back in reversed(range(PLACES))]
    asks = [measure.ask(alert, at) for at in ends]
    if is_compared(alert):
        asks += [measure.ask(alert, at - length) for at in ends]
    found = windows_of(asks, with_latency=measure.with_latency)
    points = []
    for place, at in enumerate(ends):
        window = found[place]
        before = found[place + PLACES] if is_compared(alert) else None
        is_known = window is not None and (before is not None or not is_compared(alert))
        value = measure.reading(alert, window, before).value if window and is_known else None
        points.append(Point(at, value))
    return points


def causes_of(
    measure: "WindowMeasure", reading: Reading, start: dt.datetime, end: dt.datetime
) -> list[Cause]:
    """The most of each dimension that has more than nobody in it. Users and features are kept by the hour: of them the
    hours the window touches."""
    alert, weighing = reading.alert, _weighing(measure, reading)
    scopes = [scope_of(alert, one) for one in projects_of([alert])[alert.pk]]
    covered = coverage([one.project_id for one in scopes], end=end)

    def parts(column: str, own: str, begin: dt.datetime, finish: dt.datetime) -> dict[str, Window]:
        stretches: list[Segment] = []
        for scope in scopes:
            if own:
                stretches += stretches_by(scope, own, begin, finish)
                continue
            since = covered[scope.project_id].since_of(scope)
            stretches += (segments(scope, begin, finish, since) or ([], begin))[0]
        order = _ORDER.get(AlertKind(alert.kind), "calls")
        found = parts_of(
            stretches, column, order=order, limit=READ, with_latency=measure.with_latency
        )
        return {one.value: one.window for one in found}

    found: list[Cause] = []
    for dimension, column, own in _BY:
        if (own and measure.with_latency) or getattr(alert, _COLUMN.get(dimension, dimension), ""):
            continue  # not kept apart so, or the rule is about one of them alone
        then = parts(column, own, start - (end - start), start) if is_compared(alert) else {}
        parts_now = parts(column, own, start, end)
        found += _most(dimension, weighing, parts_now, then, is_change=is_compared(alert))
    return found


def _most(
    dimension: str,
    weighing: _Weighing,
    parts: dict[str, Window],
    then: dict[str, Window],
    *,
    is_change: bool,
) -> list[Cause]:
    weights = {value: weighing.weight(window) for value, window in parts.items()}
    if is_change:
        for value, window in then.items():
            weights[value] = weights.get(value, Decimal(0)) - weighing.weight(window)
    if not any(value and weight for value, weight in weights.items()):
        return []
    whole = sum(abs(one) for one in weights.values())
    ranked = sorted(weights.items(), key=lambda item: (-abs(item[1]), item[0]))
    found = []
    for value, weight in [one for one in ranked if one[1]][:EACH]:
        window = parts.get(value) or then[value]
        share = exact(abs(weight) / whole)
        words = weighing.words(weight, window)
        if is_change:
            words = f"{'+' if weight > 0 else ''}{words} on the window before"
        else:
            words = f"{words} ({formats.percent(share)})"
        found.append(Cause(dimension, value or f"no {dimension}", words, share))
    return found


def _weighing(measure: "WindowMeasure", reading: Reading) -> _Weighing:
    match measure.kind:
        case AlertKind.SPEND | AlertKind.COST_PER_CALL:
            return _Weighing(lambda w: w.sums.cost_usd, lambda x, w: formats.money(x))
        case AlertKind.ERROR_RATE:
            return _counted(lambda w: w.sums.errors, "failed calls")
        case AlertKind.UNPRICED:
            return _counted(lambda w: w.sums.unpriced_calls, "calls without a price")
        case AlertKind.TOKEN_RATE:
            return _counted(lambda w: w.sums.total_tokens, "tokens")
        case AlertKind.LATENCY:
            value = reading.now_value if reading.now_value is not None else reading.value
            slow = bucket_of(float(value or 0))
            words = f"calls of {formats.duration(value)} and more" if value else "calls"
            return _counted(lambda w: sum(_from(w.latency, slow)), words)
    return _counted(lambda w: w.sums.calls, "calls")


def _from(counts: Sequence[int], bucket: int) -> Sequence[int]:
    return counts[bucket:]


def _counted(weight: Callable[[Window], int], words: str) -> _Weighing:
    return _Weighing(lambda w: Decimal(weight(w)), lambda x, w: f"{formats.count(x)} {words}")
