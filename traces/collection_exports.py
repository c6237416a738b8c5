"""Collections for export: the examples of one collection, or of all, as the collection's own download has them."""

from django.db.models import QuerySet
from django.http import QueryDict

from core.errors import DomainError, NotFoundError
from projects.access import parse_uuid
from projects.exports.registry import Column, Cursor, Request, Row, Source, register
from projects.models import Project
from traces.models import Collection, CollectionItem
from traces.selectors.collection_export import CHUNK, page_of_examples

COLUMNS = (
    Column("collection", "text"), Column("id", "text"), Column("trace_id", "text"), Column("span_id", "text"),
    Column("name", "text"), Column("input", "json"), Column("output", "json"), Column("expected", "text"),
    Column("note", "text"), Column("missing", "boolean"), Column("started_at", "time"), Column("models", "list"),
    Column("added_at", "time"),
)  # fmt: skip


def register_collections() -> None:
    """Called with the other sources."""
    register(
        Source("collections", "Collections", COLUMNS, read_items, count_items, has_range=False)
    )


def _items(project: Project, request: Request) -> QuerySet[CollectionItem]:
    """What the query names. Raises DomainError for anything but `collection=<id>`, and for ids."""
    params = QueryDict(request.query)
    if request.ids:
        raise DomainError(
            "ids cannot choose examples; name a collection by query=collection=<id>.",
            fields=["ids"],
        )
    if unknown := sorted(set(params) - {"collection"}):
        raise DomainError(
            f"{unknown[0][:40]} is not a filter of collections; known is collection.",
            code="invalid_filter",
            fields=[name[:40] for name in unknown[:5]],
        )
    found = CollectionItem.objects.filter(project=project)
    if text := params.get("collection", ""):
        collection_id = parse_uuid(text)
        if collection_id is None:
            raise DomainError(
                f"collection={text[:40]!r} must be a collection's id.", fields=["collection"]
            )
        found = found.filter(collection=collection_id)
    return found


def count_items(project: Project, request: Request) -> int:
    """At most two queries. Raises NotFoundError for a collection that is not this project's."""
    found = _items(project, request)
    collection_id = parse_uuid(QueryDict(request.query).get("collection", ""))
    if collection_id and not Collection.objects.filter(project=project, pk=collection_id).exists():
        raise NotFoundError("There is no such collection in this project.")
    return found.count()


def read_items(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """Oldest first, a hundred at most: an example may hold megabytes. Up to six queries an example."""
    found = _items(project, request).order_by("id")
    if cursor:
        found = found.filter(pk__gt=cursor["id"])
    size = min(limit, CHUNK)
    items = list(found[:size])
    named = Collection.objects.filter(
        project=project, pk__in={item.collection_id for item in items}
    )
    names = dict(named.values_list("pk", "name"))
    rows: list[Row] = [
        [names.get(item.collection_id, ""), *(example[column.name] for column in COLUMNS[1:])]
        for item, example in zip(items, page_of_examples(project, items), strict=True)
    ]
    return rows, {"id": str(items[-1].pk)} if len(items) == size else None
