"""Long jobs for programs: look, and cancel."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import jobs
from core.api.pagination import CursorPages
from core.errors import ConflictError, NotFoundError
from core.models import Job
from projects.access import HasScope, project_from_api


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as programs see it; `done` of `total` in the units its kind counts."""

    class Meta:
        model = Job
        fields = [
            "id",
            "kind",
            "title",
            "state",
            "done",
            "total",
            "message",
            "result",
            "created_at",
            "ended_at",
        ]
        read_only_fields = fields


class JobListView(APIView):
    """The project's jobs."""

    permission_classes = [HasScope("read")]
    pagination_class = CursorPages

    @extend_schema(operation_id="jobs_list", responses=JobSerializer(many=True))
    def get(self, request: Request, project: str) -> Response:
        """Newest first."""
        found = project_from_api(request, project, "read")
        pages = self.pagination_class()
        rows = Job.objects.filter(organization_id=found.organization_id, project_id=found.pk)
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(JobSerializer(page, many=True).data)


class JobDetailView(APIView):
    """One job of the project."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="jobs_retrieve", responses=JobSerializer)
    def get(self, request: Request, project: str, job: UUID) -> Response:
        """Poll it until `state` is done, failed or cancelled."""
        return Response(JobSerializer(_job(request, project, job, "read")).data)


class JobCancellationView(APIView):
    """The end of a job before its next step."""

    permission_classes = [HasScope("admin")]

    @extend_schema(operation_id="jobs_cancel", request=None, responses={202: JobSerializer})
    def post(self, request: Request, project: str, job: UUID) -> Response:
        """202: it ends after the step it is in. 409 when it has ended."""
        found = _job(request, project, job, "admin")
        if not jobs.is_registered(found.kind):
            raise ConflictError("This kind of job cannot be cancelled through the API.")
        jobs.request_cancel(found.pk, now=timezone.now())
        found.refresh_from_db()
        return Response(JobSerializer(found).data, status=202)


def _job(request: Request, project: str, job_id: UUID, scope: str) -> Any:
    found = project_from_api(request, project, scope)
    rows = Job.objects.filter(organization_id=found.organization_id, project_id=found.pk)
    job = rows.filter(pk=job_id).first()
    if job is None:
        raise NotFoundError("There is no such job in this project.")
    return job
