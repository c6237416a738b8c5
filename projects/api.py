"""Projects and API keys for programs. Keys stay inside their project; people act with their role."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, Role, User
from accounts.selectors import memberships_of, person
from core.api.pagination import CursorPages
from core.errors import DomainError, NotFoundError
from projects import selectors, services
from projects.access import (
    HasScope,
    check_may_hold,
    project_from_api,
    project_of_key,
)
from projects.authentication import KeyAuth
from projects.data_policy import FIELDS, change_data_policy
from projects.models import ApiKey, Project
from projects.serializers import (
    ApiKeyCreateSerializer,
    ApiKeySerializer,
    DeletionSerializer,
    NewApiKeySerializer,
    ProjectChangeSerializer,
    ProjectCreateSerializer,
    ProjectSerializer,
    RotationSerializer,
)


def acting(request: Request) -> dict[str, Any]:
    """Who to name in the audit trail: the person, or the key."""
    if isinstance(request.auth, KeyAuth):
        return {"actor": None, "actor_label": f"API key {request.auth.key_label}"}
    return {"actor": request.user, "actor_label": ""}


def valid(serializer: Any) -> dict[str, Any]:
    """The serializer's clean data; raises DRF's ValidationError."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class ProjectListView(APIView):
    """The projects the caller may see."""

    permission_classes = [HasScope("read")]
    pagination_class = CursorPages

    @extend_schema(operation_id="projects_list", responses=ProjectSerializer(many=True))
    def get(self, request: Request) -> Response:
        """A person's projects, newest first; for a key, its own project."""
        if isinstance(request.auth, KeyAuth):
            rows = [project_of_key(request.auth)]
            return Response(
                {"next": None, "previous": None, "results": ProjectSerializer(rows, many=True).data}
            )
        pages = self.pagination_class()
        page = pages.paginate_queryset(selectors.visible_to(person(request)), request, view=self)
        return pages.get_paginated_response(ProjectSerializer(page, many=True).data)

    @extend_schema(
        operation_id="projects_create",
        request=ProjectCreateSerializer,
        responses={201: ProjectSerializer},
    )
    def post(self, request: Request) -> Response:
        """Create a project (people only: a key belongs to one project)."""
        if isinstance(request.auth, KeyAuth):
            raise DomainError(
                "An API key belongs to one project and cannot create others; log in and create it at /projects/new/.",
                code="forbidden",
                status=403,
            )
        data = valid(ProjectCreateSerializer(data=request.data))
        membership = _membership(person(request), data.pop("organization", None))
        if not membership.allows(Role.MEMBER):
            raise DomainError(
                "Creating projects needs the role member.", code="forbidden", status=403
            )
        project = services.create_project(
            organization=membership.organization, actor=person(request), **data
        )
        return Response(ProjectSerializer(project).data, status=201)


def _membership(user: User, slug: str | None) -> Membership:
    memberships = memberships_of(user)
    if slug is None and len(memberships) == 1:
        return memberships[0]
    if slug is None:
        raise DomainError(
            "organization must name one of your organisations by its slug.", fields=["organization"]
        )
    for membership in memberships:
        if membership.organization.slug == slug:
            return membership
    raise NotFoundError(
        "There is no such organisation, or you are not a member of it.", fields=["organization"]
    )


