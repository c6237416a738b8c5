"""Who called whom in a trace: agents, models and tools by name, the calls between them summed, in layers. Pure.

However many steps there are, there are at most MAX_NODES names: the ones with the least calls share one node per group.
An amount on an edge is what the called steps and everything below them cost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from traces.waterfall import Row

MAX_NODES = 60
GROUPS = {
    "llm": "model", "embedding": "model", "tool": "tool", "retrieval": "tool", "rerank": "tool",
    "guardrail": "tool", "evaluator": "tool", "agent": "agent", "chain": "agent", "span": "agent",
}  # fmt: skip
GROUP_WORDS = {"agent": "Agent or step", "model": "Model", "tool": "Tool", "start": "Start"}
NODE_WIDTH, NODE_HEIGHT = 176, 44
GAP_X, GAP_Y, MARGIN = 72, 18, 12
SWEEPS = 4


@dataclass
class Node:
    """One name. `x` and `y` are its upper left corner in the drawing."""

    key: str
    group: str
    kind: str
    label: str
    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_usd: Decimal | None = None  # of its own steps only
    duration_ms: float = 0.0
    names: int = 1  # how many names it stands for
    layer: int = 0
    x: int = 0
    y: int = 0


@dataclass
class Edge:
    """Calls from one node to another (or to itself)."""

    source: str
    target: str
    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_usd: Decimal | None = None
    duration_ms: float = 0.0


@dataclass
class Graph:
    """Nodes from the top layer down, and the edges between them, dearest first."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    width: int = 0
    height: int = 0


def graph_of(rows: Sequence[Row]) -> Graph:
    """The graph of a laid-out trace. Linear in its steps."""
    named = _named(rows)
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], Edge] = {}
    of_step: dict[str, str] = {}
    for row in rows:  # parents come before their children
        step = row.step
        key, label, names = named[_name(row)]
        of_step[step.span_id] = key
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = Node(key, key.split(":", 1)[0], step.kind, label, names=names)
        _count(node, row, row.own_cost, 1 if step.has_cost_record and step.cost_usd is None else 0)
        if row.parent_id:
            ends = (of_step[row.parent_id], key)
            edge = edges.get(ends)
            if edge is None:
                edge = edges[ends] = Edge(*ends)
            _count(edge, row, row.subtree_cost, row.unpriced_below)
    graph = Graph(list(nodes.values()), _dearest(edges.values()))
    _lay_out(graph)
    return graph


def _name(row: Row) -> str:
    step = row.step
    group = GROUPS.get(step.kind, "agent")
    name = step.model or step.name if group == "model" else step.name
    return f"{group}:{name or step.kind}"


def _named(rows: Sequence[Row]) -> dict[str, tuple[str, str, int]]:
    """(node key, label, names in it) of every name: itself, or its group's "others" beyond MAX_NODES."""
    calls: dict[str, int] = {}
    for row in rows:
        name = _name(row)
        calls[name] = calls.get(name, 0) + 1
    ranked = sorted(calls, key=lambda name: (-calls[name], name))
    kept = ranked if len(ranked) <= MAX_NODES else ranked[: MAX_NODES - 3]
    found = {name: (name, name.split(":", 1)[1], 1) for name in kept}
    rest: dict[str, list[str]] = {}
    for name in ranked[len(kept) :]:
        rest.setdefault(name.split(":", 1)[0], []).append(name)
    for group, names in rest.items():
        for name in names:
            found[name] = (f"{group}:\x00others", f"{len(names):,} others", len(names))
    return found


def _count(sums: Node | Edge, row: Row, cost: Decimal | None, unpriced: int) -> None:
    sums.calls += 1
    sums.errors += row.step.is_error
    sums.unpriced += unpriced
    sums.duration_ms += row.length_ms
    if cost is not None:
        sums.cost_usd = (sums.cost_usd or Decimal(0)) + cost


def _dearest(edges: Iterable[Edge]) -> list[Edge]:
    return sorted(edges, key=lambda e: (-(e.cost_usd or Decimal(0)), -e.calls, e.source, e.target))


def _lay_out(graph: Graph) -> None:
    """Layers by the longest way from where it starts, crossings reduced by a few sweeps of barycentres."""
    forward = _acyclic(graph)
    layers = _layers(graph, forward)
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for edge in forward:
        above.setdefault(edge.target, []).append(edge.source)
        below.setdefault(edge.source, []).append(edge.target)
    for sweep in range(SWEEPS):
        nearby = above if sweep % 2 == 0 else below
        place = {
            node.key: n / max(len(layer), 1) for layer in layers for n, node in enumerate(layer)
        }
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            layer.sort(key=lambda node: _middle(nearby.get(node.key, ()), place, place[node.key]))
            place |= {node.key: n / max(len(layer), 1) for n, node in enumerate(layer)}
    tallest = max((len(layer) for layer in layers), default=0)
    graph.height = MARGIN * 2 + max(tallest * (NODE_HEIGHT + GAP_Y) - GAP_Y, 0)
    graph.width = MARGIN * 2 + max(len(layers) * (NODE_WIDTH + GAP_X) - GAP_X, 0)
    for number, layer in enumerate(layers):
        top = (graph.height - len(layer) * (NODE_HEIGHT + GAP_Y) + GAP_Y) // 2
        for place_in, node in enumerate(layer):
            node.x = MARGIN + number * (NODE_WIDTH + GAP_X)
            node.y = top + place_in * (NODE_HEIGHT + GAP_Y)
    graph.nodes = [node for layer in layers for node in layer]


def _middle(names: Sequence[str], place: dict[str, float], own: float) -> float:
    return sum(place[name] for name in names) / len(names) if names else own


def _acyclic(graph: Graph) -> list[Edge]:
    """The edges without those that lead back to where one came from, found depth first without recursion."""
    out: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        if edge.source != edge.target:
            out.setdefault(edge.source, []).append(edge)
    targets = {edge.target for edge in graph.edges if edge.source != edge.target}
    starts = [node.key for node in graph.nodes if node.key not in targets]
    done: set[str] = set()
    kept: list[Edge] = []
    for start in [*starts, *(node.key for node in graph.nodes)]:
        if start in done:
            continue
        path, stack = {start}, [(start, iter(out.get(start, ())))]
        while stack:
            key, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                path.discard(key)
                done.add(key)
            elif step.target not in path:
                kept.append(step)
                if step.target not in done:
                    path.add(step.target)
                    stack.append((step.target, iter(out.get(step.target, ()))))
    return kept


def _layers(graph: Graph, forward: Sequence[Edge]) -> list[list[Node]]:
    waiting: dict[str, int] = {node.key: 0 for node in graph.nodes}
    out: dict[str, list[str]] = {}
    for edge in forward:
        waiting[edge.target] += 1
        out.setdefault(edge.source, []).append(edge.target)
    nodes = {node.key: node for node in graph.nodes}
    ready = [key for key, count in waiting.items() if not count]
    while ready:
        key = ready.pop()
        for target in out.get(key, ()):
            nodes[target].layer = max(nodes[target].layer, nodes[key].layer + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    layers: list[list[Node]] = [
        [] for _ in range(max((n.layer for n in graph.nodes), default=-1) + 1)
    ]
    for node in graph.nodes:
        layers[node.layer].append(node)
    return layers
