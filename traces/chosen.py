"""The filter chips above a waterfall: errors, model calls, tools, slow steps. Pure."""

from collections.abc import Sequence
from statistics import median_low

from traces.waterfall import Row

ONLY = {"errors": "Errors", "llm": "LLM", "tools": "Tools", "slow": "Slow"}
ICONS = {"errors": "circle-alert", "llm": "brain", "tools": "wrench", "slow": "timer"}
TITLES = {
    "slow": "Steps without steps below them that take a tenth of the trace, or three times the median of their kind "
    "and half a second"
}
_KINDS = {"llm": frozenset({"llm", "embedding"}), "tools": frozenset({"tool"})}
SLOW_SHARE, SLOW_TIMES, SLOW_FROM_MS = 0.1, 3.0, 500.0


def slow_steps(rows: Sequence[Row]) -> frozenset[str]:
    """The leaves a person looking for lost time wants to see; none in a trace of a single step."""
    leaves = [row for row in rows if not row.has_children]
    if len(rows) < 2:
        return frozenset()
    start = min(row.start_ms for row in rows)
    whole = max(row.start_ms + row.length_ms for row in rows) - start
    by_kind: dict[str, list[float]] = {}
    for row in leaves:
        by_kind.setdefault(row.step.kind, []).append(row.length_ms)
    usual = {kind: median_low(lengths) for kind, lengths in by_kind.items()}
    return frozenset(
        row.step.span_id
        for row in leaves
        if row.length_ms > 0
        and (
            row.length_ms >= whole * SLOW_SHARE
            or (
                row.length_ms >= SLOW_FROM_MS and row.length_ms >= usual[row.step.kind] * SLOW_TIMES
            )
        )
    )


def is_wanted(row: Row, only: str, slow: frozenset[str]) -> bool:
    """Whether the chip `only` is about this step."""
    if only == "errors":
        return row.step.is_error
    if only == "slow":
        return row.step.span_id in slow
    return row.step.kind in _KINDS[only]


def chosen_rows(rows: Sequence[Row], only: str, slow: frozenset[str]) -> list[Row]:
    """All rows, or those the chip is about with the steps above them."""
    if only not in ONLY:
        return list(rows)
    parents = {row.step.span_id: row.parent_id for row in rows}
    kept: set[str] = set()
    for row in rows:
        if is_wanted(row, only, slow):
            at = row.step.span_id
            while at and at not in kept:
                kept.add(at)
                at = parents[at]
    return [row for row in rows if row.step.span_id in kept]


def counts(rows: Sequence[Row], slow: frozenset[str]) -> dict[str, int]:
    """How many steps each chip is about."""
    return {only: sum(is_wanted(row, only, slow) for row in rows) for only in ONLY}
