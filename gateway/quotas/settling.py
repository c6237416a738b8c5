"""What was set aside becomes what was used, in the transaction that records the call; or is given back.

    settle(cursor, finished, now)    # last in the recorder's transaction: each call once, after the ledger has it
    release(calls)                   # nobody will begin them

Last, because the counters' rows are locked till its end. A call is charged although its reservation is gone (swept,
forgotten by a crash of PostgreSQL, or not written yet because PostgreSQL was away): from its own lines.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from costs.services.rule_cache import known_rules
from gateway.models import LimitMetric
from gateway.quotas import counters as rows
from gateway.quotas.bounds import Bounds
from gateway.quotas.charging import charge, cost_of, was_begun
from gateway.quotas.lines import CounterKey, lines_of, read_line
from gateway.snapshot import snapshot_of
from gateway.structs import Call, Finished

_TAKE = """
DELETE FROM gateway_reservation r
USING unnest(%s::text[]::uuid[], %s::text[]::uuid[]) AS k(project_id, call_id)
WHERE r.project_id = k.project_id AND r.call_id = k.call_id
RETURNING r.call_id::text, r.organization_id::text, r.lines::text
"""
_decode = msgspec.json.decode
Costs = Mapping[str, Decimal | None]
Deltas = dict[CounterKey, rows.Delta]


class Taken(msgspec.Struct, frozen=True):
    """A reservation that was taken out of its table."""

    call_id: str
    organization_id: str
    lines: list[Any]


def settle(
    cursor: Any, finished: Sequence[Finished], now: dt.datetime, *, costs: Costs | None = None
) -> None:
    """Charge calls with what they used and give back the rest; each call once, in the transaction that makes its
    ledger row, after it. `costs` are the ledger's by call id; without them the price is worked out again.

    Four queries at most; more for calls whose reservation is gone. None when no call has a reservation.
    """
    by_id = {one.call.id: one for one in finished if one.call.has_reservation}
    if not by_id:
        return
    deltas: Deltas = {}
    late = dict(by_id)
    for taken in _take(cursor, [one.call for one in by_id.values()]):
        if taken.call_id in late:
            _charge(deltas, taken, late.pop(taken.call_id), costs)
        else:
            _give(
                deltas, taken, has_requests=False
            )  # a further try of one of them, charged with it
    if late:
        _charge_late(cursor, deltas, late, costs)
    _apply(deltas)


def settle_with(cursor: Any, call: Call, change: Callable[[str, Decimal, str], rows.Delta]) -> bool:
    """As `settle`, for one call whose use is known otherwise (gateway.batches): `change` of metric, need and model says
    how each counter grows. False when its reservation is gone; then nothing changes. Three queries."""
    taken = _take(cursor, [call])
    deltas: Deltas = {}
    for line in (line for one in taken for line in one.lines):
        key, start, need, metric, model = read_line(line)
        at = CounterKey(call.caller.organization_id, key, start)
        delta, grown = deltas.setdefault(at, rows.Delta()), change(metric, need, model)
        delta.used += grown.used
        delta.reserved += grown.reserved
    _apply(deltas)
    return bool(taken)


def release(calls: Iterable[Call]) -> int:
    """Give back all that was set aside for calls that nobody begins, their requests too; how many it was of. Three
    queries, in the caller's transaction."""
    with connection.cursor() as cursor:
        taken = _take(cursor, list(calls))
    give_back(taken, has_requests=True)
    return len(taken)


