"""One provider response that two instrumentations reported as two steps is one call, charged once.

The steps are siblings, so the leaf rule does not see them; the provider's response id tells. Which of them keeps the
record is a total order over what they say, so arrival cannot matter.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from traces.ingest.leaf import Ancestor, Window
from traces.ingest.rows import SpanKey

ResponseKey = tuple[str, str]  # trace_id, response_id
# Smaller is kept: priced before unpriced, the one that tells more token classes apart, the smaller span id.
Rank = tuple[bool, int, str]

_TWINS = """
SELECT s.trace_id, s.span_id, s.started_at, s.parent_span_id, s.has_cost_record, s.has_cost_below, s.response_id,
  s.cost_usd IS NULL, s.cache_read_input_tokens, s.cache_write_input_tokens, s.reasoning_output_tokens
FROM traces_span s
WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)
  AND s.response_id = ANY(%s) AND s.has_cost_record
"""


def rank(
    span_id: str, *, is_unpriced: bool, cache_read: int, cache_write: int, reasoning: int
) -> Rank:
    """How well a step's record speaks for its response."""
    return is_unpriced, -sum(count > 0 for count in (cache_read, cache_write, reasoning)), span_id


def lesser(ranked: dict[SpanKey, tuple[ResponseKey, Rank]]) -> set[SpanKey]:
    """All but the best step of each response, within one batch."""
    best: dict[ResponseKey, Rank] = {}
    for response, own in ranked.values():
        best[response] = min(own, best.get(response, own))
    return {key for key, (response, own) in ranked.items() if own != best[response]}


def stored(
    cursor: Any, *, project_id: UUID, responses: Iterable[ResponseKey], window: Window
) -> dict[ResponseKey, tuple[Ancestor, Rank]]:
    """The charged steps already stored for these responses. One query, none without responses."""
    wanted = set(responses)
    if not wanted:
        return {}
    cursor.execute(
        _TWINS, [project_id, *window, [t for t, _ in wanted], [response for _, response in wanted]]
    )
    found: dict[ResponseKey, tuple[Ancestor, Rank]] = {}
    for *facts, response_id, is_unpriced, cache_read, cache_write, reasoning in cursor.fetchall():
        step = Ancestor(*facts)
        if (step.trace_id, response_id) in wanted:
            found[step.trace_id, response_id] = (
                step,
                rank(
                    step.span_id,
                    is_unpriced=is_unpriced,
                    cache_read=cache_read,
                    cache_write=cache_write,
                    reasoning=reasoning,
                ),
            )
    return found
