"""LLMLab's own exports (traces, steps, cost records, scores), and lines in the shape of the JSON doors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmlab.cli.imports.facts import TraceFacts
from llmlab.cli.imports.records import Record
from llmlab.cli.imports.units import (
    COSTS,
    SCORES,
    TRACES,
    Exact,
    RowError,
    Unit,
    content_id,
    decimal_text,
    stated,
)

STEPS_PER_ITEM = 1_000
_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "reasoning_output_tokens",
)  # fmt: skip
_EXTRA_COUNTS = {
    "w5": "cache_write_5m_input_tokens", "w1": "cache_write_1h_input_tokens", "ia": "input_audio_tokens",
    "ii": "input_image_tokens", "oa": "output_audio_tokens", "oi": "output_image_tokens", "web": "web_searches",
}  # fmt: skip
_KNOWN_PRICE = ("priced", "partial", "client", "billed")


def kind_of(row: Any, list_name: str = "") -> str:
    """`span`, `trace`, `cost`, `score`: rows of an export; `item`, `cost_item`, `score_item`: of a door; or nothing."""
    if not isinstance(row, dict):
        return ""
    if "span_id" in row and "parent_span_id" in row and "kind" in row:
        return "span"
    if "record_id" in row and "occurred_at" in row:
        return "cost"
    if "score_id" in row:
        return "score"
    if "trace_id" in row and isinstance(row.get("steps"), list):
        return "item"
    if "trace_id" in row and "unpriced_calls" in row and "started_at" in row:
        return "trace"
    if "id" in row and ("occurred_at" in row or list_name == "costs"):
        return "cost_item"
    if "name" in row and "value" in row and ("trace_id" in row or "session" in row):
        return "score_item"
    if "trace_id" in row and ("status" in row or "started_at" in row or list_name == "traces"):
        return "item"
    return ""


def scan(record: Record, facts: TraceFacts) -> None:
    """The first pass."""
    row = record.value
    kind = kind_of(row, record.list_name)
    if kind == "span":
        facts.step(str(row["trace_id"]), row.get("ended_at"), is_root=not row.get("parent_span_id"))
        facts.steps.add(_key(row))
    elif kind == "cost" and row.get("span_id"):
        facts.call(_key(row), {**_said_of_call(row), **_people(row)})
    elif kind == "trace":
        fields = {
            name: row.get(name)
            for name in ("name", "user", "session", "tags", "environment", "release", "agent")
        }
        facts.trace(str(row["trace_id"]), stated(**fields, metadata=row.get("metadata") or None))


def convert(record: Record, facts: TraceFacts) -> Iterator[Unit]:
    """What to send for a record. Raises RowError."""
    row, line = record.value, record.line
    kind = kind_of(row, record.list_name)
    if kind == "span":
        yield Unit(line, TRACES, _span(row, facts))
    elif kind == "trace":
        # Its root is among the steps: the row only says who and where, which they repeat.
        if row["trace_id"] not in facts.with_root:
            yield Unit(line, TRACES, _trace(row, facts))
    elif kind == "cost":
        # The record of a step that is among the files belongs to it: alone it would be counted twice.
        if _key(row) not in facts.steps:
            yield Unit(line, COSTS, _cost(row))
    elif kind == "score":
        yield Unit(line, SCORES, _score(row))
    elif kind == "item":
        yield from _item(row, line)
    elif kind == "cost_item":
        yield Unit(line, COSTS, _exact_cost(row))
    elif kind == "score_item":
        yield Unit(line, SCORES, {"id": content_id("score", row), **row})
    else:
        raise RowError("it is neither a trace, a step, a cost record nor a score of LLMLab")


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return str(row.get("trace_id")), str(row.get("span_id"))


def _people(row: dict[str, Any]) -> dict[str, Any]:
    """Whose call it was and what for."""
    names = ("environment", "agent", "feature", "prompt_version", "tags")
    return stated(
        user=row.get("user_id"),
        session=row.get("session_id"),
        **{name: row.get(name) for name in names},
    )


def _said_of_call(row: dict[str, Any]) -> dict[str, Any]:
    """What its price depends on besides model and the usual counts (`usage_extra` has short names for it)."""
    extra = row.get("usage_extra")
    extra = extra if isinstance(extra, dict) else {}
    # Free because of its model, it would name the model whose price that is.
    is_free = row.get("price_status") == "free" and not (
        row.get("is_error") or row.get("matched_model")
    )
    return stated(
        service_tier=row.get("service_tier"),
        processing=extra.get("processing"),
        speed=extra.get("speed"),
        cache_hit=True if is_free else None,
        total_tokens=extra.get("total"),
        **{name: extra.get(short) for short, name in _EXTRA_COUNTS.items()},
    )


def _amount(row: dict[str, Any]) -> str | None:
    """What was known of the price there; here it stands beside our own price."""
    return (
        decimal_text(row.get("cost_usd"), "cost_usd")
        if row.get("price_status") in _KNOWN_PRICE
        else None
    )


def _span(row: dict[str, Any], facts: TraceFacts) -> dict[str, Any]:
    trace_id, span_id = str(row["trace_id"]), str(row["span_id"])
    of_trace = facts.of(trace_id)
    is_root = not row.get("parent_span_id")
    metadata = of_trace.get("metadata") if is_root else None
    error = stated(type=row.get("error_type"), message=row.get("error_message"))
    step = stated(
        id=span_id,
        type=row.get("kind"),
        name=row.get("name"),
        status=row.get("status"),
        started_at=row.get("started_at"),
        ended_at=row.get("ended_at"),
        time_to_first_token_ms=row.get("first_token_ms"),
        provider=row.get("provider"),
        request_model=row.get("request_model"),
        model=row.get("response_model"),
        operation=row.get("operation"),
        finish_reason=row.get("finish_reason"),
        cost_usd=_amount(row),
        error=error or None,
        input=row.get("input"),
        output=row.get("output"),
        attributes=row.get("attributes") or None,
        metadata=metadata,
        **{name: row.get(name) for name in _COUNTS},
    )
    if row.get("input_tokens") is not None:
        step["usage_convention"] = "inclusive"
    step.update(facts.calls.get((trace_id, span_id), {}))
    shared = {name: value for name, value in of_trace.items() if name != "metadata"}
    return stated(
        trace_id=trace_id,
        root_id=span_id,
        parent_id=row.get("parent_span_id") or None,
        steps=[step],
        **shared,
    )


def _trace(row: dict[str, Any], facts: TraceFacts) -> dict[str, Any]:
    trace_id = str(row["trace_id"])
    return stated(
        trace_id=trace_id,
        status=row.get("status"),
        started_at=row.get("started_at"),
        ended_at=row.get("ended_at")
        or (row.get("started_at") if row.get("status") != "running" else None),
        **facts.of(trace_id),
    )


def _cost(row: dict[str, Any]) -> dict[str, Any]:
    record_id = str(row.get("record_id") or "/".join(_key(row)))
    names = (
        "provider",
        "model",
        "request_model",
        "operation",
        "latency_ms",
        "trace_id",
        "span_id",
        *_COUNTS,
    )
    return stated(
        # A step's record is named trace/step, which a bare record may not be.
        id=content_id("cost", record_id) if "/" in record_id else record_id,
        occurred_at=row.get("occurred_at"),
        status="error" if row.get("is_error") else None,
        time_to_first_token_ms=row.get("first_token_ms"),
        cost_usd=_amount(row),
        usage_convention="inclusive" if row.get("input_tokens") is not None else None,
        **_people(row),
        **_said_of_call(row),
        **{name: row.get(name) for name in names},
    )


def _score(row: dict[str, Any]) -> dict[str, Any]:
    kind = row.get("data_type")
    value: Any = row.get("text") if kind == "categorical" else row.get("value")
    if kind == "boolean" and value is not None:
        value = bool(value)
    return stated(
        id=row["score_id"], name=row.get("name"), type=kind, value=value, reason=row.get("reason"),
        source=row.get("source"), trace_id=row.get("trace_id"), span_id=row.get("span_id"),
        session=row.get("session_id"), environment=row.get("environment"), scored_at=row.get("scored_at"),
    )  # fmt: skip


def _exact_cost(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.text
        if isinstance(value, Exact) and name in ("cost_usd", "cost", "total_cost")
        else value
        for name, value in row.items()
    }


def _item(row: dict[str, Any], line: int) -> Iterator[Unit]:
    """An item of the JSON door; one with many steps in several parts, each of which names the root."""
    steps = [
        _exact_cost(step) if isinstance(step, dict) else step for step in row.get("steps") or []
    ]
    if len(steps) <= STEPS_PER_ITEM:
        yield Unit(line, TRACES, {**row, "steps": steps}, 1 + len(steps))
        return
    for start in range(0, len(steps), STEPS_PER_ITEM):
        part = steps[start : start + STEPS_PER_ITEM]
        yield Unit(line, TRACES, {**row, "steps": part}, 1 + len(part))
