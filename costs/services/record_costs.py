"""The ledger's writing side: price, COPY, sum up. Always inside the caller's transaction, set-based, exact."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.db import OperationalError, connection, transaction

from core import live, partitions, prepared
from costs import signals
from costs.price_rules import NO_RULES, RuleSet
from costs.pricing import price_call
from costs.services import aggregates, rule_cache
from costs.services.facts import extra_of
from costs.services.rows import COLUMNS, IS_ONE_OF, KEY, SELECTED, CostRow, copied, cost_row
from costs.usage import ChargeableCall

TABLE = "costs_costrecord"
MAX_TRIES = 3
_COPY = f"COPY {TABLE} (project_id, {', '.join(COLUMNS)}) FROM STDIN"
_known_days: dict[str, set[dt.date]] = {}


def ensure_partitions(days: Iterable[dt.date], *, tables: Sequence[str] = (TABLE,)) -> None:
    """Make the day partitions a batch needs; remembers what this process has seen. Call outside the transaction."""
    wanted = set(days)
    for table in tables:
        known = _known_days.setdefault(table, set())
        if wanted <= known:
            continue
        partitions.ensure_days(wanted, tables=[table])
        known |= wanted


def forget_partitions() -> None:
    """Drop the process's memory of partitions (after retention or in tests)."""
    _known_days.clear()


def price_calls(
    calls: Sequence[ChargeableCall], *, rules: RuleSet, now: dt.datetime
) -> list[CostRow]:
    """Ledger rows of `calls`, priced. Pure CPU: do it before taking locks, and give `finish` the same rules."""
    return [
        cost_row(call, price_call(call, rules), usage_extra=extra_of(call), now=now)
        for call in calls
    ]


def write_rows(
    cursor: Any, *, project_id: UUID, rows: Sequence[CostRow], deltas: aggregates.Deltas
) -> None:
    """COPY `rows`, which must be new, and add them to `deltas`."""
    if not rows:
        return
    project = str(project_id)
    with cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row((project, *_without_key(row)))
    aggregates.add(deltas, rows)


_RECORD_ID = COLUMNS.index("record_id")


def _without_key(row: CostRow) -> list[Any]:
    """`copied`, without the id that trace and step tell."""
    values = copied(row)
    if row.record_id == f"{row.trace_id}/{row.span_id}":
        values[_RECORD_ID] = None
    return values


_REMOVE = f"""
DELETE FROM {TABLE} c USING unnest(%s::text[], %s::timestamptz[]) AS k(record_id, occurred_at)
WHERE c.project_id = %s AND {KEY} = k.record_id AND c.occurred_at = k.occurred_at
  AND {KEY} = ANY(%s) AND c.occurred_at = ANY(%s) AND {IS_ONE_OF}
RETURNING {SELECTED}
"""  # noqa: S608


def remove_rows(
    cursor: Any,
    *,
    project_id: UUID,
    keys: Sequence[tuple[str, dt.datetime]],
    deltas: aggregates.Deltas,
) -> list[CostRow]:
    """Delete the records of wrapper calls whose children turned out to carry the cost, and take them from `deltas`."""
    if not keys:
        return []
    ids, moments = [key for key, _ in keys], [at for _, at in keys]
    cursor.execute(_REMOVE, [ids, moments, project_id, ids, moments, project_id, ids])
    rows = [CostRow(**dict(zip(COLUMNS, values, strict=True))) for values in cursor.fetchall()]
    aggregates.add(deltas, rows, sign=-1)
    return rows


# A new row takes the rules' version from the organisation; an old one has it (costs.services.price_rules).
_TOUCH = """
INSERT INTO costs_projectusage AS u (project_id, version, last_activity_at, rules_version)
VALUES (%s, 1, %s, coalesce((SELECT b.version FROM costs_pricebook b JOIN projects_project p
  ON p.organization_id = b.organization_id WHERE p.id = %s), 0))
ON CONFLICT (project_id) DO UPDATE SET version = u.version + 1,
  last_activity_at = greatest(u.last_activity_at, excluded.last_activity_at)
RETURNING version, rules_version
"""


def finish(
    cursor: Any,
    *,
    project_id: UUID,
    deltas: aggregates.Deltas,
    recorded: int,
    now: dt.datetime | None,
    rules: RuleSet = NO_RULES,
) -> int:
    """Apply the sums and raise the project's usage version; the last thing before COMMIT, because these rows are shared
    by every writer of the project. Returns the version (1: the project's first data). Without `now` nothing was used.

    Raises StaleRulesError when `rules` are no longer the organisation's: roll back, load them, price again.
    """
    aggregates.apply(cursor, project_id=project_id, deltas=deltas)
    version, rules_version = prepared.execute(_TOUCH, [project_id, now, project_id]).fetchone()
    rule_cache.check(rules, rules_version)
    hint = {"type": "project.changed", "version": version}
    transaction.on_commit(lambda: live.notify(live.project_group(project_id), hint))
    if recorded:
        signals.usage_recorded.send(
            sender=CostRow, project_id=project_id, recorded=recorded, now=now
        )
    return int(version)


class Recorded(msgspec.Struct, frozen=True):
    """What became of bare cost records, by record id."""

    stored: tuple[str, ...]
    duplicates: tuple[str, ...]
    rows: tuple[CostRow, ...]


def record_costs(
    *,
    project_id: UUID,
    calls: Sequence[ChargeableCall],
    now: dt.datetime,
    before_commit: Callable[[Any, int], None] | None = None,
) -> Recorded:
    """Store bare cost records (no span behind them) exactly once by `record_id`, in one transaction.

    An id that was seen before, also in this batch or under another time, changes nothing. A project's bare records are
    written one batch at a time (advisory lock), because a partitioned table cannot hold a unique key without its time.
    `before_commit(cursor, stored)` runs last in the transaction: what must be true together with the records.
    """
    by_id: dict[str, ChargeableCall] = {}
    for call in calls:
        by_id.setdefault(call.record_id, call)
    rules = rule_cache.known_rules(project_id)
    for _ in range(MAX_TRIES):
        try:
            return _record(project_id, by_id, rules, now, before_commit)
        except rule_cache.StaleRulesError:
            rules = rule_cache.load_rules(project_id)
    raise OperationalError("The price rules keep changing; send these costs again.")


def _record(
    project_id: UUID,
    by_id: dict[str, ChargeableCall],
    rules: RuleSet,
    now: dt.datetime,
    before_commit: Callable[[Any, int], None] | None,
) -> Recorded:
    rows = price_calls(list(by_id.values()), rules=rules, now=now)
    ensure_partitions({row.occurred_at.astimezone(dt.UTC).date() for row in rows})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"costs:{project_id}"]
        )
        cursor.execute(
            f"SELECT {KEY} FROM {TABLE} c WHERE c.project_id = %s AND {KEY} = ANY(%s) AND {IS_ONE_OF}",  # noqa: S608
            [project_id, list(by_id), project_id, list(by_id)],
        )
        seen = {record_id for (record_id,) in cursor.fetchall()}
        fresh = [row for row in rows if row.record_id not in seen]
        deltas: aggregates.Deltas = {}
        write_rows(cursor, project_id=project_id, rows=fresh, deltas=deltas)
        if fresh:
            finish(
                cursor,
                project_id=project_id,
                deltas=deltas,
                recorded=len(fresh),
                now=now,
                rules=rules,
            )
        if before_commit is not None:
            before_commit(cursor, len(fresh))
    return Recorded(
        stored=tuple(row.record_id for row in fresh),
        duplicates=tuple(sorted(seen)),
        rows=tuple(fresh),
    )
