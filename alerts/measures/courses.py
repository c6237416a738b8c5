"""How the value of a rule about a window went: from hourly sums, the last days from minutes where they are kept."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from alerts.measures.base import History, Point
from alerts.measures.planning import MINUTE, is_compared, length_of, projects_of, scope_of
from alerts.models import Alert
from costs.minutes import floor_minute
from costs.selectors.courses import HOUR, Course, by_hour, by_minute
from costs.selectors.minutes import Scope, Window, coverage

if TYPE_CHECKING:
    from alerts.measures.windows import WindowMeasure

# Minutes are drawn at most so far back, and in so many points.
FINE_FOR, FINE_POINTS, FINE_STEP = dt.timedelta(days=2), 720, 5 * MINUTE
ARRIVAL_STEP = 15 * MINUTE
ARRIVAL_NOTE = "How late calls came is kept for eight days, from when the first alert asked for it."
Read = Callable[[Window, Window | None], tuple[Point, int]]


def history(
    measure: "WindowMeasure", alert: Alert, start: dt.datetime, end: dt.datetime
) -> History:
    """One point an hour, of the window that ends there; a window shorter than an hour by whole hours, and by its own
    length over the last two days where minutes are kept. At most five queries."""
    scopes = [scope_of(alert, one) for one in projects_of([alert])[alert.pk]]
    length = length_of(alert)
    if measure.has_arrived:
        return _of_arrivals(measure, alert, scopes, start, end)
    fine = _fine_from(alert, scopes, start, end) if length % HOUR else None

    def read(window: Window, before: Window | None) -> tuple[Point, int]:
        reading = measure.reading(alert, window, before)
        return Point(window.end, reading.value), reading.sample

    found = _hourly(measure, alert, scopes, start, fine or end, read)
    if fine is not None:
        found += _fine(measure, alert, scopes, fine, end, read)
    return History(
        points=[point for point, _ in found],
        step=HOUR,
        samples=[sample for _, sample in found],
        is_coarse=bool(length % HOUR),
        note=_note(alert, fine),
    )


def _of_arrivals(
    measure: "WindowMeasure",
    alert: Alert,
    scopes: list[Scope],
    start: dt.datetime,
    end: dt.datetime,
) -> History:
    """How late calls came is kept by the minute only, and only while a rule asks. One query."""
    length = length_of(alert)
    back = length * (2 if is_compared(alert) else 1)
    course = Course(by_minute(scopes, start - back, end, has_arrived=True))
    points, samples, at = [], [], floor_minute(start) + ARRIVAL_STEP
    while at <= end:
        before = course.window(at - 2 * length, at - length) if is_compared(alert) else None
        reading = measure.reading(alert, course.window(at - length, at), before)
        points.append(Point(at, reading.value))
        samples.append(reading.sample)
        at += ARRIVAL_STEP
    return History(points, ARRIVAL_STEP, samples, is_coarse=False, note=ARRIVAL_NOTE)


def whole(length: dt.timedelta) -> dt.timedelta:
    """The window in whole hours."""
    return -(-length // HOUR) * HOUR


def _hourly(
    measure: "WindowMeasure",
    alert: Alert,
    scopes: list[Scope],
    start: dt.datetime,
    end: dt.datetime,
    read: Read,
) -> list[tuple[Point, int]]:
    length = whole(length_of(alert))
    back = length * (2 if is_compared(alert) else 1)
    first = start.replace(minute=0, second=0, microsecond=0) + HOUR
    bins = by_hour(scopes, first - back, end, with_latency=measure.with_latency)
    return _points(Course(bins), alert, first, end, HOUR, length, read)


def _fine(
    measure: "WindowMeasure",
    alert: Alert,
    scopes: list[Scope],
    start: dt.datetime,
    end: dt.datetime,
    read: Read,
) -> list[tuple[Point, int]]:
    length = length_of(alert)
    back = length * (2 if is_compared(alert) else 1)
    bins = by_minute(scopes, start - back, end, with_latency=measure.with_latency)
    step = min(FINE_STEP, length)
    return _points(Course(bins), alert, start + step, end, step, length, read)


def _points(
    course: Course,
    alert: Alert,
    at: dt.datetime,
    end: dt.datetime,
    step: dt.timedelta,
    length: dt.timedelta,
    read: Read,
) -> list[tuple[Point, int]]:
    found = []
    while at <= end:
        before = course.window(at - 2 * length, at - length) if is_compared(alert) else None
        found.append(read(course.window(at - length, at), before))
        at += step
    return found


def _fine_from(
    alert: Alert, scopes: list[Scope], start: dt.datetime, end: dt.datetime
) -> dt.datetime | None:
    """From which hour on minutes tell more, None where there are none."""
    length = length_of(alert)
    if length > HOUR or not scopes:
        return None
    known = coverage([one.project_id for one in scopes], end=end)
    begins = [known[one.project_id].since_of(one) for one in scopes]
    if any(one is None for one in begins):
        return None
    span = min(FINE_FOR, FINE_POINTS * min(FINE_STEP, length))
    back = length * (2 if is_compared(alert) else 1)
    known_from = max(one for one in begins if one is not None)
    if known_from > end - HOUR - back:
        return None
    found = max(start, end - span, known_from + back if known_from.year > 1 else start)
    found = floor_minute(found).replace(minute=0)
    found += HOUR  # whole hours before, minutes after
    return found if found < end else None


def _note(alert: Alert, fine: dt.datetime | None) -> str:
    length = length_of(alert)
    if not length % HOUR:
        return ""
    if length > HOUR:
        return f"Drawn by windows of {whole(length) // HOUR} whole hours: the past is kept by the hour."
    words = (
        "The past is kept by the hour, so windows shorter than an hour are drawn as whole hours:"
        " short peaks look flatter than the alert would have seen them."
    )
    if fine is not None:
        words += f" From {fine:%Y-%m-%d %H:%M} UTC on they are drawn as they are."
    return words
