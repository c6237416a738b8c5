"""Sums per minute for rules: read from the records by a task each minute, never written with them.

Whole minutes are replaced, so doing it twice changes nothing, and calls that come late are counted when their minute
is read again, for LATE every few minutes. Older minutes are filled backwards, newest first, as far as the rules need
them. What changes records otherwise (new prices, a person taken out) raises the roll's generation, so that nothing read
before it is kept.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Greatest

from core.ranges import floor
from costs.histogram import BUCKETS, EDGES
from costs.models import MinuteDimension, MinuteRoll, MinuteSum, ProjectUsage

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
# How late a call may come and still be counted by the next evaluations.
LATE = dt.timedelta(minutes=15)
# How late a call may come and still be counted among the late ones (ARRIVED).
VERY_LATE = dt.timedelta(hours=2)
# Most calls come within seconds: so much is read again each minute, and all of LATE once in each round.
AGAIN, ROUND = dt.timedelta(minutes=2), dt.timedelta(minutes=5)
KEEP = dt.timedelta(days=8)
# Records are read this much at a time when older minutes are filled, each in a transaction of its own.
PIECE = dt.timedelta(minutes=30)
WORK_MEMORY = "64MB"
# What arrived in a minute is known when the calls of LATE before it were read.
_COMMITTING = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Need:
    """What the rules of a project ask for: how far back, for which users and tags, and how late calls came."""

    longest: dt.timedelta = HOUR
    users: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    has_arrivals: bool = False

    def __or__(self, other: "Need") -> "Need":
        return Need(
            max(self.longest, other.longest),
            self.users | other.users,
            self.tags | other.tags,
            self.has_arrivals or other.has_arrivals,
        )


class _ChangedError(Exception):
    """Records changed while they were read."""


@dataclass
class _Coverage:
    """From when on each kind of row is right."""

    all: dt.datetime
    watched: dict[tuple[str, str], dt.datetime] = field(default_factory=dict)

    def latest(self) -> dt.datetime:
        return max([self.all, *self.watched.values()])

    def behind(self, start: dt.datetime) -> tuple[bool, list[str], list[str]]:
        """What has to be read again to be right from `start` on: every call, which users, which tags."""
        late = [key for key, since in self.watched.items() if since > start]
        return (
            self.all > start,
            sorted(value for name, value in late if name == MinuteDimension.USER),
            sorted(value for name, value in late if name == MinuteDimension.TAG),
        )

    def reach(self, start: dt.datetime) -> None:
        self.all = min(self.all, start)
        self.watched = {key: min(since, start) for key, since in self.watched.items()}

    def forget_before(self, instant: dt.datetime) -> None:
        self.all = max(self.all, instant)
        self.watched = {key: max(since, instant) for key, since in self.watched.items()}

    def stored(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for (name, value), since in self.watched.items():
            found.setdefault(name, {})[value] = since.isoformat()
        return found


def coverage_of(roll: MinuteRoll) -> tuple[dt.datetime, dict[tuple[str, str], dt.datetime]]:
    """From when on a project's minutes are right: all calls, and each user and tag that is watched."""
    found = _coverage(roll)
    return found.all, found.watched


def _coverage(roll: MinuteRoll) -> _Coverage:
    watched = {
        (name, value): dt.datetime.fromisoformat(since)
        for name, values in roll.watched.items()
        for value, since in values.items()
    }
    found = _Coverage(roll.since, watched)
    if roll.changed_to is not None:
        found.forget_before(min(roll.changed_to, roll.rolled_to))
    return found


def roll_all(needs: Mapping[UUID, Need], *, now: dt.datetime, seconds: float = 30.0) -> int:
    """Bring the minutes of these projects up to the last full one; returns how many projects were read. What nobody
    needs any more is deleted. Three queries, and a few for each project that was active."""
    _drop_unneeded(needs)
    rolls = MinuteRoll.objects.in_bulk(list(needs))
    usage = ProjectUsage.objects.filter(project_id__in=list(needs))
    last = dict(usage.values_list("project_id", "last_activity_at"))
    until, done = monotonic() + seconds, 0
    for project_id in sorted(needs):
        need, roll = needs[project_id], rolls.get(project_id)
        if not _is_due(roll, need, last.get(project_id), now):
            continue
        left = max(0.0, until - monotonic()) / 2
        roll_project(project_id=project_id, need=need, now=now, seconds=left)
        done += 1
    return done


