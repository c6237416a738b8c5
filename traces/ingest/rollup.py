"""The trace row: rolled up from its spans as they arrive, the same whatever their order."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from core import prepared
from costs.services.rows import CostRow
from traces.ingest.rows import SpanRow
from traces.ingest.span import NormalSpan
from traces.strips import compact, expanded

STRIP_LENGTH = 24
MAX_TAGS = 50
MAX_NAMES = 20
MAX_METADATA = 100
PREVIEW_LENGTH = 200


class TraceRow(msgspec.Struct, kw_only=True):
    """The columns of Trace, in the table's words."""

    trace_id: str
    name: str = ""
    status: str = "ok"
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    duration_ms: float | None = None
    first_span_at: dt.datetime
    last_span_at: dt.datetime
    span_count: int = 0
    error_count: int = 0
    running_count: int = 0
    call_count: int = 0
    unpriced_calls: int = 0
    cost_usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    providers: list[str] = []
    model_names: list[str] = []
    agent: str = ""
    environment: str = ""
    release: str = ""
    user_id: str = ""
    session_id: str = ""
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    preview: bytes = b""
    strip: list[list[Any]] = []
    root_span_id: str = ""
    root_started_at: dt.datetime | None = None
    root_status: str = ""
    seq: int = 0
    created_xid: int = 0
    created_at: dt.datetime
    updated_at: dt.datetime


COLUMNS = TraceRow.__struct_fields__


def new_trace(trace_id: str, *, started_at: dt.datetime, now: dt.datetime) -> TraceRow:
    return TraceRow(
        trace_id=trace_id,
        started_at=started_at,
        first_span_at=started_at,
        last_span_at=started_at,
        created_at=now,
        updated_at=now,
    )


def _is_root_before(trace: TraceRow, row: SpanRow) -> bool:
    """Whether `row` is the trace's root or an earlier one; ties go to the smaller id, so order cannot matter."""
    if not trace.root_span_id or trace.root_started_at is None:
        return True
    return (row.started_at, row.span_id) <= (trace.root_started_at, trace.root_span_id)


def add_span(trace: TraceRow, span: NormalSpan, row: SpanRow, *, previous: SpanRow | None) -> bool:
    """Add one new (or, with `previous`, now changed) span; True when its text should be the trace's preview."""
    if previous is None:
        trace.span_count += 1
    else:
        trace.error_count -= previous.status == "error"
        trace.running_count -= previous.status == "running"
    trace.error_count += row.status == "error"
    trace.running_count += row.status == "running"
    trace.first_span_at = min(trace.first_span_at, row.started_at)
    trace.last_span_at = max(trace.last_span_at, row.started_at)
    _add_to_strip(trace, row, previous)
    trace.started_at = min(trace.started_at, row.started_at)
    if previous is not None and span.is_amending and trace.root_span_id == row.span_id:
        # Such a root reaches as far as its steps: what it said too early is taken back.
        trace.ended_at = None if trace.ended_at == previous.ended_at else trace.ended_at
    if row.ended_at is not None:
        trace.ended_at = max(trace.ended_at, row.ended_at) if trace.ended_at else row.ended_at
    is_root = not row.parent_span_id and _is_root_before(trace, row)
    first_name = not trace.name
    if is_root:
        trace.root_span_id, trace.root_started_at = row.span_id, row.started_at
        trace.root_status = row.status
    _take_facts(trace, span, wins=is_root)
    if is_root or (first_name and not trace.root_span_id):
        trace.name = span.trace_name or row.name or trace.name
    elif span.trace_name and not trace.name:
        trace.name = span.trace_name
    return is_root or not trace.preview


