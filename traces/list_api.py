"""Saved views and bulk actions of the trace list, for programs."""

from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role, User
from core.api.serializers import StrictSerializer
from core.errors import DomainError
from projects.access import HasScope, project_from_api
from projects.authentication import KeyAuth
from projects.models import ApiKey, Project
from traces import bulk, saved_views
from traces.filters import parse_filters
from traces.list_columns import COLUMNS, DENSITIES
from traces.models import SavedView
from traces.saved_views import Actor
from traces.serializers import ErrorSerializer

_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}


class LayoutSerializer(StrictSerializer):
    """Columns in their order, and the height of rows."""

    columns = serializers.ListField(child=serializers.ChoiceField(sorted(COLUMNS)), required=False)
    density = serializers.ChoiceField(sorted(DENSITIES), required=False)


class ViewSerializer(StrictSerializer):
    """A saved view as it is written."""

    name = serializers.CharField(max_length=saved_views.MAX_NAME)
    query = serializers.CharField(
        allow_blank=True,
        required=False,
        default="",
        max_length=saved_views.MAX_QUERY,
        help_text="The query string of the list: range=7d&status=error&q=cost:>0.05",
    )
    layout = LayoutSerializer(required=False)
    is_shared = serializers.BooleanField(required=False)
    is_default = serializers.BooleanField(required=False)


