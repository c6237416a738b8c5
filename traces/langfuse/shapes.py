"""Traces, steps, sessions and scores in the words of Langfuse's API. Unknown cost is null where its shape allows it."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from projects.models import Project
from traces.langfuse.answers import moment
from traces.models import Score, ScoreType, SessionRow, Span, SpanKind, Trace

_TYPES = {
    SpanKind.LLM: "GENERATION",
    SpanKind.EMBEDDING: "EMBEDDING",
    SpanKind.TOOL: "TOOL",
    SpanKind.RETRIEVAL: "RETRIEVER",
    SpanKind.GUARDRAIL: "GUARDRAIL",
    SpanKind.EVALUATOR: "EVALUATOR",
    SpanKind.AGENT: "AGENT",
    SpanKind.CHAIN: "CHAIN",
}
_SOURCES = {"api": "API", "annotation": "ANNOTATION", "eval": "EVAL"}


def trace_shape(
    trace: Trace, project: Project, content: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A trace with its totals; `content` is its root's."""
    said = content or {}
    return {
        "id": trace.trace_id,
        "timestamp": moment(trace.started_at),
        "name": trace.name or None,
        "input": said.get("input"),
        "output": said.get("output"),
        "sessionId": trace.session_id or None,
        "release": trace.release or None,
        "version": None,
        "userId": trace.user_id or None,
        "metadata": trace.metadata or None,
        "tags": trace.tags,
        "public": False,
        "environment": trace.environment or "default",
        "projectId": str(project.pk),
        "createdAt": moment(trace.created_at),
        "updatedAt": moment(trace.updated_at),
        "bookmarked": False,
        "htmlPath": f"/projects/{project.ref}/traces/{trace.trace_id}/",
        "latency": (trace.duration_ms or 0) / 1000,
        # Their clients want a number here; the API of LLMLab says null for an unknown cost.
        "totalCost": float(trace.cost_usd),
    }


def observation_shape(span: Span, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """A step as an observation."""
    said = content or {}
    known = {"input": span.input_tokens, "output": span.output_tokens}
    usage = {name: count for name, count in known.items() if count is not None}
    if usage:
        usage["total"] = sum(usage.values())
    if span.cache_read_input_tokens:
        usage["input_cache_read"] = span.cache_read_input_tokens
    cost = None if span.cost_usd is None else float(span.cost_usd)
    first = span.first_token_ms
    return {
        "id": span.span_id,
        "traceId": span.trace_id,
        "type": _TYPES.get(SpanKind(span.kind), "SPAN"),
        "name": span.name or None,
        "startTime": moment(span.started_at),
        "endTime": moment(span.ended_at),
        "completionStartTime": moment(span.started_at + dt.timedelta(milliseconds=first)) if first else None,
        "model": span.response_model or span.request_model or None,
        "modelParameters": said.get("parameters"),
        "input": said.get("input"),
        "version": None,
        "metadata": said.get("metadata"),
        "output": said.get("output"),
        "usage": {
            "input": usage.get("input", 0),
            "output": usage.get("output", 0),
            "total": usage.get("total", 0),
            "unit": "TOKENS",
        },
        "level": "ERROR" if span.status == "error" else "DEFAULT",
        "statusMessage": span.error_message or None,
        # The trace is a step of its own here.
        "parentObservationId": span.parent_span_id if span.parent_span_id not in ("", span.trace_id) else None,
        "promptId": None,
        "promptName": None,
        "promptVersion": None,
        "modelId": None,
        "inputPrice": None,
        "outputPrice": None,
        "totalPrice": None,
        "calculatedInputCost": None,
        "calculatedOutputCost": None,
        "calculatedTotalCost": cost,
        "usageDetails": usage,
        "costDetails": {} if cost is None else {"total": cost},
        "latency": None if span.duration_ms is None else span.duration_ms / 1000,
        "timeToFirstToken": None if first is None else first / 1000,
        "environment": "default",
    }  # fmt: skip


def score_shape(score: Score) -> dict[str, Any]:
    """One score; a yes or no has both its number and its word."""
    value: Any = score.value
    text = score.text or None
    if score.data_type == ScoreType.BOOLEAN:
        text = "True" if score.value else "False"
    return {
        "id": score.score_id,
        "traceId": score.trace_id,
        "observationId": score.span_id or None,
        "sessionId": score.session_id or None,
        "name": score.name,
        "value": value,
        "stringValue": text,
        "dataType": score.data_type.upper(),
        "source": _SOURCES.get(score.source, "API"),
        "comment": score.reason or None,
        "metadata": score.metadata,
        "environment": score.environment or "default",
        "timestamp": moment(score.scored_at),
        "createdAt": moment(score.created_at),
        "updatedAt": moment(score.updated_at),
        "authorUserId": str(score.author_id) if score.author_id else None,
        "configId": None,
        "queueId": None,
    }


def session_shape(
    row: SessionRow, project: Project, traces: Sequence[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A session, with its traces when it is asked for alone."""
    found: dict[str, Any] = {
        "id": row.session_id,
        "createdAt": moment(row.first_at),
        "projectId": str(project.pk),
        "environment": "default",
    }
    return found if traces is None else {**found, "traces": list(traces)}
