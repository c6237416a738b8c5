"""When a limit's windows begin and end: by the clock, in UTC (pure)."""

import calendar
import datetime as dt

from gateway.models import LimitWindow

# The window of what has none: calls at once, and what is set aside of budgets.
ALWAYS = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LENGTHS = {
    LimitWindow.MINUTE: dt.timedelta(minutes=1),
    LimitWindow.HOUR: dt.timedelta(hours=1),
    LimitWindow.DAY: dt.timedelta(days=1),
    LimitWindow.WEEK: dt.timedelta(days=7),
}


def window_start(window: str, at: dt.datetime) -> dt.datetime:
    """The beginning of the window that `at` (in UTC) is in."""
    if window == LimitWindow.NONE:
        return ALWAYS
    at = at.replace(second=0, microsecond=0)
    if window == LimitWindow.MINUTE:
        return at
    if window == LimitWindow.HOUR:
        return at.replace(minute=0)
    day = at.replace(hour=0, minute=0)
    if window == LimitWindow.WEEK:
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if window == LimitWindow.MONTH else day


def window_end(window: str, start: dt.datetime) -> dt.datetime | None:
    """When the window that begins at `start` ends; None for what has none."""
    if window == LimitWindow.NONE:
        return None
    if window == LimitWindow.MONTH:
        return start + dt.timedelta(days=calendar.monthrange(start.year, start.month)[1])
    return start + _LENGTHS[LimitWindow(window)]


def go_duration(seconds: float) -> str:
    """As OpenAI writes when a limit resets: `12ms`, `1s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
