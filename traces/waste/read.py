"""One day's charged calls with their steps and prompts, chunk by chunk. Every read names project and day."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from core.crypto import Cipher, DecryptionError
from costs.breakdown import lines_of
from traces.contents import split
from traces.payloads import read_payload
from traces.waste.calls import Call, read_prompt, says_anything

CHUNK = 1_000
DAY = dt.timedelta(days=1)
# A step begins at most so long before it is charged for.
BEFORE = dt.timedelta(hours=12)
MAX_PAYLOAD = 2 * 1024 * 1024

_RECORDS = """
SELECT occurred_at, id, trace_id, span_id, provider, model, agent, feature, cost_usd, breakdown::text, is_error,
  error_type, coalesce(input_tokens, 0), coalesce(output_tokens, 0), coalesce(cache_read_input_tokens, 0)
FROM costs_costrecord WHERE project_id = %s AND (occurred_at, id) > (%s, %s) AND occurred_at < %s
ORDER BY occurred_at, id LIMIT %s
"""
_SPANS = """
SELECT trace_id, span_id, finish_reason, parent_span_id FROM traces_span
WHERE project_id = %s AND trace_id = ANY(%s) AND started_at >= %s AND started_at < %s
"""
_PAYLOADS = """
SELECT trace_id, span_id, steps, data FROM traces_spanpayload
WHERE project_id = %s AND trace_id = ANY(%s) AND started_at >= %s AND started_at < %s AND octet_length(data) <= %s
"""
_FIRST = UUID(int=0)


def calls_of_day(
    project_id: UUID, day: dt.date, cipher: Cipher, *, limit: int
) -> Iterator[list[Call]]:
    """The day's first `limit` calls in order of time, in chunks. Three queries a chunk."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    at, last, read = start, _FIRST, 0
    # The first key lies just before the day's first moment.
    at -= dt.timedelta(microseconds=1)
    while read < limit:
        rows = _fetch(_RECORDS, [project_id, at, last, start + DAY, min(CHUNK, limit - read)])
        if not rows:
            return
        at, last = rows[-1][0], rows[-1][1]
        calls = [_call(row) for row in rows]
        _add_steps(project_id, calls, start)
        _add_prompts(project_id, calls, cipher, start)
        read += len(rows)
        yield calls
        if len(rows) < CHUNK:
            return


def _fetch(statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _call(row: tuple[Any, ...]) -> Call:
    at, _, trace, span, provider, model, agent, feature, cost, breakdown, *rest = row
    classes: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    for line in lines_of(breakdown):
        quantity, unit, usd = (
            Decimal(line[name]) for name in ("quantity", "unit_price_usd", "cost_usd")
        )
        before = classes.get(line["class"])
        if before is not None:
            quantity, usd = quantity + before[0], usd + before[2]
        classes[line["class"]] = (quantity, unit, usd)
    is_error, error_type, tokens_in, tokens_out, read = rest
    return Call(
        trace, span, at, provider, model, agent, feature, cost, classes, is_error, error_type,
        tokens_in, tokens_out, read,
    )  # fmt: skip


def _add_steps(project_id: UUID, calls: list[Call], start: dt.datetime) -> None:
    by_key = {(call.trace_id, call.span_id): call for call in calls if call.span_id}
    traces = sorted({trace for trace, _ in by_key})
    for trace, span, reason, parent in _fetch(
        _SPANS, [project_id, traces, start - BEFORE, start + DAY + BEFORE]
    ):
        if call := by_key.get((trace, span)):
            call.finish_reason, call.parent_span_id = reason, parent


def _add_prompts(project_id: UUID, calls: list[Call], cipher: Cipher, start: dt.datetime) -> None:
    by_key = {(call.trace_id, call.span_id): call for call in calls if call.span_id}
    traces = sorted({trace for trace, _ in by_key})
    params = [project_id, traces, start - DAY, start + DAY + BEFORE, MAX_PAYLOAD]
    for trace, span, steps, data in _fetch(_PAYLOADS, params):
        try:
            parts = list(
                split(cipher, project_id, trace_id=trace, span_id=span, steps=steps, data=data)
            )
        except DecryptionError:
            continue  # counted as unread
        for name, packed in parts:
            if call := by_key.get((trace, name)):
                content = read_payload(packed)
                call.prompt = read_prompt(content)
                call.has_output = says_anything(content)
