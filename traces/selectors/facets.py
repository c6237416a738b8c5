"""The facets beside the trace list: each one's top values, counted under the other filters, over a bounded sample.

One statement reads the sample once. Its inner query comes from the ORM and holds, per row, the columns and one flag
for each key that is filtered by; the outer parts count a facet's values among the rows that pass all flags but its own.
"""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    BooleanField,
    Case,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)

from projects.models import Project
from traces.filters import VALUE_FACETS, TraceFilters
from traces.filters.conditions import SLACK
from traces.filters.state import FACETS, LIST_FACETS, key_of
from traces.models import Score, Span, Trace
from traces.query_terms import Compare, Exact, Not, Term, has_text
from traces.selectors.listing import sample_start
from traces.selectors.words import text_condition

FACET_SAMPLE = 5_000
# Whether a trace has a word is looked up trace by trace.
TEXT_SAMPLE = 2_500
FACET_TOP = 8
SEARCH_TOP = 50
# Facets of bounds: query key → (operator, bounds).
STEPS: dict[str, tuple[str, tuple[Decimal, ...]]] = {
    "cost": (">", tuple(map(Decimal, ("0.01", "0.1", "1")))),
    "duration": (">", tuple(map(Decimal, ("1000", "5000", "30000")))),
    "tokens": (">", tuple(map(Decimal, ("1000", "10000", "100000")))),
}
HAS = ("score", "unpriced")


@dataclass(frozen=True)
class FacetValue:
    """One choice. `value` is the text of an exact value, or of a bound."""

    value: str
    count: int
    is_on: bool
    is_excluded: bool = False


@dataclass(frozen=True)
class Facet:
    """One facet's most frequent values; chosen values are always there, with count 0 when nothing matches."""

    key: str
    values: list[FacetValue] = field(default_factory=list)
    has_more: bool = False


def sample_size(filters: TraceFilters) -> int:
    """How many of the newest traces the counts are of."""
    return min(TEXT_SAMPLE, FACET_SAMPLE) if any(map(has_text, filters.nodes)) else FACET_SAMPLE


def facet_counts(project: Project, filters: TraceFilters) -> tuple[list[Facet], bool]:
    """Each facet counted under the other filters, over the newest 5,000 traces of the range (2,500 with text).

    Three queries, each bounded by that sample; the flag says whether the sample is smaller than the range.
    """
    first = sample_start(project, filters, sample_size(filters))
    base = _Sample(project, filters, first)
    parts = [_value_part(param, column) for param, column in VALUE_FACETS.items()]
    parts += [_step_part(key) for key in STEPS]
    parts.append(_HAS_PART)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for key, value, n in base.run(parts):
        counts[key][value] = n
    facets = [_values_of(filters, FACETS[param], counts[FACETS[param]]) for param in VALUE_FACETS]
    facets.append(_values_of(filters, "error", dict(base.error_types())))
    facets += [_steps_of(filters, key, counts[key]) for key in STEPS]
    facets.append(_has_of(filters, counts["has"]))
    return facets, first is not None


def value_counts(
    project: Project,
    filters: TraceFilters,
    key: str,
    *,
    containing: str = "",
    limit: int = SEARCH_TOP,
) -> list[tuple[str, int]]:
    """The values of one text key under the other filters, most frequent first, whose text contains `containing`."""
    first = sample_start(project, filters, sample_size(filters))
    base = _Sample(project, filters, first)
    if key == "error":
        found = base.error_types()
    else:
        column = VALUE_FACETS.get(next((p for p, k in FACETS.items() if k == key), ""), "")
        if not column:
            return []
        found = [
            (value, n) for _, value, n in base.run([_value_part(_param(key), column, top=5_000)])
        ]
    needle = containing.lower()
    matching = [(value, n) for value, n in found if value and needle in value.lower()]
    return sorted(matching, key=lambda one: (-one[1], one[0]))[:limit]


def _param(key: str) -> str:
    return next(param for param, one in FACETS.items() if one == key)


