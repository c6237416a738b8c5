"""One error shape for the whole API: `{"detail": "…", "code": "…", "fields": […]}`."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core.errors import DomainError, StorageAwayError

logger = logging.getLogger(__name__)

_CODES = {
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.AuthenticationFailed: "authentication_failed",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.ParseError: "invalid_json",
    exceptions.Throttled: "rate_limited",
}


def error_body(detail: str, code: str, fields: tuple[str, ...] | list[str] = ()) -> dict[str, Any]:
    """The body every API error has."""
    return {"detail": detail, "code": code, "fields": list(fields)}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: anticipated failures become the one shape, anything else propagates as a bug."""
    set_rollback()
    if isinstance(exc, DomainError):
        return Response(error_body(exc.detail, exc.code, exc.fields), status=exc.status)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("Not found.")
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied(*exc.args)
    elif isinstance(exc, RequestDataTooBig):
        return Response(error_body("The body is too large.", "too_large"), status=413)
    elif isinstance(exc, OperationalError | InterfaceError):
        logger.warning("core.api.storage_away: %s", type(exc).__name__)
        return Response(
            error_body("The database cannot be reached; try again shortly.", StorageAwayError.code),
            status=StorageAwayError.status,
            headers={"Retry-After": str(StorageAwayError.RETRY_SECONDS)},
        )
    if not isinstance(exc, exceptions.APIException):
        return None
    return _api_exception(exc)


def _api_exception(exc: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    if isinstance(exc, exceptions.ValidationError):
        messages = flatten(exc.detail)
        detail = " ".join(f"{field}: {text}" if field else text for field, text in messages)
        fields = list(dict.fromkeys(field for field, _ in messages if field))
        return Response(
            error_body(detail, "invalid", fields), status=exc.status_code, headers=headers
        )
    code = next((code for kind, code in _CODES.items() if isinstance(exc, kind)), "error")
    return Response(error_body(str(exc.detail), code), status=exc.status_code, headers=headers)


def flatten(detail: Any, path: str = "") -> list[tuple[str, str]]:
    """DRF's nested validation detail as (dotted field, message) pairs."""
    if isinstance(detail, dict):
        pairs = []
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            pairs += flatten(value, ".".join(part for part in (path, name) if part))
        return pairs
    if isinstance(detail, list):
        pairs = []
        for index, value in enumerate(detail):
            if isinstance(value, dict):
                pairs += flatten(value, f"{path}.{index}" if path else str(index)) if value else []
            else:
                pairs += flatten(value, path)
        return pairs
    return [(path, str(detail))]
