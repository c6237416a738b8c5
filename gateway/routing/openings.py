"""When circuits were open, brought from Redis into rows: what alerts and their thirty days' preview read.

Redis tells of each opening and closing once (lua/health_report). Entries are taken out only after their rows are
committed, and rows are known by connection, model and the instant of their opening: the same entry twice is one row.
What is open on one side only (Redis began anew, or told too much at once) is put right with the same reading.
"""

import datetime as dt
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction
from redis import Redis
from redis.exceptions import RedisError

from core.heartbeats import redis_client
from core.ids import uuid7
from gateway.models import CircuitOpening
from gateway.queues.link import script
from projects.access import parse_uuid

logger = logging.getLogger(__name__)
STREAM = "{gw}:turns"
MOST = 2_000
_KEEP = """
INSERT INTO gateway_circuitopening (id, connection_id, model, opened_at, closed_at, why)
SELECT k.id, k.connection_id, k.model, k.opened_at, k.closed_at, k.why
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[])
  AS k(id, connection_id, model, opened_at, closed_at, why)
JOIN gateway_connection c ON c.id = k.connection_id
ON CONFLICT (connection_id, model, opened_at) DO UPDATE SET
  closed_at = coalesce(gateway_circuitopening.closed_at, excluded.closed_at)
"""
_Place = tuple[UUID, str, dt.datetime]


@dataclass(frozen=True)
class _Turn:
    """One opening, as far as Redis tells."""

    connection_id: UUID
    model: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    why: str

    @property
    def place(self) -> _Place:
        return (self.connection_id, self.model, self.opened_at)


def keep_openings() -> int:
    """Take what Redis tells; how many openings and closings it were. At most three queries. Redis away: nothing."""
    done = 0
    try:
        with redis_client() as client:
            while True:
                taken = _keep_once(client)
                done += taken
                if taken < MOST:
                    return done
    except RedisError as error:
        logger.warning("gateway.openings.untold: %s", type(error).__name__)
        return done


def _keep_once(client: Redis) -> int:
    answer: Any = client.eval(script("turns_read").source, 1, "{gw}", MOST)
    clock, entries, circuits = answer
    told = [turn for _, facts in entries if (turn := _told(facts)) is not None]
    if len(entries) < MOST:  # else what is open now is ahead of what is told here
        told += _held(circuits)
    with transaction.atomic():
        _write(told)
        if len(entries) < MOST:
            _close_forgotten({turn.place for turn in _held(circuits)}, _at(clock))
    if entries:
        client.xdel(STREAM, *(key for key, _ in entries))
    return len(entries)


def _write(told: Iterable[_Turn]) -> None:
    """Of one opening told twice the one that says when it closed."""
    found: dict[_Place, _Turn] = {}
    for turn in told:
        if turn.place not in found or found[turn.place].closed_at is None:
            found[turn.place] = turn
    if not found:
        return
    turns = [found[place] for place in sorted(found)]
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            [
                [uuid7() for _ in turns],
                *([getattr(one, name) for one in turns] for name in ("connection_id", "model")),
                *([getattr(one, name) for one in turns] for name in ("opened_at", "closed_at")),
                [one.why for one in turns],
            ],
        )


def _close_forgotten(held: set[_Place], now: dt.datetime) -> None:
    """Redis knows nothing of these any more, so no call passes them by."""
    rows = CircuitOpening.objects.filter(closed_at=None, opened_at__lt=now)
    gone = [
        pk
        for pk, *place in rows.values_list("pk", "connection_id", "model", "opened_at")
        if tuple(place) not in held
    ]
    if gone:
        CircuitOpening.objects.filter(pk__in=gone, closed_at=None).update(closed_at=now)


def _told(facts: list[bytes]) -> _Turn | None:
    said = dict(zip(facts[::2], facts[1::2], strict=True))
    return _turn(said[b"t"], int(said[b"s"]), int(said[b"c"]), said[b"w"].decode())


def _held(circuits: list[bytes]) -> list[_Turn]:
    found = []
    for target, text in zip(circuits[::2], circuits[1::2], strict=True):
        held: dict[str, Any] = msgspec.json.decode(text)
        turn = _turn(target, int(held["s"]), 0, str(held["w"]))
        found += [turn] if turn is not None else []
    return found


def _turn(target: bytes, since: int, closed: int, why: str) -> _Turn | None:
    name, _, model = target.decode().partition("|")
    connection_id = parse_uuid(name)
    if connection_id is None:
        return None
    return _Turn(connection_id, model[:200], _at(since), _at(closed) if closed else None, why[:200])


def _at(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
