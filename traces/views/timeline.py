"""The timeline: which rows are drawn, on which axis, and the search through them."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from traces import chosen, idle, lines
from traces.bars import Scale
from traces.models import Trace
from traces.selectors import find
from traces.selectors.outline import filled
from traces.selectors.phases import Phases, phases_in
from traces.tree import MORE_ROWS, Drawn, Entry, Gap, Tree, draw
from traces.viewer import Viewer
from traces.waterfall import Row, dom_id

SELECTED_AROUND = 50
MOST_ROWS = 1_500


def timeline_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, tree: Tree, *, selected: str
) -> dict[str, Any]:
    """What the waterfall is drawn from. One query, two more with gateway calls, and what the search costs."""
    scale: Scale = "cost" if request.GET.get("scale") == "cost" else "time"
    only = request.GET.get("only", "")
    only = only if only in chosen.ONLY else ""
    is_offered = idle.is_offered(tree.layout, tree.idle)
    is_folded = is_offered and scale == "time" and request.GET.get("idle") == "fold"
    fold = idle.FoldedAxis(tree.extent, tree.idle) if is_folded else None
    entries, more = _entries(request, tree, only, selected)
    keep = {name: value for name in ("scale", "only", "idle") if (value := request.GET.get(name))}
    found = find_context(request, viewer, trace, tree)
    hits = set(found["found"].span_ids)
    items: list[dict[str, Any]] = []
    entries = filled(trace, entries)
    phases = _phases(viewer, trace, entries)
    for entry in entries:
        if isinstance(entry, Gap):
            items.append({"gap": _gap(viewer, entry, keep)})
        else:
            line = lines.step_lines([entry], tree.extent, scale, fold, phases)[0]
            items.append({"line": line})
    return found | {
        "items": items,
        "more": more and more | {"href": viewer.url("rows/", after=more["after"], **keep)},
        "scale": scale,
        "only": only,
        "chips": _chips(tree),
        "axis": lines.axis(tree.extent, scale, fold),
        "breaks": lines.breaks(fold),
        "idle_offered": is_offered,
        "idle_share": idle.idle_share(tree.extent, tree.idle) if is_offered else 0,
        "is_folded": is_folded,
        "selected": selected,
        "hits": hits,
        "keep": urlencode(keep),
        "under": _named(tree, request.GET.get("under", "")),
    }


def _phases(viewer: Viewer, trace: Trace, entries: list[Entry]) -> Phases:
    """Where the drawn gateway calls' time went, for those who may open what lies with it."""
    if not viewer.sees_payloads:
        return {}
    steps = (entry.row.step for entry in entries if isinstance(entry, Drawn))
    return phases_in(viewer.project, trace.trace_id, steps)


def _entries(
    request: HttpRequest, tree: Tree, only: str, selected: str
) -> tuple[list[Entry], dict[str, Any] | None]:
    """The rows to draw, and for filtered lists how to go on."""
    if only:
        return _filtered(request, tree.matching(only), selected)
    under, start = request.GET.get("under", ""), _number(request.GET.get("from", ""))
    stop = _number(request.GET.get("to", "")) or None
    if "under" not in request.GET:
        return draw(tree, reveal=selected), None
    entries = draw(tree, under=under, start=start, stop=stop, budget=MORE_ROWS)
    return entries, None


def _filtered(
    request: HttpRequest, rows: list[Row], selected: str
) -> tuple[list[Entry], dict[str, Any] | None]:
    place = {row.step.span_id: number for number, row in enumerate(rows)}
    after = request.GET.get("after")
    if after is not None:
        start = place.get(after, -1) + 1
        stop = start + MORE_ROWS
    else:
        at = place.get(selected, 0)
        start, stop = 0, 300 if at < 300 else min(at + SELECTED_AROUND, MOST_ROWS)
    part = rows[start:stop]
    entries: list[Entry] = [
        Drawn(
            row=row,
            is_open=row.has_children,
            parent=dom_id(row.parent_id) if row.parent_id else "",
        )
        for row in part
    ]
    left = len(rows) - stop
    if left <= 0 or not part:
        return entries, None
    return entries, {"after": part[-1].step.span_id, "next": min(MORE_ROWS, left), "left": left}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _gap(viewer: Viewer, gap: Gap, keep: dict[str, str]) -> dict[str, Any]:
    """The way to siblings that are not drawn; the page's own address for a browser without JavaScript."""
    params = keep | {"from": str(gap.start), "to": str(gap.stop)}
    query = urlencode({"under": gap.parent_id, **params})
    return {
        "id": f"{dom_id(gap.parent_id)}-{gap.start}",
        "href": f"{viewer.base_url}rows/?{query}",
        "page": f"{viewer.base_url}?{query}",
        "next": min(MORE_ROWS, gap.count),
        "left": gap.count,
        "level": gap.level,
        "indent": min(gap.level - 1, lines.MAX_INDENT) * 14,
    }


def _named(tree: Tree, span_id: str) -> Row | None:
    """The step whose part of the tree is all that is shown."""
    place = tree.position.get(span_id)
    return None if place is None else tree.rows[place]


def _chips(tree: Tree) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "label": label,
            "icon": chosen.ICONS[key],
            "title": chosen.TITLES.get(key, ""),
            "count": tree.counts[key],
        }
        for key, label in chosen.ONLY.items()
    ]


def find_context(request: HttpRequest, viewer: Viewer, trace: Trace, tree: Tree) -> dict[str, Any]:
    """`?find=`: the matches, where the reader stands among them, and the ones before and after."""
    found = find.find_steps(
        viewer.project,
        trace,
        tree,
        request.GET.get("find", ""),
        deep=request.GET.get("deep") == "1",
        sees_payloads=viewer.sees_payloads,
    )
    ids = found.span_ids
    at = ids.index(current) if (current := request.GET.get("step", "")) in ids else -1
    context: dict[str, Any] = {"found": found, "found_at": at + 1}
    if ids:
        keep = {
            name: value
            for name in ("view", "scale", "idle", "list", "deep")
            if (value := request.GET.get(name))
        }
        context["find_next"] = viewer.url(**keep, find=found.text, step=ids[(at + 1) % len(ids)])
        context["find_previous"] = viewer.url(**keep, find=found.text, step=ids[max(at, 0) - 1])
    return context
