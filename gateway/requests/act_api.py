"""Acts on a project's requests, and its webhook for jobs, for programs."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from core.errors import DomainError, NotFoundError
from gateway.models import JobWebhook
from gateway.requests import again, cancelling, telling, webhooks
from gateway.requests.jobs import json_of
from gateway.routing.services import By
from projects.access import HasScope, parse_uuid, project_from_api
from projects.authentication import KeyAuth

UNKNOWN = "There is no such request in this project."


class JobWebhookSerializer(serializers.Serializer[Any]):
    """Whom jobs may tell."""

    url = serializers.CharField(
        required=False, allow_blank=True, max_length=webhooks.MAX_URL, write_only=True,
        help_text="The default address; left out it stays, empty there is none",
    )  # fmt: skip
    hosts = serializers.ListField(
        child=serializers.CharField(max_length=253), help_text="Hosts a call may name"
    )
    place = serializers.CharField(read_only=True, help_text="What the address is recognised by")
    signing_secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="Only in the answer that made it"
    )


def _by(request: Request) -> By:
    if isinstance(request.auth, KeyAuth):
        return By(label=f"API key {request.auth.key_id}")
    return By(request.user if isinstance(request.user, User) else None)


def _id(text: str) -> UUID:
    found = parse_uuid(text)
    if found is None:
        raise NotFoundError(UNKNOWN)
    return found


class RequestCancelView(APIView):
    """Cancelling."""

    permission_classes = [HasScope("gateway")]

    @extend_schema(operation_id="gateway_requests_cancel", request=None, responses=OpenApiTypes.OBJECT)  # fmt: skip
    def post(self, request: Request, project: str, gateway_request: str) -> Response:
        """A call that waits is not made, a running one ends once its worker hears of it; 409 when it has ended."""
        found = project_from_api(request, project, "gateway")
        done = cancelling.cancel_calls(
            project=found, call_ids=[_id(gateway_request)], by=_by(request), now=timezone.now()
        )
        return Response({"stopped": done.stopped, "told": done.told})


class RequestRetryView(APIView):
    """Making a job again."""

    permission_classes = [HasScope("gateway")]

    @extend_schema(
        operation_id="gateway_requests_retry", request=None, responses={202: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request, project: str, gateway_request: str) -> Response:
        """A new request to be answered later, like one that ended; 409 when its body is not kept."""
        found = project_from_api(request, project, "gateway")
        job = again.retry(
            project=found, request_id=_id(gateway_request), by=_by(request), now=timezone.now()
        )
        return Response({**json_of(job), "retry_of": _id(gateway_request).hex}, status=202)


class RequestTellView(APIView):
    """Sending a job's webhook again."""

    permission_classes = [HasScope("gateway")]

    @extend_schema(
        operation_id="gateway_requests_tell", request=None, responses={202: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request, project: str, gateway_request: str) -> Response:
        """Its webhook once more, with the same id; 409 while it is still being sent."""
        found = project_from_api(request, project, "gateway")
        by = _by(request)
        who = by.user.email if by.user else by.label
        telling.send_again(
            project=found, job_ids=[_id(gateway_request)], by=who, now=timezone.now()
        )
        return Response({"status": "waiting"}, status=202)


class JobWebhookView(APIView):
    """The project's webhook for jobs."""

    def get_permissions(self) -> list[Any]:
        return [HasScope("read" if self.request.method in SAFE_METHODS else "admin")()]

    @extend_schema(operation_id="gateway_job_webhook_get", responses=JobWebhookSerializer)
    def get(self, request: Request, project: str) -> Response:
        """Hosts and the default address's recognisable part; 404 without one."""
        found = project_from_api(request, project, "read")
        row = webhooks.webhook_of(found.pk)
        if row is None:
            raise NotFoundError("The project has no webhook for its jobs.")
        return Response(_told(row))

    @extend_schema(
        operation_id="gateway_job_webhook_put",
        request=JobWebhookSerializer,
        responses=JobWebhookSerializer,
    )
    def put(self, request: Request, project: str) -> Response:
        """Set hosts and default address. The answer that makes it holds the signing secret, once."""
        found = project_from_api(request, project, "admin")
        body = JobWebhookSerializer(data=request.data)
        if not body.is_valid():
            name, errors = next(iter(body.errors.items()))
            raise DomainError(f"{name}: {_first(errors)}", fields=[str(name)])
        row, shown = webhooks.save_webhook(
            project=found, hosts=body.validated_data["hosts"], url=body.validated_data.get("url"),
            by=_by(request), now=timezone.now(),
        )  # fmt: skip
        return Response(_told(row, shown))

    @extend_schema(operation_id="gateway_job_webhook_delete", responses={204: None})
    def delete(self, request: Request, project: str) -> Response:
        """Nobody is told any more."""
        webhooks.remove_webhook(
            project=project_from_api(request, project, "admin"), by=_by(request)
        )
        return Response(status=204)


class JobWebhookRotationView(APIView):
    """Its secret."""

    permission_classes = [HasScope("admin")]

    @extend_schema(operation_id="gateway_job_webhook_rotate", request=None, responses=JobWebhookSerializer)  # fmt: skip
    def post(self, request: Request, project: str) -> Response:
        """A new signing secret, in this answer only; the one before signs too for 24 hours."""
        found = project_from_api(request, project, "admin")
        shown = webhooks.rotate_secret(project=found, by=_by(request), now=timezone.now())
        row = webhooks.webhook_of(found.pk)
        return Response(_told(row, shown) if row else {"signing_secret": shown})


def _first(errors: Any) -> str:
    while isinstance(errors, (list, dict)) and errors:
        errors = next(iter(errors.values())) if isinstance(errors, dict) else errors[0]
    return str(errors)


def _told(row: JobWebhook, shown: str = "") -> dict[str, Any]:
    return {"hosts": row.hosts, "place": row.place, "signing_secret": shown or None}
