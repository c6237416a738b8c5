"""Steps that are stored already: ended ones stay unless they are amended, running ones are completed by what comes."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from traces.ingest.context import IngestContext
from traces.ingest.duplicates import merged
from traces.ingest.json_traces import STATUS_INFERRED
from traces.ingest.leaf import Window
from traces.ingest.rows import SELECTED, SPAN_COLUMNS, SpanKey, SpanRow
from traces.ingest.span import NormalSpan
from traces.payloads import read_payload
from traces.step_keys import IS_ONE_OF

_STORED = (
    f"SELECT {SELECTED} FROM traces_span s"  # noqa: S608
    " JOIN unnest(%s::text[], %s::text[]) AS k(trace_id, span_id)"
    " ON s.trace_id = k.trace_id AND s.span_id = k.span_id"
    " WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)"
    f" AND {IS_ONE_OF}"
)
_DELETE = (
    "DELETE FROM traces_span s USING unnest(%s::text[], %s::text[], %s::timestamptz[])"  # noqa: S608
    " AS k(trace_id, span_id, started_at) WHERE s.project_id = %s AND s.trace_id = k.trace_id"
    " AND s.span_id = k.span_id AND s.started_at = k.started_at"
    f" AND s.trace_id = ANY(%s) AND s.started_at = ANY(%s) AND {IS_ONE_OF}"
)


def stored_rows(
    cursor: Any, context: IngestContext, *, keys: Sequence[SpanKey], window: Window
) -> dict[SpanKey, SpanRow]:
    """Those of `keys` that are stored. One query."""
    trace_ids, span_ids = [key[0] for key in keys], [key[1] for key in keys]
    own = [context.project_id, trace_ids, span_ids]
    cursor.execute(
        _STORED,
        [trace_ids, span_ids, context.project_id, *window, sorted({*trace_ids}), *own],
    )
    rows = (SpanRow(**dict(zip(SPAN_COLUMNS, row, strict=True))) for row in cursor.fetchall())
    return {(row.trace_id, row.span_id): row for row in rows}


def completed(
    *,
    running: Mapping[SpanKey, SpanRow],
    contents: Mapping[SpanKey, bytes],
    news: Mapping[SpanKey, NormalSpan],
) -> dict[SpanKey, NormalSpan]:
    """Each running step as it is now: columns and payload that were stored, under what has come."""
    return {
        key: _completed(row, read_payload(contents[key]) if key in contents else {}, news[key])
        for key, row in running.items()
    }


def _completed(row: SpanRow, content: dict[str, Any], news: NormalSpan) -> NormalSpan:
    """The start that was stored stays: the step lives in that day's partition. An inferred end ends nothing."""
    if news.is_amending:
        return _amended(content, news)
    if STATUS_INFERRED in news.flags:
        news = msgspec.structs.replace(news, status="running", ended_at=None)
    span = merged(_as_span(row, content), news)
    ended_at = max(span.ended_at, row.started_at) if span.ended_at is not None else None
    return msgspec.structs.replace(span, started_at=row.started_at, ended_at=ended_at)


# What a step says, as opposed to what is known of it.
_SAID = ("input", "output", "tools")
_KEYED = ("parameters", "metadata")


def _amended(content: dict[str, Any], news: NormalSpan) -> NormalSpan:
    """The news say all facts; of the content only what changed."""
    kept = {
        name: content[name] for name in _SAID if name in content and getattr(news, name) is None
    }
    keyed = {name: {**content.get(name, {}), **getattr(news, name)} for name in _KEYED}
    return msgspec.structs.replace(news, **kept, **keyed)


def delete_rows(cursor: Any, context: IngestContext, rows: Sequence[SpanRow]) -> None:
    """Make room for the completed steps, which are copied in again whole."""
    if rows:
        keys = _columns(rows)
        own = [context.project_id, keys[0], keys[1]]
        cursor.execute(_DELETE, [*keys, context.project_id, keys[0], keys[2], *own])


def _columns(rows: Sequence[SpanRow]) -> tuple[list[str], list[str], list[dt.datetime]]:
    """The rows' keys, column by column, for unnest."""
    return (
        [row.trace_id for row in rows],
        [row.span_id for row in rows],
        [row.started_at for row in rows],
    )


def _as_span(row: SpanRow, content: dict[str, Any]) -> NormalSpan:
    """A stored running step as the normal form again, for merging."""
    names = set(NormalSpan.__struct_fields__)
    facts = {name: getattr(row, name) for name in SPAN_COLUMNS if name in names and name != "flags"}
    facts |= {name: value for name, value in content.items() if name in names}
    return NormalSpan(**facts, flags=tuple(row.flags))