def _is_due(
    roll: MinuteRoll | None, need: Need, last: dt.datetime | None, now: dt.datetime
) -> bool:
    if last is None:
        return False
    if roll is None or roll.changed_to is not None or last >= roll.rolled_to - LATE:
        return True
    found = _coverage(roll)
    return (
        set(found.watched) != _named(need)
        or need.has_arrivals != (roll.arrived_since is not None)
        or found.latest() > floor_minute(now) - reach_of(need)
    )


def _named(need: Need) -> set[tuple[str, str]]:
    return {(MinuteDimension.USER.value, value) for value in need.users} | {
        (MinuteDimension.TAG.value, value) for value in need.tags
    }


def reach_of(need: Need) -> dt.timedelta:
    """How far back minutes are filled: where the longest window begins, and at least what has no whole hour in it."""
    return min(max(need.longest, 2 * HOUR) + PIECE, KEEP)


def floor_minute(instant: dt.datetime) -> dt.datetime:
    return instant.replace(second=0, microsecond=0)


def _round(instant: dt.datetime) -> int:
    return int(instant.timestamp() // ROUND.total_seconds())


def roll_project(*, project_id: UUID, need: Need, now: dt.datetime, seconds: float = 5.0) -> None:
    """Read the last minutes of a project again, then fill older ones for at most `seconds`, one piece at least. Each
    step is a transaction; one that met a change of records is left to the next call."""
    end = floor_minute(now)
    until = monotonic() + seconds
    with suppress(_ChangedError):
        if not _roll_recent(project_id, need, end):
            return
        while _fill_piece(project_id, end - reach_of(need)) and monotonic() < until:
            pass


def _roll_recent(project_id: UUID, need: Need, end: dt.datetime) -> bool:
    """The minutes in which calls may still arrive. False when another worker is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        roll = _claim(cursor, project_id, end)
        if roll is None:
            return False
        found, named = _coverage(roll), _named(need)
        end = max(end, roll.rolled_to)
        is_thorough = _round(end) != _round(roll.rolled_to) or found.all >= roll.rolled_to
        start = roll.rolled_to - (LATE + ROUND if is_thorough else AGAIN)
        if end - start > HOUR:  # away for long: from the end backwards
            start = end - LATE - ROUND
        _delete_values(cursor, project_id, set(found.watched) - named)
        found.watched = {key: found.watched.get(key, end) for key in sorted(named)}
        _replace(cursor, project_id, start, end, everything=True, users=need.users, tags=need.tags)
        if start > roll.rolled_to:
            found.forget_before(end)
        found.reach(start)
        roll.arrived_since = _roll_arrivals(cursor, roll, need, end, is_thorough=is_thorough)
        found.forget_before(end - KEEP)
        if floor(roll.rolled_to, "hour") != floor(end, "hour"):
            _delete_old(cursor, project_id, end - KEEP)
        _keep(roll, found, end)
    return True


def _roll_arrivals(
    cursor: Any, roll: MinuteRoll, need: Need, end: dt.datetime, *, is_thorough: bool
) -> dt.datetime | None:
    """How late came what was stored in the minutes since the last time; once in each round, also of calls that came
    much later. Returns since when that is known."""
    if not need.has_arrivals:
        if roll.arrived_since is not None:
            _delete_dimension(cursor, roll.project_id, MinuteDimension.ARRIVED)
        return None
    since = roll.arrived_since
    again = _COMMITTING + (ROUND if is_thorough else dt.timedelta())
    start = max(end if since is None else roll.rolled_to, end - LATE + again) - again
    first = start - (VERY_LATE if is_thorough else LATE)
    cursor.execute(_DELETE, [roll.project_id, MinuteDimension.ARRIVED, start, end, True, []])
    cursor.execute(
        _INSERT_ARRIVED, [roll.project_id, roll.project_id, first, end + LATE, start, end]
    )
    if since is None or roll.rolled_to < end - LATE:
        return start
    return max(since, end - KEEP)


def _fill_piece(project_id: UUID, target: dt.datetime) -> bool:
    """The newest piece before what is covered. False when nothing is left to fill."""
    with transaction.atomic(), connection.cursor() as cursor:
        roll = _claim(cursor, project_id, target)
        if roll is None:
            return False
        found = _coverage(roll)
        end = found.latest()
        if end <= target:
            return False
        start = max(end - PIECE, target)
        everything, users, tags = found.behind(start)
        _replace(cursor, project_id, start, end, everything=everything, users=users, tags=tags)
        found.reach(start)
        _keep(roll, found, roll.rolled_to)
        return found.latest() > target


def _claim(cursor: Any, project_id: UUID, end: dt.datetime) -> MinuteRoll | None:
    """The project's roll, for this transaction alone; None when another worker has it."""
    # A few groups of very many rows: worked out in a hash, which the planner takes for much larger than it gets.
    cursor.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 6)), set_config('work_mem', %s, true)",
        [f"minutes:{project_id}", WORK_MEMORY],
    )
    if not cursor.fetchone()[0]:
        return None
    roll, _ = MinuteRoll.objects.get_or_create(
        project_id=project_id, defaults={"since": end, "rolled_to": end}
    )
    return roll


