"""Collections for programs: gather examples, write down what was expected, download them as JSON lines."""

from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import CursorPages
from core.errors import DomainError, NotFoundError
from core.streaming import ChunkedResponse
from projects.access import project_from_api
from projects.models import Project
from traces.feedback import collections as services
from traces.feedback_api import base
from traces.feedback_api.bodies import (
    AddedShape,
    CollectionBody,
    CollectionShape,
    ItemChangeBody,
    ItemsBody,
    ItemShape,
)
from traces.feedback_api.shapes import collection_data, item_data
from traces.models import Collection
from traces.selectors.collection_export import example_lines
from traces.selectors.feedback import collections_of, items_of


def _collection(project: Project, collection_id: UUID) -> Collection:
    found = collections_of(project).filter(pk=collection_id).first()
    if found is None:
        raise NotFoundError("There is no such collection in this project.")
    return found


class CollectionListView(base.ReadOrWrite):
    """The project's collections."""

    pagination_class = CursorPages

    @extend_schema(
        operation_id="collections_list", responses={200: CollectionShape(many=True), **base.ERRORS}
    )
    def get(self, request: Request, project: str) -> Response:
        """Newest first."""
        found = project_from_api(request, project, "read")
        pages = self.pagination_class()
        page = pages.paginate_queryset(collections_of(found), request, view=self) or []
        return pages.get_paginated_response([collection_data(c, c.item_count) for c in page])

    @extend_schema(
        operation_id="collections_create",
        request=CollectionBody,
        responses={201: CollectionShape, **base.ERRORS},
    )
    def post(self, request: Request, project: str) -> Response:
        """A new, empty one; 409 when the name is taken."""
        found = base.writable(request, project, "ingest")
        body = base.valid(CollectionBody(data=request.data))
        made = services.create_collection(project=found, actor=base.actor_of(request), **body)
        return Response(collection_data(made, 0), status=201)


class CollectionDetailView(base.ReadOrWrite):
    """One collection."""

    @extend_schema(
        operation_id="collections_retrieve", responses={200: CollectionShape, **base.ERRORS}
    )
    def get(self, request: Request, project: str, collection: UUID) -> Response:
        """Its facts."""
        one = _collection(project_from_api(request, project, "read"), collection)
        return Response(collection_data(one, one.item_count))  # type: ignore[attr-defined]

    @extend_schema(operation_id="collections_delete", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, collection: UUID) -> Response:
        """Delete it with its items; the traces stay."""
        found = base.writable(request, project, "ingest")
        services.delete_collection(
            project=found,
            collection=_collection(found, collection),
            actor=base.actor_of(request),
            actor_label=base.label_of(request),
        )
        return Response(status=204)


class ItemListView(base.ReadOrWrite):
    """The items of a collection."""

    pagination_class = CursorPages

    @extend_schema(
        operation_id="collection_items_list", responses={200: ItemShape(many=True), **base.ERRORS}
    )
    def get(self, request: Request, project: str, collection: UUID) -> Response:
        """Newest first."""
        found = project_from_api(request, project, "read")
        pages = self.pagination_class()
        rows = items_of(found, _collection(found, collection))
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response([item_data(item) for item in page])

    @extend_schema(
        operation_id="collection_items_add",
        request=ItemsBody,
        responses={200: AddedShape, **base.ERRORS},
    )
    def post(self, request: Request, project: str, collection: UUID) -> Response:
        """Add up to 1,000 traces, or one step with `span_id`; what is there already stays once."""
        found = base.writable(request, project, "ingest")
        one = _collection(found, collection)
        body = base.valid(ItemsBody(data=request.data))
        trace_ids, span_id, actor = body["trace_ids"], body["span_id"], base.actor_of(request)
        if span_id:
            if len(trace_ids) != 1:
                raise DomainError("span_id needs exactly one trace.", fields=["trace_ids"])
            added = services.add_step(
                project=found,
                collection=one,
                trace_id=trace_ids[0],
                span_id=span_id,
                actor=actor,
            )
        else:
            added = services.add_traces(
                project=found, collection=one, trace_ids=trace_ids, actor=actor
            )
        return Response(added._asdict())


class ItemDetailView(base.ReadOrWrite):
    """One item."""

    @extend_schema(
        operation_id="collection_items_change",
        request=ItemChangeBody,
        responses={200: ItemShape, **base.ERRORS},
    )
    def patch(self, request: Request, project: str, collection: UUID, item: UUID) -> Response:
        """Say what the answer should have been; what is not named stays."""
        found = base.writable(request, project, "ingest")
        one = _collection(found, collection)
        body = base.valid(ItemChangeBody(data=request.data))
        known = items_of(found, one).filter(pk=item).first()
        if known is None:
            raise NotFoundError("There is no such item in this collection.")
        changed = services.change_item(
            project=found,
            collection=one,
            item_id=item,
            expected=body.get("expected", known.expected),
            note=body.get("note", known.note),
        )
        return Response(item_data(changed))

    @extend_schema(operation_id="collection_items_delete", responses={204: None, **base.ERRORS})
    def delete(self, request: Request, project: str, collection: UUID, item: UUID) -> Response:
        """Take it out of the collection."""
        found = base.writable(request, project, "ingest")
        one = _collection(found, collection)
        if not services.remove_items(project=found, collection=one, item_ids=[item]):
            raise NotFoundError("There is no such item in this collection.")
        return Response(status=204)


class CollectionExportView(base.ReadOrWrite):
    """The collection as examples."""

    @extend_schema(
        operation_id="collections_export",
        responses={
            200: OpenApiResponse(OpenApiTypes.STR, "One JSON document per line."),
            **base.ERRORS,
        },
    )
    def get(self, request: Request, project: str, collection: UUID) -> StreamingHttpResponse:
        """Input, output and what was expected of each item, as JSON lines, streamed."""
        found = project_from_api(request, project, "read")
        one = _collection(found, collection)
        return ChunkedResponse(
            example_lines(found, one), content_type="application/x-ndjson; charset=utf-8"
        )