class ViewAnswerSerializer(serializers.ModelSerializer[SavedView]):
    """A saved view as it is read."""

    author = serializers.EmailField(source="author.email")

    class Meta:
        model = SavedView
        fields = [
            "id", "name", "query", "layout", "is_shared", "is_default", "author", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class ViewListAnswerSerializer(serializers.Serializer[Any]):
    """The views a caller sees."""

    results = ViewAnswerSerializer(many=True)


class BulkSerializer(StrictSerializer):
    """What to do with which traces: `ids`, or everything `query` matches."""

    action = serializers.ChoiceField(bulk.ACTIONS)
    tag = serializers.CharField(required=False, max_length=bulk.MAX_TAG)
    ids = serializers.ListField(
        child=serializers.CharField(max_length=128), required=False, max_length=bulk.DIRECT
    )
    query = serializers.CharField(
        required=False, allow_blank=True, max_length=saved_views.MAX_QUERY
    )


class BulkAnswerSerializer(serializers.Serializer[Any]):
    """How many were changed, or the job that changes them."""

    changed = serializers.IntegerField(allow_null=True)
    job = serializers.UUIDField(allow_null=True)


def _person(request: Request) -> User | None:
    """Who stands behind the request: the person, or whoever made the key."""
    if isinstance(request.auth, KeyAuth):
        key = ApiKey.objects.filter(project=request.auth.project_id, pk=request.auth.key_id)
        found = key.select_related("created_by").first()
        return found.created_by if found else None
    return request.user if isinstance(request.user, User) else None


def _viewer(request: Request) -> User | None:
    """Whose own views are shown: a key sees the shared ones only."""
    return None if isinstance(request.auth, KeyAuth) else _person(request)


def _actor(request: Request, project: Project) -> Actor:
    if isinstance(request.auth, KeyAuth):
        return Actor(_person(request), Role.MEMBER, label=request.auth.key_label)
    return Actor(_person(request), project.role)


def _write_scope(request: Request, ref: str) -> Project:
    """Keys need admin to change views; any member of the organisation has views of their own."""
    return project_from_api(request, ref, "admin", role=Role.VIEWER)


class ViewListView(APIView):
    """Saved views of the trace list."""

    permission_classes = [HasScope("read")]

    def get_permissions(self) -> list[Any]:
        """Writing needs a wider scope."""
        return [HasScope("admin" if self.request.method == "POST" else "read")()]

    @extend_schema(operation_id="views_list", responses={200: ViewListAnswerSerializer, **_ERRORS})
    def get(self, request: Request, project: str) -> Response:
        """The caller's own and the shared ones by name, 200 at most; a key sees the shared ones."""
        found = project_from_api(request, project, "read")
        views = saved_views.visible_views(found, _viewer(request))
        return Response({"results": ViewAnswerSerializer(views, many=True).data})

    @extend_schema(
        operation_id="views_create",
        request=ViewSerializer,
        responses={201: ViewAnswerSerializer, **_ERRORS, 409: ErrorSerializer},
    )
    def post(self, request: Request, project: str) -> Response:
        """A new view; sharing it or making it the default needs the role member."""
        found = _write_scope(request, project)
        body = ViewSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        _check_query(body.validated_data.get("query", ""))
        view = saved_views.create_view(
            project=found, actor=_actor(request, found), **body.validated_data
        )
        return Response(ViewAnswerSerializer(view).data, status=201)


class ViewDetailView(APIView):
    """One saved view."""

    permission_classes = [HasScope("read")]

    def get_permissions(self) -> list[Any]:
        """Writing needs a wider scope."""
        return [HasScope("read" if self.request.method == "GET" else "admin")()]

    @extend_schema(operation_id="views_retrieve", responses={200: ViewAnswerSerializer, **_ERRORS})
    def get(self, request: Request, project: str, view: UUID) -> Response:
        """The view."""
        found = project_from_api(request, project, "read")
        return Response(
            ViewAnswerSerializer(saved_views.view_of(found, _viewer(request), view)).data
        )

    @extend_schema(
        operation_id="views_update",
        request=ViewSerializer(partial=True),
        responses={200: ViewAnswerSerializer, **_ERRORS, 409: ErrorSerializer},
    )
    def patch(self, request: Request, project: str, view: UUID) -> Response:
        """Change what is given."""
        found = _write_scope(request, project)
        shown = saved_views.view_of(found, _viewer(request), view)
        body = ViewSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        _check_query(body.validated_data.get("query", ""))
        changed = saved_views.change_view(
            view=shown, actor=_actor(request, found), changes=body.validated_data
        )
        return Response(ViewAnswerSerializer(changed).data)

    @extend_schema(operation_id="views_destroy", responses={204: None, **_ERRORS})
    def delete(self, request: Request, project: str, view: UUID) -> Response:
        """Delete it."""
        found = _write_scope(request, project)
        shown = saved_views.view_of(found, _viewer(request), view)
        saved_views.delete_view(view=shown, actor=_actor(request, found))
        return Response(status=204)


def _check_query(text: str) -> None:
    """A view made by a program says only what can be read. Raises InvalidFilterError."""
    parse_filters(QueryDict(text), now=timezone.now(), strict=True)


class TraceActionsView(APIView):
    """One action on many traces."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="trace_actions_create",
        request=BulkSerializer,
        responses={200: BulkAnswerSerializer, 202: BulkAnswerSerializer, **_ERRORS},
    )
    def post(self, request: Request, project: str) -> Response:
        """Tag, untag or delete. 200 with how many were changed; 202 with a job for more than 200 that match."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        body = BulkSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if ("ids" in given) == ("query" in given):
            raise DomainError("Give either ids or query.", fields=["ids", "query"])
        action = bulk.check_action(given["action"])
        key = request.auth if isinstance(request.auth, KeyAuth) else None
        who: dict[str, Any] = {
            "project": found,
            "action": action,
            "actor": None if key else _person(request),
            "actor_label": key.key_label if key else "",
            "tag": bulk.clean_tag(given.get("tag", "")) if action != "delete" else "",
            "now": timezone.now(),
        }
        if "ids" in given:
            outcome = bulk.change_chosen(ids=given["ids"], **who)
        else:
            filters = parse_filters(QueryDict(given["query"]), now=who["now"], strict=True)
            outcome = bulk.change_matching(filters=filters, **who)
        if outcome.job is not None:
            return Response({"changed": None, "job": outcome.job.pk}, status=202)
        return Response({"changed": len(outcome.changed), "job": None})
