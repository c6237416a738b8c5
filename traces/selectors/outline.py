"""The outline of a trace: every step as a sketch, laid out. What big traces are opened from without reading them whole.

One query of twelve columns per step (2 µs each) instead of whole rows through the ORM; what a drawn row shows beyond
them is read for those rows only. A finished layout is remembered per process under everything that can change it, so
opening a subtree or the next rows costs one query by primary key and no layout.
"""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connection
from msgspec.structs import replace

from traces.models import Span, Trace
from traces.step_keys import IsStep
from traces.tree import Drawn, Entry, Tree
from traces.waterfall import StepFacts, lay_out

STEP_COLUMNS = StepFacts.__struct_fields__
MAX_REMEMBERED_ROWS = 70_000  # about 0.5 kB each
MIN_REMEMBERED = 500  # smaller ones are laid out faster than they are worth remembering
_SKETCHES = """
SELECT span_id, parent_span_id, name, kind, status, extract(epoch FROM started_at)::float8,
       extract(epoch FROM ended_at)::float8, provider, request_model, response_model, cost_usd, has_cost_record
FROM traces_span WHERE project_id = %s AND trace_id = %s AND started_at BETWEEN %s AND %s
"""
_known: OrderedDict[tuple[Any, ...], Tree] = OrderedDict()
_lock = threading.Lock()


def outline_of(trace: Trace, *, now: dt.datetime) -> Tree:
    """Every step as a sketch, laid out. One query, none when it is remembered."""
    key = _key(trace)
    with _lock:
        if (tree := _known.get(key)) is not None:
            _known.move_to_end(key)
            return tree
    tree = Tree(lay_out(sketches_of(trace), now=now))
    if len(tree.rows) >= MIN_REMEMBERED and not tree.is_running:
        _remember(key, tree)
    return tree


def _key(trace: Trace) -> tuple[Any, ...]:
    """All that can change the layout: `seq` grows with every upload, the sums with a new price."""
    return (
        trace.project_id, trace.trace_id, trace.created_xid, trace.seq, trace.updated_at, trace.span_count,
        trace.cost_usd, trace.unpriced_calls,
    )  # fmt: skip


def _remember(key: tuple[Any, ...], tree: Tree) -> None:
    with _lock:
        for old in [one for one in _known if one[:2] == key[:2]]:
            del _known[old]
        _known[key] = tree
        while (
            len(_known) > 1 and sum(len(one.rows) for one in _known.values()) > MAX_REMEMBERED_ROWS
        ):
            _known.popitem(last=False)


def sketches_of(trace: Trace) -> list[StepFacts]:
    """Every step with the columns a layout needs. One query, bounded by the trace's own days."""
    at = (
        dt.datetime.fromtimestamp
    )  # psycopg's own conversion takes 3 µs a moment, seconds since 1970 a tenth of it
    with connection.cursor() as cursor:
        cursor.execute(
            _SKETCHES,
            [trace.project_id, trace.trace_id, trace.first_span_at, trace.last_span_at],
        )
        return [
            StepFacts(*row[:5], at(row[5], dt.UTC), row[6] and at(row[6], dt.UTC), *row[7:])  # type: ignore[call-arg]
            for row in cursor.fetchall()
        ]


def filled(trace: Trace, entries: Iterable[Entry]) -> list[Entry]:
    """The same with all facts of the drawn steps; one deleted meanwhile stays a sketch. One query."""
    entries = list(entries)
    ids = [entry.row.step.span_id for entry in entries if isinstance(entry, Drawn)]
    facts = facts_of(trace, ids)
    return [
        replace(
            entry, row=replace(entry.row, step=facts.get(entry.row.step.span_id, entry.row.step))
        )
        if isinstance(entry, Drawn)
        else entry
        for entry in entries
    ]


def facts_of(trace: Trace, span_ids: Collection[str]) -> dict[str, StepFacts]:
    """Whole facts of some steps by id. One query, none for none."""
    if not span_ids:
        return {}
    found = Span.objects.filter(
        IsStep(trace, span_ids),
        project=trace.project_id,
        trace_id=trace.trace_id,
        span_id__in=list(span_ids),
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    ).values_list(*STEP_COLUMNS)
    return {row[0]: StepFacts(*row) for row in found}
