"""From what is known of a Langfuse item to a step: the same attributes its newer SDKs send over OTLP, so that one
dialect (traces.ingest.dialects.langfuse) reads both.
"""

import datetime as dt
from typing import Any

from traces.ingest.dialects.registry import understand
from traces.ingest.facts import ScopeFacts, SpanFacts
from traces.ingest.json_steps import DURATION_UNKNOWN
from traces.ingest.limits import Limits, Window
from traces.ingest.span import NormalSpan
from traces.langfuse.state import Item

SCOPE = "langfuse-batch"
USAGE_NOT_TOKENS = "usage_not_tokens"
_SPAN = "langfuse.observation."
_CALLS = ("generation", "embedding")
_SAID = ("output", "usage", "usageDetails", "costDetails")
# Facts of a trace that its observations are counted under.
INHERITED = ("name", "userId", "sessionId", "tags", "environment", "release")
_CONTENT = {
    "input": "input",
    "output": "output",
    "metadata": "metadata",
    "modelParameters": "model.parameters",
}
_COST_PARTS = {"inputCost": "input", "outputCost": "output", "totalCost": "total"}


def span_id_of(item: Item) -> str:
    """The trace itself is a step with the trace's id; an observation of the same id stands beside it."""
    clashes = item.kind == "o" and item.item_id == item.trace_id
    return f"{item.item_id[:126]}.o" if clashes else item.item_id


def place(item: Item) -> None:
    """Work out when an observation ran: its columns follow from its facts."""
    start, end = item.moment("startTime"), item.moment("endTime")
    # Before the event that says when it began: as late as can be, so that nothing has to be taken back.
    item.started_at = start or min(moment for moment in (item.first_heard(), end) if moment)
    item.ended_at = end
    kind = item.get("type") or "span"
    if (
        end is None
        and start is not None
        and (
            kind == "event"
            or item.get("level") == "ERROR"
            or "output" in item.facts
            or (kind in _CALLS and any(name in item.facts for name in _SAID))
        )
    ):
        item.ended_at = item.started_at
    if item.ended_at is not None:
        item.ended_at = max(item.started_at, item.ended_at)
    item.is_running = item.ended_at is None


def step_of(item: Item, trace: Item, *, limits: Limits, window: Window) -> NormalSpan:
    """An observation in normal form."""
    kind = item.get("type") or "span"
    parent = item.get("parentObservationId") or item.trace_id
    attributes: dict[str, Any] = {_SPAN + "type": kind, **_context(trace, item)}
    flags = _usage(item, attributes)
    stated = {
        "model.name": item.get("model"),
        "level": item.get("level"),
        "status_message": item.get("statusMessage"),
        "completion_start_time": item.get("completionStartTime"),
        "prompt.name": item.get("promptName"),
        "prompt.version": item.get("promptVersion"),
    }
    attributes |= {_SPAN + name: value for name, value in stated.items() if value is not None}
    start, end = item.started_at or item.first_heard(), item.ended_at
    is_known = kind == "event" or (item.get("startTime") and item.get("endTime"))
    if end is not None and not is_known:
        flags.append(DURATION_UNKNOWN)
    if (stated_end := item.moment("endTime")) is not None and stated_end < start:
        flags.append("end_before_start")
    if start > window.skew_after:
        flags.append("clock_skew")
    span = _understood(item, parent, attributes, (start, end), flags, limits)
    span.service_tier = span.service_tier or item.get("serviceTier") or ""
    return span


def root_of(
    trace: Item, extent: tuple[dt.datetime, dt.datetime, bool, str], limits: Limits
) -> NormalSpan:
    """The trace itself as the step above all its observations."""
    start, end, is_running, level = extent
    attributes: dict[str, Any] = {_SPAN + "type": "chain", **_context(trace, trace)}
    if level == "ERROR":
        attributes[_SPAN + "level"] = level
    span = _understood(trace, "", attributes, (start, None if is_running else end), [], limits)
    span.trace_name = trace.get("name") or ""
    return span


def _understood(
    item: Item,
    parent: str,
    attributes: dict[str, Any],
    times: tuple[dt.datetime, dt.datetime | None],
    flags: list[str],
    limits: Limits,
) -> NormalSpan:
    attributes |= {
        _SPAN + _CONTENT[name]: value for name, value in item.content.items() if value is not None
    }
    facts = SpanFacts(
        trace_id=item.trace_id,
        span_id=span_id_of(item),
        parent_span_id=parent,
        name=item.get("name") or "",
        started_at=times[0],
        ended_at=times[1],
        status_code=0,
        status_message="",
        attributes=attributes,
        events=[],
        scope=ScopeFacts(name=SCOPE),
        flags=flags,
    )
    span = understand(facts, limits)
    span.is_amending = not item.is_new
    return span


def _context(trace: Item, item: Item) -> dict[str, Any]:
    """Who, which conversation and what for: on every step, as the newer SDKs do."""
    stated = {
        "langfuse.trace.name": trace.get("name"),
        "user.id": trace.get("userId"),
        "session.id": trace.get("sessionId"),
        "langfuse.trace.tags": trace.get("tags"),
        "langfuse.environment": item.get("environment") or trace.get("environment"),
        "langfuse.release": trace.get("release"),
        "langfuse.version": item.get("version") or trace.get("version"),
    }
    return {name: value for name, value in stated.items() if value}


def _usage(item: Item, attributes: dict[str, Any]) -> list[str]:
    """Usage and cost, the newer fields before the older one; what is no token is kept and marked."""
    old = dict(item.get("usage") or {})
    unit = str(old.pop("unit", "") or "TOKENS").upper()
    costs = {new: old.pop(name) for name, new in _COST_PARTS.items() if name in old}
    usage = item.get("usageDetails") or (old if unit == "TOKENS" else {})
    costs = item.get("costDetails") or costs
    if usage:
        attributes[_SPAN + "usage_details"] = usage
    if costs:
        attributes[_SPAN + "cost_details"] = costs
    if old and unit != "TOKENS":
        attributes["langfuse.usage"] = {**old, "unit": unit}
        return [USAGE_NOT_TOKENS] if not usage else []
    return []
