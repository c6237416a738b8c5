"""A laid-out trace as a tree one can walk, and which of its rows are drawn. Pure.

A small trace is drawn whole. A big one starts with about 300 rows: levels open from the top while they fit, deeper
subtrees start closed and come when they are opened, long runs of siblings come 200 at a time. The sums on a closed row
are those of everything below it, drawn or not.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from traces import chosen, idle
from traces.waterfall import ORPHAN, Layout, ModelCost, Row, costs_by_model, dom_id

FEW_ROWS = 300
MORE_ROWS = 200
AROUND = 25  # siblings drawn on both sides of a step somebody linked to
_TOP = -1


class Drawn(msgspec.Struct, frozen=True):
    """A row on the page. `is_open`: its children follow; neither open nor childless: they load when it is opened."""

    row: Row
    is_open: bool
    parent: str = ""  # element ids: the row above it in the tree, and the sibling before it
    previous: str = ""

    @property
    def is_lazy(self) -> bool:
        return self.row.has_children and not self.is_open


class Gap(msgspec.Struct, frozen=True):
    """Siblings that are not drawn: the children `start` up to `stop` of the step `parent_id` ("" for the roots)."""

    parent_id: str
    level: int
    start: int
    stop: int

    @property
    def count(self) -> int:
        return self.stop - self.start


Entry = Drawn | Gap


class Tree:
    """A layout with the ways through it. Everything is computed once, and only when asked for."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows = layout.rows
        self.extent = layout.extent

    @cached_property
    def position(self) -> dict[str, int]:
        """Where each step stands in tree order."""
        return {row.step.span_id: index for index, row in enumerate(self.rows)}

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """The places of each place's children; -1 has the roots."""
        found: dict[int, list[int]] = {}
        position = self.position
        for index, row in enumerate(self.rows):
            parent = position[row.parent_id] if row.parent_id else _TOP
            found.setdefault(parent, []).append(index)
        return found

    @cached_property
    def is_running(self) -> bool:
        return self.layout.is_running

    @cached_property
    def orphans(self) -> int:
        return sum(ORPHAN in row.flags for row in self.rows if row.flags)

    @cached_property
    def models(self) -> list[ModelCost]:
        return costs_by_model([row.step for row in self.rows if row.step.has_cost_record])

    @cached_property
    def slow(self) -> frozenset[str]:
        return chosen.slow_steps(self.rows)

    @cached_property
    def counts(self) -> dict[str, int]:
        return chosen.counts(self.rows, self.slow)

    @cached_property
    def idle(self) -> tuple[idle.Pause, ...]:
        return idle.pauses(self.layout)

    @cached_property
    def first_step(self) -> str:
        """What is open when the address names no step: the first failed leaf, else the first row."""
        failed = next((r for r in self.rows if r.step.is_error and not r.has_children), None)
        row = failed or (self.rows[0] if self.rows else None)
        return row.step.span_id if row else ""

    def matching(self, only: str) -> list[Row]:
        """The rows a filter chip keeps, with the steps above them."""
        return chosen.chosen_rows(self.rows, only, self.slow)

    def way_to(self, span_id: str) -> list[int]:
        """The places from a root down to a step; empty for an unknown one."""
        way: list[int] = []
        at = self.position.get(span_id)
        while at is not None:
            way.append(at)
            at = self.position.get(self.rows[at].parent_id)
        return way[::-1]


def draw(
    tree: Tree,
    *,
    under: str = "",
    start: int = 0,
    stop: int | None = None,
    budget: int = FEW_ROWS,
    reveal: str = "",
) -> list[Entry]:
    """About `budget` rows: the children of `under` (the roots for "") from `start` to `stop`, and what fits below them.
    The way to the step `reveal` is always open."""
    top = tree.position.get(under, _TOP) if under else _TOP
    siblings = tree.children.get(top, [])
    if under and top == _TOP:
        return []
    stop = len(siblings) if stop is None else min(stop, len(siblings))
    way = {place: depth for depth, place in enumerate(tree.way_to(reveal))}
    plan = _plan(tree, top, start, stop, budget, way)
    return list(_entries(tree, plan, top, start, stop))


