"""The counters and reservations in PostgreSQL, set-based. Whoever changes counters locks them in the order of their
keys first, so that nobody waits for anybody in a circle; always inside the caller's transaction."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core import prepared
from gateway.quotas.deciding import Counter
from gateway.quotas.lines import CounterKey, Line
from gateway.structs import Call

# Beyond the deadline of its call, for what ended late and waits to be recorded.
GRACE = dt.timedelta(seconds=120)
_KEYS = (
    "unnest(%s::text[]::uuid[], %s::text[], %s::timestamptz[]) AS k(organization_id, key, start)"
)
_MAKE = f"""
INSERT INTO gateway_limitcounter (organization_id, key, window_start, used, reserved)
SELECT k.organization_id, k.key, k.start, 0, 0
FROM {_KEYS} JOIN accounts_organization o ON o.id = k.organization_id
ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
"""  # noqa: S608
# What a crash of PostgreSQL itself forgets of the last moments, `settle` counts from the call. Clients wait: not long.
_FAST = (
    "SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '2s', true)"
)
_LOCK = f"""
SELECT c.organization_id::text, c.key, c.window_start, c.used, c.reserved
FROM ({_FAST}) s CROSS JOIN {_KEYS}
JOIN gateway_limitcounter c
  ON c.organization_id = k.organization_id AND c.key = k.key AND c.window_start = k.start
ORDER BY c.organization_id, c.key, c.window_start FOR UPDATE OF c
"""  # noqa: S608
_LOCK_DURABLY = _LOCK.replace(f"({_FAST}) s CROSS JOIN ", "")
_GROW = """
UPDATE gateway_limitcounter c
SET used = greatest(0, c.used + k.used), reserved = greatest(0, c.reserved + k.reserved)
FROM unnest(%s::text[]::uuid[], %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[])
  AS k(organization_id, key, start, used, reserved)
WHERE c.organization_id = k.organization_id AND c.key = k.key AND c.window_start = k.start
"""
_RESERVE = """
INSERT INTO gateway_reservation
  (project_id, call_id, organization_id, lines, made_at, expires_at, owner)
SELECT r.project_id, r.call_id, r.organization_id, r.lines, r.made_at, r.expires_at, r.owner
FROM unnest(%s::text[]::uuid[], %s::text[]::uuid[], %s::text[]::uuid[], %s::text[]::jsonb[],
    %s::timestamptz[], %s::timestamptz[], %s::text[])
  AS r(project_id, call_id, organization_id, lines, made_at, expires_at, owner)
JOIN projects_project p ON p.id = r.project_id AND p.organization_id = r.organization_id
ON CONFLICT DO NOTHING
"""
# Both at once: a journey less to PostgreSQL while everybody waits for the locks.
_GROW_AND_RESERVE = f"WITH grown AS ({_GROW}) {_RESERVE}"
_json = msgspec.json.Encoder(decimal_format="string").encode


class Delta(msgspec.Struct):
    """What a counter grows by."""

    used: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)


class Row(msgspec.Struct, frozen=True):
    """A reservation to write."""

    call: Call
    lines: list[Line]
    owner: str
    made_at: dt.datetime


def make(keys: Iterable[CounterKey]) -> None:
    """Counters at zero for those there are none of; outside the transaction that counts."""
    prepared.execute(_MAKE, _columns(sorted(keys)))


def lock(keys: Iterable[CounterKey], *, is_durable: bool = False) -> dict[CounterKey, Counter]:
    """The counters as they are now, nobody else's till the end of the transaction; absent ones are left out. Unless
    `is_durable`, the transaction does not wait for the disk."""
    statement = _LOCK_DURABLY if is_durable else _LOCK
    rows = prepared.execute(statement, _columns(sorted(keys))).fetchall()
    return {
        CounterKey(organization.replace("-", ""), key, start): Counter(used, reserved)
        for organization, key, start, used, reserved in rows
    }


def grow(deltas: Mapping[CounterKey, Delta]) -> None:
    """Let locked counters grow."""
    if deltas:
        prepared.execute(_GROW, _changes(deltas))


def grow_and_reserve(deltas: Mapping[CounterKey, Delta], rows: Sequence[Row]) -> None:
    """Let locked counters grow by what is set aside for each call, and remember it. One query, none without calls."""
    if rows:
        prepared.execute(_GROW_AND_RESERVE, [*_changes(deltas), *_reserved(rows)])
    else:
        grow(deltas)


def _changes(deltas: Mapping[CounterKey, Delta]) -> list[Any]:
    columns = _columns(list(deltas))
    columns.append(_numbers(one.used for one in deltas.values()))
    columns.append(_numbers(one.reserved for one in deltas.values()))
    return columns


def _reserved(rows: Sequence[Row]) -> list[Any]:
    return [
        [row.call.caller.project_id for row in rows],
        [row.call.id for row in rows],
        [row.call.caller.organization_id for row in rows],
        [_json([line.stored() for line in row.lines]).decode() for row in rows],
        [row.made_at for row in rows],
        [
            dt.datetime.fromtimestamp(max(row.call.deadline_at, row.made_at.timestamp()), dt.UTC)
            + GRACE
            for row in rows
        ],
        # A job waits in its own table, whoever took it in.
        ["" if row.call.is_job else row.owner for row in rows],
    ]


def _columns(keys: Sequence[CounterKey]) -> list[Any]:
    return [
        [one.organization for one in keys],
        [one.key for one in keys],
        [one.start for one in keys],
    ]


def _numbers(values: Iterable[Decimal]) -> str:
    # Written here: psycopg would look at each number's type.
    return f"{{{','.join(map(str, values))}}}"
