"""When a digest is due, by the wall clock of its reader (pure). An hour that the clocks skip is the next one; one that
they repeat counts once."""

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.models import Digest

DAY = dt.timedelta(days=1)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def zone_of(name: str) -> dt.tzinfo:
    """The person's zone; UTC without one, and for one that is no more."""
    try:
        return ZoneInfo(name) if name else dt.UTC
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def next_slot(
    digest: str, *, hour: int, weekday: int, zone: dt.tzinfo, after: dt.datetime
) -> dt.datetime | None:
    """The first instant after `after`; None without a digest."""
    if digest == Digest.NONE:
        return None
    day = after.astimezone(zone).date()
    while True:
        at = dt.datetime.combine(day, dt.time(hour), zone).astimezone(dt.UTC)
        if at > after and (digest == Digest.DAILY or day.weekday() == weekday):
            return at
        day += DAY


def before(digest: str, slot: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The same wall clock a day or a week earlier: where what the digest of `slot` tells begins."""
    back = 7 if digest == Digest.WEEKLY else 1
    local = slot.astimezone(zone)
    start = dt.datetime.combine(local.date() - back * DAY, local.time(), zone)
    return start.astimezone(dt.UTC)


def words_of(digest: str, *, hour: int, weekday: int, zone: dt.tzinfo) -> str:
    """`every Monday at 08:00 (Europe/Berlin)`."""
    if digest == Digest.NONE:
        return "never"
    day = WEEKDAYS[weekday] if digest == Digest.WEEKLY else "day"
    return f"every {day} at {hour:02}:00 ({zone})"