Plan = dict[int, list[tuple[int, int]]]


def _plan(tree: Tree, top: int, start: int, stop: int, budget: int, way: dict[int, int]) -> Plan:
    """Which children of which row are drawn, as ranges."""
    children = tree.children
    plan: Plan = {top: _ranges(children.get(top, []), start, stop, budget, way)}
    room = budget - _size(plan[top])
    queue = deque(_opened(tree, plan[top], children.get(top, []), way))
    while queue:
        place = queue.popleft()
        kids = children[place]
        is_way = place in way and any(kid in way for kid in kids)
        if len(kids) <= room or is_way or (not queue and room > 0):
            plan[place] = _ranges(kids, 0, len(kids), max(room, 1), way)
            room -= _size(plan[place])
            queue.extend(_opened(tree, plan[place], kids, way))
    return plan


def _opened(
    tree: Tree, ranges: list[tuple[int, int]], kids: list[int], way: dict[int, int]
) -> list[int]:
    """Candidates to be opened next, the way to the linked step first."""
    found = [kid for a, b in ranges for kid in kids[a:b] if tree.rows[kid].has_children]
    return sorted(found, key=lambda kid: kid not in way)


def _ranges(
    kids: Sequence[int], start: int, stop: int, limit: int, way: dict[int, int]
) -> list[tuple[int, int]]:
    if stop - start <= limit:
        return [(start, stop)]
    wanted = next((n for n in range(start, stop) if kids[n] in way), -1) if way else -1
    if wanted < start + limit:
        return [(start, start + limit)]
    low, high = max(wanted - AROUND, start), min(wanted + AROUND, stop)
    head = min(start + max(limit - 2 * AROUND, 1), low)
    return [(start, high)] if head >= low else [(start, head), (low, high)]


def _size(ranges: list[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in ranges)


def _entries(tree: Tree, plan: Plan, top: int, start: int, stop: int) -> Iterator[Entry]:
    """Depth first, without recursion: a trace may be thousands of levels deep."""
    stack: list[Iterator[Entry]] = [_siblings(tree, plan, top, start, stop)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        yield entry
        if isinstance(entry, Drawn) and entry.is_open:
            place = tree.position[entry.row.step.span_id]
            stack.append(_siblings(tree, plan, place, 0, len(tree.children[place])))


def _siblings(tree: Tree, plan: Plan, parent: int, start: int, stop: int) -> Iterator[Entry]:
    kids = tree.children.get(parent, [])
    parent_id = tree.rows[parent].step.span_id if parent >= 0 else ""
    level = tree.rows[parent].level + 1 if parent >= 0 else 1
    at = start
    for low, high in plan[parent]:
        if low > at:
            yield Gap(parent_id, level, at, low)
        for number in range(low, high):
            row = tree.rows[kids[number]]
            yield Drawn(
                row=row,
                is_open=kids[number] in plan,
                parent=dom_id(parent_id) if parent_id else "",
                previous=tree.rows[kids[number - 1]].dom_id if number else "",
            )
        at = high
    if at < stop:
        yield Gap(parent_id, level, at, stop)


def placed(tree: Tree, rows: Iterable[Row]) -> list[Drawn]:
    """Rows for a page that is already open: each with its place among its siblings, its children as they are there."""
    previous: dict[str, str] = {}
    before: dict[str, str] = {}
    for row in tree.rows:
        before[row.step.span_id] = previous.get(row.parent_id, "")
        previous[row.parent_id] = row.dom_id
    return [
        Drawn(
            row=row,
            is_open=row.has_children,
            parent=dom_id(row.parent_id) if row.parent_id else "",
            previous=before[row.step.span_id],
        )
        for row in rows
    ]
