"""Erasure of a user or session for programs: a person's request to be forgotten is often another system's event."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.serializers import StrictSerializer
from projects.access import HasScope, project_from_api
from projects.api import acting, valid
from projects.job_api import JobSerializer
from traces import erasure


class ErasureSerializer(StrictSerializer):
    """Whose data to delete."""

    subject = serializers.ChoiceField(choices=sorted(erasure.COLUMNS))
    value = serializers.CharField(
        max_length=200, trim_whitespace=False, help_text="The id as it was sent"
    )


class ErasureListView(APIView):
    """Erasures."""

    permission_classes = [HasScope("admin")]

    @extend_schema(
        operation_id="erasures_create", request=ErasureSerializer, responses={202: JobSerializer}
    )
    def post(self, request: Request, project: str) -> Response:
        """202: a job deletes all traces of the user or session and takes the id out of the ledger. Not undoable."""
        found = project_from_api(request, project, "admin")
        data = valid(ErasureSerializer(data=request.data))
        job = erasure.start_erasure(project=found, now=timezone.now(), **data, **acting(request))
        return Response(JobSerializer(job).data, status=202)
