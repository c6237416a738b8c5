"""`POST …/traces`: traces with their steps as plain JSON.

    {"traces": [{"trace_id", "root_id", "parent_id", "name", "status", "started_at", "ended_at" | "duration_ms",
                 "agent", "user", "session", "tags", "environment", "release", "feature", "prompt_version", "metadata",
                 "input", "output", "error",
                 "steps": [{"id", "parent_id", "type", "name", "model", "provider", …}]}]}

One bare trace object and a bare list of traces are accepted too. See `json_steps` for a step's
fields.

The trace item always becomes one root step: kind `agent`, span id = trace id, never charged. It
carries what the
trace says about itself, so sending the item again (first running, then ended) updates the trace
like any other step.
Steps without `parent_id` hang below it; `parent_id` may also name the trace. A step whose id *is*
the trace id takes
the root's place instead. `root_id` gives the root an id of its own, and `parent_id` of the item hangs it below a step
that another process sends (W3C trace context): each service sends its part of the trace, in any order.
Steps inherit agent, user, session, tags, environment, release and feature
for their costs.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from traces.ingest.duplicates import merged
from traces.ingest.json_body import load_json
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.json_steps import STATUSES, TraceFacts, read_error, read_step
from traces.ingest.limits import SHORT_LENGTH, BodyError, Limits, TooManyItemsError, Window
from traces.ingest.sanitize import short_text
from traces.ingest.span import NormalSpan, Rejection

# The root's state was worked out from its steps, not stated: it must not end a trace that said it
# is running.
STATUS_INFERRED = "status_inferred"
_SAMPLE = 2


class JsonTraceResult(msgspec.Struct, kw_only=True):
    """What became of one trace item: `spans` to store, `rejections` per step; `error` refuses
    the item as a whole. `sent` is its steps, the trace itself being one unless a step stands for it.
    """

    index: int
    sent: int = 1
    trace_id: str = ""
    spans: list[NormalSpan] = []
    rejections: list[Rejection] = []
    error: Rejection | None = None
    # The first steps as they were sent, by id, for the page "What we understood".
    sample: dict[str, Any] = {}

    def all_rejections(self) -> list[Rejection]:
        """One per refused step, as the tally counts them."""
        return [self.error] * self.sent if self.error is not None else self.rejections

    @property
    def repeated(self) -> int:
        """Steps that came twice in the item and became one."""
        return 0 if self.error else self.sent - len(self.spans) - len(self.rejections)


def decode_traces(
    body: bytes, *, now: datetime, limits: Limits, window: Window
) -> list[JsonTraceResult]:
    """One result per trace item, in order. Raises BodyError or TooManyItemsError for the body as
    a whole.
    """
    items = list_of(load_json(body), "traces", "trace_id")
    if len(items) > limits.max_traces:
        raise TooManyItemsError(
            f"The upload holds {len(items)} traces, more than {limits.max_traces}.",
            fields=["traces"],
        )
    steps = sum(
        len(item["steps"])
        for item in items
        if type(item) is dict and type(item.get("steps")) is list
    )
    if steps > limits.max_spans:
        raise TooManyItemsError(
            f"The upload holds {steps} steps, more than {limits.max_spans}.",
            fields=["steps"],
            items=steps + len(items),
        )
    results = [_trace(index, item, now, limits, window) for index, item in enumerate(items)]
    _merge_across(results)
    return results


def list_of(value: Any, name: str, bare_key: str) -> list[Any]:
    """The items of `{name: […]}`, of a bare list, or of one bare item."""
    if type(value) is dict:
        if name not in value and bare_key in value:
            return [value]
        value = value.get(name)
    if type(value) is not list:
        raise BodyError(f'The body must be an object with "{name}": a list.', fields=[name])
    return value


def _trace(index: int, item: Any, now: datetime, limits: Limits, window: Window) -> JsonTraceResult:
    shown_id = short_text(item.get("trace_id"), 128) if type(item) is dict else ""
    listed = item.get("steps", item.get("spans")) if type(item) is dict else None
    result = JsonTraceResult(
        index=index,
        sent=1 + (len(listed) if type(listed) is list else 0),
        trace_id=shown_id,
        spans=[],
        rejections=[],
        sample={},
    )
    try:
        reader = Reader(item, "", limits, window)
        facts, root = _root(reader, now)
        field, steps = reader.take("steps", "spans")
        if field and type(steps) is not list:
            raise FieldError(field, steps, "it must be a list of steps")
        if len(steps or ()) > limits.max_spans:
            raise FieldError(field, steps, f"it holds more than {limits.max_spans} steps")
    except FieldError as error:
        result.error = Rejection(
            index=index, trace_id=shown_id, code="invalid_field", detail=error.detail
        )
        return result
    spans: dict[str, NormalSpan] = {}
    for position, step in enumerate(steps or ()):
        try:
            span = read_step(step, f"steps[{position}].", facts, limits, window)
        except FieldError as error:
            step_id = (
                short_text(step.get("id", step.get("step_id")), 128) if type(step) is dict else ""
            )
            result.rejections.append(
                Rejection(
                    index=position,
                    trace_id=facts.trace_id,
                    span_id=step_id,
                    code="invalid_field",
                    detail=error.detail,
                )
            )
            continue
        if position < _SAMPLE:
            result.sample[span.span_id] = step
        earlier = spans.get(span.span_id)
        spans[span.span_id] = span if earlier is None else merged(earlier, span)
    if root.span_id in spans:
        _promote(spans[root.span_id], root)
        result.sent -= 1
    else:
        _conclude(root, facts, spans.values())
        spans = {root.span_id: root, **spans}
    top = spans[root.span_id]
    top.attributes = {**reader.rest(), **top.attributes}
    top.flags = tuple(dict.fromkeys((*top.flags, *reader.cleaner.flags())))
    result.spans = list(spans.values())
    return result


def _root(reader: Reader, now: datetime) -> tuple[TraceFacts, NormalSpan]:
    """The trace's own facts and the step that carries them; its times may still follow from the
    steps.
    """
    trace_id = reader.identifier("trace_id", "id", is_required=True)
    root_id = reader.identifier("root_id") or trace_id
    parent_id = reader.identifier("parent_id", "parent_span_id")
    if parent_id == root_id:
        raise FieldError("parent_id", parent_id, "the root cannot be its own parent")
    agent = reader.text("agent", "agent_name")
    name = reader.text("name", "trace_name")
    started_at = reader.moment("started_at", "start_time", "timestamp")
    ended_at = reader.moment("ended_at", "end_time")
    duration = reader.milliseconds("duration_ms", "latency_ms")
    status = reader.choice(STATUSES, "status")
    error_type, error_message = read_error(reader)
    if started_at is None and ended_at is not None and duration is not None:
        started_at = max(ended_at - timedelta(milliseconds=duration), reader.window.earliest)
    if started_at is not None and ended_at is None and duration is not None:
        ended_at = started_at + timedelta(milliseconds=duration)
    facts = TraceFacts(
        trace_id=trace_id,
        root_id=root_id,
        parent_id=parent_id,
        started_at=started_at,
        is_running=status == "running",
        now=now,
        agent=agent or name,
        environment=reader.text("environment", "env", limit=SHORT_LENGTH),
        release=reader.text("release", "version"),
        user_id=reader.text("user", "user_id"),
        session_id=reader.text("session", "session_id"),
        feature=reader.text("feature"),
        prompt_version=reader.text("prompt_version"),
        tags=reader.tags("tags"),
    )
    root = NormalSpan(
        trace_id=trace_id,
        span_id=root_id,
        parent_span_id=parent_id,
        name=name or agent,
        kind="agent",
        operation="invoke_agent",
        status="error" if error_type or error_message else status,
        started_at=started_at or now,
        ended_at=ended_at,
        error_type=error_type,
        error_message=error_message,
        trace_name=name or agent,
        metadata=reader.mapping("metadata"),
        input=reader.content("input"),
        output=reader.content("output"),
        dialect="json",
        **facts.inherited(),
    )
    return facts, root


def _conclude(root: NormalSpan, facts: TraceFacts, steps: Any) -> None:
    """Fill in the times and the status the item left open, from its steps."""
    flags = list(root.flags)
    steps = list(steps)
    if facts.started_at is None and steps:
        root.started_at = min(step.started_at for step in steps)
    if not root.status:
        has_end = root.ended_at is not None
        if not has_end and (not steps or any(step.status == "running" for step in steps)):
            root.status = "running"
        else:
            root.status = "ok"
        if not has_end:
            flags.append(STATUS_INFERRED)
    if root.status == "running":
        root.ended_at = None
    elif root.ended_at is None:
        root.ended_at = max((step.ended_at or step.started_at for step in steps), default=facts.now)
    if root.ended_at is not None and root.ended_at < root.started_at:
        root.ended_at = root.started_at
        flags.append("end_before_start")
    if root.started_at > facts.skew_after:
        flags.append("clock_skew")
    root.flags = tuple(flags)


def _promote(step: NormalSpan, root: NormalSpan) -> None:
    """The step stands for the whole trace: it takes over what only the trace said."""
    step.parent_span_id = root.parent_span_id
    step.trace_name = root.trace_name or step.name
    step.metadata = {**root.metadata, **step.metadata}
    if root.status in ("running", "error") and step.status != "error":
        step.status = root.status
        step.ended_at = None if root.status == "running" else step.ended_at
    if step.input is None:
        step.input = root.input
    if step.output is None:
        step.output = root.output


def _merge_across(results: list[JsonTraceResult]) -> None:
    """A step sent in two items of one upload becomes one; both items keep it as theirs."""
    seen: dict[tuple[str, str], tuple[JsonTraceResult, int]] = {}
    for result in results:
        for position, span in enumerate(result.spans):
            owner, place = seen.setdefault((span.trace_id, span.span_id), (result, position))
            if owner is not result:
                owner.spans[place] = result.spans[position] = merged(owner.spans[place], span)
