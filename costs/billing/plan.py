"""Which days a sync reads and when the next one runs. Pure."""

import datetime as dt
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo

from costs.models import BillingAccount, SyncSchedule
from costs.providers.base import BillingPlugin

DAY = dt.timedelta(days=1)
HISTORY_DAYS = 30
# From this day of a month on, the month before is read once more: providers close it by then.
CLOSED_ON = 5
INTERVALS = {SyncSchedule.HOURLY: dt.timedelta(hours=1), SyncSchedule.DAILY: dt.timedelta(days=1)}
FIRST_PAUSE, LONGEST_PAUSE = dt.timedelta(minutes=5), dt.timedelta(days=1)
JITTER = 0.1
Chance = Callable[[], float]


def local_day(at: dt.datetime, zone: str) -> dt.date:
    """The day it is in the provider's zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def midnight(day: dt.date, zone: str) -> dt.datetime:
    """When a billing day begins, in UTC."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def days_to_read(
    *, account: BillingAccount, plugin: BillingPlugin, now: dt.datetime
) -> tuple[dt.date, dt.date]:
    """What a sync without wishes reads: from the last day read, less what may still be corrected, to today.

    The first sync of a day looks back further where the provider revises for longer (`daily_overlap_days`), the first
    one after a month is closed reads that month again.
    """
    zone = account.time_zone
    today = local_day(now, zone)
    oldest = account.history_from or today - dt.timedelta(days=HISTORY_DAYS)
    end = today + dt.timedelta(days=1)
    if account.synced_through is None:
        return min(oldest, today), end
    overlap = plugin.overlap_days
    last = local_day(account.last_success_at, zone) if account.last_success_at else None
    if last is None or last < today:
        overlap = max(overlap, getattr(plugin, "daily_overlap_days", overlap))
    first = local_day(account.synced_through, zone) - dt.timedelta(days=overlap)
    closing = today.replace(day=CLOSED_ON)
    if today >= closing and (last is None or last < closing):
        month_before = (today.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
        first = min(first, month_before)
    return min(max(first, oldest), today), end


def next_run(
    *, account: BillingAccount, now: dt.datetime, chance: Chance = random.random
) -> dt.datetime | None:
    """When the schedule wants the next sync: its interval after a success, after failures in a row a pause that
    doubles up to a day. None for a schedule by hand."""
    interval = INTERVALS.get(SyncSchedule(account.schedule))
    if interval is None:
        return None
    if account.failures_in_a_row:
        pause = FIRST_PAUSE * 2 ** min(account.failures_in_a_row - 1, 10)
        interval = min(pause, LONGEST_PAUSE)
    return now + interval * (1 + JITTER * chance())


TRIES = 6
BASE_WAIT_S, LONGEST_WAIT_S = 15.0, 900.0


def wait_before_retry(
    *, attempts: int, retry_after_s: float | None, chance: Chance = random.random
) -> float:
    """Seconds before try number `attempts + 1`: never less than the provider asks for, and never all at once."""
    wait = min(BASE_WAIT_S * float(2 ** (attempts - 1)), LONGEST_WAIT_S)
    if retry_after_s is not None:
        wait = max(retry_after_s, 1.0)
    return wait * (1 + 0.25 * chance())
