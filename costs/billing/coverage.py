"""Which billing days have been read, from the runs themselves: a day without a line is not a day nobody asked for."""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from costs.models import BillingAccount

DAY = dt.timedelta(days=1)
# What each run has read: from its first day to where it stands.
_READ = """
SELECT account_id, lower(part), upper(part)
FROM (
    SELECT account_id, unnest(range_agg(daterange(first_day, next_day))) AS part
    FROM costs_providersync
    WHERE account_id = ANY(%s) AND next_day > first_day
    GROUP BY account_id
) AS parts
ORDER BY account_id, lower(part)
"""


@dataclass(frozen=True)
class Span:
    """Days in a row, the last one included."""

    first: dt.date
    last: dt.date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Coverage:
    """How many of the wanted days have been read, and which not."""

    wanted: int
    read: int
    gaps: tuple[Span, ...]

    @property
    def is_complete(self) -> bool:
        return not self.gaps

    @property
    def ratio(self) -> float:
        return self.read / self.wanted if self.wanted else 1.0


def today_of(account: BillingAccount, now: dt.datetime) -> dt.date:
    """The billing day it is at the provider."""
    return now.astimezone(ZoneInfo(account.time_zone)).date()


def coverages(accounts: list[BillingAccount], *, now: dt.datetime) -> dict[UUID, Coverage]:
    """Per account, over its history up to yesterday: today is never complete. One query."""
    read: dict[UUID, list[tuple[dt.date, dt.date]]] = {}
    if accounts:
        with connection.cursor() as cursor:
            cursor.execute(_READ, [[account.pk for account in accounts]])
            for account_id, start, end in cursor.fetchall():
                read.setdefault(account_id, []).append((start, end))
    return {
        account.pk: _coverage(
            read.get(account.pk, []), account.history_from, today_of(account, now)
        )
        for account in accounts
    }


def _coverage(read: list[tuple[dt.date, dt.date]], first: dt.date | None, end: dt.date) -> Coverage:
    first = first or (read[0][0] if read else end)
    gaps, at = [], first
    for start, stop in read:
        if min(start, end) > at:
            gaps.append(Span(at, min(start, end) - DAY))
        at = max(at, stop)
    if at < end:
        gaps.append(Span(at, end - DAY))
    wanted = max(0, (end - first).days)
    return Coverage(wanted, wanted - sum(gap.days for gap in gaps), tuple(gaps))