def _keep(roll: MinuteRoll, found: _Coverage, end: dt.datetime) -> None:
    """Raises _ChangedError, so that the step is undone, when records changed since the claim."""
    kept = MinuteRoll.objects.filter(pk=roll.pk, generation=roll.generation).update(
        since=found.all,
        watched=found.stored(),
        rolled_to=end,
        arrived_since=roll.arrived_since,
        changed_to=None,
    )
    if not kept:
        raise _ChangedError


_COLUMNS = """project_id, dimension, minute, value, provider, model, environment, agent, calls, errors, unpriced_calls,
  input_tokens, output_tokens, cost_usd, latency_counts, lag_seconds"""
# The bucket of costs.histogram.bucket_of.
_EDGES = f"ARRAY[{', '.join(map(repr, EDGES))}]::float8[]"
_BUCKET = f"""CASE WHEN c.latency_ms > 0 THEN width_bucket(c.latency_ms, {_EDGES})
  WHEN c.latency_ms IS NOT NULL THEN 0 END"""
_INSERT = f"""
INSERT INTO costs_minutesum ({_COLUMNS})
SELECT %s, '{{dimension}}', minute, value, provider, model, environment, agent, sum(calls), sum(errors), sum(unpriced),
  sum(input_tokens), sum(output_tokens), coalesce(sum(cost_usd), 0),
  ('{{{{' || string_agg((bucket + 1) || ':' || calls, ',') FILTER (WHERE bucket IS NOT NULL)
    || '}}}}/{BUCKETS}')::sparsevec({BUCKETS})::vector({BUCKETS}),
  coalesce(sum(lag), 0)
FROM (
  SELECT date_trunc('minute', c.{{moment}}, 'UTC') AS minute, {{value}} AS value, c.provider, c.model, c.environment,
    c.agent, {{bucket}} AS bucket, count(*) AS calls, count(*) FILTER (WHERE c.is_error) AS errors,
    count(*) - count(c.cost_usd) AS unpriced, coalesce(sum(c.input_tokens), 0) AS input_tokens,
    coalesce(sum(c.output_tokens), 0) AS output_tokens, sum(c.cost_usd) AS cost_usd, {{lag}} AS lag
  FROM costs_costrecord c{{join}}
  WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s{{where}}
  GROUP BY 1, 2, 3, 4, 5, 6, 7
) one GROUP BY minute, value, provider, model, environment, agent
"""  # noqa: S608
_PLAIN = {"moment": "occurred_at", "lag": "NULL::float8", "join": "", "where": ""}
_INSERT_ALL = _INSERT.format(**_PLAIN, dimension="all", value="''", bucket=_BUCKET)
_NAMED: dict[str, Any] = {**_PLAIN, "bucket": "NULL::int"}
_INSERT_USERS = _INSERT.format(
    **{**_NAMED, "dimension": "user", "value": "c.user_id", "where": " AND c.user_id = ANY(%s)"}
)
_INSERT_TAGS = _INSERT.format(
    **{
        **_NAMED,
        "dimension": "tag",
        "value": "t.tag",
        "join": " CROSS JOIN LATERAL (SELECT DISTINCT tag FROM unnest(c.tags) AS tag) t",
        "where": " AND t.tag = ANY(%s)",
    }
)
_INSERT_ARRIVED = _INSERT.format(
    **{
        **_NAMED,
        "dimension": "arrived",
        "value": "''",
        "moment": "recorded_at",
        # A clock that runs ahead is no call from the future.
        "lag": "sum(greatest(extract(epoch FROM c.recorded_at - c.occurred_at), 0))::float8",
        "where": " AND c.recorded_at >= %s AND c.recorded_at < %s",
    }
)
_DELETE = """
DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s AND minute >= %s AND minute < %s
  AND (%s OR value = ANY(%s))
"""


