"""One provider response that two instrumentations reported as two steps is one call, charged once.

Twins are often siblings, so the leaf rule does not see them; the provider's response id tells. Of the steps with one
response in one trace that the leaf rule leaves, the best by a total order over what they say keeps its record.
Two records of our own gateway are two calls, whatever their ids: it made both, and some servers repeat their ids.
Not settled: when the kept twin later turns out to wrap a call without a response id (a third instrumentation), the
other twin stays uncharged if it came before that call and is charged if it comes after it.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from traces.ingest.leaf import Ancestor, Window
from traces.ingest.rows import SpanKey
from traces.step_keys import IS_ONE_OF

ResponseKey = tuple[str, str]  # trace_id, response_id
# Smaller is kept: priced before unpriced, our gateway's before what a client reports of it, what was paid for before
# what a cache answered, the one that tells more token classes apart, the smaller span id.
Rank = tuple[bool, bool, bool, int, str]
GATEWAY = "gateway"

_STORED = """
SELECT s.trace_id, s.span_id, s.started_at, s.parent_span_id, s.has_cost_record, s.has_cost_below, s.response_id,
  s.cost_usd IS NULL, s.dialect, s.is_cache_hit, coalesce(s.cache_read_input_tokens, 0),
  coalesce(s.cache_write_input_tokens, 0), coalesce(s.reasoning_output_tokens, 0)
FROM traces_span s
WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)
  AND s.response_id = ANY(%s) AND s.has_cost_record AND s.response_id <> ''
  AND uuid_hash_extended(s.project_id, hashtextextended(s.response_id, 0)) = ANY(ARRAY(
    SELECT uuid_hash_extended(%s::uuid, hashtextextended(r, 0)) FROM unnest(%s::text[]) AS r))
"""
_MARK = f"""
UPDATE traces_span s SET is_twin = true, has_cost_record = false, cost_usd = NULL, price_status = '', seq = k.seq
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[]) AS k(trace_id, span_id, started_at, seq)
WHERE s.project_id = %s AND s.trace_id = k.trace_id AND s.span_id = k.span_id AND s.started_at = k.started_at
  AND {IS_ONE_OF}
"""  # noqa: S608


def rank(
    span_id: str,
    *,
    is_unpriced: bool,
    dialect: str,
    is_cache_hit: bool,
    cache_read: int,
    cache_write: int,
    reasoning: int,
) -> Rank:
    """How well a step's record speaks for its response."""
    classes = sum(count > 0 for count in (cache_read, cache_write, reasoning))
    return is_unpriced, dialect != GATEWAY, is_cache_hit, -classes, span_id


Charged = dict[ResponseKey, tuple[Ancestor, Rank]]


def stored_twins(
    cursor: Any, *, project_id: UUID, responses: Iterable[ResponseKey], window: Window
) -> Charged:
    """The stored steps that are charged for these responses. One query, none without responses."""
    wanted = set(responses)
    if not wanted:
        return {}
    responses_wanted = [response for _, response in wanted]
    cursor.execute(
        _STORED,
        [
            *(project_id, *window, [t for t, _ in wanted], responses_wanted),
            *(project_id, responses_wanted),
        ],
    )
    found: Charged = {}
    for row in cursor.fetchall():
        step, (is_unpriced, dialect, is_hit, cache_read, cache_write, reasoning) = (
            Ancestor(*row[:7]),
            row[7:],
        )
        own = rank(
            step.span_id,
            is_unpriced=is_unpriced,
            dialect=dialect,
            is_cache_hit=is_hit,
            cache_read=cache_read,
            cache_write=cache_write,
            reasoning=reasoning,
        )
        key = (step.trace_id, step.response_id)
        if key in wanted and (key not in found or own < found[key][1]):
            found[key] = (step, own)
    return found


def settle(
    ranked: Mapping[SpanKey, tuple[ResponseKey, Rank]], *, stored: Charged
) -> tuple[set[SpanKey], list[Ancestor]]:
    """The batch's steps that are not charged, and the stored ones that no longer are."""
    best = {key: own for key, (_, own) in stored.items()}
    for response, own in ranked.values():
        best[response] = min(own, best.get(response, own))
    lesser = {key for key, (response, own) in ranked.items() if _is_less(own, best[response])}
    displaced = [step for response, (step, own) in stored.items() if _is_less(own, best[response])]
    return lesser, displaced


def _is_less(own: Rank, best: Rank) -> bool:
    are_both_gateways = not own[1] and not best[1]
    return own != best and not are_both_gateways


def mark_twins(
    cursor: Any, *, project_id: UUID, twins: list[Ancestor], seq_of: Mapping[str, int]
) -> None:
    """Store that these steps' cost is carried by a twin."""
    if twins:
        keys = [[t.trace_id for t in twins], [t.span_id for t in twins]]
        cursor.execute(
            _MARK,
            [
                *keys,
                [t.started_at for t in twins],
                [seq_of[t.trace_id] for t in twins],
                project_id,
                *(project_id, *keys),
            ],
        )
