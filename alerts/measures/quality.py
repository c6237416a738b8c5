"""Rules about scores: the average of a number or of yes and no, by name."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alerts.figures import figure
from alerts.measures.base import Evidence, History, Point, Reading
from alerts.measures.courses import whole
from alerts.measures.links import score_link
from alerts.measures.planning import (
    Ask,
    exact,
    is_compared,
    last_minute,
    length_of,
    projects_of,
)
from alerts.measures.windows import change
from alerts.models import Alert, AlertKind, Direction
from core import formats
from costs.selectors.courses import HOUR
from costs.selectors.source import fetch

# The newest of a window that are read, and of the past that is drawn.
MOST, MOST_DRAWN = 50_000, 200_000
PLACES = 24
_READ = """
SELECT q.place, sum(s.value), count(s.value)
FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
  AS q(place, project_id, name, environment, start, finish)
CROSS JOIN LATERAL (
  SELECT s.value FROM traces_score s
  WHERE s.project_id = q.project_id AND s.name = q.name AND s.scored_at >= q.start AND s.scored_at < q.finish
    AND (q.environment = '' OR s.environment = q.environment) AND s.value IS NOT NULL
  ORDER BY s.scored_at DESC LIMIT %s) s
GROUP BY q.place
"""
_HOURS = """
SELECT date_trunc('hour', s.scored_at, 'UTC'), sum(s.value), count(s.value) FROM (
  SELECT s.scored_at, s.value FROM traces_score s
  WHERE s.project_id = ANY(%s) AND s.name = %s AND s.scored_at >= %s AND s.scored_at < %s
    AND (%s = '' OR s.environment = %s) AND s.value IS NOT NULL
  ORDER BY s.scored_at DESC LIMIT %s) s
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Mean:
    """Some scores together."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> Decimal | None:
        return Decimal(repr(self.total)) / self.count if self.count else None


class QualityMeasure:
    """The average of the scores of one name."""

    kind: str = AlertKind.QUALITY
    label = "Quality score"
    unit = "score"
    help = "The average of a score in the window; of yes and no, the share of yes (0 to 1)."
    fields = frozenset(
        {
            "score_name", "environment", "direction", "compare_with", "window", "minimum_sample",
            "pending", "recover", "no_data",
        }
    )  # fmt: skip
    is_windowed = True
    # Scores are bad when they fall.
    direction = Direction.BELOW

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """One query, two with rules of whole organisations."""
        end = last_minute(now)
        compared = [alert for alert in alerts if is_compared(alert)]
        asks = [Ask(alert, end, length_of(alert)) for alert in alerts]
        asks += [Ask(alert, end - length_of(alert), length_of(alert)) for alert in compared]
        found = means_of(asks)
        before = dict(zip((one.pk for one in compared), found[len(alerts) :], strict=True))
        return [
            self.reading(alert, mean, before.get(alert.pk), end)
            for alert, mean in zip(alerts, found, strict=False)
        ]

    def reading(self, alert: Alert, mean: Mean, before: Mean | None, end: dt.datetime) -> Reading:
        """What a rule sees (pure)."""
        value = mean.value if mean.count >= alert.minimum_sample else None
        now_value, then = value, None
        if before is not None:
            then = before.value if before.count >= alert.minimum_sample else None
            value = change(then, value)
        return Reading(
            alert,
            None if value is None else exact(value),
            sample=mean.count,
            now_value=None if before is None or now_value is None else exact(now_value),
            before_value=None if then is None else exact(then),
            facts={
                "unit": self.unit,
                "window_start": formats.instant(end - length_of(alert)),
                "window_end": formats.instant(end),
                "scores": mean.count,
            },
        )

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """One point an hour, of the window that ends there in whole hours. One query, two for a whole organisation."""
        length = whole(length_of(alert))
        first = start.replace(minute=0, second=0, microsecond=0) + HOUR
        back = length * (2 if is_compared(alert) else 1)
        ids = projects_of([alert])[alert.pk]
        environment = alert.environment
        params = [ids, alert.score_name, first - back, end, environment, environment, MOST_DRAWN]
        hours = {at: Mean(total, count) for at, total, count in fetch(_HOURS, params)}
        points, samples, at = [], [], first
        while at <= end:
            before = _between(hours, at - 2 * length, at - length) if is_compared(alert) else None
            reading = self.reading(alert, _between(hours, at - length, at), before, at)
            points.append(Point(at, reading.value))
            samples.append(reading.sample)
            at += HOUR
        is_coarse = length != length_of(alert)
        note = "Drawn by windows of whole hours." if is_coarse else ""
        return History(points, HOUR, samples, is_coarse, note)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """Two queries, four for a whole organisation."""
        alert = reading.alert
        end = dt.datetime.fromisoformat(str(reading.facts["window_end"]))
        length = length_of(alert)
        step = min(length, HOUR)
        ends = [end - back * step for back in reversed(range(PLACES))]
        asks = [Ask(alert, at, length) for at in ends]
        if is_compared(alert):
            asks += [Ask(alert, at - length, length) for at in ends]
        found = means_of(asks)
        points = []
        for place, at in enumerate(ends):
            then = found[PLACES + place] if is_compared(alert) else None
            points.append(Point(at, self.reading(alert, found[place], then, at).value))
        is_change = is_compared(alert)
        value = reading.now_value if is_change else reading.value
        rows = [(f"Average of {alert.score_name}", figure(value, self.unit))]
        if is_change:
            rows.append(("The window before", figure(reading.before_value, self.unit)))
        rows.append(("Scores", formats.count(reading.sample)))
        url, label = score_link(alert, end - length, end, None if is_change else _limit(reading))
        return Evidence(rows=rows, points=points, url=url, url_label=label)


def means_of(asks: Sequence[Ask]) -> list[Mean]:
    """The mean of each window, of the newest MOST scores at most. One query, two with rules of whole organisations."""
    projects = projects_of({ask.alert.pk: ask.alert for ask in asks}.values())
    rows: list[tuple[Any, ...]] = [
        (place, project_id, ask.alert.score_name, ask.alert.environment, ask.end - ask.length, ask.end)
        for place, ask in enumerate(asks)
        for project_id in projects[ask.alert.pk]
    ]  # fmt: skip
    found = [Mean()] * len(asks)
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        for place, total, count in fetch(_READ, [*columns, MOST]):
            found[place] = Mean(total, count)
    return found


def _between(hours: dict[dt.datetime, Mean], start: dt.datetime, end: dt.datetime) -> Mean:
    found, at = Mean(), start
    while at < end:
        found += hours.get(at, Mean())
        at += HOUR
    return found


def _limit(reading: Reading) -> Decimal | None:
    """The first limit: what is beyond it is what the rule is about."""
    levels = reading.alert.levels
    return Decimal(str(levels[0]["limit"])) if levels else None


QUALITY = QualityMeasure()