def _replace(
    cursor: Any,
    project_id: UUID,
    start: dt.datetime,
    end: dt.datetime,
    *,
    everything: bool,
    users: Iterable[str],
    tags: Iterable[str],
) -> None:
    """Write the minutes of [start, end) anew from the records: two statements per kind of row."""
    span = [start, end]
    if everything:
        cursor.execute(_DELETE, [project_id, MinuteDimension.ALL, *span, True, []])
        cursor.execute(_INSERT_ALL, [project_id, project_id, *span])
    for dimension, insert, given in (
        (MinuteDimension.USER, _INSERT_USERS, users),
        (MinuteDimension.TAG, _INSERT_TAGS, tags),
    ):
        if values := sorted(given):
            cursor.execute(_DELETE, [project_id, dimension, *span, False, values])
            cursor.execute(insert, [project_id, project_id, *span, values])


def _delete_values(cursor: Any, project_id: UUID, keys: Iterable[tuple[str, str]]) -> None:
    for dimension, value in sorted(keys):
        cursor.execute(
            "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s AND value = %s",
            [project_id, dimension, value],
        )


def _delete_dimension(cursor: Any, project_id: UUID, dimension: str) -> None:
    cursor.execute(
        "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s",
        [project_id, dimension],
    )


def _delete_old(cursor: Any, project_id: UUID, before: dt.datetime) -> None:
    # By the dimensions' names: the key leads with them.
    cursor.execute(
        "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = ANY(%s) AND minute < %s",
        [project_id, list(MinuteDimension.values), before],
    )


def _drop_unneeded(needs: Mapping[UUID, Need]) -> None:
    for project_id in MinuteRoll.objects.exclude(pk__in=list(needs)).values_list("pk", flat=True):
        while delete_batch(project_id, 10_000):
            pass


def note_changed(*, project_id: UUID, until: dt.datetime) -> None:
    """Inside the transaction that changed records of a project before `until`: their minutes are to be read again."""
    _rolls(project_id).update(
        generation=F("generation") + 1,
        changed_to=Greatest(Coalesce(F("changed_to"), until), until),
    )


def forget_user(cursor: Any, *, project_id: UUID, user_id: str) -> None:
    """Inside the transaction that took a person out of the records: nothing is kept by their id."""
    _rolls(project_id).update(generation=F("generation") + 1)
    _delete_values(cursor, project_id, [(MinuteDimension.USER, user_id)])


def _rolls(project_id: UUID) -> "QuerySet[MinuteRoll]":
    return MinuteRoll.objects.filter(project_id=project_id)


def on_repriced(*, project_id: UUID, changes: Iterable[Any], **_: Any) -> None:
    """Receiver of costs.signals.records_repriced."""
    if moments := [change.occurred_at for change in changes]:
        note_changed(project_id=project_id, until=floor_minute(max(moments)) + MINUTE)


def count_rows(project_id: UUID) -> int:
    """Minutes of the project. One query."""
    return MinuteSum.objects.filter(project_id=project_id).count()


_DELETE_BATCH = """
DELETE FROM costs_minutesum WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM costs_minutesum WHERE project_id = %s LIMIT %s))
"""


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows; 0 when none is left."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE_BATCH, [project_id, limit])
        if cursor.rowcount:
            return int(cursor.rowcount)
    _rolls(project_id).delete()
    return 0
