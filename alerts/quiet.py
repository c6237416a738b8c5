"""Times in which nobody is told: a rule that is muted, and maintenance windows with their repetitions.

A repeated window keeps its wall clock in its zone, also over a change of summer time.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q

from alerts.models import Maintenance, Repeats

DAY = dt.timedelta(days=1)
_EVERY: dict[str, int] = {Repeats.DAILY: 1, Repeats.WEEKLY: 7}

Span = tuple[dt.datetime, dt.datetime]


class Window(Protocol):
    """A Maintenance or a draft of one."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    repeats: str
    time_zone: str


def occurrence_at(window: Window, now: dt.datetime) -> Span | None:
    """The occurrence that `now` lies in (its end excluded), or None."""
    return next((one for one in _around(window, now) if one[0] <= now < one[1]), None)


def next_occurrence(window: Window, now: dt.datetime) -> Span | None:
    """The running occurrence, else the next; None after the last."""
    return next((one for one in _around(window, now) if now < one[1]), None)


def _around(window: Window, now: dt.datetime) -> Iterable[Span]:
    """Occurrences near an instant, oldest first; of a window that does not repeat the only one."""
    every = _EVERY.get(window.repeats)
    if every is None:
        yield window.starts_at, window.ends_at
        return
    zone = _zone(window.time_zone)
    first, last = window.starts_at.astimezone(zone), window.ends_at.astimezone(zone)
    length = (last.date() - first.date()).days
    today = now.astimezone(zone).date()
    begun = max((today - first.date()).days - length, 0) // every
    for number in range(max(begun - 1, 0), begun + length // every + 3):
        day = first.date() + number * every * DAY
        start = dt.datetime.combine(day, first.time(), zone).astimezone(dt.UTC)
        end = dt.datetime.combine(day + length * DAY, last.time(), zone).astimezone(dt.UTC)
        # In the night in which the clock goes forward a window may have no time at all.
        if start < end:
            yield start, end


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


class Quiet:
    """The maintenance that holds at an instant, read once for many rules."""

    def __init__(self, running: Sequence[Maintenance], now: dt.datetime) -> None:
        self.now = now
        self.whole = {one.organization_id: one for one in running if one.project_id is None}
        self.of_project = {one.project_id: one for one in running if one.project_id is not None}

    def words(self, alert: Any) -> str:
        """Why nobody is told, empty when people are. `alert` may be an incident without its rule."""
        muted_until = getattr(alert, "muted_until", None)
        if muted_until is not None and muted_until > self.now:
            return "The alert is muted."
        found = self.whole.get(alert.organization_id) or self.of_project.get(alert.project_id)
        return f"Maintenance: {found.name}." if found else ""


def goes_on(now: dt.datetime) -> Q:
    """Of Maintenance: what is not over."""
    return Q(ends_at__gt=now) | ~Q(repeats=Repeats.NEVER)


def quiet_at(organization_ids: Collection[UUID], now: dt.datetime) -> Quiet:
    """What holds for rules of these organisations. One query."""
    rows = Maintenance.objects.filter(organization_id__in=organization_ids, starts_at__lte=now)
    rows = rows.filter(goes_on(now))
    return Quiet([one for one in rows.order_by("pk") if occurrence_at(one, now)], now)
