"""Answers in Langfuse's shapes: 207 per event, `{"message", "error"}` for refusals."""

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponse

from core.errors import DomainError
from traces.langfuse.events import Batch
from traces.langfuse.intake import Taken
from traces.visits import DoorError, json_answer

_ERRORS = {
    400: "InvalidRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "LangfuseNotFoundError",
    405: "MethodNotAllowedError",
    429: "TooManyRequestsError",
}
INVALID_KEY = (
    "Invalid credentials. Send an API key of LLMLab as the secret key (LANGFUSE_SECRET_KEY); the public key may be "
    "anything. Confirm that LANGFUSE_HOST names this server."
)


def refuse(error: DomainError, retry_after: float | None) -> HttpResponse:
    """A refusal as Langfuse writes it."""
    message = INVALID_KEY if error.status == 401 else error.detail
    kind = _ERRORS.get(error.status, error.code)
    return json_answer(
        {"message": message, "error": kind, "code": error.code}, error.status, retry_after
    )


def refuse_method(request: HttpRequest, allow: str) -> HttpResponse:
    """405 with Allow."""
    detail = f"{request.method} is not allowed here; use {allow}."
    response = refuse(DoorError(detail, code="method_not_allowed", status=405), None)
    response["Allow"] = allow
    return response


def batch_answer(batch: Batch, taken: Taken) -> HttpResponse:
    """One result per event: what is among `successes` is committed."""
    codes = {"already_ended": 409}
    successes = [{"id": batch.ids[index], "status": 201} for index in sorted(taken.outcomes)]
    errors = [
        {
            "id": batch.ids[index],
            "status": codes.get(found.code, 400),
            "message": found.detail,
            "error": found.code,
        }
        for index, found in sorted(taken.rejections.items())
    ]
    return json_answer({"successes": successes, "errors": errors}, 207)


def moment(value: dt.datetime | None) -> str | None:
    """UTC with milliseconds and Z, as Langfuse's API writes times."""
    if value is None:
        return None
    return value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page(data: list[Any], *, number: int, limit: int, total: int) -> HttpResponse:
    """One page of a list."""
    pages = -(-total // limit)
    meta = {"page": number, "limit": limit, "totalItems": total, "totalPages": pages}
    return json_answer({"data": data, "meta": meta}, 200)
