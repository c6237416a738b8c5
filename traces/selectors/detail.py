"""One trace: its row, its steps, its neighbours, what it cost by model; and one step with what was said in it."""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.crypto import DecryptionError, data_cipher
from costs.models import CostRecord
from projects.models import Project
from traces.contents import mark_of, rows_holding, split_row
from traces.filters import TraceFilters
from traces.models import ErrorTrace, Span, SpanPayload, Trace
from traces.payloads import read_payload
from traces.selectors.listing import matching
from traces.step_keys import IsStep
from traces.waterfall import StepFacts

STEP_COLUMNS = StepFacts.__struct_fields__
EXPORT_CHUNK = 100
# A record's own time may differ from its step's by the length of the call.
RECORD_SLACK = dt.timedelta(days=2)


@dataclass(frozen=True)
class StepContent:
    """What was said in a step. `problem` is set instead when it cannot be decrypted; no content at all is neither."""

    content: dict[str, Any]
    size: int
    problem: str = ""


def trace_of(project: Project, trace_id: str) -> Trace | None:
    """One query."""
    return Trace.objects.filter(project=project, trace_id=trace_id).first()


def steps_of(trace: Trace, *, after_seq: int = -1) -> list[StepFacts]:
    """The steps that changed after `after_seq` (all by default). One query, bounded by the trace's own days."""
    found = Span.objects.filter(
        project=trace.project_id,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )
    if after_seq >= 0:
        found = found.filter(seq__gt=after_seq)
    return [StepFacts(*row) for row in found.values_list(*STEP_COLUMNS)]


def step_of(trace: Trace, span_id: str) -> Span | None:
    """One query."""
    return Span.objects.filter(
        IsStep(trace, [span_id]),
        project=trace.project_id,
        trace_id=trace.trace_id,
        span_id=span_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    ).first()


def step_content(project: Project, span: Span) -> StepContent:
    """The step's payload, opened. One query."""
    found = rows_holding(
        project_id=project.pk,
        trace_ids=[span.trace_id],
        span_ids=[span.span_id],
        since=span.started_at,
        until=span.started_at,
    )
    return _opened(project, found, {span.span_id}).get(span.span_id) or StepContent({}, 0)


def _opened(
    project: Project, rows: "Iterable[SpanPayload]", wanted: Collection[str]
) -> dict[str, StepContent]:
    """The wanted steps' contents in these rows of one trace. What cannot be decrypted says so for all it may hold."""
    cipher = data_cipher(project.organization.data_key)
    marks = {mark_of(span_id): span_id for span_id in wanted}
    found: dict[str, StepContent] = {}
    for row in rows:
        try:
            for span_id, raw in split_row(cipher, row):
                if span_id in wanted:
                    found[span_id] = StepContent(read_payload(raw), len(raw))
        except DecryptionError as error:
            held = [row.span_id] if row.steps is None else [marks.get(one) for one in row.steps]
            for one in held:
                if one is not None and one in wanted:
                    found.setdefault(one, StepContent({}, row.size, str(error)))
    return found


def cost_record_of(span: Span) -> CostRecord | None:
    """The ledger row of this step. One query by the trace's index, bounded by time."""
    return (
        CostRecord.objects.filter(
            project=span.project_id,
            trace_id=span.trace_id,
            span_id=span.span_id,
            occurred_at__gte=span.started_at - RECORD_SLACK,
            occurred_at__lte=(span.ended_at or span.started_at) + RECORD_SLACK,
        )
        .order_by("-occurred_at")
        .first()
    )


def traces_failing_like(project: Project, fingerprint: str, *, since: dt.datetime) -> int:
    """How many traces have failed with this fingerprint since then. One query by index."""
    return ErrorTrace.objects.filter(
        project=project, fingerprint=fingerprint, last_at__gte=since
    ).count()


def neighbours(
    project: Project, trace: Trace, filters: TraceFilters | None
) -> tuple[str | None, str | None]:
    """(newer, older) trace ids by start, inside the reader's filters, else in the whole project. Two queries."""
    found = Trace.objects.filter(project=project) if filters is None else matching(project, filters)
    at, own = trace.started_at, trace.trace_id
    newer = found.filter(started_at__gte=at).exclude(started_at=at, trace_id__lte=own)
    older = found.filter(started_at__lte=at).exclude(started_at=at, trace_id__gte=own)
    ids = "trace_id"
    return (
        newer.order_by("started_at", ids).values_list(ids, flat=True).first(),
        older.order_by("-started_at", f"-{ids}").values_list(ids, flat=True).first(),
    )


def steps_with_content(project: Project, trace: Trace) -> Iterator[tuple[Span, StepContent]]:
    """Every step in order with its content, read a hundred at a time. Two queries per hundred."""
    found = Span.objects.filter(
        project=project.pk,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    ).order_by("started_at", "span_id")
    last: tuple[dt.datetime, str] | None = None
    while True:
        part = found
        if last is not None:
            part = part.filter(started_at__gte=last[0]).exclude(
                started_at=last[0], span_id__lte=last[1]
            )
        spans = list(part[:EXPORT_CHUNK])
        if not spans:
            return
        opened = contents_of(project, trace, spans)
        for span in spans:
            yield span, opened.get(span.span_id, StepContent({}, 0))
        last = (spans[-1].started_at, spans[-1].span_id)


def contents_of(
    project: Project, trace: Trace, spans: Sequence[Span | StepFacts]
) -> dict[str, StepContent]:
    """The content of several steps of one trace by span id. One query."""
    if not spans:
        return {}
    wanted = {span.span_id for span in spans}
    found = rows_holding(
        project_id=project.pk,
        trace_ids=[trace.trace_id],
        span_ids=wanted,
        since=min(span.started_at for span in spans),
        until=max(span.started_at for span in spans),
    )
    return _opened(project, found, wanted)


def project_of_trace(user: Any, trace_id: str) -> Project | None:
    """The newest project among the user's that holds this trace. One query, over the user's projects only."""
    reachable = list(
        Project.objects.filter(organization__memberships__user=user)
        .exclude(status=Project.Status.DELETING)
        .values_list("pk", flat=True)
    )
    found = (
        Trace.objects.filter(project__in=reachable, trace_id=trace_id)
        .select_related("project")
        .order_by("-created_at")
        .first()
    )
    return found.project if found else None
