"""One request at an ingestion door: who is there, how much they may bring, and how a refusal is told and counted.

Shared by all doors. A 2xx is sent only after COMMIT; when storage is away the answer is 503 with Retry-After, never
500 (OTLP clients drop data on 500: reference otel-genai §9).
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from core import crypto
from core.api import throttling
from core.errors import DomainError
from projects.authentication import KeyAuth, authenticate_key, key_from_request
from projects.models import ApiKey
from traces.ingest import tally
from traces.ingest.bodies import read_body
from traces.ingest.capture import capture_of
from traces.ingest.context import IngestContext
from traces.ingest.limits import BodyTooLargeError, Limits, Window

logger = logging.getLogger(__name__)
RETRY_SECONDS = 5
JSON = "application/json"
# Refusals that say nothing about data: the request never reached a project of the key.
_NOT_COUNTED = frozenset({"invalid_api_key", "not_found", "storage_unavailable"})

Refuse = Callable[[DomainError, float | None], HttpResponse]


class DoorError(DomainError):
    """A refusal at the door; `retry_after` in seconds for those that pass."""

    def __init__(
        self, detail: str, *, code: str, status: int, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, code=code, status=status)
        self.retry_after = retry_after


class Visit:
    """A request at `door` (one of traces.ingest.tally.DOORS). Use inside `answer`."""

    def __init__(self, request: HttpRequest, *, door: str, now: dt.datetime) -> None:
        self.request, self.door, self.now = request, door, now
        self._auth: KeyAuth | None = None
        self.limits = Limits(max_spans=settings.LLMLAB_INGEST_MAX_SPANS)
        self.window = Window.around(now, retention_days=settings.LLMLAB_RETENTION_DAYS)

    def enter(self, project: str | None = None) -> KeyAuth:
        """Who is at the door: a live key with the ingest scope, of this project, within its rate. Raises DoorError."""
        auth = self.identify()
        if project is not None and not auth.names_project(project):
            raise DoorError(
                "There is no such project for this API key.", code="not_found", status=404
            )
        self._auth = auth
        _check_rights(auth)
        return auth

    def identify(self) -> KeyAuth:
        """Whose key it is, whatever it may do. Raises DoorError."""
        raw = key_from_request(self.request)
        auth = authenticate_key(raw, now=self.now) if raw else None
        if auth is None:
            raise DoorError(
                "Send a valid API key as 'Authorization: Bearer llmlab_sk_…' or 'x-api-key'.",
                code="invalid_api_key",
                status=401,
            )
        return auth

    def body(self) -> bytes:
        """The unpacked body, bounded before and after unpacking."""
        limit = settings.LLMLAB_INGEST_MAX_BODY
        raw = self.request.read(limit + 1)
        if len(raw) > limit:
            raise BodyTooLargeError(f"The body is larger than {limit} bytes; send smaller batches.")
        return read_body(
            raw,
            self.request.headers.get("Content-Encoding", ""),
            max_decompressed=settings.LLMLAB_INGEST_MAX_DECOMPRESSED,
        )

    def content_type(self, allowed: tuple[str, ...]) -> str:
        """The media type, refused unless it is one of `allowed` in UTF-8."""
        request = self.request
        kind = (request.content_type or "").lower()
        charset = (request.content_params or {}).get("charset", "utf-8").strip("\"'").lower()
        if kind not in allowed or charset not in ("utf-8", "utf8"):
            shown = request.headers.get("Content-Type", "")[:100]
            raise DoorError(
                f"Content-Type {shown!r} is not understood; send {' or '.join(allowed)}.",
                code="unsupported_media_type",
                status=415,
            )
        return kind

    def context(self, auth: KeyAuth) -> IngestContext:
        """What the writer needs to know of who entered."""
        return IngestContext(
            project_id=auth.project_id,
            cipher=crypto.data_cipher(auth.data_key),
            api_key_id=str(auth.key_id),
            door=self.door,
            capture=capture_of(auth.content_capture, auth.masking),
        )

    def answer(self, work: Callable[[], HttpResponse], refuse: Refuse) -> HttpResponse:
        """Run `work`; every anticipated failure becomes an answer in the caller's language, counted by its reason."""
        try:
            return work()
        except DomainError as error:
            self._count(error)
            response = refuse(error, getattr(error, "retry_after", None))
            if error.status == 401:
                response["WWW-Authenticate"] = 'Bearer realm="llmlab"'
            return response
        except (OperationalError, InterfaceError) as error:
            logger.warning(
                "traces.ingest.storage_away: %s", type(error.__cause__ or error).__name__
            )
            away = DoorError(
                "Storage is not reachable; nothing was stored. Send the same request again.",
                code="storage_unavailable",
                status=503,
            )
            return refuse(away, RETRY_SECONDS)

    def _count(self, error: DomainError) -> None:
        if self._auth is not None and error.code not in _NOT_COUNTED:
            tally.note_refusal(
                project_id=self._auth.project_id,
                door=self.door,
                reason=error.code,
                items=getattr(error, "items", 0),
                now=self.now,
            )


def _check_rights(auth: KeyAuth) -> None:
    if ApiKey.Scope.INGEST.value not in auth.scopes:
        raise DoorError("This API key lacks the scope 'ingest'.", code="missing_scope", status=403)
    if auth.is_archived:
        raise DoorError(
            "This project is archived; unarchive it in its settings to send data.",
            code="project_archived",
            status=403,
        )
    wait = throttling.take(
        f"ingest:{auth.key_id}", cost=1, per_minute=settings.LLMLAB_INGEST_RATE_PER_MINUTE
    )
    if wait is not None:
        raise DoorError(
            f"This API key may send {settings.LLMLAB_INGEST_RATE_PER_MINUTE} requests a minute; send larger batches.",
            code="rate_limited",
            status=429,
            retry_after=wait,
        )


def json_answer(body: Any, status: int, retry_after: float | None = None) -> HttpResponse:
    """`body` as JSON."""
    response = HttpResponse(msgspec.json.encode(body), content_type=JSON, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(max(1, round(retry_after)))
    return response


def refuse_json(error: DomainError, retry_after: float | None) -> HttpResponse:
    """A refusal in the words of the JSON API."""
    body = {"detail": error.detail, "code": error.code, "fields": list(error.fields)}
    return json_answer(body, error.status, retry_after)


def method_error(request: HttpRequest, allow: str) -> HttpResponse:
    """405 with Allow."""
    response = json_answer(
        {
            "detail": f"{request.method} is not allowed here; use {allow}.",
            "code": "method_not_allowed",
            "fields": [],
        },
        405,
    )
    response["Allow"] = allow
    return response
