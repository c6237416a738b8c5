"""One look at the installation: every figure the checks need, each read once and only when asked for."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection, transaction

from alerts.models import WatchSample
from core import outbox, partitions, request_figures, vitals
from core.request_figures import Totals
from costs.selectors.minutes import waiting_calls

WINDOW = dt.timedelta(minutes=5)
# Given-up messages count for a day: nobody has to tidy them away for the incident to end.
DEAD_FOR = dt.timedelta(days=1)
# More than these are not counted out.
MOST_DEAD = 10_000

# A message waits for nobody but us when it is due and its channel takes messages: a receiver that is down is the
# organisation's to mend, and its channel says so.
_DELIVERIES = """
SELECT count(*),
  coalesce(extract(epoch FROM %(now)s - min(d.next_attempt_at) FILTER (
    WHERE d.state = 'waiting' AND d.next_attempt_at <= %(now)s
      AND (c.id IS NULL OR (c.is_enabled AND c.failing_since IS NULL)))), 0),
  (SELECT count(*) FROM (SELECT 1 FROM alerts_delivery
    WHERE state = 'dead' AND ended_at >= %(since)s LIMIT %(most)s) gone)
FROM alerts_delivery d LEFT JOIN alerts_channel c ON c.id = d.channel_id
WHERE d.state IN ('waiting', 'sending')
"""
# The last run that came to an end decides: one that waits to try again has not failed.
_SYNCS = """
SELECT count(*) FROM costs_billingaccount a JOIN LATERAL (
  SELECT s.state FROM costs_providersync s WHERE s.account_id = a.id AND s.state IN ('done', 'failed')
  ORDER BY s.created_at DESC LIMIT 1) last ON last.state = 'failed'
"""


@dataclass(frozen=True)
class Deliveries:
    """Messages of alerts on their way: open ones, how long the oldest that could go has waited, and given-up ones of
    the last day."""

    waiting: int
    oldest_s: float
    dead: int


class Look:
    """Readings raise DatabaseError; nothing else of theirs does."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    @cached_property
    def broker(self) -> vitals.Broker:
        return vitals.broker(self.now)

    @cached_property
    def outbox(self) -> Mapping[str, Any]:
        """One query."""
        with transaction.atomic():
            return outbox.depth()

    @cached_property
    def deliveries(self) -> Deliveries:
        """One query."""
        given = {"now": self.now, "since": self.now - DEAD_FOR, "most": MOST_DEAD}
        waiting, oldest, dead = _row(_DELIVERIES, given)
        return Deliveries(int(waiting), max(0.0, float(oldest)), int(dead))

    @cached_property
    def syncs_failed(self) -> int:
        """Provider accounts whose last finished reading failed. One query."""
        return int(_row(_SYNCS, {})[0])

    @cached_property
    def minutes(self) -> tuple[int, float]:
        """How many projects have calls that no rule about a window sees yet, and how long the oldest waits. One
        query."""
        with transaction.atomic():
            projects, since = waiting_calls(self.now)
        waited = 0.0 if since is None else (self.now - since).total_seconds()
        return projects, max(0.0, waited)

    @cached_property
    def days_ahead(self) -> Mapping[str, int]:
        """One query."""
        with transaction.atomic():
            return partitions.days_ahead(self.now.date())

    @cached_property
    def connections(self) -> vitals.Connections:
        """One query."""
        with transaction.atomic():
            return vitals.database_connections()

    @cached_property
    def disks(self) -> list[vitals.Disk]:
        """The query of `connections`."""
        return vitals.disks(self.connections.data_directory)

    @cached_property
    def beat_age_s(self) -> float | None:
        """One query."""
        with transaction.atomic():
            seen = vitals.beat_seen_at()
        return None if seen is None else max(0.0, (self.now - seen).total_seconds())

    @cached_property
    def totals(self) -> Totals | None:
        """The web processes' counters as they are now; None when this process cannot see them."""
        return request_figures.read()

    @cached_property
    def requests(self) -> Totals | None:
        """What the web processes counted in the last five minutes; None when that is not known. One query."""
        if self.totals is None:
            return None
        since = self.now - 2 * WINDOW
        with transaction.atomic():
            rows = list(WatchSample.objects.filter(at__gte=since, at__lt=self.now).order_by("at"))
        samples = [(one.at, Totals.from_json(one.totals)) for one in rows]
        return request_figures.window(
            [*samples, (self.now, self.totals)], now=self.now, length=WINDOW
        )


def _row(sql: str, given: Mapping[str, Any]) -> tuple[Any, ...]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, given)
        found: tuple[Any, ...] = cursor.fetchone()
    return found
