"""Calls get who, which conversation and what for from the steps above them in the same upload.

Many instrumentations say these on the outermost step only, while cost is grouped by what the call says. The nearest
step above that says something wins; tags add up. A call whose root comes in another upload keeps what it said itself.
"""

from collections.abc import Sequence

from traces.ingest.limits import Limits
from traces.ingest.span import NormalSpan

_FACTS = ("user_id", "session_id", "environment", "feature")
_MAX_LEVELS = 64
_MAX_TAGS = Limits().max_tags


def inherit(spans: Sequence[NormalSpan]) -> None:
    """Fill in the calls among `spans`, in place."""
    calls = [span for span in spans if span.is_call and span.parent_span_id]
    if not calls:
        return
    above = {(span.trace_id, span.span_id): span for span in spans}
    for call in calls:
        parent = above.get((call.trace_id, call.parent_span_id))
        for _ in range(_MAX_LEVELS):
            if parent is None:
                break
            _take(call, parent)
            parent = above.get((parent.trace_id, parent.parent_span_id))


def _take(call: NormalSpan, giver: NormalSpan) -> None:
    for fact in _FACTS:
        if not getattr(call, fact) and (value := getattr(giver, fact)):
            setattr(call, fact, value)
    if giver.tags and not set(giver.tags) <= set(call.tags):
        call.tags = tuple(dict.fromkeys([*giver.tags, *call.tags]))[:_MAX_TAGS]
