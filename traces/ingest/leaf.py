"""Leaf costs only: a call that wraps another call repeats its usage, so only the innermost one is charged.

Spans arrive in any order (children usually first), so the rule is kept incrementally. Invariant: a stored span has
`has_cost_below` exactly when some step below it, connected through stored spans, is a call that counts tokens.
When such a leaf or a missing link arrives, its ancestors are marked and lose their own record.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from traces.ingest.rows import SpanKey
from traces.step_keys import IS_ONE_OF, step_key

# Every query below says `trace_id = ANY(…)` beside its join: without statistics, as on the first day of a partition,
# PostgreSQL otherwise hashes all of the project's spans in the window to find a dozen.
_COUNTS = "(s.input_tokens IS NOT NULL OR s.output_tokens IS NOT NULL OR s.price_status = 'client')"
_CHILDREN = f"""
SELECT DISTINCT s.trace_id, s.parent_span_id FROM traces_span s
JOIN unnest(%s::text[], %s::text[]) AS k(trace_id, span_id)
  ON s.trace_id = k.trace_id AND s.parent_span_id = k.span_id
WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)
  AND (s.has_cost_below OR ((s.has_cost_record OR s.is_twin) AND {_COUNTS}))
"""  # noqa: S608
_ANCESTORS = f"""
WITH RECURSIVE up AS (
  SELECT s.trace_id, s.span_id, s.started_at, s.parent_span_id, s.has_cost_record, s.has_cost_below, s.response_id
  FROM traces_span s JOIN unnest(%s::text[], %s::text[]) AS k(trace_id, span_id)
    ON s.trace_id = k.trace_id AND s.span_id = k.span_id
  WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s) AND {IS_ONE_OF}
  UNION
  SELECT s.trace_id, s.span_id, s.started_at, s.parent_span_id, s.has_cost_record, s.has_cost_below, s.response_id
  FROM traces_span s JOIN up ON s.trace_id = up.trace_id AND s.span_id = up.parent_span_id
  WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s) AND NOT up.has_cost_below
    AND {step_key("s")} = uuid_hash_extended(%s::uuid, hashtextextended(up.trace_id,
      hashtextextended(up.parent_span_id, 0)))
)
SELECT * FROM up
"""  # noqa: S608
_MARK = f"""
UPDATE traces_span s SET has_cost_below = true, is_twin = false, has_cost_record = false, cost_usd = NULL,
  price_status = '', seq = k.seq
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[]) AS k(trace_id, span_id, started_at, seq)
WHERE s.project_id = %s AND s.trace_id = k.trace_id AND s.span_id = k.span_id AND s.started_at = k.started_at
  AND s.trace_id = ANY(%s) AND s.started_at = ANY(%s) AND {IS_ONE_OF}
"""  # noqa: S608
Window = tuple[dt.datetime, dt.datetime]


class Ancestor(msgspec.Struct, frozen=True):
    """A stored span above a charged one."""

    trace_id: str
    span_id: str
    started_at: dt.datetime
    parent_span_id: str
    has_cost_record: bool
    has_cost_below: bool
    response_id: str


class Family:
    """The batch's spans and what the database knows above and below them. `parents` maps every span of the batch to its
    parent's key (or None); `charged` are those with a record that counts tokens unless a step below has one."""

    def __init__(self, parents: dict[SpanKey, SpanKey | None], charged: Iterable[SpanKey]) -> None:
        self.parents = parents
        self.charged = set(charged)
        self.below: set[SpanKey] = set()
        self.stored: dict[SpanKey, Ancestor] = {}

    def climb(self, starts: Iterable[SpanKey]) -> list[SpanKey]:
        """Mark everything above `starts` inside the batch; returns the parents that are not in the batch."""
        exits: dict[SpanKey, None] = {}
        for start in starts:
            parent = self.parents.get(start)
            while parent is not None and parent not in self.below:
                if parent not in self.parents:
                    exits[parent] = None
                    break
                self.below.add(parent)
                parent = self.parents[parent]
        return list(exits)


def settle(
    cursor: Any, *, project_id: UUID, family: Family, known_traces: set[str], window: Window | None
) -> None:
    """Fill `family.below` and `family.stored` (ancestors in the database to mark).

    Traces that are new with this batch need no query; for the others: one query down and, where a charged step has a
    stored ancestor, one or few up.
    """
    starts = list(family.charged)
    if window is not None:
        starts += _charged_below(cursor, project_id, family, known_traces, window)
    exits = family.climb(starts)
    while window is not None and (wanted := [key for key in exits if key[0] in known_traces]):
        trace_ids = [k[0] for k in wanted]
        keys = [trace_ids, [k[1] for k in wanted]]
        bounds = [project_id, *window, trace_ids]
        cursor.execute(_ANCESTORS, [*keys, *bounds, project_id, *keys, *bounds, project_id])
        found = [Ancestor(*row) for row in cursor.fetchall()]
        inner: list[SpanKey] = []
        for ancestor in found:
            key = (ancestor.trace_id, ancestor.span_id)
            if (
                key in family.parents
            ):  # a running step that this batch ends: the batch's copy is the one written
                if key not in family.below:
                    family.below.add(key)
                    inner.append(key)
            elif key not in family.stored:
                family.stored[key] = ancestor
                parent = (ancestor.trace_id, ancestor.parent_span_id)
                if parent in family.parents and parent not in family.below:
                    family.below.add(parent)
                    inner.append(parent)
        exits = [key for key in family.climb(inner) if key not in family.stored]


def _charged_below(
    cursor: Any, project_id: UUID, family: Family, known_traces: set[str], window: Window
) -> list[SpanKey]:
    """Spans of the batch that have a charged step below them in the database already."""
    keys = [key for key in family.parents if key[0] in known_traces]
    if not keys:
        return []
    trace_ids = [k[0] for k in keys]
    cursor.execute(
        _CHILDREN, [trace_ids, [k[1] for k in keys], project_id, *window, list(set(trace_ids))]
    )
    having = [(trace_id, span_id) for trace_id, span_id in cursor.fetchall()]
    family.below.update(having)
    return having


def mark_ancestors(
    cursor: Any, *, project_id: UUID, ancestors: Iterable[Ancestor], seq_of: dict[str, int]
) -> list[Ancestor]:
    """Store the mark on ancestors that lack it; returns those that had a record of their own, now to be removed."""
    fresh = [ancestor for ancestor in ancestors if not ancestor.has_cost_below]
    if fresh:
        trace_ids, moments = [a.trace_id for a in fresh], [a.started_at for a in fresh]
        span_ids = [a.span_id for a in fresh]
        sequences = [seq_of[trace_id] for trace_id in trace_ids]
        cursor.execute(
            _MARK,
            [
                *(trace_ids, span_ids, moments, sequences, project_id),
                *(trace_ids, moments, project_id, trace_ids, span_ids),
            ],
        )
    return [ancestor for ancestor in fresh if ancestor.has_cost_record]