def _take_facts(trace: TraceRow, span: NormalSpan, *, wins: bool) -> None:
    for fact in ("agent", "environment", "release", "user_id", "session_id"):
        value = getattr(span, fact)
        if value and (wins or not getattr(trace, fact)):
            setattr(trace, fact, value)
    if span.tags and not set(span.tags) <= set(trace.tags):
        trace.tags = sorted({*trace.tags, *span.tags})[:MAX_TAGS]
    if span.metadata:
        both = {**trace.metadata, **span.metadata} if wins else {**span.metadata, **trace.metadata}
        trace.metadata = dict(list(both.items())[:MAX_METADATA])
    model = span.response_model or span.request_model
    if model and model not in trace.model_names and len(trace.model_names) < MAX_NAMES:
        trace.model_names = sorted([*trace.model_names, model])
    if span.provider and span.provider not in trace.providers and len(trace.providers) < MAX_NAMES:
        trace.providers = sorted([*trace.providers, span.provider])


def _add_to_strip(trace: TraceRow, row: SpanRow, previous: SpanRow | None) -> None:
    """Keep the first 24 steps by start (wrappers left out), offsets relative to the trace's start."""
    earlier = (trace.started_at - row.started_at).total_seconds() * 1000
    strip = (
        [[entry[0] + earlier, *entry[1:]] for entry in trace.strip]
        if earlier > 0
        else list(trace.strip)
    )
    if row.kind in ("agent", "chain") or not row.parent_span_id:
        trace.strip = strip
        return
    start = min(trace.started_at, row.started_at)
    offset = round((row.started_at - start).total_seconds() * 1000, 1)
    kind = "error" if row.status == "error" else row.kind
    if previous is not None:
        before = (previous.started_at - start).total_seconds() * 1000
        kinds = (previous.kind, "error")
        strip = [e for e in strip if not (abs(e[0] - before) < 0.2 and e[2] in kinds)]
    strip.append([offset, round(row.duration_ms or 0, 1), kind])
    trace.strip = sorted(strip, key=lambda entry: (entry[0], entry[2], entry[1]))[:STRIP_LENGTH]


def add_costs(trace: TraceRow, rows: Iterable[CostRow], *, sign: int = 1) -> None:
    """Add (or take away) the records of the trace's charged steps."""
    for row in rows:
        trace.call_count += sign
        trace.unpriced_calls += sign * (row.cost_usd is None)
        trace.cost_usd += sign * (row.cost_usd or 0)
        trace.input_tokens += sign * (row.input_tokens or 0)
        trace.output_tokens += sign * (row.output_tokens or 0)


def conclude(trace: TraceRow, *, now: dt.datetime) -> None:
    """Status and duration from the counts. A recovered error inside an OK root leaves the trace OK."""
    if trace.root_status == "running" or trace.running_count > 0:
        trace.status = "running"
    elif trace.root_status:
        trace.status = trace.root_status
    else:
        trace.status = "error" if trace.error_count else "ok"
    if trace.status == "running" or trace.ended_at is None:
        trace.duration_ms = None
    else:
        trace.duration_ms = (trace.ended_at - trace.started_at).total_seconds() * 1000
    trace.seq += 1
    trace.updated_at = now


def preview_text(value: Any) -> str:
    """The first words of an input: the last user message, or the plain text of whatever was sent."""
    if isinstance(value, list):
        users = [m for m in value if isinstance(m, dict) and m.get("role") == "user"]
        value = users[-1] if users else (value[-1] if value else "")
    if isinstance(value, dict):
        for name in (
            "content",
            "parts",
            "text",
            "input",
            "question",
            "query",
            "prompt",
            "messages",
        ):
            if value.get(name):
                return preview_text(_parts_text(value[name]))
        value = msgspec.json.encode(value).decode()
    return " ".join(str(value).split())[:PREVIEW_LENGTH] if value not in (None, "") else ""


def _parts_text(content: Any) -> Any:
    """The text of a message whose content is a list of parts (OpenAI, Anthropic, GenAI semantic conventions)."""
    if not isinstance(content, list) or any(isinstance(p, dict) and "role" in p for p in content):
        return content
    texts = [
        str(part.get("text") or part.get("content") or "") if isinstance(part, dict) else str(part)
        for part in content
    ]
    return " ".join(text for text in texts if text)


