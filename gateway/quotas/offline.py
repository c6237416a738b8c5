"""Granting while PostgreSQL is away: by the counters this process saw last and what it granted since.

What was granted is written when PostgreSQL is back. A call that was recorded by then has been charged by `settle`; of
it only the request is counted.
"""

import datetime as dt
import logging
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from django.db import connection, transaction

from gateway.models import LimitMetric
from gateway.quotas import counters as rows
from gateway.quotas.deciding import Counter, Granted, Refused, unavailable
from gateway.quotas.granting import Asked, Known, decide
from gateway.quotas.lines import CounterKey
from gateway.quotas.windows import ALWAYS

logger = logging.getLogger(__name__)

MAX_BATCH = 500
_SEEN = """
SELECT call_id::text, true FROM gateway_reservation
WHERE (project_id, call_id) IN (SELECT * FROM unnest(%s::text[]::uuid[], %s::text[]::uuid[]))
UNION ALL
SELECT id::text, false FROM gateway_llmrequest r
WHERE project_id = ANY(%s::text[]::uuid[]) AND id = ANY(%s::text[]::uuid[]) AND accepted_at >= %s
"""


class Offline:
    """What this process granted that PostgreSQL does not know of. Used by one thread or loop at a time."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._granted: OrderedDict[str, Asked] = OrderedDict()
        self.since: dt.datetime | None = None

    def begin(self, now: dt.datetime) -> None:
        if self.since is None:
            logger.warning("gateway.quotas.offline")
            self.since = now

    @property
    def waiting(self) -> int:
        return len(self._granted)

    def grant(self, asked: Sequence[Asked]) -> list[Granted | Refused]:
        """Decide them all, in order."""
        outcomes: list[Granted | Refused] = []
        for one in asked:
            outcome = self._decide(one)
            if isinstance(outcome, Granted):
                # Without its body: many may wait here for long.
                call = msgspec.structs.replace(one.call, body=b"", headers={})
                self._granted[call.id] = Asked(call, one.lines, one.at)
            outcomes.append(outcome)
        return outcomes

    def _decide(self, one: Asked) -> Granted | Refused:
        found: dict[CounterKey, Counter] = {}
        for line in one.lines:
            counter = self._known.counters.get(line.at)
            if counter is None:
                began = line.at.start if line.at.start != ALWAYS else None
                is_new = began is not None and self.since is not None and began >= self.since
                if line.is_money and line.is_hard and not is_new:
                    return unavailable(line)
                counter = Counter()
                self._known.note({line.at: counter})
            found[line.at] = counter
        return decide(one, found)

    def release(self, call_id: str) -> bool:
        """Give back what was granted and is not written yet; False: it is not one of these."""
        one = self._granted.pop(call_id, None)
        if one is None:
            return False
        for line in one.lines:
            counter = self._known.counters.get(line.at)
            if counter is not None and line.metric == LimitMetric.REQUESTS:
                counter.used -= line.need
            elif counter is not None:
                counter.reserved -= line.need
        return True

    def drop(self) -> int:
        """Forget what cannot be written; how many calls it was of."""
        count = len(self._granted)
        self._granted.clear()
        self.since = None
        return count

    def write_back(self, *, owner: str, now: dt.datetime) -> None:
        """Write what was granted. Raises DatabaseError while PostgreSQL is away."""
        if self.since is not None:
            connection.ensure_connection()
        while self._granted:
            batch = list(self._granted.values())[:MAX_BATCH]
            keys = {line.at for one in batch for line in one.lines}
            rows.make(keys)
            with transaction.atomic():
                # First the counters: who records one of these calls locks them too (settling).
                found = rows.lock(keys, is_durable=True)
                self._write(batch, found, owner, now)
            for one in batch:
                self._granted.pop(one.call.id, None)
            # They say what this process granted twice now: known again when they are next read.
            self._known.drop(keys)
        if self.since is not None:
            logger.warning("gateway.quotas.online")
        self.since = None

    def _write(
        self,
        batch: Sequence[Asked],
        found: dict[CounterKey, Counter],
        owner: str,
        now: dt.datetime,
    ) -> None:
        projects = [one.call.caller.project_id for one in batch]
        ids = [one.call.id for one in batch]
        first = min(one.at for one in batch) - dt.timedelta(seconds=1)
        with connection.cursor() as cursor:
            cursor.execute(_SEEN, [projects, ids, projects, ids, first])
            seen = {call_id.replace("-", ""): is_set for call_id, is_set in cursor.fetchall()}
        deltas: dict[CounterKey, rows.Delta] = {}
        written = []
        for one in batch:
            is_set = seen.get(one.call.id)
            if is_set:  # the end of its transaction was all that got lost
                continue
            if is_set is None:
                written.append(rows.Row(one.call, one.lines, owner, now))
            for line in one.lines:
                delta = deltas.setdefault(line.at, rows.Delta())
                if line.metric == LimitMetric.REQUESTS:
                    delta.used += line.need
                elif is_set is None:
                    delta.reserved += line.need
        known = {key: delta for key, delta in deltas.items() if key in found}
        rows.grow_and_reserve(known, written)
