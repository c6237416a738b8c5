"""Sessions, users and errors for programs. The same filters and orders as the pages."""

from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role, User
from core.api.pagination import bad_cursor, limit_of
from core.api.serializers import StrictSerializer
from core.cursors import InvalidCursorError
from core.errors import NotFoundError
from projects.access import HasScope, project_from_api
from projects.authentication import KeyAuth
from traces.activity import detail, lists
from traces.activity.documents import error_data, session_data, turn_data, user_data
from traces.activity.lists import Spec
from traces.activity.serializers import (
    ErrorDetailSerializer,
    ErrorGroupPageSerializer,
    ErrorGroupSerializer,
    SessionDetailSerializer,
    SessionPageSerializer,
    UserPageSerializer,
    UserSerializer,
)
from traces.activity.specs import ERRORS, SESSIONS, USERS
from traces.errors.status import set_error_status
from traces.filters import InvalidFilterError
from traces.models import ErrorGroup, ErrorStatus, SessionRow, UserRow
from traces.serializers import ErrorSerializer

MAX_LIMIT = 200
_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}


def _text(name: str, text: str, enum: Any = None) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, enum=enum)


def _parameters(spec: Spec) -> list[OpenApiParameter]:
    sorts = ", ".join(spec.sorts)
    return [
        _text("range", "Last seen in: 15m, 1h, 24h, 7d (default), 30d, 90d, mtd, or two instants."),
        _text("q", f"Part of: {', '.join(spec.search)}."),
        *(
            _text(
                choice.param,
                f"{choice.label}{f'; default {choice.default}' if choice.default else ''}.",
                enum=[value for value, _ in choice.values] or None,
            )
            for choice in spec.choices
        ),
        _text("sort", f"{sorts}; with - in front descending. Default {spec.default_sort}."),
        OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {MAX_LIMIT}; default 50."),
        _text("cursor", "From `next` or `previous` of the last answer."),
    ]


def _page(request: Request, ref: str, spec: Spec, shape: Any) -> Response:
    """One page of a list; a relative range is fixed in its links, so that the pages of one walk belong together."""
    project = project_from_api(request, ref, "read")
    params = request.query_params
    known = spec.params | {"limit", "cursor"}
    if unknown := [name[:40] for name in params if name not in known][:5]:
        raise InvalidFilterError(
            f"{', '.join(unknown)} is not a parameter here; known are {', '.join(sorted(known))}.",
            fields=unknown,
        )
    state = lists.parse_state(spec, params, now=timezone.now(), strict=True)
    cursor = params.get("cursor", "")
    if cursor and cursor[:2] not in ("a.", "b."):
        raise bad_cursor()
    way = "before" if cursor.startswith("b.") else "after"
    try:
        page = lists.page_of(
            project, state, limit=limit_of(request, maximum=MAX_LIMIT), **{way: cursor[2:]}
        )
    except InvalidCursorError:
        raise bad_cursor() from None

    def link(place: str) -> str:
        fixed = {"range": state.range.explicit} if state.range.is_preset else {}
        kept = {"limit": params.get("limit"), "sort": params.get("sort"), "cursor": place}
        return request.build_absolute_uri(f"{request.path}?{state.query(**{**kept, **fixed})}")

    return Response(
        {
            "next": link(f"a.{page.after}") if page.after else None,
            "previous": link(f"b.{page.before}") if page.before else None,
            "results": [shape(row) for row in page.rows],
        }
    )


class SessionListView(APIView):
    """Sessions of a project."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="sessions_list",
        parameters=_parameters(SESSIONS),
        responses={200: SessionPageSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """Sessions, latest activity first unless `sort` says otherwise. Counted a few seconds after their traces."""
        return _page(request, project, SESSIONS, session_data)


class SessionDetailView(APIView):
    """One session."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="sessions_retrieve",
        parameters=[_text("after", "A trace id: only turns after it.")],
        responses={200: SessionDetailSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str, session: str) -> Response:
        """The session with up to 50 turns in order, each with the first words of input and output."""
        found = project_from_api(request, project, "read")
        row = SessionRow.objects.filter(project=found.pk, session_id=session).first()
        if row is None:
            raise NotFoundError("There is no such session in this project.")
        after = request.query_params.get("after", "").replace("\x00", "")
        turns, next_after = detail.session_turns(found, session, after=after)
        more = request.build_absolute_uri(f"{request.path}?{urlencode({'after': next_after})}")
        return Response(
            session_data(row)
            | {"turns": [turn_data(turn) for turn in turns], "next": more if next_after else None}
        )


class UserListView(APIView):
    """Users of the project's product."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="users_list",
        parameters=_parameters(USERS),
        responses={200: UserPageSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """Users, last seen first unless `sort` says otherwise. Counted a few seconds after their traces."""
        return _page(request, project, USERS, user_data)


class UserDetailView(APIView):
    """One user."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="users_retrieve", responses={200: UserSerializer, **_ERRORS})
    def get(self, request: Request, project: str, user: str) -> Response:
        """The user's sums over everything kept."""
        found = project_from_api(request, project, "read")
        row = UserRow.objects.filter(project=found.pk, user_id=user).first()
        if row is None:
            raise NotFoundError("There is no such user in this project.")
        return Response(user_data(row))


class ErrorListView(APIView):
    """Failures grouped by what failed and where."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="errors_list",
        parameters=_parameters(ERRORS),
        responses={200: ErrorGroupPageSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """Error groups, last seen first unless `sort` says otherwise; open ones unless `status` says otherwise."""
        return _page(request, project, ERRORS, error_data)


class ErrorChange(StrictSerializer):
    """What to do with a group."""

    status = serializers.ChoiceField(ErrorStatus.choices)
    in_next_release = serializers.BooleanField(
        default=False,
        help_text="With resolved: opens again only when seen in another release than the last one so far.",
    )


class ErrorDetailView(APIView):
    """One kind of failure."""

    def get_permissions(self) -> list[Any]:
        """Reading and changing need different scopes."""
        return [HasScope("read" if self.request.method == "GET" else "ingest")()]

    @extend_schema(
        operation_id="errors_retrieve", responses={200: ErrorDetailSerializer, **_ERRORS}
    )
    def get(self, request: Request, project: str, error: str) -> Response:
        """The group with its 20 newest traces."""
        found = project_from_api(request, project, "read")
        row = ErrorGroup.objects.filter(project=found.pk, fingerprint=error).first()
        if row is None:
            raise NotFoundError("There is no such error in this project.")
        samples = [trace.trace_id for trace in detail.error_samples(found, error)]
        return Response(error_data(row) | {"trace_ids": samples})

    @extend_schema(
        operation_id="errors_partial_update",
        request=ErrorChange,
        responses={200: ErrorGroupSerializer, **_ERRORS},
    )
    def patch(self, request: Request, project: str, error: str) -> Response:
        """Open, resolve or ignore the group; a resolved one opens again when it is seen again."""
        found = project_from_api(request, project, "ingest", role=Role.MEMBER)
        change = ErrorChange(data=request.data)
        change.is_valid(raise_exception=True)
        actor = request.user if isinstance(request.user, User) else None
        label = "API key" if isinstance(request.auth, KeyAuth) else ""
        row = set_error_status(
            project=found,
            fingerprint=error,
            actor=actor,
            actor_label=label,
            now=timezone.now(),
            **change.validated_data,
        )
        return Response(error_data(row))