class ProjectDetailView(APIView):
    """One project by slug or UUID."""

    permission_classes = [HasScope("read")]

    def get_permissions(self) -> list[Any]:
        return [
            HasScope("read" if self.request.method in ("GET", "HEAD", "OPTIONS") else "admin")()
        ]

    @extend_schema(operation_id="projects_retrieve", responses=ProjectSerializer)
    def get(self, request: Request, project: str) -> Response:
        """The project."""
        return Response(ProjectSerializer(project_from_api(request, project, "read")).data)

    @extend_schema(
        operation_id="projects_update", request=ProjectChangeSerializer, responses=ProjectSerializer
    )
    def patch(self, request: Request, project: str) -> Response:
        """Rename, archive (`status: archived`), reopen (`active`), or change what is stored and for how long."""
        found = project_from_api(request, project, "admin")
        data = valid(ProjectChangeSerializer(data=request.data))
        if "name" in data:
            services.rename_project(project=found, name=data["name"], **acting(request))
        if data.get("status") == Project.Status.ARCHIVED:
            services.archive_project(project=found, **acting(request))
        elif data.get("status") == Project.Status.ACTIVE:
            services.unarchive_project(project=found, **acting(request))
        policy = {name: data[name] for name in FIELDS if name in data}
        if policy:
            change_data_policy(project=found, **policy, **acting(request))
        return Response(ProjectSerializer(found).data)

    @extend_schema(operation_id="projects_destroy", responses={202: DeletionSerializer})
    def delete(self, request: Request, project: str) -> Response:
        """Delete the project and everything in it. Keys stop at once; the data is purged in the
        background.
        """
        found = project_from_api(request, project, "admin")
        job = services.request_project_deletion(
            project=found, now=timezone.now(), **acting(request)
        )
        return Response(DeletionSerializer(job).data, status=202)


class ApiKeyListView(APIView):
    """The keys of a project."""

    permission_classes = [HasScope("admin")]
    pagination_class = CursorPages

    @extend_schema(operation_id="keys_list", responses=ApiKeySerializer(many=True))
    def get(self, request: Request, project: str) -> Response:
        """Newest first; never the keys themselves."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        pages = self.pagination_class()
        page = pages.paginate_queryset(selectors.api_keys(found), request, view=self)
        return pages.get_paginated_response(ApiKeySerializer(page, many=True).data)

    @extend_schema(
        operation_id="keys_create",
        request=ApiKeyCreateSerializer,
        responses={201: NewApiKeySerializer},
    )
    def post(self, request: Request, project: str) -> Response:
        """Create a key. This answer is the only place its value appears."""
        found = project_from_api(request, project, "admin", role=Role.MEMBER)
        data = valid(ApiKeyCreateSerializer(data=request.data))
        check_may_hold(found.role, data["scopes"])
        key, raw = services.create_api_key(
            project=found, now=timezone.now(), **data, **acting(request)
        )
        return _with_raw(key, raw)


class ApiKeyDetailView(APIView):
    """One key."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="keys_destroy", responses={204: OpenApiResponse(description="Revoked.")}
    )
    def delete(self, request: Request, project: str, key: UUID) -> Response:
        """Revoke the key, effective at once everywhere."""
        found, row = _key(request, project, key)
        services.revoke_api_key(project=found, key=row, now=timezone.now(), **acting(request))
        return Response(status=204)


class ApiKeyRotationView(APIView):
    """A successor for a key."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="keys_rotate", request=RotationSerializer, responses={201: NewApiKeySerializer}
    )
    def post(self, request: Request, project: str, key: UUID) -> Response:
        """Create the successor; the old key keeps working for `overlap` (now, 1h, 24h, 7d)."""
        found, row = _key(request, project, key)
        data = valid(RotationSerializer(data=request.data))
        new, raw = services.rotate_api_key(
            project=found, key=row, overlap=data["overlap"], now=timezone.now(), **acting(request)
        )
        return _with_raw(new, raw)


def _key(request: Request, ref: str, key_id: UUID) -> tuple[Project, ApiKey]:
    project = project_from_api(request, ref, "admin", role=Role.MEMBER)
    row = selectors.api_keys(project).filter(pk=key_id).first()
    if row is None:
        raise NotFoundError("There is no such API key in this project.")
    check_may_hold(project.role, row.scopes)
    return project, row


def _with_raw(key: ApiKey, raw: str) -> Response:
    key.raw = raw  # type: ignore[attr-defined]  # for this answer only
    response = Response(NewApiKeySerializer(key).data, status=201)
    response["Cache-Control"] = "no-store"
    return response
