"""The ingestion doors: OTLP/HTTP, JSON traces, bare cost records.

Plain views, not DRF: no ORM object and no serializer per span on this path. A 2xx is sent only after COMMIT; what was
refused is named in the answer. What every door does alike is in `traces.visits`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core.errors import DomainError
from core.formats import plain_decimal
from costs.services.record_costs import Recorded, record_costs
from costs.usage import ChargeableCall
from traces.ingest import samples, tally
from traces.ingest.json_costs import decode_costs
from traces.ingest.json_traces import JsonTraceResult, decode_traces
from traces.ingest.otlp_decode import Encoding, decode_otlp
from traces.ingest.otlp_response import RPC_CODES, otlp_error, otlp_success
from traces.ingest.rows import SpanKey, key_of
from traces.ingest.span import Rejection
from traces.ingest.write import Written, write_spans
from traces.models import Outcome
from traces.visits import JSON, Visit, json_answer, method_error, refuse_json

PROTOBUF = "application/x-protobuf"


@csrf_exempt
def otlp_traces(request: HttpRequest) -> HttpResponse:
    """`POST /v1/traces` and its aliases: OTLP/HTTP in protobuf or JSON; answers in the request's encoding."""
    if request.method != "POST":
        return method_error(request, "POST")
    encoding: Encoding = "json" if (request.content_type or "").lower() == JSON else "protobuf"
    media = JSON if encoding == "json" else PROTOBUF
    visit = Visit(request, door=tally.OTLP, now=timezone.now())

    def work() -> HttpResponse:
        auth = visit.enter()
        visit.content_type((PROTOBUF, JSON))
        body, kept = visit.body(), samples.keeper(auth.project_id)
        decoded = decode_otlp(
            body,
            content_type=encoding,
            now=visit.now,
            limits=visit.limits,
            window=visit.window,
            keep=kept.keep if kept else None,
        )
        context = visit.context(auth)
        written = write_spans(context, decoded.spans, refused=decoded.rejections, now=visit.now)
        samples.store(kept, context, now=visit.now)
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

    return visit.answer(work, refuse)


@csrf_exempt
def otlp_other(request: HttpRequest, signal: str) -> HttpResponse:
    """`POST /v1/metrics`, `/v1/logs`: 404 as OTLP wants it, which exporters do not send again.

    A success that keeps nothing would be a lie, and partialSuccess needs the number of points refused, that is reading
    them all. Exporters log the words once per batch; they say how to switch that signal off.
    """
    if request.method != "POST":
        return method_error(request, "POST")
    encoding: Encoding = "json" if (request.content_type or "").lower() == JSON else "protobuf"
    name = signal.upper()
    words = (
        f"LLMLab stores traces, not {signal}: nothing of this request was kept. "
        f"Set OTEL_{name}_EXPORTER=none, or give your {signal} another address with "
        f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT."
    )
    media = JSON if encoding == "json" else PROTOBUF
    return HttpResponse(otlp_error(RPC_CODES[404], words, encoding), content_type=media, status=404)


@csrf_exempt
def json_traces(request: HttpRequest, project: str) -> HttpResponse:
    """`POST /api/v1/projects/{project}/traces`: 207 with one result per trace."""

    visit = Visit(request, door=tally.JSON, now=timezone.now())

    def work() -> HttpResponse:
        auth = visit.enter(project)
        visit.content_type((JSON,))
        items = decode_traces(visit.body(), now=visit.now, limits=visit.limits, window=visit.window)
        spans = [span for item in items for span in item.spans]
        refused = [rejection for item in items for rejection in item.all_rejections()]
        repeated = sum(item.repeated for item in items)
        context, kept = visit.context(auth), samples.keeper(auth.project_id)
        written = write_spans(context, spans, refused=refused, repeated=repeated, now=visit.now)
        if kept:
            _keep_steps(kept, items)
            samples.store(kept, context, now=visit.now)
        return json_answer({"results": _trace_results(items, written)}, 207)

    return visit.answer(work, refuse_json)


def _keep_steps(kept: samples.Keeper, items: list[JsonTraceResult]) -> None:
    for item in items[: samples.MAX_PER_UPLOAD]:
        spans = {span.span_id: span for span in item.spans}
        for span_id, step in item.sample.items():
            if (span := spans.get(span_id)) is not None:
                kept.keep_read(step, span, samples.unread_json(step, span))


def _trace_results(items: list[JsonTraceResult], written: Written) -> list[dict[str, Any]]:
    outcome: dict[SpanKey, str] = {
        **dict.fromkeys(written.stored, "stored"),
        **dict.fromkeys(written.updated, "updated"),
        **dict.fromkeys(written.duplicates, "duplicate"),
    }
    unstorable = {(r.trace_id, r.span_id): r for r in written.rejections}
    return [
        _trace_result(index, item, outcome, unstorable, written.costs)
        for index, item in enumerate(items)
    ]


def _trace_result(
    index: int,
    item: JsonTraceResult,
    outcome: dict[SpanKey, str],
    unstorable: dict[SpanKey, Rejection],
    costs: Mapping[SpanKey, Decimal | None],
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
    charged = [costs[key] for key in keys if key in costs]
    known = [cost for cost in charged if cost is not None]
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
        "calls": len(charged),
        "unpriced_calls": len(charged) - len(known),
        "cost_usd": plain_decimal(sum(known, Decimal(0))) if known else None,
        "rejected": [
            {"index": r.index, "id": r.span_id, "code": r.code, "detail": r.detail} for r in refused
        ],
    }


@csrf_exempt
def json_costs(request: HttpRequest, project: str) -> HttpResponse:
    """`POST /api/v1/projects/{project}/costs`: 207 with one result per bare cost record."""

    visit = Visit(request, door=tally.COSTS, now=timezone.now())

    def work() -> HttpResponse:
        auth = visit.enter(project)
        visit.content_type((JSON,))
        calls, rejections = decode_costs(
            visit.body(), now=visit.now, limits=visit.limits, window=visit.window
        )
        for call in calls:
            call.api_key_id = str(auth.key_id)
        visit.context(auth).capture.apply_to_calls(calls)

        def count(cursor: Any, stored: int) -> None:
            counts = _cost_counts(stored, len(calls) - stored, rejections)
            tally.write(
                cursor, project_id=auth.project_id, door=visit.door, counts=counts, now=visit.now
            )

        recorded = record_costs(
            project_id=auth.project_id, calls=calls, now=visit.now, before_commit=count
        )
        return json_answer({"results": _cost_results(calls, rejections, recorded)}, 207)

    return visit.answer(work, refuse_json)


def _cost_counts(stored: int, duplicates: int, rejections: list[Rejection]) -> tally.Counts:
    counts: tally.Counts = tally.Counts()
    if stored:
        counts["", Outcome.STORED.value, ""] = stored
    if duplicates:
        counts["", Outcome.DUPLICATE.value, ""] = duplicates
    tally.add_rejections(counts, rejections)
    return counts


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
