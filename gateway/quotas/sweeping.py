"""Giving back what nobody will settle any more, and forgetting counters of windows long past."""

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from redis import Redis
from redis.exceptions import RedisError

from gateway.queues.link import script
from gateway.quotas import counters as rows
from gateway.quotas import owners
from gateway.quotas.deciding import Counter
from gateway.quotas.lines import ZERO, CounterKey
from gateway.quotas.settling import give_back, taken_of

logger = logging.getLogger(__name__)

BATCH = 500
# A call that is nowhere so long after it was granted, and whose process died, never began.
YOUNG = dt.timedelta(seconds=20)
_RETURNING = "RETURNING r.call_id::text, r.organization_id::text, r.lines::text"
_EXPIRED = f"""
DELETE FROM gateway_reservation r WHERE (r.project_id, r.call_id) IN (
  SELECT o.project_id, o.call_id FROM gateway_reservation o WHERE o.expires_at < %s
  ORDER BY o.expires_at LIMIT %s FOR UPDATE SKIP LOCKED)
{_RETURNING}
"""  # noqa: S608
_OWNERS = "SELECT DISTINCT owner FROM gateway_reservation WHERE made_at < %s AND owner <> ''"
# A job that is not done is made from its row, wherever else it is not.
_OF_OWNERS = """
SELECT project_id::text, call_id::text FROM gateway_reservation r
WHERE owner = ANY(%s) AND made_at < %s AND NOT EXISTS (SELECT 1 FROM gateway_asyncjob j
  WHERE j.project_id = r.project_id AND j.id = r.call_id AND j.state IN ('queued', 'running'))
ORDER BY call_id LIMIT %s
"""
_THESE = f"""
DELETE FROM gateway_reservation r
USING unnest(%s::text[]::uuid[], %s::text[]::uuid[]) AS k(project_id, call_id)
WHERE r.project_id = k.project_id AND r.call_id = k.call_id {_RETURNING}
"""  # noqa: S608
# What is shown of past windows: about this many of each.
_OLD = """
DELETE FROM gateway_limitcounter c USING (
  SELECT c.organization_id, c.key, c.window_start
  FROM gateway_limitcounter c LEFT JOIN gateway_limit l
    ON l.organization_id = c.organization_id AND l.id::text = regexp_replace(
      split_part(c.key, ':', 1), '^(.{8})(.{4})(.{4})(.{4})(.{12})$', '\\1-\\2-\\3-\\4-\\5')
  WHERE c.reserved = 0 AND c.window_start < %s - CASE l."window"
    WHEN 'minute' THEN interval '2 hours' WHEN 'hour' THEN interval '3 days'
    WHEN 'day' THEN interval '60 days' WHEN 'week' THEN interval '200 days'
    WHEN 'month' THEN interval '800 days' ELSE interval '1 day' END
  ORDER BY 1, 2, 3 LIMIT %s FOR UPDATE OF c SKIP LOCKED
) old WHERE c.organization_id = old.organization_id AND c.key = old.key
  AND c.window_start = old.window_start
"""
MAX_OLD = 20_000
_HELD = """
SELECT organization_id::text, key, window_start FROM gateway_limitcounter WHERE reserved <> 0
ORDER BY organization_id, key, window_start
"""
_ASIDE = """
SELECT r.organization_id::text, one.line->>0, (one.line->>1)::timestamptz, sum((one.line->>2)::numeric)
FROM gateway_reservation r CROSS JOIN LATERAL jsonb_array_elements(r.lines) AS one(line)
WHERE r.organization_id = ANY(%s::text[]::uuid[]) AND one.line->>3 <> 'requests'
GROUP BY 1, 2, 3
"""


def sweep(now: dt.datetime) -> int:
    """Release reservations whose time ran out, and those of dead processes whose calls nobody has. How many.

    Their requests stay counted. A call of them that is recorded after all is charged then (settling).
    """
    return _sweep_expired(now) + _sweep_orphans(now)


def forget_old(now: dt.datetime) -> int:
    """Delete counters of windows that nobody asks about any more. How many, at most `MAX_OLD`."""
    with connection.cursor() as cursor:
        cursor.execute(_OLD, [now, MAX_OLD])
        count: int = cursor.rowcount
    return count


def put_right(now: dt.datetime) -> int:
    """Let counters hold aside what reservations say, where they differ: those of a deleted project went with it. How
    many counters were wrong."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        held = [CounterKey(one.replace("-", ""), *rest) for one, *rest in cursor.fetchall()]
    wrong = 0
    for place in range(0, len(held), BATCH):
        with transaction.atomic():
            # Who reserves, settles or releases changes both under these locks, or has not changed the counter yet.
            found = rows.lock(held[place : place + BATCH])
            deltas = _differences(found)
            rows.grow(deltas)
        wrong += len(deltas)
    if wrong:
        logger.warning("gateway.quotas.put_right", extra={"counters": wrong})
    return wrong


def _differences(found: Mapping[CounterKey, Counter]) -> dict[CounterKey, rows.Delta]:
    with connection.cursor() as cursor:
        cursor.execute(_ASIDE, [sorted({key.organization for key in found})])
        aside = {
            CounterKey(organization.replace("-", ""), key, start): total
            for organization, key, start, total in cursor.fetchall()
        }
    return {
        key: rows.Delta(reserved=aside.get(key, ZERO) - counter.reserved)
        for key, counter in found.items()
        if counter.reserved != aside.get(key, ZERO)
    }


def _sweep_expired(now: dt.datetime) -> int:
    total = 0
    while done := _release(_EXPIRED, [now, BATCH]):
        total += done
        if done < BATCH:
            break
    if total:
        logger.warning("gateway.quotas.expired", extra={"reservations": total})
    return total


def _release(statement: str, params: Sequence[Any]) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)
        taken = taken_of(cursor.fetchall())
        give_back(taken, has_requests=False)
    return len(taken)


def _sweep_orphans(now: dt.datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, [now - YOUNG])
        asked = [owner for (owner,) in cursor.fetchall()]
    if not asked:
        return 0
    try:
        with owners.client() as redis:
            dead = owners.silent(redis, asked)
            if not dead:
                return 0
            with connection.cursor() as cursor:
                cursor.execute(_OF_OWNERS, [sorted(dead), now - YOUNG, BATCH])
                found = cursor.fetchall()
            gone = _nowhere(redis, found)
    except RedisError:
        return 0  # who is alive is not known: their time runs out by itself
    if not gone:
        return 0
    done = _release(_THESE, [list(column) for column in zip(*gone, strict=True)])
    logger.warning("gateway.quotas.orphans", extra={"reservations": done})
    return done


def _nowhere(redis: Redis, found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the calls that neither wait nor run."""
    ids = [call.replace("-", "") for _, call in found]
    if not ids:
        return []
    answer: Any = redis.eval(script("look").source, 1, "{gw}", "", *ids)
    return [one for one, state in zip(found, answer[1:], strict=True) if state[:1] in (b"", b"x")]
