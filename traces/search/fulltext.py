"""Finding traces by words: one condition that any query on Trace can take."""

from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Lookup, Q

from projects.models import ContentCapture, Project
from traces.models import SearchDocument
from traces.search.words import Query, parse

# The capture modes in which inputs and outputs may stand in the search tables.
SEARCHABLE = frozenset({ContentCapture.MASKED.value, ContentCapture.PLAIN.value})


@SearchVectorField.register_lookup
class Matches(Lookup):  # type: ignore[type-arg]
    """`words__matches="'refund':* & 'late'"`: a tsquery made by traces.search.words, bound as text."""

    lookup_name = "matches"

    def get_prep_lookup(self) -> str:
        return str(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} @@ %s::tsquery", [*params, self.rhs]


def label_of(project_id: UUID) -> str:
    """A lexeme no text can have: with it, one index over all tenants reads no other tenant's rows."""
    return f"p:{project_id.hex[-12:]}"


def documents(project: Project, query: Query) -> Any:
    """The documents with these words, in no order. Content that the project's mode no longer allows is not looked at,
    also while it is not deleted yet."""
    asked = query.tsquery(label=label_of(project.pk))
    found = SearchDocument.objects.filter(project=project.pk, words__matches=asked)
    return found if project.content_capture in SEARCHABLE else found.filter(has_content=False)


def condition(project: Project, text: str) -> Q:
    """Traces of `project` whose names, ids, tags, errors or (where stored searchable) inputs and outputs have the
    words of `text`; a text without a word matches none. Lazy: a subquery, no query of its own.
    """
    query = parse(text)
    if query.is_empty:
        return Q(trace_id__in=[])
    return Q(trace_id__in=documents(project, query).values("trace_id"))
