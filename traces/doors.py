"""The ingestion doors: OTLP/HTTP, JSON traces, bare cost records.

Plain views, not DRF: no ORM object and no serializer per span on this path. A 2xx is sent only after COMMIT; what was
refused is named in the answer; when storage is away the answer is 503 with Retry-After, never 500 (OTLP clients drop
data on 500: reference otel-genai §9).
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core import crypto
from core.api import throttling
from core.errors import DomainError
from core.formats import plain_decimal
from costs.services.record_costs import Recorded, record_costs
from costs.usage import ChargeableCall
from projects.authentication import KeyAuth, authenticate_key, key_from_request
from projects.models import ApiKey
from traces.ingest.bodies import read_body
from traces.ingest.json_costs import decode_costs
from traces.ingest.json_traces import JsonTraceResult, decode_traces
from traces.ingest.limits import BodyTooLargeError, Limits, Window
from traces.ingest.otlp_decode import Encoding, decode_otlp
from traces.ingest.otlp_response import RPC_CODES, otlp_error, otlp_success
from traces.ingest.rows import SpanKey, key_of
from traces.ingest.span import Rejection
from traces.ingest.write import IngestContext, Written, write_spans

logger = logging.getLogger(__name__)
RETRY_SECONDS = 5
JSON = "application/json"
PROTOBUF = "application/x-protobuf"


class DoorError(DomainError):
    """A refusal at the door; `retry_after` in seconds for those that pass."""

    def __init__(
        self, detail: str, *, code: str, status: int, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, code=code, status=status)
        self.retry_after = retry_after


def _enter(request: HttpRequest, project: str | None, now: dt.datetime) -> KeyAuth:
    """Who is at the door: a live key with the ingest scope, of this project, within its rate."""
    raw = key_from_request(request)
    auth = authenticate_key(raw, now=now) if raw else None
    if auth is None:
        raise DoorError(
            "Send a valid API key as 'Authorization: Bearer llmlab_sk_…' or 'x-api-key'.",
            code="invalid_api_key",
            status=401,
        )
    if project is not None and not auth.names_project(project):
        raise DoorError("There is no such project for this API key.", code="not_found", status=404)
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
    return auth


def _body(request: HttpRequest) -> bytes:
    """The unpacked body, bounded before and after unpacking."""
    limit = settings.LLMLAB_INGEST_MAX_BODY
    raw = request.read(limit + 1)
    if len(raw) > limit:
        raise BodyTooLargeError(f"The body is larger than {limit} bytes; send smaller batches.")
    return read_body(
        raw,
        request.headers.get("Content-Encoding", ""),
        max_decompressed=settings.LLMLAB_INGEST_MAX_DECOMPRESSED,
    )


def _limits() -> Limits:
    return Limits(max_spans=settings.LLMLAB_INGEST_MAX_SPANS)


def _window(now: dt.datetime) -> Window:
    return Window.around(now, retention_days=settings.LLMLAB_RETENTION_DAYS)


def _context(auth: KeyAuth) -> IngestContext:
    return IngestContext(
        project_id=auth.project_id,
        cipher=crypto.data_cipher(auth.data_key),
        api_key_id=str(auth.key_id),
    )


def _content_type(request: HttpRequest, allowed: tuple[str, ...]) -> str:
    """The media type, refused unless it is one of `allowed` in UTF-8."""
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


def _json(body: Any, status: int, retry_after: float | None = None) -> HttpResponse:
    response = HttpResponse(msgspec.json.encode(body), content_type=JSON, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(max(1, round(retry_after)))
    return response


def _guarded(
    work: Callable[[], HttpResponse], refuse: Callable[[DomainError, float | None], HttpResponse]
) -> HttpResponse:
    """Run `work`; every anticipated failure becomes an answer in the caller's language."""
    try:
        return work()
    except DomainError as error:
        response = refuse(error, getattr(error, "retry_after", None))
        if error.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="llmlab"'
        return response
    except (OperationalError, InterfaceError) as error:
        logger.warning("traces.ingest.storage_away: %s", type(error.__cause__ or error).__name__)
        away = DoorError(
            "Storage is not reachable; nothing was stored. Send the same request again.",
            code="storage_unavailable",
            status=503,
        )
        return refuse(away, RETRY_SECONDS)


def _refuse_json(error: DomainError, retry_after: float | None) -> HttpResponse:
    body = {"detail": error.detail, "code": error.code, "fields": list(error.fields)}
    return _json(body, error.status, retry_after)


def _method_error(request: HttpRequest, allow: str) -> HttpResponse:
    response = _json(
        {
            "detail": f"{request.method} is not allowed here; use {allow}.",
            "code": "method_not_allowed",
            "fields": [],
        },
        405,
    )
    response["Allow"] = allow
    return response


