"""One provider response that two instrumentations reported as two steps is one call, charged once.

Twins are siblings, so the leaf rule does not see them; the provider's response id tells. Of the steps with one response
in one trace none is charged when any of them has a charged step below it (then that step is the call); otherwise the best
by a total order over what they say, so that arrival cannot matter.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from traces.ingest.leaf import Ancestor, Window
from traces.ingest.rows import SpanKey

ResponseKey = tuple[str, str]  # trace_id, response_id
# Smaller is kept: priced before unpriced, the one that tells more token classes apart, the smaller span id.
Rank = tuple[bool, int, str]

_STORED = """
SELECT s.trace_id, s.span_id, s.started_at, s.parent_span_id, s.has_cost_record, s.has_cost_below, s.response_id,
  s.cost_usd IS NULL, s.cache_read_input_tokens, s.cache_write_input_tokens, s.reasoning_output_tokens
FROM traces_span s
WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)
  AND s.response_id = ANY(%s) AND (s.has_cost_record OR s.has_cost_below)
"""
_MARK = """
UPDATE traces_span s SET is_twin = true, has_cost_record = false, cost_usd = NULL, price_status = '', seq = k.seq
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[]) AS k(trace_id, span_id, started_at, seq)
WHERE s.project_id = %s AND s.trace_id = k.trace_id AND s.span_id = k.span_id AND s.started_at = k.started_at
"""


def rank(
    span_id: str, *, is_unpriced: bool, cache_read: int, cache_write: int, reasoning: int
) -> Rank:
    """How well a step's record speaks for its response."""
    return is_unpriced, -sum(count > 0 for count in (cache_read, cache_write, reasoning)), span_id


class Stored(msgspec.Struct):
    """What the database holds of some responses: the step that is charged, and which are dead."""

    charged: dict[ResponseKey, tuple[Ancestor, Rank]] = {}
    dead: set[ResponseKey] = set()


def stored_twins(
    cursor: Any, *, project_id: UUID, responses: Iterable[ResponseKey], window: Window
) -> Stored:
    """The stored state of these responses. One query, none without responses."""
    wanted = set(responses)
    found = Stored(charged={}, dead=set())
    if not wanted:
        return found
    cursor.execute(
        _STORED, [project_id, *window, [t for t, _ in wanted], [response for _, response in wanted]]
    )
    for *facts, response_id, is_unpriced, cache_read, cache_write, reasoning in cursor.fetchall():
        step = Ancestor(*facts, response_id)
        key = (step.trace_id, response_id)
        if key not in wanted:
            continue
        if step.has_cost_below:
            found.dead.add(key)
        else:
            own = rank(
                step.span_id,
                is_unpriced=is_unpriced,
                cache_read=cache_read,
                cache_write=cache_write,
                reasoning=reasoning,
            )
            found.charged[key] = (step, own)
    return found


def settle(
    ranked: Mapping[SpanKey, tuple[ResponseKey, Rank]], *, dead: set[ResponseKey], stored: Stored
) -> tuple[set[SpanKey], list[Ancestor]]:
    """The batch's steps that are not charged, and the stored ones that no longer are."""
    all_dead = dead | stored.dead
    best = {key: own for key, (_, own) in stored.charged.items()}
    for response, own in ranked.values():
        best[response] = min(own, best.get(response, own))
    lesser = {
        key
        for key, (response, own) in ranked.items()
        if response in all_dead or own != best[response]
    }
    displaced = [
        step
        for response, (step, own) in stored.charged.items()
        if response in all_dead or own != best[response]
    ]
    return lesser, displaced


def mark_twins(
    cursor: Any, *, project_id: UUID, twins: list[Ancestor], seq_of: Mapping[str, int]
) -> None:
    """Store that these steps' cost is carried by a twin."""
    if twins:
        cursor.execute(
            _MARK,
            [
                [t.trace_id for t in twins],
                [t.span_id for t in twins],
                [t.started_at for t in twins],
                [seq_of[t.trace_id] for t in twins],
                project_id,
            ],
        )