class _Sample:
    """The newest traces of the range with a flag per filtered key, as a query."""

    def __init__(self, project: Project, filters: TraceFilters, first: dt.datetime | None) -> None:
        self.project, self.filters, self.first = project, filters, first
        keys = dict.fromkeys(key_of(node) for node in filters.nodes)
        # Without a key (text, groups) a part narrows every facet.
        self.flags = {key: f"ok_{index}" for index, key in enumerate(keys) if key}
        found = Trace.objects.filter(
            project=project, started_at__gte=filters.range.start, started_at__lt=filters.range.end
        )
        if first is not None:
            found = found.filter(started_at__gt=first)
        text = text_condition(project, filters.range)
        for node in filters.nodes:
            if not key_of(node):
                found = found.filter(filters.condition(node, text=text))
        self.rows = found

    def query(self) -> QuerySet[Trace, dict[str, Any]]:
        """Columns and flags, nothing else."""
        flags = {name: _flag(self._condition(key)) for key, name in self.flags.items()}
        scored = Exists(
            Score.objects.filter(project=OuterRef("project"), trace_id=OuterRef("trace_id"))
        )
        named = {
            "cost": F("cost_usd"),
            "duration": F("duration_ms"),
            "all_tokens": F("input_tokens") + F("output_tokens"),
            "unpriced": F("unpriced_calls"),
        }
        found: QuerySet[Trace, dict[str, Any]] = self.rows.values(
            *VALUE_FACETS.values(), **named, **flags, is_scored=scored
        )
        return found

    def _condition(self, key: str) -> Q:
        found = Q()
        for node in self.filters.nodes:
            if key_of(node) == key:
                found &= self.filters.condition(node)
        return found

    def run(self, parts: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
        """(key, value, count) of every part, in one statement."""
        try:
            inner, params = self.query().query.sql_with_params()
        except (
            EmptyResultSet
        ):  # a text without a word, say: nothing can match, and there is nothing to ask
            return []
        pieces = []
        for key, template in parts:
            flags = [name for other, name in self.flags.items() if other != key]
            pieces.append(template.replace("/*where*/", " AND ".join(flags) or "true"))
        sql = _OUTER.replace("/*sample*/", inner).replace("/*parts*/", " UNION ALL ".join(pieces))
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def error_types(self) -> list[tuple[str, int]]:
        """Error types among the matching traces. One query; few traces fail, and an index holds their types."""
        failed = self.rows.filter(error_count__gt=0)
        for key in self.flags:
            if key != "error":
                failed = failed.filter(self._condition(key))
        ids = failed.values("trace_id")[:FACET_SAMPLE]
        spans = Span.objects.filter(
            project=self.project,
            started_at__gte=(self.first or self.filters.range.start) - SLACK,
            trace_id__in=ids,
        ).exclude(error_type="")
        counted = spans.values("error_type").annotate(n=Count("trace_id", distinct=True))
        return list(
            counted.order_by("-n", "error_type").values_list("error_type", "n")[:SEARCH_TOP]
        )


def _flag(found: Q) -> Case:
    return Case(When(found, then=Value(True)), default=Value(False), output_field=BooleanField())


# The comments are places for text made here, never for what a reader typed.
_OUTER = "WITH sample AS MATERIALIZED (/*sample*/) /*parts*/"
_SCALAR = (
    "(SELECT '{key}', {column}::text, count(*) FROM sample WHERE /*where*/ GROUP BY {column}"
    " ORDER BY count(*) DESC, {column} LIMIT {top})"
)
_LIST = (
    "(SELECT '{key}', one, count(*) FROM sample, unnest(CASE WHEN {column} = '{{}}' THEN ARRAY[''] ELSE {column} END)"
    " AS one WHERE /*where*/ GROUP BY one ORDER BY count(*) DESC, one LIMIT {top})"
)
_HAS_PART = (
    "has",
    "(SELECT 'has', kind, n FROM (SELECT count(*) FILTER (WHERE is_scored) AS n0,"
    " count(*) FILTER (WHERE unpriced > 0) AS n1 FROM sample WHERE /*where*/) counted,"
    " LATERAL (VALUES ('score', n0), ('unpriced', n1)) AS one(kind, n))",
)
# One pass, whatever the number of bounds.
_STEP = (
    "(SELECT '{key}', bound, n FROM (SELECT {counts} FROM sample WHERE /*where*/) counted,"
    " LATERAL (VALUES {pairs}) AS one(bound, n))"
)
_STEP_COLUMNS = {"cost": "cost", "duration": "duration", "tokens": "all_tokens"}


def _value_part(param: str, column: str, *, top: int = 60) -> tuple[str, str]:
    template = _LIST if param in LIST_FACETS else _SCALAR
    key = FACETS[param]
    return key, template.format(key=key, column=column, top=top)


def _step_part(key: str) -> tuple[str, str]:
    column = _STEP_COLUMNS[key]
    bounds = [f"{bound:f}" for bound in STEPS[key][1]]
    counts = [f"count(*) FILTER (WHERE {column} > {one}) AS n{i}" for i, one in enumerate(bounds)]
    pairs = [f"('{one}', n{i})" for i, one in enumerate(bounds)]
    return key, _STEP.format(key=key, counts=", ".join(counts), pairs=", ".join(pairs))


def _values_of(filters: TraceFilters, key: str, counts: dict[str, int]) -> Facet:
    on = set(filters.values.get(_param(key), ()))
    excluded = {
        value.text
        for node in filters.nodes
        if isinstance(node, Not) and isinstance(node.node, Term) and node.node.key == key
        for value in node.node.values
        if isinstance(value, Exact)
    }
    named = [value for value in counts if value or value in on]
    shown = ["ok", "error", "running"] if key == "status" else named[:FACET_TOP]
    shown += [value for value in sorted(on | excluded) if value not in shown]
    return Facet(
        key,
        [FacetValue(v, counts.get(v, 0), v in on, v in excluded) for v in shown],
        has_more=len(named) > FACET_TOP,
    )


def _steps_of(filters: TraceFilters, key: str, counts: dict[str, int]) -> Facet:
    on = {node for node in filters.nodes if isinstance(node, Term) and node.key == key}
    return Facet(
        key,
        [
            FacetValue(
                f"{bound:f}",
                counts.get(f"{bound:f}", 0),
                Term(key, (Compare(">", bound.normalize()),)) in on,
            )
            for bound in STEPS[key][1]
        ],
    )


def _has_of(filters: TraceFilters, counts: dict[str, int]) -> Facet:
    on = {
        value.text
        for node in filters.nodes
        if isinstance(node, Term) and node.key == "has"
        for value in node.values
        if isinstance(value, Exact)
    }
    return Facet("has", [FacetValue(kind, counts.get(kind, 0), kind in on) for kind in HAS])
