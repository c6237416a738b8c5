"""Exports for programs: ask, poll the job, fetch the file."""

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from core.api.pagination import CursorPages
from core.api.serializers import StrictSerializer
from projects.access import HasScope, project_from_api
from projects.api import acting, valid
from projects.export_views import export_of, file_response
from projects.exports import job as exports
from projects.exports.registry import Request
from projects.job_api import JobSerializer


class ExportCreateSerializer(StrictSerializer):
    """What to export. `query` is the query string of the list, as its page or API has it."""

    kind = serializers.CharField(
        max_length=40,
        help_text="traces, spans, scores, sessions, users, errors, collections or costs",
    )
    format = serializers.ChoiceField(choices=list(exports.FORMATS.items()), default="jsonl")
    query = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")
    ids = serializers.ListField(
        child=serializers.CharField(max_length=128),
        required=False,
        default=list,
        help_text="Trace ids instead of a query; at most 500.",
    )
    with_payloads = serializers.BooleanField(
        default=False, help_text="Steps with inputs and outputs"
    )


class ExportListView(APIView):
    """The project's exports."""

    permission_classes = [HasScope("read")]
    pagination_class = CursorPages

    @extend_schema(operation_id="exports_list", responses=JobSerializer(many=True))
    def get(self, request: ApiRequest, project: str) -> Response:
        """Newest first; `result` names the file's size and rows once it is done."""
        found = project_from_api(request, project, "read")
        pages = self.pagination_class()
        page = pages.paginate_queryset(exports.exports_of(found), request, view=self)
        return pages.get_paginated_response(JobSerializer(page, many=True).data)

    @extend_schema(
        operation_id="exports_create",
        request=ExportCreateSerializer,
        responses={202: JobSerializer},
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        """202 and the job that writes the file. At most five at a time per project (429)."""
        found = project_from_api(request, project, "read", role=Role.MEMBER)
        data: dict[str, Any] = valid(ExportCreateSerializer(data=request.data))
        job = exports.start_export(
            project=found,
            kind=data["kind"],
            format_name=data["format"],
            request=Request(
                query=data["query"].removeprefix("?"),
                ids=tuple(data["ids"]),
                with_payloads=data["with_payloads"],
                now=timezone.now(),
            ),
            **acting(request),
        )
        return Response(JobSerializer(job).data, status=202)


class ExportFileView(APIView):
    """The file of a finished export."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="exports_file",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: ApiRequest, project: str, job: UUID) -> StreamingHttpResponse:
        """Streamed; 404 until the export is done. Files are kept for a week."""
        found = project_from_api(request, project, "read")
        return file_response(export_of(found, job))
