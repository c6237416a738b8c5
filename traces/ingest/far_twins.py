"""A call through our gateway that its client's instrumentation reported too, in a trace of its own: charged once.

Where the client sends `traceparent` both are in one trace, and the leaf rule or `twins` settles it. Otherwise the
provider's response id tells, if the rest fits: one is the gateway's record and the other is not, the client's step
spans the gateway's (clocks may differ by two minutes), and they do not tell different output, unless a cache answered.
The gateway's keeps its record, because limits and budgets were decided by it.

Looked for after each batch is committed: of two that are written at the same time the later one finds the other. What
a process that dies in between leaves is found when the batch is sent, or replayed from the journal, again.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from django.db import connection, transaction

from costs.services import record_costs as ledger
from costs.services import rule_cache
from costs.services.aggregates import Deltas
from costs.services.rows import CostRow
from traces.ingest import rollup, twins
from traces.ingest.batch import hint
from traces.ingest.leaf import Ancestor
from traces.ingest.span import NormalSpan

# How long before or after the batch's first and last step the other one may have begun.
REACH = dt.timedelta(hours=2)
MAX_TRIES = 3
_uses_gateway: list[Callable[[UUID], bool]] = []
_HASHES = (
    "ANY(ARRAY(SELECT uuid_hash_extended(%s::uuid, hashtextextended(r, 0))"
    " FROM unnest(%s::text[]) AS r))"
)
# Of most batches nothing is reported twice: one look-up per id says so, without the join. The project is in the hash;
# told in words that no index knows, so that a fresh partition, of which nothing is known, is not read by its time.
_PROBE = f"""
SELECT DISTINCT s.response_id FROM traces_span s
WHERE (s.project_id = %s) IS TRUE AND s.started_at BETWEEN %s AND %s AND s.response_id = ANY(%s) AND s.response_id <> ''
  AND uuid_hash_extended(s.project_id, hashtextextended(s.response_id, 0)) = {_HASHES}
  AND s.has_cost_record AND (s.dialect = %s) = %s
"""  # noqa: S608
_FIND = f"""
SELECT DISTINCT c.trace_id, c.span_id, c.started_at, c.parent_span_id, c.has_cost_record, c.has_cost_below,
  c.response_id
FROM traces_span g JOIN traces_span c ON (c.project_id = g.project_id) IS TRUE AND c.response_id = g.response_id
WHERE (g.project_id = %s) IS TRUE AND g.started_at BETWEEN %s AND %s AND g.response_id = ANY(%s) AND g.response_id <> ''
  AND uuid_hash_extended(g.project_id, hashtextextended(g.response_id, 0)) = {_HASHES}
  AND c.started_at BETWEEN %s AND %s AND c.response_id <> ''
  AND uuid_hash_extended(c.project_id, hashtextextended(c.response_id, 0))
    = uuid_hash_extended(g.project_id, hashtextextended(g.response_id, 0))
  AND g.dialect = %s AND g.has_cost_record AND c.dialect <> %s AND c.has_cost_record AND c.trace_id <> g.trace_id
  AND c.started_at <= g.started_at + interval '2 minutes' AND c.ended_at >= g.ended_at - interval '2 minutes'
  AND (g.is_cache_hit OR coalesce(c.output_tokens = g.output_tokens, true))
"""  # noqa: S608


def register(uses_gateway: Callable[[UUID], bool]) -> None:
    """Let the gateway say which projects' calls may come through it; what others' clients report is not looked up."""
    _uses_gateway.append(uses_gateway)


def settle(project_id: UUID, spans: Iterable[NormalSpan], *, now: dt.datetime) -> int:
    """Take the record from what clients reported of calls that the gateway recorded in another trace; of how many
    steps. One query (two where a batch has calls of both), none without response ids or where nobody uses the gateway;
    about ten more where there are any."""
    calls = [one for one in spans if one.is_call and one.response_id]
    if not calls:
        return 0
    found = _found(project_id, calls)
    if not found:
        return 0
    for left in range(MAX_TRIES - 1, -1, -1):
        try:
            return _displace(project_id, found, now=now)
        except rule_cache.StaleRulesError:
            if not left:
                raise
            rule_cache.load_rules(project_id)
    raise AssertionError  # pragma: no cover


def _found(project_id: UUID, calls: Sequence[NormalSpan]) -> list[Ancestor]:
    moments = [one.started_at for one in calls]
    window = min(moments) - REACH, max(moments) + REACH
    twice: set[str] = set()
    with connection.cursor() as cursor:
        for is_ours in (True, False):
            asked = {one.response_id for one in calls if (one.dialect == twins.GATEWAY) is is_ours}
            if asked and (is_ours or any(uses(project_id) for uses in _uses_gateway)):
                given = (project_id, *window, list(asked), project_id, list(asked))
                cursor.execute(_PROBE, [*given, twins.GATEWAY, not is_ours])
                twice.update(response_id for (response_id,) in cursor.fetchall())
        if not twice:
            return []
        ids = list(twice)
        each = (project_id, *window, ids, project_id, ids)
        cursor.execute(_FIND, [*each, *window, twins.GATEWAY, twins.GATEWAY])
        return [Ancestor(*row) for row in cursor.fetchall()]


def _displace(project_id: UUID, found: Sequence[Ancestor], *, now: dt.datetime) -> int:
    deltas: Deltas = {}
    with transaction.atomic(), connection.cursor() as cursor:
        traces = rollup.lock_existing(
            cursor, project_id=project_id, trace_ids={one.trace_id for one in found}
        )
        # Deleted meanwhile, and its records with it: nothing to take.
        steps = [one for one in found if one.trace_id in traces]
        seq_of = {trace_id: trace.seq + 1 for trace_id, trace in traces.items()}
        keys = [(f"{one.trace_id}/{one.span_id}", one.started_at) for one in steps]
        removed = ledger.remove_rows(cursor, project_id=project_id, keys=keys, deltas=deltas)
        gone = {(row.trace_id, row.span_id) for row in removed}
        # Only what still had its record: whoever wrote the trace meanwhile has settled it.
        steps = [one for one in steps if (one.trace_id, one.span_id) in gone]
        if not steps:
            return 0
        twins.mark_twins(cursor, project_id=project_id, twins=steps, seq_of=seq_of)
        changed = _rolled_up(traces, removed, now)
        rollup.update_existing(cursor, project_id=project_id, traces=changed)
        rules = rule_cache.known_rules(project_id)
        ledger.finish(
            cursor, project_id=project_id, deltas=deltas, recorded=0, now=now, rules=rules
        )
        transaction.on_commit(lambda: hint(project_id, {one.trace_id: one.seq for one in changed}))
    return len(steps)


def _rolled_up(
    traces: dict[str, rollup.TraceRow], removed: Iterable[CostRow], now: dt.datetime
) -> list[rollup.TraceRow]:
    by_trace: dict[str, list[CostRow]] = defaultdict(list)
    for row in removed:
        by_trace[row.trace_id].append(row)
    for trace_id, rows in by_trace.items():
        rollup.add_costs(traces[trace_id], rows, sign=-1)
        rollup.conclude(traces[trace_id], now=now)
    return [traces[trace_id] for trace_id in by_trace]
