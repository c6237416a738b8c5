"""Jobs under their own address: how one stands, its answer once it is there, cancelling it."""

from typing import Any

import msgspec
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import crypto
from core.errors import DomainError
from gateway.models import AsyncJob
from gateway.requests import cancelling, jobs
from projects.authentication import KeyAuth

SCOPES = frozenset({"gateway", "read"})


class HasEitherScope(BasePermission):
    """A key of the project, with one of SCOPES; the address names no project, so a session cannot say which."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, KeyAuth):
            return False
        if not SCOPES & request.auth.scopes:
            text = "This API key needs the scope gateway or read."
            raise DomainError(text, code="missing_scope", status=403)
        return True


class JobView(APIView):
    """A request that is answered later."""

    permission_classes = [HasEitherScope]

    @extend_schema(operation_id="requests_get", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, gateway_job: str) -> Response:
        """How the request stands; once it is done or failed, `response` is its answer in the call's own dialect."""
        job = jobs.job_of(request.auth.project_id, gateway_job)  # type: ignore[union-attr]
        return Response(_json(job, request.auth))


class JobCancelView(APIView):
    """Cancelling a request that is answered later."""

    permission_classes = [HasEitherScope]

    @extend_schema(operation_id="requests_cancel", request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, gateway_job: str) -> Response:
        """Nobody wants it any more: one that waits ends at once, one that runs as soon as its worker hears of it."""
        auth: Any = request.auth
        if "gateway" not in auth.scopes:
            raise DomainError("This API key lacks the scope gateway.", code="missing_scope", status=403)  # fmt: skip
        job = jobs.job_of(auth.project_id, gateway_job)
        cancelling.cancel_job(job, crypto.data_cipher(auth.data_key), now=timezone.now())
        return Response(_json(jobs.job_of(auth.project_id, gateway_job), auth))


def _json(job: AsyncJob, auth: Any) -> dict[str, Any]:
    body = jobs.answer_of(job, crypto.data_cipher(auth.data_key))
    return {
        **jobs.json_of(job),
        "model": job.asked_model,
        "attempts": job.attempts,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "deadline_at": job.deadline_at,
        "expires_at": job.expires_at,
        "status_code": job.status_code,
        "error": job.error,
        "retry_of": job.retry_of.hex if job.retry_of else None,
        "webhook": _webhook(job),
        "response": msgspec.json.decode(body) if body else None,
    }


def _webhook(job: AsyncJob) -> dict[str, Any] | None:
    """How telling of its end stands; None: nobody is told."""
    if not job.webhook_state:
        return None
    return {
        "to": job.webhook_url,
        "status": job.webhook_state,
        "error": job.webhook_error,
        "tries": job.webhook_tries,
        "next_at": job.webhook_next_at if job.ended_at else None,
    }
