"""From the steps of a trace to the rows of its waterfall. Pure: no database, no Django, no clock.

Any set of steps has a layout: parents that never arrived, parents that are their own descendants, several roots, ends
before starts, children before their parents. Each oddity is a flag on its row, never an error, and depth is not
limited by Python's stack.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

SKETCH = 12
ORPHAN, CYCLE, BACKWARDS, EARLY = "orphan", "cycle", "backwards", "early"
HOT_SHARE = Decimal("0.3")
_ZERO = Decimal(0)


# Structs, not dataclasses: a trace may have tens of thousands of steps, and these are made fifty times as fast.
class StepFacts(msgspec.Struct, frozen=True, gc=False):
    """One step; field names are Span's columns, in this order.

    The layout needs the first twelve (SKETCH): a sketch of a big trace holds only those, and the rest is read for the
    rows that are drawn.
    """

    span_id: str
    parent_span_id: str
    name: str
    kind: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    provider: str
    request_model: str
    response_model: str
    cost_usd: Decimal | None
    has_cost_record: bool
    first_token_ms: float | None = None
    operation: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    price_status: str = ""
    is_cache_hit: bool = False
    error_type: str = ""
    finish_reason: str = ""
    dialect: str = ""
    seq: int = 0
    placed_seq: int = 0

    @property
    def model(self) -> str:
        return self.response_model or self.request_model

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def is_error(self) -> bool:
        return self.status == "error"


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of the waterfall, in tree order. Times are epoch milliseconds, so that an open page can rescale."""

    step: StepFacts
    level: int
    parent_id: str  # "" for a root, also when the parent never arrived
    has_children: bool
    descendants: int
    start_ms: float
    length_ms: float
    own_cost: Decimal | None
    subtree_cost: Decimal | None  # None when nothing below or at the step has a price
    unpriced_below: int
    attempt: int  # 2 for the first retry of a failed sibling, 0 for no retry
    flags: tuple[str, ...]
    is_hot: bool = False

    @property
    def dom_id(self) -> str:
        return dom_id(self.step.span_id)

    @property
    def cost_is_subtree(self) -> bool:
        """Whether the shown amount includes steps below this one."""
        return self.subtree_cost is not None and self.subtree_cost != (self.own_cost or _ZERO)


class ModelCost(msgspec.Struct, frozen=True):
    """One row of "where the cost went"."""

    model: str
    calls: int
    cost_usd: Decimal | None
    unpriced_calls: int
    share: float


class Extent(msgspec.Struct, frozen=True):
    """The window the bars are drawn in."""

    start_ms: float
    length_ms: float  # never 0
    total_cost: Decimal


class Layout(msgspec.Struct, frozen=True):
    """All rows in tree order."""

    rows: tuple[Row, ...]
    extent: Extent

    @property
    def is_running(self) -> bool:
        return any(row.step.is_running for row in self.rows)


def dom_id(span_id: str) -> str:
    """An element id for any span id."""
    return "step-" + hashlib.blake2s(span_id.encode(), digest_size=9).hexdigest()


def lay_out(steps: Iterable[StepFacts], *, now: datetime) -> Layout:
    """Order, nest and measure `steps`. Linear in their number (plus sorting); never raises."""
    by_id = {step.span_id: step for step in steps}
    children, roots, flags = _tree(by_id)
    attempts: dict[str, int] = {}
    roots = _ordered(roots, attempts)
    for parent, siblings in children.items():
        children[parent] = _ordered(siblings, attempts)
    order = _walk(roots, children)
    _attach_cycles(by_id, order, children, roots, flags)
    rows = _rows(order, children, attempts, flags, now)
    extent = _extent(rows)
    return Layout(rows=_with_hot(rows, extent.total_cost), extent=extent)


