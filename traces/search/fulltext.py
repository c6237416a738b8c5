"""Finding traces by words: one condition that any query on Trace can take."""

import datetime as dt
import json
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Lookup, Q, QuerySet
from django.db.models.expressions import RawSQL

from core.ranges import TimeRange
from projects.models import ContentCapture, Project
from traces.models import SearchDocument
from traces.search.words import Query, parse

# The capture modes in which inputs and outputs may stand in the search tables.
PHRASE_CANDIDATES = 2_000
EVERYTHING = 2**40
# A trace's start may still move when an earlier step arrives late.
MOVED = dt.timedelta(hours=1)
SEARCHABLE = frozenset({ContentCapture.MASKED.value, ContentCapture.PLAIN.value})


@SearchVectorField.register_lookup
class Matches(Lookup):
    """`words__matches="'refund':* & 'late'"`: a tsquery made by traces.search.words, bound as text."""

    lookup_name = "matches"

    def get_prep_lookup(self) -> str:
        """The text as it is."""
        return str(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """See Django's Lookup."""
        left, params = self.process_lhs(compiler, connection)
        return f"{left} @@ %s::tsquery", (*params, self.rhs)


def label_of(project_id: UUID) -> str:
    """A lexeme no text can have: with it, one index over all tenants reads no other tenant's rows."""
    return f"p:{project_id.hex[-12:]}"


def documents(project: Project, query: Query, period: TimeRange | None = None) -> QuerySet[Any]:
    """The documents with these words, in no order. Content that the project's mode no longer allows is not looked at,
    also while it is not deleted yet."""
    asked = query.tsquery(label=label_of(project.pk))
    found = SearchDocument.objects.filter(project=project.pk, words__matches=asked)
    if period is not None:
        found = found.filter(
            started_at__gte=period.start - MOVED, started_at__lt=period.end + MOVED
        )
    return found if project.content_capture in SEARCHABLE else found.filter(has_content=False)


def condition(project: Project, text: str, *, period: TimeRange | None = None) -> Q:
    """Traces of `project` whose names, ids, tags, errors or (where stored searchable) inputs and outputs have the
    words of `text`; a text without a word matches none. Lazy: a subquery, no query of its own.

    `period`, the list's range, makes it faster. Words that must follow each other are looked for in the newest
    PHRASE_CANDIDATES traces of the period that have them all: where words stand is read from each document.
    """
    query = parse(text)
    if query.is_empty:
        return Q(trace_id__in=[])
    if query.has_phrase:
        return Q(trace_id__in=_phrases(project, query, period))
    found = documents(project, query, period).values("trace_id")
    if query.has_unwanted:
        # A slice keeps the planner from walking all traces to find the few that lack a frequent word.
        return Q(trace_id__in=found[:EVERYTHING])
    return Q(trace_id__in=found)


def estimate(project: Project, text: str) -> int:
    """About how many documents have the words, as PostgreSQL's statistics have it: one EXPLAIN, nothing is read. Words
    that must follow each other are looked for in so many candidates at most."""
    query = parse(text)
    if query.is_empty:
        return 0
    # By the words alone: a condition on the project would count the label a second time.
    asked = query.tsquery(label=label_of(project.pk))
    found = SearchDocument.objects.filter(words__matches=asked).values("trace_id")
    plan = json.loads(found.explain(format="json"))
    rows = int(plan[0]["Plan"]["Plan Rows"])
    return min(rows, PHRASE_CANDIDATES) if query.has_phrase else rows


_PHRASES = (
    "SELECT trace_id FROM (SELECT trace_id, words FROM traces_searchdocument WHERE project_id = %s"
    " AND words @@ %s::tsquery AND started_at >= %s AND started_at < %s AND (%s OR NOT has_content)"
    " ORDER BY started_at DESC LIMIT %s) candidates WHERE words @@ %s::tsquery"
)
_BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


def _phrases(project: Project, query: Query, period: TimeRange | None) -> RawSQL:
    """Where the words stand is read once, and only of the candidates."""
    label = label_of(project.pk)
    return RawSQL(  # noqa: S611 (a constant and parameters)
        _PHRASES,
        [
            project.pk,
            query.loose().tsquery(label=label),
            period.start - MOVED if period else _BEGINNING,
            period.end + MOVED if period else _END,
            project.content_capture in SEARCHABLE,
            PHRASE_CANDIDATES,
            query.tsquery(label=label),
        ],
    )
