"""Rules about the gateway's calls: those that fell back, that limits refused, and how long calls waited in line."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from alerts.figures import figure
from alerts.measures.base import Cause, Evidence, History, Point, Reading
from alerts.measures.courses import whole
from alerts.measures.planning import exact, is_compared, last_minute, length_of, projects_of
from alerts.measures.windows import DEFAULT_PERCENTILE, change
from alerts.models import Alert, AlertKind
from core import formats
from core.ranges import TimeRange, parse_instant
from costs.histogram import bucket_of, percentile
from gateway.sums.reading import Calls, Stretch, by_model, course, totals

HOUR = dt.timedelta(hours=1)
PLACES, MOST = 24, 3
# What the gateway keeps its sums by.
LABELS = {"model": "Route or model asked for"}
FIELDS = frozenset(
    {"model", "direction", "compare_with", "window", "minimum_sample", "pending", "recover", "no_data"}
)  # fmt: skip


@dataclass(eq=False)
class CallMeasure:
    """One figure of the calls that ended in a window (alerts.measures.base.Measure)."""

    kind: str
    label: str
    unit: str
    help: str
    value_of: Callable[[Alert, Calls], Decimal | None]
    # The calls a figure rests on, and those of them it is about (of the value, of the queue's waits).
    sample_of: Callable[[Calls], int]
    weight_of: Callable[[Calls, Decimal | None], int]
    # What the weighed calls are called, and which filter of the request list shows them.
    weighed: str
    filtered: tuple[str, str] = ("state", "")
    fields: frozenset[str] = FIELDS
    is_windowed: bool = True
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """One query, two with rules of whole organisations."""
        end = last_minute(now)
        projects = projects_of(alerts)
        compared = [alert for alert in alerts if is_compared(alert)]
        stretches = [_stretch(alert, projects[alert.pk], end) for alert in alerts]
        stretches += [_stretch(one, projects[one.pk], end - length_of(one)) for one in compared]
        found = totals(stretches)
        before = dict(zip((one.pk for one in compared), found[len(alerts) :], strict=True))
        return [
            self.reading(alert, calls, before.get(alert.pk), end)
            for alert, calls in zip(alerts, found, strict=False)
        ]

    def reading(
        self, alert: Alert, calls: Calls, before: Calls | None, end: dt.datetime
    ) -> Reading:
        """What a rule sees in a window, and in the one before it when it compares (pure)."""
        value = now_value = self._value(alert, calls)
        then = self._value(alert, before) if before is not None else None
        if before is not None:
            value = change(then, value)
        return Reading(
            alert,
            None if value is None else exact(value),
            sample=self.sample_of(calls),
            now_value=None if now_value is None or before is None else exact(now_value),
            before_value=None if then is None else exact(then),
            facts={
                "unit": self.unit,
                "window_start": formats.instant(end - length_of(alert)),
                "window_end": formats.instant(end),
                "calls": calls.calls,
                "weighed": self.weight_of(calls, now_value),
            },
        )

    def _value(self, alert: Alert, calls: Calls) -> Decimal | None:
        if self.sample_of(calls) < alert.minimum_sample:
            return None
        return self.value_of(alert, calls)

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """One point an hour, of the window that ends there in whole hours. One query, two for a whole organisation."""
        length = whole(length_of(alert))
        first = start.replace(minute=0, second=0, microsecond=0) + HOUR
        at = first - length * (2 if is_compared(alert) else 1)
        hours = course(Stretch(projects_of([alert])[alert.pk], at, end, alert.model))
        # All calls before each hour: a window is the difference of two of them.
        so_far = {at: Calls()}
        while at < end:
            so_far[at + HOUR] = so_far[at] + hours[at] if at in hours else so_far[at]
            at += HOUR
        points, samples, at = [], [], first
        while at <= end:
            calls = so_far[at] - so_far[at - length]
            before = so_far[at - length] - so_far[at - 2 * length] if is_compared(alert) else None
            reading = self.reading(alert, calls, before, at)
            points.append(Point(at, reading.value))
            samples.append(reading.sample)
            at += HOUR
        is_coarse = length != length_of(alert)
        return History(
            points, HOUR, samples, is_coarse, "Drawn by windows of whole hours." if is_coarse else ""
        )  # fmt: skip

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """The last 24 windows, and the routes or models behind it. Two queries, four for a whole organisation."""
        alert = reading.alert
        start, end = (
            parse_instant(str(reading.facts[name]), name) for name in ("window_start", "window_end")
        )
        project_ids = projects_of([alert])[alert.pk]
        parts = by_model(Stretch(project_ids, start, end, alert.model))
        url, label = self._link(alert, parts, reading, start, end)
        return Evidence(
            rows=self._rows(reading),
            points=self._points(alert, project_ids, end),
            causes=self._causes(parts, _seen(reading)),
            url=url,
            url_label=label,
        )

    def _points(self, alert: Alert, project_ids: list[UUID], end: dt.datetime) -> list[Point]:
        step = min(length_of(alert), HOUR)
        ends = [end - back * step for back in reversed(range(PLACES))]
        asked = [_stretch(alert, project_ids, at) for at in ends]
        if is_compared(alert):
            asked += [_stretch(alert, project_ids, at - length_of(alert)) for at in ends]
        found = totals(asked)
        return [
            Point(at, self.reading(alert, found[n], found[n + PLACES] if is_compared(alert) else None, at).value)
            for n, at in enumerate(ends)
        ]  # fmt: skip

    def _rows(self, reading: Reading) -> list[tuple[str, str]]:
        rows = [(self.label, figure(_seen(reading), self.unit))]
        if is_compared(reading.alert):
            rows.append(("The window before", figure(reading.before_value, self.unit)))
        weighed = formats.count(int(reading.facts["weighed"]))
        return [
            *rows,
            (self.weighed[0].upper() + self.weighed[1:], weighed),
            ("Calls", formats.count(int(reading.facts["calls"]))),
        ]

    def _causes(
        self, parts: Sequence[tuple[UUID, str, Calls]], value: Decimal | None
    ) -> list[Cause]:
        weights: dict[str, int] = {}
        for _, name, calls in parts:
            weights[name] = weights.get(name, 0) + self.weight_of(calls, value)
        all_of_them = sum(weights.values())
        found = []
        for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MOST]:
            if weight and name:
                share = exact(Decimal(weight) / all_of_them)
                words = f"{formats.count(weight)} {self.weighed} ({formats.percent(share)})"
                found.append(Cause("model", name, words, share))
        return found

    def _link(
        self,
        alert: Alert,
        parts: Sequence[tuple[UUID, str, Calls]],
        reading: Reading,
        start: dt.datetime,
        end: dt.datetime,
    ) -> tuple[str, str]:
        """The request list of the project, of a whole organisation that of the one it is most about."""
        project_id, most = alert.project_id, 0
        if project_id is None:
            weights: dict[UUID, int] = {}
            for pk, _, calls in parts:
                weights[pk] = weights.get(pk, 0) + self.weight_of(calls, _seen(reading))
            for pk, weight in weights.items():
                project_id, most = (pk, weight) if weight > most else (project_id, most)
        if project_id is None:
            return reverse("projects:project_list"), "Open the projects"
        period = TimeRange(start, end, "").explicit
        query = [("range", period), self.filtered, ("model", alert.model)]
        said = urlencode([(name, value) for name, value in query if value])
        return f"{reverse('gateway:request_list', args=[project_id])}?{said}", "See the calls"


def _stretch(alert: Alert, project_ids: Sequence[UUID], end: dt.datetime) -> Stretch:
    return Stretch(project_ids, end - length_of(alert), end, alert.model)


def _seen(reading: Reading) -> Decimal | None:
    """The value itself, also where the rule is about its change."""
    return reading.now_value if is_compared(reading.alert) else reading.value


def _share(part: int, of: int) -> Decimal | None:
    return Decimal(part) * 100 / of if of else None


def _wait(alert: Alert, calls: Calls) -> Decimal | None:
    found = percentile(calls.waits, (alert.percentile or DEFAULT_PERCENTILE) / 100)
    return None if found is None else Decimal(repr(found))


def _as_long(calls: Calls, value: Decimal | None) -> int:
    """Calls that waited so long or longer."""
    return sum(calls.waits[bucket_of(float(value or 0)) :])


FALLBACKS = CallMeasure(
    AlertKind.FALLBACKS, "Gateway fallbacks", "percent",
    "The share of the gateway's calls to providers that went on to another target than the first one.",
    lambda alert, calls: _share(calls.fell_back, calls.tried),
    lambda calls: calls.tried, lambda calls, _: calls.fell_back, "calls that fell back", ("fallback", "yes"),
)  # fmt: skip
CALLS_LIMITED = CallMeasure(
    AlertKind.CALLS_LIMITED, "Calls refused by limits", "percent",
    "The share of the gateway's calls that a limit, a budget or a full line refused.",
    lambda alert, calls: _share(calls.limited, calls.calls),
    lambda calls: calls.calls, lambda calls, _: calls.limited, "refused calls", ("state", "limited"),
)  # fmt: skip
QUEUE_WAIT = CallMeasure(
    AlertKind.QUEUE_WAIT, "Gateway queue wait", "ms",
    "How long the given share of calls waited in line at most; p95 when none is given.",
    _wait, lambda calls: sum(calls.waits), _as_long, "calls that waited as long",
    fields=FIELDS | {"percentile"},
)  # fmt: skip
MEASURES = (FALLBACKS, CALLS_LIMITED, QUEUE_WAIT)
