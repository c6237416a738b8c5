"""Langfuse's exports: traces, observations and scores, as its API, its pages and its blob storage write them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from llmlab.cli.imports.facts import TraceFacts
from llmlab.cli.imports.langfuse_usage import counts_of
from llmlab.cli.imports.records import Record
from llmlab.cli.imports.units import (
    SCORES,
    TRACES,
    RowError,
    Unit,
    content_id,
    decimal_text,
    load,
    moment,
    stamp,
    stated,
)

_CALLS = ("GENERATION", "EMBEDDING")


def field(row: dict[str, Any], *names: str) -> Any:
    """The first of several spellings that says something: the API writes camelCase, blob storage snake_case."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def kind_of(row: Any) -> str:
    """`trace`, `observation`, `score`, or nothing."""
    if not isinstance(row, dict) or "id" not in row:
        return ""
    if field(row, "startTime", "start_time") and (
        field(row, "traceId", "trace_id") or "type" in row
    ):
        return "observation"
    if "name" in row and ({"value", "stringValue", "string_value"} & row.keys()):
        return "score"
    if field(row, "timestamp", "createdAt", "created_at"):
        return "trace"
    return ""


def scan(record: Record, facts: TraceFacts) -> None:
    """The first pass; rows that cannot be understood are named in the second."""
    row = record.value
    kind = kind_of(row)
    if kind == "trace":
        facts.trace(str(row["id"]), _facts(row))
        for one in _inside(row, "observations"):
            _scan_observation({"traceId": row["id"], **one}, facts)
    elif kind == "observation":
        _scan_observation(row, facts)


def _scan_observation(row: dict[str, Any], facts: TraceFacts) -> None:
    try:
        ended = moment(field(row, "endTime", "end_time", "startTime", "start_time"), "endTime")
    except RowError:
        return
    facts.step(str(field(row, "traceId", "trace_id")), stamp(ended), is_root=False)


