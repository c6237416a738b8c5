"""Rules about the semantic cache: how many of the hits that were asked again for real were wrong."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.urls import reverse

from alerts.figures import figure
from alerts.measures.base import Cause, Evidence, History, Point, Reading
from alerts.measures.calls import LABELS
from alerts.measures.courses import whole
from alerts.measures.planning import exact, last_minute, length_of, projects_of
from alerts.models import Alert, AlertKind
from core import formats
from core.ranges import parse_instant
from costs.selectors.source import fetch

HOUR = dt.timedelta(hours=1)
PLACES, MOST = 24, 3
# The newest of a window that are read, and of the past that is drawn.
READ, DRAWN = 20_000, 100_000
_TOLD = "c.is_right IS NOT NULL AND (q.route = '' OR lower(c.route) = q.route)"
_READ = f"""
SELECT q.place, sum((NOT c.is_right)::int), count(c.is_right)
FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[])
  AS q(place, project_id, route, start, finish)
CROSS JOIN LATERAL (
  SELECT c.is_right FROM gateway_shadowcheck c
  WHERE c.project_id = q.project_id AND c.checked_at >= q.start AND c.checked_at < q.finish AND {_TOLD}
  ORDER BY c.checked_at DESC LIMIT %s) c
GROUP BY q.place
"""  # noqa: S608
_HOURS = """
SELECT date_trunc('hour', c.checked_at, 'UTC'), sum((NOT c.is_right)::int), count(*) FROM (
  SELECT c.checked_at, c.is_right FROM gateway_shadowcheck c
  WHERE c.project_id = ANY(%s) AND c.checked_at >= %s AND c.checked_at < %s AND c.is_right IS NOT NULL
    AND (%s = '' OR lower(c.route) = %s)
  ORDER BY c.checked_at DESC LIMIT %s) c
GROUP BY 1
"""
_ROUTES = """
SELECT c.project_id, c.route, sum((NOT c.is_right)::int) FROM gateway_shadowcheck c
WHERE c.project_id = ANY(%s) AND c.checked_at >= %s AND c.checked_at < %s AND NOT c.is_right
  AND (%s = '' OR lower(c.route) = %s)
GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""


@dataclass(frozen=True)
class Checks:
    """Some checks that could say, and how many of them said wrong."""

    wrong: int = 0
    told: int = 0

    def __add__(self, other: "Checks") -> "Checks":
        return Checks(self.wrong + other.wrong, self.told + other.told)

    def __sub__(self, part: "Checks") -> "Checks":
        return Checks(self.wrong - part.wrong, self.told - part.told)


class CacheWrongMeasure:
    """Percent of the checked hits that were wrong; checks that could not say are left out."""

    kind: str = AlertKind.CACHE_WRONG
    label = "Wrong cache hits"
    unit = "percent"
    help = (
        "Of the semantic cache's hits that were asked again for real, the share that had another answer."
        " A share of the hits is checked, as the cache's rule says."
    )
    fields = frozenset({"model", "window", "minimum_sample", "pending", "recover", "no_data"})
    labels = LABELS
    is_windowed = True

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """One query, two with rules of whole organisations."""
        end = last_minute(now)
        projects = projects_of(alerts)
        found = checks_of([(alert, projects[alert.pk], end) for alert in alerts])
        return [
            self.reading(alert, checks, end) for alert, checks in zip(alerts, found, strict=True)
        ]

    def reading(self, alert: Alert, checks: Checks, end: dt.datetime) -> Reading:
        """What a rule sees (pure)."""
        is_enough = checks.told and checks.told >= alert.minimum_sample
        value = Decimal(checks.wrong) * 100 / checks.told if is_enough else None
        return Reading(
            alert,
            None if value is None else exact(value),
            sample=checks.told,
            facts={
                "unit": self.unit,
                "window_start": formats.instant(end - length_of(alert)),
                "window_end": formats.instant(end),
                "wrong": checks.wrong,
                "checked": checks.told,
            },
        )

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """One point an hour, of the window that ends there in whole hours. One query, two for a whole organisation."""
        length = whole(length_of(alert))
        first = start.replace(minute=0, second=0, microsecond=0) + HOUR
        at, route = first - length, alert.model.lower()
        params = [projects_of([alert])[alert.pk], at, end, route, route, DRAWN]
        hours = {hour: Checks(wrong, told) for hour, wrong, told in fetch(_HOURS, params)}
        so_far = {at: Checks()}
        while at < end:
            so_far[at + HOUR] = so_far[at] + hours.get(at, Checks())
            at += HOUR
        points, samples, at = [], [], first
        while at <= end:
            reading = self.reading(alert, so_far[at] - so_far[at - length], at)
            points.append(Point(at, reading.value))
            samples.append(reading.sample)
            at += HOUR
        is_coarse = length != length_of(alert)
        note = "Drawn by windows of whole hours." if is_coarse else ""
        return History(points, HOUR, samples, is_coarse, note)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """Which routes were wrong, and the last windows. Two queries, three for a whole organisation."""
        alert, facts = reading.alert, reading.facts
        start, end = (
            parse_instant(str(facts[name]), name) for name in ("window_start", "window_end")
        )
        project_ids, route = projects_of([alert])[alert.pk], alert.model.lower()
        wrong = fetch(_ROUTES, [project_ids, start, end, route, route])
        step = min(length_of(alert), HOUR)
        ends = [end - back * step for back in reversed(range(PLACES))]
        found = checks_of([(alert, project_ids, at) for at in ends])
        project_id = alert.project_id or (wrong[0][0] if wrong else None)
        url, label = reverse("projects:project_list"), "Open the projects"
        if project_id is not None:
            url, label = reverse("gateway:cache", args=[project_id]), "Open the cache"
        return Evidence(
            rows=[
                (self.label, figure(reading.value, self.unit)),
                ("Wrong", formats.count(int(facts["wrong"]))),
                ("Checked", formats.count(int(facts["checked"]))),
            ],
            points=[
                Point(at, self.reading(alert, one, at).value)
                for at, one in zip(ends, found, strict=True)
            ],
            causes=[
                Cause("model", name, f"{formats.count(count)} wrong hits")
                for _, name, count in wrong[:MOST]
                if name
            ],
            url=url,
            url_label=label,
        )


def checks_of(asks: Sequence[tuple[Alert, Sequence[Any], dt.datetime]]) -> list[Checks]:
    """Of each rule's window that ends there, the newest READ checks at most. One query, or none."""
    rows = [
        (place, project_id, alert.model.lower(), end - length_of(alert), end)
        for place, (alert, project_ids, end) in enumerate(asks)
        for project_id in project_ids
    ]
    found = [Checks()] * len(asks)
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        for place, wrong, told in fetch(_READ, [*columns, READ]):
            found[place] = Checks(wrong or 0, told)
    return found


CACHE_WRONG = CacheWrongMeasure()
