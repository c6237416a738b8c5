"""The model calls of a trace with what was said in them, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects.models import Project
from traces.contents import mark_of, rows_holding
from traces.models import Trace
from traces.selectors.detail import StepContent, contents_of
from traces.transcript import Call, Transcript, transcript_of
from traces.tree import Tree
from traces.waterfall import StepFacts

PAGE_CALLS = 50
EARLIER_CALLS = 10  # what these said is history, not news, on a later page
MAX_BYTES = (
    8 * 1024 * 1024
)  # of payloads opened for one page; a single larger call is read all the same


@dataclass(frozen=True)
class TranscriptPage:
    """The turns of calls `first` to `last` (from 1) of `total`; `after` is the next page's cursor, or empty."""

    transcript: Transcript
    first: int
    last: int
    total: int
    after: str
    previous: str | None  # cursor of the page before; "" is the first page, None: this is it


def calls_of(tree: Tree) -> list[StepFacts]:
    """The model calls by time; the roots where no step is one. No query."""
    calls = [row.step for row in tree.rows if row.step.kind == "llm"]
    calls = calls or [row.step for row in tree.rows if row.level == 1]
    return sorted(calls, key=lambda step: (step.started_at, step.span_id))


def transcript_page(
    project: Project, trace: Trace, tree: Tree, *, after: str = "", limit: int = PAGE_CALLS
) -> TranscriptPage:
    """The conversation of the calls after the step `after`. Two queries."""
    calls = calls_of(tree)
    places = {step.span_id: place for place, step in enumerate(calls)}
    start = places.get(after, -1) + 1 if after else 0
    window = calls[max(start - EARLIER_CALLS, 0) : start + limit]
    readable = _affordable(trace, window, start - max(start - EARLIER_CALLS, 0))
    window = window[: len(window) if readable is None else readable]
    opened = contents_of(project, trace, window)
    told = [_call(step, opened.get(step.span_id)) for step in window]
    split = start - max(start - EARLIER_CALLS, 0)
    end = start + len(told) - split
    return TranscriptPage(
        transcript=transcript_of(told[split:], earlier=told[:split]),
        first=start + 1 if end > start else 0,
        last=end,
        total=len(calls),
        after=calls[end - 1].span_id if start < end < len(calls) else "",
        previous=_previous(calls, start, limit),
    )


def _previous(calls: Sequence[StepFacts], start: int, limit: int) -> str | None:
    if start <= 0:
        return None
    return calls[start - limit - 1].span_id if start > limit else ""


def _affordable(trace: Trace, window: Sequence[StepFacts], needed: int) -> int | None:
    """How many of the window's payloads fit, at least one of the page's own. One query."""
    if not window:
        return None
    rows = rows_holding(
        project_id=trace.project_id,
        trace_ids=[trace.trace_id],
        span_ids=[step.span_id for step in window],
        since=trace.first_span_at,
        until=trace.last_span_at,
    ).values_list("span_id", "size", "steps")
    sizes: dict[int, int] = {}
    for span_id, size, steps in rows:
        # A shared row is small: each step in it counts for its share.
        for mark in steps or [mark_of(span_id)]:
            sizes[mark] = size // len(steps or [mark])
    volume = 0
    for number, step in enumerate(window):
        volume += sizes.get(mark_of(step.span_id), 0)
        if volume > MAX_BYTES and number > needed:
            return number
    return None


def _call(step: StepFacts, content: StepContent | None) -> Call:
    return Call(step, content.content if content else {}, content.problem if content else "")
