"""A collection as examples: input, output and what was expected, read from the traces a hundred at a time."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.formats import instant
from projects.models import Project
from traces.models import Collection, CollectionItem, Span, Trace
from traces.selectors import detail
from traces.selectors.detail import StepContent

CHUNK = 100


def example_lines(project: Project, collection: Collection) -> Iterator[str]:
    """One JSON document per item and line, oldest first. Up to six queries an item, flat memory."""
    for example in examples(project, collection):
        yield json.dumps(example, ensure_ascii=False) + "\n"


def examples(project: Project, collection: Collection) -> Iterator[dict[str, Any]]:
    """Every item with what was said; `missing` says that its trace is gone."""
    found = CollectionItem.objects.filter(project=project, collection=collection.pk).order_by("id")
    last = None
    while True:
        page = list((found.filter(pk__gt=last) if last else found)[:CHUNK])
        if not page:
            return
        last = page[-1].pk
        yield from page_of_examples(project, page)


def page_of_examples(project: Project, items: Sequence[CollectionItem]) -> Iterator[dict[str, Any]]:
    """These items, in their order. One query for their traces, up to five more an item."""
    traces = {
        trace.trace_id: trace
        for trace in Trace.objects.filter(
            project=project, trace_id__in={item.trace_id for item in items}
        )
    }
    for item in items:
        trace = traces.get(item.trace_id)
        said = _said(project, trace, item.span_id) if trace else None
        yield {
            "id": str(item.pk),
            "trace_id": item.trace_id,
            "span_id": item.span_id or None,
            "name": said["name"] if said else None,
            "input": said["input"] if said else None,
            "output": said["output"] if said else None,
            "expected": item.expected or None,
            "note": item.note,
            "missing": said is None,
            "started_at": instant(trace.started_at) if trace else None,
            "models": trace.model_names if trace else [],
            "added_at": instant(item.created_at),
        }


def _said(project: Project, trace: Trace, span_id: str) -> dict[str, Any] | None:
    """The step's input and output; of a whole trace its root's, else its first call's input and its last's output."""
    if span_id:
        step = detail.step_of(trace, span_id)
        if step is None:
            return None
        content = detail.step_content(project, step).content
        return {"name": step.name, "input": content.get("input"), "output": content.get("output")}
    root = detail.step_of(trace, trace.root_span_id) if trace.root_span_id else None
    content = detail.step_content(project, root).content if root else {}
    found = {
        "name": trace.name,
        "input": content.get("input"),
        "output": content.get("output"),
    }
    if found["input"] is None or found["output"] is None:
        first, final = _outer_calls(project, trace)
        if found["input"] is None:
            found["input"] = first.content.get("input")
        if found["output"] is None:
            found["output"] = final.content.get("output")
    return found


def _outer_calls(project: Project, trace: Trace) -> tuple[StepContent, StepContent]:
    """What was said in the trace's first and last model call."""
    calls = Span.objects.filter(
        project=project.pk,
        trace_id=trace.trace_id,
        kind="llm",
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )
    first = calls.order_by("started_at", "span_id").first()
    final = calls.order_by("-started_at", "-span_id").first()
    nothing = StepContent({}, 0)
    return (
        detail.step_content(project, first) if first else nothing,
        detail.step_content(project, final) if final else nothing,
    )