def _inside(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Rows of their own below a trace; lists of it hold their ids only."""
    found = row.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    tags = row.get("tags")
    return stated(
        name=row.get("name"),
        user=field(row, "userId", "user_id"),
        session=field(row, "sessionId", "session_id"),
        tags=[str(tag) for tag in tags] if isinstance(tags, list) else None,
        environment=row.get("environment"),
        release=field(row, "release", "version"),
    )


def convert(record: Record, facts: TraceFacts) -> Iterator[Unit]:
    """What to send for a record. Raises RowError."""
    row, line = record.value, record.line
    kind = kind_of(row)
    if kind == "trace":
        yield Unit(line, TRACES, _trace(row, facts))
        for one in _inside(row, "observations"):
            yield Unit(line, TRACES, _observation({"traceId": row["id"], **one}, facts))
        for one in _inside(row, "scores"):
            yield Unit(line, SCORES, _score({"traceId": row["id"], **one}))
    elif kind == "observation":
        yield Unit(line, TRACES, _observation(row, facts))
    elif kind == "score":
        yield Unit(line, SCORES, _score(row))
    else:
        raise RowError("it is neither a trace, an observation nor a score of Langfuse")


def _value(value: Any) -> Any:
    """Contents that were exported as JSON inside a text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return load(value)
        except ValueError:
            return value
    return value


def _metadata(value: Any) -> dict[str, Any] | None:
    value = _value(value)
    if value is None or value == "" or value == {}:
        return None
    return value if isinstance(value, dict) else {"metadata": value}


def _trace(row: dict[str, Any], facts: TraceFacts) -> dict[str, Any]:
    """The trace is a step of its own above its observations, as through Langfuse's SDK."""
    trace_id = str(row["id"])
    started = moment(field(row, "timestamp", "createdAt", "created_at"), "timestamp", required=True)
    begins = stamp(started) or ""
    return stated(
        trace_id=trace_id,
        status="ok",
        started_at=begins,
        # Langfuse's traces have no end of their own: the last of their observations.
        ended_at=max(begins, facts.ends.get(trace_id, "")),
        metadata=_metadata(row.get("metadata")),
        input=_value(row.get("input")),
        output=_value(row.get("output")),
        **facts.of(trace_id),
    )


def _observation(row: dict[str, Any], facts: TraceFacts) -> dict[str, Any]:
    trace_id = field(row, "traceId", "trace_id")
    if trace_id is None:
        raise RowError("traceId is missing; an observation belongs to a trace")
    trace_id, span_id = str(trace_id), str(row["id"])
    parent = field(row, "parentObservationId", "parent_observation_id")
    if parent is None and facts.has_row(trace_id):
        parent = trace_id
    kind = str(row.get("type") or "SPAN").upper()
    started = moment(field(row, "startTime", "start_time"), "startTime", required=True)
    ended = moment(field(row, "endTime", "end_time"), "endTime")
    if ended is None and kind == "EVENT":
        ended = started
    is_error = str(row.get("level") or "").upper() == "ERROR"
    message = field(row, "statusMessage", "status_message")
    of_trace = facts.of(trace_id)
    step = stated(
        id=span_id,
        type=kind.lower(),
        name=row.get("name"),
        status="error" if is_error else "ok",
        started_at=stamp(started),
        ended_at=stamp(ended),
        time_to_first_token_ms=_first_token(row, started),
        input=_value(row.get("input")),
        output=_value(row.get("output")),
        metadata=_metadata(row.get("metadata")),
        parameters=_parameters(row),
        prompt_version=_prompt(row),
        environment=row.get("environment"),
        error={"type": "error", "message": str(message)} if is_error and message else None,
        attributes=stated(level=row.get("level"), status_message=message)
        if not is_error and message
        else None,
    )
    if kind in _CALLS:
        step.update(_call(row))
    return stated(trace_id=trace_id, root_id=span_id, parent_id=parent, steps=[step], **of_trace)


def _call(row: dict[str, Any]) -> dict[str, Any]:
    """Model, tokens and cost of a generation. Langfuse names no provider: the price is found by the model."""
    return stated(
        model=field(row, "model", "providedModelName", "provided_model_name"),
        cost_usd=_cost(row),
        **counts_of(row),
    )


def _cost(row: dict[str, Any]) -> str | None:
    details = _value(field(row, "costDetails", "cost_details"))
    if isinstance(details, dict) and details.get("total") is not None:
        cost = decimal_text(details["total"], "costDetails.total")
    else:
        cost = decimal_text(
            field(row, "calculatedTotalCost", "totalCost", "total_cost"), "totalCost"
        )
    # Langfuse writes 0 where it knows no price.
    return None if cost is None or not cost.strip("0.") else cost


def _first_token(row: dict[str, Any], started: dt.datetime | None) -> float | None:
    first = moment(
        field(row, "completionStartTime", "completion_start_time"), "completionStartTime"
    )
    if first is None or started is None or first < started:
        return None
    return round((first - started).total_seconds() * 1_000, 3)


def _parameters(row: dict[str, Any]) -> dict[str, Any] | None:
    found = _value(field(row, "modelParameters", "model_parameters"))
    return found if isinstance(found, dict) and found else None


def _prompt(row: dict[str, Any]) -> str | None:
    name, version = (
        field(row, "promptName", "prompt_name"),
        field(row, "promptVersion", "prompt_version"),
    )
    if name is None:
        return None
    return f"{name}:{version}" if version is not None else str(name)


def _score(row: dict[str, Any]) -> dict[str, Any]:
    kind = str(field(row, "dataType", "data_type") or "").lower()
    text, value = field(row, "stringValue", "string_value"), row.get("value")
    if kind == "boolean" and value is not None:
        value = value not in (0, "0", "false", "False", False)
    elif kind == "categorical" or value is None:
        value = text
    source = str(row.get("source") or "").lower()
    scored = moment(field(row, "timestamp", "createdAt", "created_at"), "timestamp")
    return stated(
        id=str(row.get("id") or content_id("score", row)),
        name=row.get("name"),
        type=kind if kind in ("numeric", "boolean", "categorical") else None,
        value=value,
        reason=row.get("comment"),
        source=source if source in ("api", "annotation", "eval") else None,
        trace_id=field(row, "traceId", "trace_id"),
        span_id=field(row, "observationId", "observation_id"),
        session=field(row, "sessionId", "session_id"),
        environment=row.get("environment"),
        scored_at=stamp(scored),
    )
