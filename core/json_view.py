"""A JSON value as folding `<details>` markup. Capped in nodes, depth and text: any payload renders in bounded time."""

from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

MAX_NODES = 600
MAX_DEPTH = 24
MAX_TEXT = 4_000
MAX_KEY = 200
MAX_ITEMS = 100  # per object or array, so that one long list does not hide its neighbours
MAX_OPEN = 40  # longer objects and arrays start folded


class _Budget:
    """How many more nodes may be drawn."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def take(self) -> bool:
        self.nodes -= 1
        return self.nodes >= 0


def json_tree(value: Any, *, open_depth: int = 2, max_nodes: int = MAX_NODES) -> SafeString:
    """Markup of `value`; objects and arrays above `open_depth` start open. What is cut says so."""
    return format_html(
        '<div class="json">{}</div>', _node(value, None, 0, open_depth, _Budget(max_nodes))
    )


def _node(value: Any, key: str | None, depth: int, open_depth: int, budget: _Budget) -> SafeString:
    label = _key(key)
    if isinstance(value, dict | list) and value:
        return _branch(value, label, depth, open_depth, budget)
    return format_html("<div>{}{}</div>", label, _leaf(value))


def _branch(
    value: dict[str, Any] | list[Any],
    label: SafeString,
    depth: int,
    open_depth: int,
    budget: _Budget,
) -> SafeString:
    is_map = isinstance(value, dict)
    start, end = ("{", "}") if is_map else ("[", "]")
    noun = "key" if is_map else "item"
    size = f"{len(value):,} {noun}{'' if len(value) == 1 else 's'}"
    if depth >= MAX_DEPTH:
        return format_html(
            '<div>{}<span class="cut">{} {}, nested too deep to show</span></div>',
            label,
            start,
            size,
        )
    children: list[SafeString] = []
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for shown, (name, item) in enumerate(pairs):
        if shown >= MAX_ITEMS or not budget.take():
            left = len(value) - shown
            children.append(format_html('<div class="cut">… {} more not shown</div>', f"{left:,}"))
            break
        children.append(
            _node(item, None if name is None else str(name), depth + 1, open_depth, budget)
        )
    return format_html(
        '<details{}><summary>{}{} <span class="n-items">{} {}</span></summary><div>{}</div>{}</details>',
        mark_safe(" open") if depth < open_depth and len(value) <= MAX_OPEN else "",
        label,
        start,
        size,
        end,
        mark_safe("".join(children)),  # noqa: S308 - every child came out of format_html
        end,
    )


def _key(key: str | None) -> SafeString:
    if key is None:
        return mark_safe("")
    shown = key if len(key) <= MAX_KEY else f"{key[:MAX_KEY]}…"
    return format_html('<span class="k">{}</span>: ', shown)


def _leaf(value: Any) -> SafeString:
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return format_html(
                '<span class="s">"{}</span><span class="cut">… {} more characters</span>',
                value[:MAX_TEXT],
                f"{len(value) - MAX_TEXT:,}",
            )
        return format_html('<span class="s">"{}"</span>', value)
    if value is None or isinstance(value, bool):
        return format_html(
            '<span class="w">{}</span>', {None: "null", True: "true", False: "false"}[value]
        )
    if isinstance(value, dict | list):
        return format_html("<span>{}</span>", "{}" if isinstance(value, dict) else "[]")
    return format_html('<span class="n">{}</span>', value)