def _tree(
    by_id: dict[str, StepFacts],
) -> tuple[dict[str, list[StepFacts]], list[StepFacts], dict[str, set[str]]]:
    children: dict[str, list[StepFacts]] = {}
    roots: list[StepFacts] = []
    flags: dict[str, set[str]] = {}
    for step in by_id.values():
        parent = step.parent_span_id
        if not parent:
            roots.append(step)
        elif parent == step.span_id:
            flags.setdefault(step.span_id, set()).add(CYCLE)
            roots.append(step)
        elif parent not in by_id:
            flags.setdefault(step.span_id, set()).add(ORPHAN)
            roots.append(step)
        else:
            children.setdefault(parent, []).append(step)
            if step.started_at < by_id[parent].started_at:
                flags.setdefault(step.span_id, set()).add(EARLY)
    return children, roots, flags


def _ordered(siblings: list[StepFacts], attempts: dict[str, int]) -> list[StepFacts]:
    """By start, except that the retries of a failed step follow it directly; fills `attempts`."""
    siblings = sorted(siblings, key=lambda step: (step.started_at, step.span_id))
    if not any(step.is_error for step in siblings):
        return siblings
    by_work: dict[tuple[str, str], list[StepFacts]] = {}
    for step in siblings:
        by_work.setdefault((step.kind, step.name), []).append(step)
    placed: set[str] = set()
    ordered = []
    for step in siblings:
        if step.span_id in placed:
            continue
        ordered.append(step)
        placed.add(step.span_id)
        last, number = step, 1
        for later in by_work[step.kind, step.name]:
            if not (last.is_error and last.ended_at):
                break
            if later.span_id in placed or later.started_at < last.ended_at:
                continue
            number += 1
            attempts[later.span_id] = number
            ordered.append(later)
            placed.add(later.span_id)
            last = later
    return ordered


def _walk(
    roots: Sequence[StepFacts], children: dict[str, list[StepFacts]]
) -> list[tuple[StepFacts, int, str]]:
    """(step, level, parent id) depth first; every step once, so a cycle ends where it began."""
    found: list[tuple[StepFacts, int, str]] = []
    seen: set[str] = set()
    stack = [(root, 1, "") for root in reversed(roots)]
    while stack:
        step, level, parent = stack.pop()
        if step.span_id in seen:
            continue
        seen.add(step.span_id)
        found.append((step, level, parent))
        stack += [
            (child, level + 1, step.span_id) for child in reversed(children.get(step.span_id, ()))
        ]
    return found


def _attach_cycles(
    by_id: dict[str, StepFacts],
    order: list[tuple[StepFacts, int, str]],
    children: dict[str, list[StepFacts]],
    roots: list[StepFacts],
    flags: dict[str, set[str]],
) -> None:
    """Steps no root leads to hang on a cycle: cut it at its earliest step, which becomes a marked root."""
    if len(order) == len(by_id):
        return
    seen = {step.span_id for step, _, _ in order}
    for step in sorted(by_id.values(), key=lambda one: (one.started_at, one.span_id)):
        if step.span_id in seen:
            continue
        root = _on_cycle(step, by_id)
        flags.setdefault(root.span_id, set()).add(CYCLE)
        siblings = children[root.parent_span_id]
        siblings[:] = [one for one in siblings if one.span_id != root.span_id]
        roots.append(root)
        part = _walk([root], children)
        order += part
        seen.update(one.span_id for one, _, _ in part)


def _on_cycle(step: StepFacts, by_id: dict[str, StepFacts]) -> StepFacts:
    """The earliest step of the cycle above `step`."""
    path: dict[str, None] = {}
    at = step
    while at.span_id not in path:
        path[at.span_id] = None
        at = by_id[at.parent_span_id]
    ids = list(path)
    ring = [by_id[one] for one in ids[ids.index(at.span_id) :]]
    return min(ring, key=lambda one: (one.started_at, one.span_id))


