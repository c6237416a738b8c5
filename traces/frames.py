"""What an open trace page is sent: a frame of HTML pieces with ids, from the reader's sequence number to the newest.

A frame holds the facts, the cost card, the axis and every row that may look different: steps that changed, the ones
above them (sums, folding) and those below a step that took a new place (level, parent). More than 50 rows become a
"read again" mark. Building one needs only the trace's present state, so any reader can be brought up to date.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string

from traces import lines
from traces.models import Trace
from traces.selectors import detail
from traces.selectors.phases import Phases, phases_in
from traces.tree import Tree, placed
from traces.viewer import Viewer
from traces.waterfall import Layout, Row, lay_out

MAX_ROWS = 50


@dataclass(frozen=True)
class Frame:
    """From which state to which; `html` may be applied only on top of `from_seq`."""

    from_seq: int
    seq: int
    html: str


def trace_context(viewer: Viewer, trace: Trace, tree: Tree, *, now: dt.datetime) -> dict[str, Any]:
    """Facts, badges and cost card; the same for the page and for frames. No query."""
    is_running = trace.status == "running" or tree.is_running
    elapsed = (now - trace.started_at).total_seconds() * 1000
    return {
        "viewer": viewer,
        "project": viewer.project,
        "trace": trace,
        "extent": tree.extent,
        "is_running": is_running,
        "elapsed_ms": round(max(elapsed, 0)),
        "models": [
            {
                "model": one.model,
                "calls": one.calls,
                "cost_usd": one.cost_usd,
                "unpriced_calls": one.unpriced_calls,
                "share": one.share,
                "bar": lines.percent(one.share * 100),
            }
            for one in tree.models
        ],
        "step_base": viewer.base_url,
        "step_count": len(tree.rows),
        "orphans": tree.orphans,
        "now": now,
    }


def build_frame(
    viewer: Viewer,
    trace: Trace,
    tree: Tree,
    *,
    from_seq: int,
    now: dt.datetime,
    phases: Phases | None = None,
) -> Frame:
    """Everything between `from_seq` and the trace's present state. No query; CPU only. `phases` of gateway calls."""
    rows = changed_rows(tree.layout, from_seq)
    is_reload = len(rows) > MAX_ROWS
    context = trace_context(viewer, trace, tree, now=now) | {
        "from_seq": from_seq,
        "is_reload": is_reload,
        "behind": len(rows),
        "lines": []
        if is_reload
        else lines.step_lines(placed(tree, rows), tree.extent, "time", phases=phases),
        "is_frame": True,
        "new_after": from_seq,
    }
    return Frame(from_seq, trace.seq, render_to_string("traces/_frame.html", context))


def gone_frame(from_seq: int) -> Frame:
    """The trace was deleted."""
    return Frame(
        from_seq, from_seq, render_to_string("traces/_frame_gone.html", {"from_seq": from_seq})
    )


def changed_rows(layout: Layout, from_seq: int) -> list[Row]:
    """Rows that may look different from what a reader at `from_seq` has, in tree order."""
    by_id = {row.step.span_id: row for row in layout.rows}
    wanted: set[str] = set()
    below: set[str] = set()
    for row in layout.rows:  # parents come before their children
        span_id = row.step.span_id
        is_moved = row.step.placed_seq > from_seq or row.parent_id in below
        if is_moved:
            below.add(span_id)
        if is_moved or row.step.seq > from_seq:
            wanted.add(span_id)
            at = row.parent_id
            while at and at not in wanted:
                wanted.add(at)
                at = by_id[at].parent_id
    return [row for row in layout.rows if row.step.span_id in wanted]


def read_frame(viewer: Viewer, after: int, *, now: dt.datetime) -> Frame | None:
    """For polling: the frame from `after`, None when nothing changed. Two queries, one when nothing changed,
    two more with gateway calls."""
    trace = detail.trace_of(viewer.project, viewer.trace_id)
    if trace is None:
        return gone_frame(after)
    if trace.seq <= after:
        return None
    steps = detail.steps_of(trace)
    phases = phases_in(viewer.project, trace.trace_id, steps) if viewer.sees_payloads else {}
    tree = Tree(lay_out(steps, now=now))
    return build_frame(viewer, trace, tree, from_seq=after, now=now, phases=phases)
