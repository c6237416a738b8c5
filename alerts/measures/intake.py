"""Rules about what arrives: nothing at all, or too late."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from alerts.figures import figure
from alerts.measures.base import Evidence, History, Point, Reading
from alerts.measures.links import ingestion_link, link
from alerts.measures.planning import MINUTE, last_minute, projects_of, scope_of
from alerts.measures.windows import CALLS_OF_FIELDS, WindowMeasure
from alerts.models import Alert, AlertKind
from core import formats
from costs.selectors.courses import HOUR, by_hour
from costs.selectors.last_calls import LastCall, last_calls
from costs.selectors.minutes import Covered, Window, coverage

_NOTE = "The past is kept by the hour, so only whole hours without a call are drawn."


class NoDataMeasure:
    """Minutes since the last call; limits are minutes."""

    kind: str = AlertKind.NO_DATA
    label = "No data"
    unit = "minutes"
    help = "How long no call has come, in full minutes. What never had a call is not judged."
    fields = frozenset({"environment", "provider", "model", "agent", "user_id", "tag"})
    is_windowed = True

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """Four queries, five with rules of whole organisations."""
        end = last_minute(now)
        projects = projects_of(alerts)
        covered = coverage([one for found in projects.values() for one in found], end=end)
        asked = [(alert, project_id) for alert in alerts for project_id in projects[alert.pk]]
        found = last_calls([scope_of(*one) for one in asked], now=end)
        known: dict[object, list[tuple[Covered, LastCall]]] = {alert.pk: [] for alert in alerts}
        for (alert, project_id), last in zip(asked, found, strict=True):
            if last is not None:
                known[alert.pk].append((covered[project_id], last))
        return [self._reading(alert, known[alert.pk], end) for alert in alerts]

    def _reading(
        self, alert: Alert, found: Sequence[tuple[Covered, LastCall]], end: dt.datetime
    ) -> Reading:
        if not found:
            return Reading(alert, None, facts={"last_call_at": None})
        # Minutes that are not summed up yet are not taken for empty ones.
        minutes = min(max(0, (known.until - last.before) // MINUTE) for known, last in found)
        newest = max((last for _, last in found), key=lambda one: one.before)
        return Reading(
            alert,
            Decimal(minutes),
            facts={
                "last_call_at": formats.instant(min(newest.before, end)),
                "is_exact": newest.is_exact,
            },
        )

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """From hourly sums. One query, two for a whole organisation."""
        scopes = [scope_of(alert, one) for one in projects_of([alert])[alert.pk]]
        first = start.replace(minute=0, second=0, microsecond=0)
        hours = sorted(by_hour(scopes, first - 7 * 24 * HOUR, end))
        points, last, at = [], None, first + HOUR
        waiting = iter([*hours, dt.datetime.max.replace(tzinfo=dt.UTC)])
        upcoming = next(waiting)
        while at <= end:
            while upcoming < at:
                last, upcoming = upcoming + HOUR, next(waiting)
            value = None if last is None else Decimal((at - last) // MINUTE)
            points.append(Point(at, value))
            at += HOUR
        return History(points=points, step=HOUR, is_coarse=True, note=_NOTE)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """One query, two for a whole organisation."""
        alert, last = reading.alert, reading.facts.get("last_call_at")
        rows = [("Without a call for", figure(reading.value, self.unit))]
        if last is None:
            url, label = ingestion_link(alert)
            return Evidence(rows=rows, url=url, url_label=label)
        rows.append(("Last call before", str(last)))
        at = dt.datetime.fromisoformat(str(last))
        url, label = link(alert, at - HOUR, at)
        points = self.history(alert, now - 24 * HOUR, now).points
        return Evidence(rows=rows, points=points, url=url, url_label="See the last calls")


def _lag(alert: Alert, window: Window) -> Decimal | None:
    calls = window.sums.calls
    return Decimal(repr(window.lag_seconds)) / calls if calls else None


class IngestLagMeasure(WindowMeasure):
    """Seconds from a call to its being stored, on average over what arrived in the window."""

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        found = super().evidence(reading, now)
        url, label = ingestion_link(reading.alert)
        return Evidence(rows=found.rows, points=found.points, url=url, url_label=label)


NO_DATA = NoDataMeasure()
INGEST_LAG = IngestLagMeasure(
    AlertKind.INGEST_LAG, "Ingest lag", "seconds",
    "How long after they were made calls arrive, on average over those that arrived in the window."
    " Calls that come more than a quarter of an hour late are counted within five minutes, up to two hours.",
    _lag, fields=CALLS_OF_FIELDS, has_arrived=True,
)  # fmt: skip