def _rows(
    order: Sequence[tuple[StepFacts, int, str]],
    children: dict[str, list[StepFacts]],
    attempts: dict[str, int],
    flags: dict[str, set[str]],
    now: datetime,
) -> list[Row]:
    cost, below, unpriced = _sums(order)
    rows = []
    none: set[str] = set()
    for step, level, parent in order:
        span_id = step.span_id
        marks = flags.get(span_id, none)
        start = step.started_at.timestamp()
        end = step.ended_at or (now if step.is_running else None)
        length = end.timestamp() - start if end else 0.0
        if length < 0:
            marks, length = (marks | {BACKWARDS} if step.ended_at else marks), 0.0
        rows.append(
            Row(
                step=step,
                level=level,
                parent_id=parent,
                has_children=span_id in below,
                descendants=below.get(span_id, 0),
                start_ms=round(start * 1000, 3),
                length_ms=round(length * 1000, 3),
                own_cost=step.cost_usd if step.has_cost_record else None,
                subtree_cost=cost[span_id],
                unpriced_below=unpriced[span_id],
                attempt=attempts.get(span_id, 0),
                flags=tuple(sorted(marks)) if marks else (),
            )
        )
    return rows


def _sums(
    order: Sequence[tuple[StepFacts, int, str]],
) -> tuple[dict[str, Decimal | None], dict[str, int], dict[str, int]]:
    """Per step: the cost of its subtree, the steps below it, and the unpriced ones of its subtree."""
    cost: dict[str, Decimal | None] = {}
    below: dict[str, int] = {}
    unpriced: dict[str, int] = {}
    # Children come after their parents, so this sums upwards.
    for step, _, parent in reversed(order):
        own = step.cost_usd if step.has_cost_record else None
        total = _plus(cost.get(step.span_id), own)
        cost[step.span_id] = total
        missing = unpriced.get(step.span_id, 0) + (step.has_cost_record and step.cost_usd is None)
        unpriced[step.span_id] = missing
        if parent:
            cost[parent] = _plus(cost.get(parent), total)
            below[parent] = below.get(parent, 0) + below.get(step.span_id, 0) + 1
            unpriced[parent] = unpriced.get(parent, 0) + missing
    return cost, below, unpriced


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _extent(rows: Sequence[Row]) -> Extent:
    if not rows:
        return Extent(0.0, 1.0, _ZERO)
    start = min(row.start_ms for row in rows)
    end = max(row.start_ms + row.length_ms for row in rows)
    total = sum((row.own_cost for row in rows if row.own_cost), _ZERO)
    return Extent(start, max(round(end - start, 3), 0.001), total)


def _with_hot(rows: Sequence[Row], total: Decimal) -> tuple[Row, ...]:
    """Mark the dearest step when it is a real share of the whole and not the only one."""
    charged = [row for row in rows if row.own_cost]
    if len(charged) < 2:
        return tuple(rows)
    hot = max(charged, key=lambda row: row.own_cost or _ZERO)
    if (hot.own_cost or _ZERO) < total * HOT_SHARE:
        return tuple(rows)
    return tuple(msgspec.structs.replace(row, is_hot=True) if row is hot else row for row in rows)


def costs_by_model(steps: Sequence[StepFacts]) -> list[ModelCost]:
    """Where a trace's cost went, dearest first, unpriced last."""
    calls: dict[str, list[StepFacts]] = {}
    for step in steps:
        if step.has_cost_record:
            calls.setdefault(step.model or step.provider or "unnamed model", []).append(step)
    total = sum(
        (step.cost_usd or Decimal(0) for group in calls.values() for step in group), Decimal(0)
    )
    found = []
    for model, group in calls.items():
        priced = [step.cost_usd for step in group if step.cost_usd is not None]
        amount = sum(priced, Decimal(0)) if priced else None
        share = float((amount or 0) / total) if total else 0.0
        found.append(ModelCost(model, len(group), amount, len(group) - len(priced), share))
    return sorted(found, key=lambda one: (one.cost_usd is None, -(one.cost_usd or 0), one.model))
