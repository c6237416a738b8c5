"""Parts of a query that the index of the newest traces answers by itself, asked first.

A filter on rows beside a filter on the index has PostgreSQL read every row of the range: it applies what an index
merely carries only when nothing else needs the row. So when few traces pass by the index, they are named.
"""

from dataclasses import dataclass, replace

from django.core.exceptions import EmptyResultSet
from django.db import connection

from projects.models import Project
from traces.filters import TraceFilters
from traces.models import Trace
from traces.query_terms import And, Exact, Node, Not, Or, Term

# Columns of traces_trace_recent (Trace.Meta), by key of the query language.
_KEYS = frozenset({"status", "name", "env", "cost", "duration", "errors", "id", "started"})
_HAS = frozenset({"error", "unpriced"})
# So many traces are named one by one.
FEW = 500


def is_covered(node: Node) -> bool:
    """Whether the index answers the part without reading rows."""
    match node:
        case And(nodes) | Or(nodes):
            return all(map(is_covered, nodes))
        case Not(inner):
            return is_covered(inner)
        case Term("has", values):
            return all(isinstance(one, Exact) and one.text in _HAS for one in values)
        case Term(key):
            return key in _KEYS
        case _:
            return False


def is_mixed(filters: TraceFilters) -> bool:
    """Whether the index answers some parts of the query and rows the others."""
    return {True, False} == set(map(is_covered, filters.nodes))


@dataclass(frozen=True)
class Few:
    """The ids of some traces and the snapshot (as text) they were read in."""

    ids: list[str]
    snapshot: str


def few(project: Project, filters: TraceFilters) -> Few | None:
    """The traces that pass the parts the index answers, or None where they are more than FEW or no other part is asked.
    One query that reads no row; none when there is nothing to gain."""
    if not is_mixed(filters):
        return None
    parts = replace(filters, nodes=tuple(filter(is_covered, filters.nodes)))
    found = Trace.objects.filter(parts.where(), project=project).order_by(
        "-started_at", "-trace_id"
    )
    try:
        newest, params = found.values("trace_id")[: FEW + 1].query.sql_with_params()
    except EmptyResultSet:  # the parts exclude each other, which the whole query will find as well
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ARRAY({newest}), pg_current_snapshot()::text", params)
        ids, snapshot = cursor.fetchone()
    return Few(ids, snapshot) if len(ids) <= FEW else None
