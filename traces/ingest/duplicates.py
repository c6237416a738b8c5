"""The same step twice in one upload becomes one, so that the writer sees each key once."""

from collections.abc import Iterable

from traces.ingest.span import NormalSpan

_EMPTY: tuple[object, ...] = (None, "", (), {}, [])
# Decided by the winner alone, or the same on both sides.
_OWN = frozenset(
    {
        "trace_id",
        "span_id",
        "status",
        "started_at",
        "ended_at",
        "is_call",
        "is_rejected",
        "is_cache_hit",
    }
)


def merged(first: NormalSpan, second: NormalSpan) -> NormalSpan:
    """Ended beats running, else the later wins; what the winner leaves empty is taken from the
    other.
    """
    winner, loser = (
        (first, second)
        if first.status != "running" and second.status == "running"
        else (second, first)
    )
    for name in NormalSpan.__struct_fields__:
        if name not in _OWN and getattr(winner, name) in _EMPTY:
            setattr(winner, name, getattr(loser, name))
    winner.started_at = min(first.started_at, second.started_at)
    return winner


def without_duplicates(spans: Iterable[NormalSpan]) -> list[NormalSpan]:
    """One span per (trace_id, span_id), in order of first appearance."""
    unique: dict[tuple[str, str], NormalSpan] = {}
    for span in spans:
        key = span.trace_id, span.span_id
        earlier = unique.get(key)
        unique[key] = span if earlier is None else merged(earlier, span)
    return list(unique.values())
