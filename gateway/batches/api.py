"""Batches of one project, read with the scope read; they are made and cancelled under /v1/ (gateway.door)."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.pagination import limit_of, next_url
from costs.forms import refuse_unknown
from gateway.batches import lists
from gateway.batches.serializers import GatewayBatchPageSerializer, GatewayBatchSerializer
from projects.access import HasScope, project_from_api

_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of the provider's id, or a model."),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in lists.STATES if one]),
    OpenApiParameter("wire", OpenApiTypes.STR, enum=[one for one in lists.WIRES if one]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(lists.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


class BatchListView(APIView):
    """Batches at providers."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="gateway_batches_list",
        parameters=_LISTING,
        responses=GatewayBatchPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Batches, newest first: how far each is, what it may cost and what it cost."""
        found = project_from_api(request, project, "read")
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = lists.read_asked(request.query_params)
        rows, after = lists.listed(found, asked, limit=limit_of(request))
        results = [GatewayBatchSerializer(row).data for row in rows]
        return Response({"results": results, "next": next_url(request, after)})


class OneBatchView(APIView):
    """One batch."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="gateway_batches_get", responses=GatewayBatchSerializer)
    def get(self, request: Request, project: str, gateway_batch: str) -> Response:
        """A batch by its id here."""
        found = project_from_api(request, project, "read")
        return Response(GatewayBatchSerializer(lists.one_of(found, gateway_batch)).data)
