"""Calls of one project that ended, for its programs and people: read with the scope read."""

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.pagination import limit_of, next_url
from core.errors import NotFoundError
from costs.forms import refuse_unknown
from gateway.requests import lists, selectors
from gateway.requests.serializers import GatewayRequestPageSerializer, GatewayRequestSerializer
from projects.access import HasScope, parse_uuid, project_from_api

_LISTING = [
    OpenApiParameter("range", OpenApiTypes.STR, description="24h by default; or two instants."),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in lists.STATES if one]),
    OpenApiParameter("route", OpenApiTypes.STR, description="A route's name; - for none."),
    OpenApiParameter("model", OpenApiTypes.STR, description="Part of the asked or served model."),
    OpenApiParameter("key", OpenApiTypes.UUID, description="An API key's id."),
    OpenApiParameter(
        "priority", OpenApiTypes.STR, enum=[one for one in lists.PRIORITY_NAMES if one]
    ),
    OpenApiParameter("cache", OpenApiTypes.STR, enum=[one for one in lists.CACHES if one]),
    OpenApiParameter("fallback", OpenApiTypes.STR, enum=[one for one in lists.FALLBACKS if one]),
    OpenApiParameter("connection", OpenApiTypes.UUID, description="Tried there, answered or not."),
    OpenApiParameter("target", OpenApiTypes.STR, description="Tried with this model."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(lists.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


class RequestListView(APIView):
    """Calls that ended."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="gateway_requests_list",
        parameters=_LISTING,
        responses=GatewayRequestPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Calls of a time, newest first: where each went and why, its times, tries and cost."""
        found = project_from_api(request, project, "read")
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = lists.read_asked(request.query_params, now=timezone.now())
        page = selectors.listed(found, asked, limit=limit_of(request))
        results = [GatewayRequestSerializer(row).data for row in page.rows]
        return Response({"results": results, "next": next_url(request, page.after)})


class OneRequestView(APIView):
    """One call."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="gateway_requests_get", responses=GatewayRequestSerializer)
    def get(self, request: Request, project: str, gateway_request: str) -> Response:
        """A call that ended, by the id its answer had in `x-llmlab-request-id`."""
        found = project_from_api(request, project, "read")
        wanted = parse_uuid(gateway_request)
        if wanted is None:
            raise NotFoundError("There is no such request in this project.")
        row = selectors.request_of(found, wanted)
        return Response(GatewayRequestSerializer(row).data)
