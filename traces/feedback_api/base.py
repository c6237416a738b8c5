"""What these endpoints share: who acts, which project takes writes, cursor pages."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from accounts.selectors import person
from core.errors import DomainError
from projects.access import HasScope, project_from_api
from projects.authentication import KeyAuth
from projects.models import Project
from traces.serializers import ErrorSerializer

MAX_LIMIT = 200
ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}
PAGE = [
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {MAX_LIMIT}; default 50."),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next` of the last answer."),
]


class ReadOrWrite(APIView):
    """GET needs the scope read, every other method `write_scope`: that of sending traces, unless said otherwise."""

    write_scope = "ingest"

    def get_permissions(self) -> Sequence[Any]:
        return [HasScope("read" if self.request.method == "GET" else self.write_scope)()]


def query(name: str, text: str, *, many: bool = False, enum: Any = None) -> OpenApiParameter:
    """One documented query parameter."""
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, many=many, enum=enum)


def actor_of(request: Request) -> User | None:
    """The person, or None for a key."""
    return None if isinstance(request.auth, KeyAuth) else person(request)


def label_of(request: Request) -> str:
    """What to call a key in the audit trail and beside a comment."""
    auth = request.auth
    return f"API key {auth.key_label}" if isinstance(auth, KeyAuth) else ""


def writable(request: Request, ref: str, scope: str) -> Project:
    """The project, if it takes new data. Raises NotFoundError, DomainError 403."""
    project = project_from_api(request, ref, scope)
    if project.status == Project.Status.ARCHIVED:
        raise DomainError(
            "This project is archived: readable, but it takes no new data.",
            code="project_archived",
            status=403,
        )
    return project


def limit_of(request: Request) -> int:
    """`?limit=`; raises DomainError naming it."""
    text = request.query_params.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise DomainError(
            f"limit is {text[:40]!r}; it must be a whole number from 1 to {MAX_LIMIT}.",
            fields=["limit"],
        )
    return int(text)


def refuse_unknown(request: Request, known: frozenset[str] | set[str]) -> None:
    """Raises DomainError for parameters that mean nothing here."""
    unknown = sorted(name[:40] for name in request.query_params if name not in known)[:5]
    if unknown:
        raise DomainError(
            f"{', '.join(unknown)} is not a parameter here; known are {', '.join(sorted(known))}.",
            code="invalid_filter",
            fields=unknown,
        )


def next_page(request: Request, cursor: str, **fixed: str) -> str:
    """The address of the page after `cursor`; `fixed` replaces parameters, so that one walk stays one question."""
    params = request.query_params.copy()
    for name in ("cursor", *fixed):
        params.pop(name, None)
    pairs = [(name, value) for name in params for value in params.getlist(name)]
    pairs += [*fixed.items(), ("cursor", cursor)]
    return request.build_absolute_uri(f"{request.path}?{urlencode(pairs)}")


def valid(serializer: Any) -> dict[str, Any]:
    """The serializer's clean data; raises DRF's ValidationError."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