_JSON = frozenset({"metadata", "strip"})
_TYPES = {
    "started_at": "timestamptz", "ended_at": "timestamptz", "first_span_at": "timestamptz",
    "last_span_at": "timestamptz", "root_started_at": "timestamptz", "created_at": "timestamptz",
    "updated_at": "timestamptz", "duration_ms": "float8", "cost_usd": "numeric", "metadata": "jsonb", "strip": "jsonb",
    "providers": "text[]", "model_names": "text[]", "tags": "text[]",
    **dict.fromkeys(("span_count", "error_count", "running_count", "call_count", "unpriced_calls"), "int"),
    **dict.fromkeys(("input_tokens", "output_tokens", "seq", "created_xid"), "bigint"),
}  # fmt: skip
# All rows travel as one JSON parameter, which msgspec writes in a fraction of the time that quoting each value takes.
_TYPED = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in COLUMNS)
_ROWS = f"json_to_recordset(%s::json) AS v({_TYPED})"
_UPDATED = [name for name in COLUMNS if name not in ("trace_id", "created_at", "created_xid")]


def _column(name: str) -> str:
    """A column of `_ROWS` as the table wants it; bytes are base64 in JSON."""
    if name == "created_xid":
        return "pg_current_xact_id()::text::bigint"
    return f"decode(v.{name}, 'base64')" if name == "preview" else f"v.{name}"


_INSERT = f"""
INSERT INTO traces_trace (project_id, {", ".join(COLUMNS)}) SELECT %s, {", ".join(map(_column, COLUMNS))} FROM {_ROWS}
ON CONFLICT (project_id, trace_id) DO NOTHING
RETURNING trace_id, EXISTS(SELECT FROM projects_project WHERE id = %s AND first_trace_at IS NULL)
"""  # noqa: S608
_UPDATE = f"""
UPDATE traces_trace t SET {", ".join(f"{name} = {_column(name)}" for name in _UPDATED)} FROM {_ROWS}
WHERE t.project_id = %s AND t.trace_id = v.trace_id
"""  # noqa: S608


def insert_new(cursor: Any, *, project_id: UUID, traces: list[TraceRow]) -> tuple[set[str], bool]:
    """Insert traces that do not exist yet, sorted by id; returns the ids that were inserted (and are now ours), and
    whether the project never had a trace."""
    ordered = sorted(traces, key=lambda trace: trace.trace_id)
    inserted = prepared.execute(_INSERT, [project_id, _as_json(ordered), project_id]).fetchall()
    return {trace_id for trace_id, _ in inserted}, any(is_first for _, is_first in inserted)


_LOCK = (
    f"SELECT {', '.join(COLUMNS)} FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s)"  # noqa: S608
    " ORDER BY trace_id FOR UPDATE"
)


def lock_existing(
    cursor: Any, *, project_id: UUID, trace_ids: Iterable[str]
) -> dict[str, TraceRow]:
    """The stored traces, locked until commit: one writer per trace at a time."""
    cursor.execute(_LOCK, [project_id, sorted(trace_ids)])
    return {
        (row := TraceRow(**dict(zip(COLUMNS, _decoded(values), strict=True)))).trace_id: row
        for values in cursor.fetchall()
    }


def _decoded(values: tuple[Any, ...]) -> list[Any]:
    """Raw cursors of Django hand jsonb over as text; bytea as memoryview."""
    return [
        expanded(msgspec.json.decode(value))
        if name in _JSON and isinstance(value, str)
        else bytes(value)
        if name == "preview"
        else value
        for name, value in zip(COLUMNS, values, strict=True)
    ]


def update_existing(cursor: Any, *, project_id: UUID, traces: list[TraceRow]) -> None:
    """Write the rolled-up rows back in one statement."""
    if not traces:
        return
    prepared.execute(_UPDATE, [_as_json(traces), project_id])


def _as_json(traces: list[TraceRow]) -> str:
    """`_ROWS`, the strips in their stored form."""
    stored = [msgspec.structs.replace(trace, strip=compact(trace.strip)) for trace in traces]
    return msgspec.json.encode(stored).decode()