@csrf_exempt
def otlp_traces(request: HttpRequest) -> HttpResponse:
    """`POST /v1/traces`: OTLP/HTTP in protobuf or JSON; answers in the request's encoding."""
    if request.method != "POST":
        return _method_error(request, "POST")
    encoding: Encoding = "json" if (request.content_type or "").lower() == JSON else "protobuf"
    media = JSON if encoding == "json" else PROTOBUF

    def work() -> HttpResponse:
        now = timezone.now()
        auth = _enter(request, None, now)
        _content_type(request, (PROTOBUF, JSON))
        decoded = decode_otlp(
            _body(request), content_type=encoding, now=now, limits=_limits(), window=_window(now)
        )
        written = write_spans(_context(auth), decoded.spans, now=now)
        refused = [*decoded.rejections, *written.rejections]
        return HttpResponse(otlp_success(refused, encoding), content_type=media)

    def refuse(error: DomainError, retry_after: float | None) -> HttpResponse:
        code = RPC_CODES.get(error.status, 2)
        response = HttpResponse(
            otlp_error(code, error.detail, encoding), content_type=media, status=error.status
        )
        if retry_after is not None:
            response["Retry-After"] = str(max(1, round(retry_after)))
        return response

    return _guarded(work, refuse)


@csrf_exempt
def json_traces(request: HttpRequest, project: str) -> HttpResponse:
    """`POST /api/v1/projects/{project}/traces`: 207 with one result per trace."""

    def work() -> HttpResponse:
        now = timezone.now()
        auth = _enter(request, project, now)
        _content_type(request, (JSON,))
        items = decode_traces(_body(request), now=now, limits=_limits(), window=_window(now))
        spans = [span for item in items for span in item.spans]
        written = write_spans(_context(auth), spans, now=now)
        return _json({"results": _trace_results(items, written)}, 207)

    return _guarded(work, _refuse_json)


def _trace_results(items: list[JsonTraceResult], written: Written) -> list[dict[str, Any]]:
    outcome: dict[SpanKey, str] = {
        **dict.fromkeys(written.stored, "stored"),
        **dict.fromkeys(written.updated, "updated"),
        **dict.fromkeys(written.duplicates, "duplicate"),
    }
    unstorable = {(r.trace_id, r.span_id): r for r in written.rejections}
    return [_trace_result(index, item, outcome, unstorable) for index, item in enumerate(items)]


def _trace_result(
    index: int,
    item: JsonTraceResult,
    outcome: dict[SpanKey, str],
    unstorable: dict[SpanKey, Rejection],
) -> dict[str, Any]:
    keys = {key_of(span) for span in item.spans}
    counts = {
        name: sum(outcome.get(key) == name for key in keys)
        for name in ("stored", "updated", "duplicate")
    }
    refused = [*item.rejections, *(unstorable[key] for key in keys if key in unstorable)]
    if item.error is not None:
        refused.insert(0, item.error)
    done = sum(counts.values())
    if not done:
        status, result = 400, "rejected"
    elif refused:
        status, result = 207, "partial"
    elif counts["stored"]:
        status, result = 201, "stored"
    else:
        status, result = 200, "updated" if counts["updated"] else "duplicate"
    return {
        "index": index,
        "trace_id": item.trace_id,
        "status": status,
        "result": result,
        "steps": counts,
        "rejected": [
            {"index": r.index, "id": r.span_id, "code": r.code, "detail": r.detail} for r in refused
        ],
    }


@csrf_exempt
def json_costs(request: HttpRequest, project: str) -> HttpResponse:
    """`POST /api/v1/projects/{project}/costs`: 207 with one result per bare cost record."""

    def work() -> HttpResponse:
        now = timezone.now()
        auth = _enter(request, project, now)
        _content_type(request, (JSON,))
        calls, rejections = decode_costs(
            _body(request), now=now, limits=_limits(), window=_window(now)
        )
        for call in calls:
            call.api_key_id = str(auth.key_id)
        recorded = record_costs(project_id=auth.project_id, calls=calls, now=now)
        return _json({"results": _cost_results(calls, rejections, recorded)}, 207)

    return _guarded(work, _refuse_json)


def _cost_results(
    calls: list[ChargeableCall], rejections: list[Rejection], recorded: Recorded
) -> list[dict[str, Any]]:
    """One result per record, in the order of the upload."""
    refused = {r.index: r for r in rejections}
    fresh = {row.record_id: row for row in recorded.rows}
    following = iter(calls)
    results: list[dict[str, Any]] = []
    for index in range(len(calls) + len(rejections)):
        if (bad := refused.get(index)) is not None:
            outcome = {"status": 400, "result": "rejected", "code": bad.code, "detail": bad.detail}
            results.append({"index": index, "id": bad.span_id, **outcome})
            continue
        record_id = next(following).record_id
        # The second of two with one id is a duplicate, too.
        row = fresh.pop(record_id, None)
        if row is None:
            outcome = {"status": 200, "result": "duplicate"}
        else:
            amounts = {"cost_usd": _amount(row.cost_usd), "price_status": row.price_status}
            outcome = {"status": 201, "result": "stored", **amounts}
        results.append({"index": index, "id": record_id, **outcome})
    return results


def _amount(cost: Any) -> str | None:
    return None if cost is None else plain_decimal(cost)
