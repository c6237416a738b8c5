"""Kept answers in the API: list, one, purge, figures, thresholds. Keys read with the scope read, change with admin."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from costs.forms import refuse_unknown
from gateway.cache import selectors
from gateway.cache import serializers as shapes
from gateway.cache.contents import said_in
from gateway.cache.emptying import Which, purge
from gateway.cache.tightening import lift
from projects.access import HasScope, project_from_api
from projects.authentication import KeyAuth

_NARROW = [
    OpenApiParameter(name, OpenApiTypes.STR, description="Exactly this; `-`: none.")
    for name in selectors.LABELS
]
_LISTING = [
    *_NARROW,
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]
_ALL = OpenApiParameter("all", OpenApiTypes.BOOL, description="Every answer of the project.")
_RANGE = OpenApiParameter("range", OpenApiTypes.STR, enum=list(selectors.RANGES))
_ROUTE = OpenApiParameter("route", OpenApiTypes.STR, description="Empty: calls no route names.")


def _by(request: Request) -> dict[str, Any]:
    if isinstance(request.auth, KeyAuth):
        return {"actor": None, "actor_label": f"API key {request.auth.key_id}"}
    return {"actor": request.user if isinstance(request.user, User) else None}


class _View(APIView):
    """What they all need."""

    def get_permissions(self) -> list[Any]:
        return [HasScope("read" if self.request.method in SAFE_METHODS else "admin")()]


class CacheListView(_View):
    """Kept answers."""

    @extend_schema(
        operation_id="gateway_cache_list",
        parameters=_LISTING,
        responses=shapes.CachedAnswerPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Answers that may still be given, newest first."""
        found = project_from_api(request, project, "read")
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = selectors.read_asked(request.query_params)
        rows, after = selectors.listed(found, asked, now=timezone.now(), limit=limit_of(request))
        results = shapes.CachedAnswerSerializer(rows, many=True).data
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="gateway_cache_purge",
        parameters=[*_NARROW, _ALL],
        responses=shapes.CachePurgedSerializer,
    )
    def delete(self, request: Request, project: str) -> Response:
        """Throw answers away: by model, route, namespace, prompt version, or all of them (scope admin)."""
        found = project_from_api(request, project, "admin")
        refuse_unknown(request.query_params, {one.name for one in (*_NARROW, _ALL)})
        asked = selectors.read_asked(request.query_params)
        said = request.query_params.get("all", "false")
        if said not in ("true", "false"):
            raise DomainError(f"all is {said[:40]!r}; it must be true or false.", fields=["all"])
        which = Which(**{name: getattr(asked, name) for name in selectors.LABELS})
        count = purge(project=found, which=which, is_all=said == "true", **_by(request))
        return Response({"deleted": count})


class CacheEntryView(_View):
    """One kept answer."""

    @extend_schema(operation_id="gateway_cache_get", responses=shapes.CachedAnswerDetailSerializer)
    def get(self, request: Request, project: str, cached: UUID) -> Response:
        """A kept answer and what it says, masked as the project masks."""
        found = project_from_api(request, project, "read")
        entry = selectors.entry_of(found, cached, now=timezone.now())
        said = said_in(found, entry)
        return Response(shapes.CachedAnswerSerializer(entry).data | said._asdict())

    @extend_schema(operation_id="gateway_cache_delete", responses={204: None})
    def delete(self, request: Request, project: str, cached: UUID) -> Response:
        """Throw one answer away (scope admin)."""
        found = project_from_api(request, project, "admin")
        entry = selectors.entry_of(found, cached, now=timezone.now())
        purge(project=found, which=Which(id=entry.id), **_by(request))
        return Response(status=204)


class CacheFiguresView(_View):
    """Figures."""

    @extend_schema(
        operation_id="gateway_cache_figures",
        parameters=[_RANGE],
        responses=shapes.CacheFiguresSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Calls that looked, hits, dollars saved over time."""
        found = project_from_api(request, project, "read")
        refuse_unknown(request.query_params, {"range"})
        span = selectors.read_asked(request.query_params).range
        figures = selectors.figures_of(found, span, now=timezone.now())
        return Response(shapes.CacheFiguresSerializer(figures).data)


class CacheThresholdView(_View):
    """Checked hits by meaning, per route."""

    @extend_schema(
        operation_id="gateway_cache_thresholds",
        responses=shapes.CacheChecksSerializer(many=True),
    )
    def get(self, request: Request, project: str) -> Response:
        """How often hits by meaning were wrong, and which thresholds tightened themselves."""
        found = project_from_api(request, project, "read")
        rows = selectors.checks_of(found, now=timezone.now())
        return Response(shapes.CacheChecksSerializer(rows, many=True).data)

    @extend_schema(
        operation_id="gateway_cache_threshold_lift", parameters=[_ROUTE], responses={204: None}
    )
    def delete(self, request: Request, project: str) -> Response:
        """Give a route its own threshold back (scope admin)."""
        found = project_from_api(request, project, "admin")
        refuse_unknown(request.query_params, {"route"})
        route = selectors.read_asked(request.query_params).route
        lift(project=found, route=route, **_by(request))
        return Response(status=204)
