"""Sums per minute for rules: read from the records by a task each minute, never written with them.

Whole minutes are replaced, so doing it twice changes nothing, and calls that come late are counted when their minute
is read again, for LATE every few minutes. Older minutes are filled backwards, newest first, as far as the rules need
them. What changes records otherwise (new prices, a person taken out) raises the roll's generation, so that nothing read
before it is kept.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Greatest

from core.ranges import floor
from costs import minute_rows as rows
from costs.models import MinuteDimension, MinuteRoll, MinuteSum, ProjectUsage

logger = logging.getLogger(__name__)

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
# How late a call may come and still be counted by the next evaluations.
LATE = dt.timedelta(minutes=15)
# How late a call may come and still be counted among the late ones (ARRIVED).
VERY_LATE = dt.timedelta(hours=2)
# Most calls come within seconds: so much is read again each minute, and all of LATE once in each round.
AGAIN, ROUND = dt.timedelta(minutes=2), dt.timedelta(minutes=5)
KEEP = dt.timedelta(days=8)
# When older minutes are filled, records are read this much at a time, each piece in a transaction of its own. Quick
# pieces are followed by larger ones, slow ones by smaller.
PIECE, SMALLEST, LARGEST = 5 * MINUTE, MINUTE, 6 * HOUR
QUICK_S, SLOW_S = 0.3, 1.5
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
        try:
            if (
                roll is None
            ):  # kept also when the first reading fails, so that its wait is seen (waiting_calls)
                _new_roll(project_id, floor_minute(now))
            roll_project(project_id=project_id, need=need, now=now, seconds=left)
        except (
            DatabaseError
        ):  # a time-out of one project's: the others' minutes are summed up all the same
            logger.exception("costs.minutes.failed", extra={"project_id": str(project_id)})
            continue
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
    return min(max(need.longest, 2 * HOUR) + HOUR / 2, KEEP)


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
        piece, is_left = PIECE, True
        while is_left:
            began = monotonic()
            is_left = _fill_piece(project_id, end - reach_of(need), piece) and began < until
            took = monotonic() - began
            if took < QUICK_S:
                piece = min(piece * 2, LARGEST)
            elif took > SLOW_S:
                piece = max(piece / 2, SMALLEST)


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
        rows.delete_values(cursor, project_id, set(found.watched) - named)
        found.watched = {key: found.watched.get(key, end) for key in sorted(named)}
        rows.replace(
            cursor, project_id, start, end, everything=True, users=need.users, tags=need.tags
        )
        if start > roll.rolled_to:
            found.forget_before(end)
        found.reach(start)
        roll.arrived_since = _roll_arrivals(cursor, roll, need, end, is_thorough=is_thorough)
        found.forget_before(end - KEEP)
        if floor(roll.rolled_to, "hour") != floor(end, "hour"):
            rows.delete_old(cursor, project_id, end - KEEP)
        _keep(roll, found, end)
    return True


def _roll_arrivals(
    cursor: Any, roll: MinuteRoll, need: Need, end: dt.datetime, *, is_thorough: bool
) -> dt.datetime | None:
    """How late came what was stored in the minutes since the last time; once in each round, also of calls that came
    much later. Returns since when that is known."""
    if not need.has_arrivals:
        if roll.arrived_since is not None:
            rows.delete_dimension(cursor, roll.project_id, MinuteDimension.ARRIVED)
        return None
    since = roll.arrived_since
    again = _COMMITTING + (ROUND if is_thorough else dt.timedelta())
    start = max(end if since is None else roll.rolled_to, end - LATE + again) - again
    first = start - (VERY_LATE if is_thorough else LATE)
    rows.replace_arrived(cursor, roll.project_id, start, end, happened=(first, end + LATE))
    if since is None or roll.rolled_to < end - LATE:
        return start
    return max(since, end - KEEP)


def _fill_piece(project_id: UUID, target: dt.datetime, piece: dt.timedelta) -> bool:
    """The newest piece before what is covered. False when nothing is left to fill."""
    with transaction.atomic(), connection.cursor() as cursor:
        roll = _claim(cursor, project_id, target)
        if roll is None:
            return False
        found = _coverage(roll)
        end = found.latest()
        if end <= target:
            return False
        start = max(floor_minute(end - piece), target)
        everything, users, tags = found.behind(start)
        rows.replace(cursor, project_id, start, end, everything=everything, users=users, tags=tags)
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
    return _new_roll(project_id, end)


def _new_roll(project_id: UUID, end: dt.datetime) -> MinuteRoll:
    """The project's roll; one that is not there yet begins at `end`."""
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
    rows.delete_values(cursor, project_id, [(MinuteDimension.USER, user_id)])


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