def release_held(project_id: UUID, *call_ids: UUID) -> bool:
    """Give back what is set aside under these names, but for requests; whether anything was. Three queries."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [[project_id.hex] * len(call_ids), [one.hex for one in call_ids]])
        taken = taken_of(cursor.fetchall())
    give_back(taken, has_requests=False)
    return bool(taken)


def give_back(taken: Iterable[Taken], *, has_requests: bool) -> None:
    """Return what reservations held to their counters; with `has_requests` what was counted at once as well."""
    deltas: Deltas = {}
    for one in taken:
        _give(deltas, one, has_requests=has_requests)
    _apply(deltas)


def _give(deltas: Deltas, taken: Taken, *, has_requests: bool) -> None:
    for line in taken.lines:
        key, start, need, metric, _ = read_line(line)
        delta = deltas.setdefault(CounterKey(taken.organization_id, key, start), rows.Delta())
        if metric != LimitMetric.REQUESTS:
            delta.reserved -= need
        elif has_requests:
            delta.used -= need


def taken_of(found: Iterable[tuple[str, str, str]]) -> list[Taken]:
    """Rows of (call, organisation, lines) that a DELETE answered."""
    return [
        Taken(call.replace("-", ""), organization.replace("-", ""), _decode(lines))
        for call, organization, lines in found
    ]


def _take(cursor: Any, calls: Sequence[Call]) -> list[Taken]:
    if not calls:
        return []
    named = [(one, name) for one in calls for name in (one.id, *one.more)]
    cursor.execute(
        _TAKE, [[one.caller.project_id for one, _ in named], [name for _, name in named]]
    )
    return taken_of(cursor.fetchall())


def _charge(deltas: Deltas, taken: Taken, finished: Finished, costs: Costs | None) -> None:
    for line in taken.lines:
        key, start, need, metric, model = read_line(line)
        cost = _cost(finished, costs) if metric == LimitMetric.USD else None
        change = charge(metric, need, model, finished, cost)
        delta = deltas.setdefault(CounterKey(taken.organization_id, key, start), rows.Delta())
        delta.used += change.used
        delta.reserved += change.reserved


def _charge_late(
    cursor: Any, deltas: Deltas, late: dict[str, Finished], costs: Costs | None
) -> None:
    """Calls without a reservation. Who writes one that was granted while PostgreSQL was away locks the counters before
    it looks for the call's record; we before we look for its reservation: one of us sees the other."""
    charged: dict[str, Deltas] = {}
    for call_id, one in late.items():
        mine = charged[call_id] = {}
        if not was_begun(one):
            continue
        for at, metric, model in _lines(one.call):
            cost = _cost(one, costs) if metric == LimitMetric.USD else None
            used = charge(metric, Decimal(0), model, one, cost).used
            mine.setdefault(at, rows.Delta()).used += used
    keys = {key for mine in charged.values() for key in mine} | deltas.keys()
    if keys:
        rows.make(keys)
        rows.lock(keys, is_durable=True)
    for taken in _take(cursor, [one.call for one in late.values()]):
        if charged.pop(taken.call_id, None) is None:
            _give(deltas, taken, has_requests=False)
        else:
            _charge(deltas, taken, late[taken.call_id], costs)
    for mine in charged.values():
        for key, change in mine.items():
            deltas.setdefault(key, rows.Delta()).used += change.used


def _lines(call: Call) -> list[tuple[CounterKey, str, str]]:
    """What counts a call by the limits of today: tokens and dollars of limits; all else is not owed any more."""
    snapshot = snapshot_of(
        UUID(call.caller.organization_id), UUID(call.caller.project_id), now=time.monotonic()
    )
    at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
    return [
        (line.at, line.metric, line.model)
        for line in lines_of(call, snapshot, Bounds(), at)
        if line.metric in (LimitMetric.TOKENS, LimitMetric.USD)
    ]


def _cost(finished: Finished, costs: Costs | None) -> Decimal | None:
    if costs is not None and finished.call.id in costs:
        return costs[finished.call.id]
    return cost_of(finished, known_rules(UUID(finished.call.caller.project_id)))


def _apply(deltas: Deltas) -> None:
    changed = {key: one for key, one in deltas.items() if one.used or one.reserved}
    if changed:
        rows.lock(changed, is_durable=True)
        rows.grow(changed)
