"""The read calls of Langfuse's SDKs, in its shapes, with the project's own data.

Lists are pages by number, as their clients ask for them; they reach 10,000 items deep, further down the time bounds of
the query lead. Prompts, media and datasets are not kept here: they are refused in words (404).
"""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core.errors import DomainError, NotFoundError
from core.ranges import parse_instant
from projects.access import project_of_key
from projects.authentication import KeyAuth
from projects.models import Project
from traces.feedback.scores import delete_scores, record_scores
from traces.ingest import tally
from traces.ingest.capture import capture_of
from traces.ingest.json_body import load_json
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.sanitize import short_text
from traces.langfuse.answers import page, refuse, refuse_method
from traces.langfuse.scores import read_score
from traces.langfuse.shapes import observation_shape, score_shape, session_shape, trace_shape
from traces.models import LangfuseItem, Score, SessionRow, Span, Trace
from traces.models.feedback import new_score_id
from traces.selectors.detail import contents_of, step_content
from traces.visits import JSON, DoorError, Visit, json_answer

MAX_DEPTH = 10_000
MAX_LIMIT = 100
MAX_STEPS = 1_000  # of one trace's answer
UNBOUNDED_DAYS = 7
_NOT_HERE = "LLMLab does not keep {what}. Tracing works without; the SDK goes on with its fallback, if it has one."
Answer = Callable[..., HttpResponse]


def _entered(
    *methods: str, scopes: dict[str, str] | None = None
) -> Callable[[Answer], Callable[..., HttpResponse]]:
    """A view for keys: `work(visit, auth, …)` refused in Langfuse's words. `scopes`: by method, "read" if unnamed."""

    def decorate(work: Answer) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @wraps(work)
        def view(request: HttpRequest, **names: Any) -> HttpResponse:
            if request.method not in methods:
                return refuse_method(request, ", ".join(methods))
            visit = Visit(request, door=tally.LANGFUSE, now=timezone.now())
            needed = (scopes or {}).get(request.method or "", "read")

            def answered() -> HttpResponse:
                # What writes passes the checks of every door: archived projects, the rate.
                auth = visit.enter() if needed == "ingest" else visit.identify()
                if needed and needed not in auth.scopes:
                    raise DoorError(
                        f"This API key lacks the scope {needed!r}.",
                        code="missing_scope",
                        status=403,
                    )
                return work(visit, auth, **names)

            return visit.answer(answered, refuse)

        return view

    return decorate


@csrf_exempt
def health(request: HttpRequest) -> HttpResponse:
    """`GET /api/public/health`: for everybody, as there."""
    if request.method not in ("GET", "HEAD"):
        return refuse_method(request, "GET")
    return json_answer({"status": "OK", "version": settings.LLMLAB_VERSION}, 200)


@_entered("GET", scopes={"GET": ""})
def projects(visit: Visit, auth: KeyAuth) -> HttpResponse:
    """`GET /api/public/projects`: the key's project; the SDKs' `auth_check`."""
    project = project_of_key(auth)
    return json_answer(
        {"data": [{"id": str(project.pk), "name": project.name, "metadata": {}}]}, 200
    )


@_entered("GET")
def traces(visit: Visit, auth: KeyAuth) -> HttpResponse:
    """`GET /api/public/traces`."""
    project, params = project_of_key(auth), visit.request.GET
    rows = Trace.objects.filter(project=project)
    for name, column in (("userId", "user_id"), ("name", "name"), ("sessionId", "session_id"),
                         ("environment", "environment"), ("release", "release")):  # fmt: skip
        if value := _text(params.get(name, "")):
            rows = rows.filter(**{column: value})
    if tags := [_text(tag) for tag in params.getlist("tags") if tag][:20]:
        rows = rows.filter(tags__contains=tags)
    rows = _between(rows, params, "started_at", "fromTimestamp", "toTimestamp")
    return _page(
        rows.order_by("-started_at", "-trace_id"),
        params,
        lambda trace: {**trace_shape(trace, project), "observations": [], "scores": []},
    )


@_entered("GET")
def trace(visit: Visit, auth: KeyAuth, trace_id: str) -> HttpResponse:
    """`GET /api/public/traces/{id}` with observations and scores."""
    project = project_of_key(auth)
    found = _trace(project, trace_id)
    spans = list(_steps(project, found).order_by("started_at", "span_id")[:MAX_STEPS])
    contents = contents_of(project, found, spans)
    said = {span_id: content.content for span_id, content in contents.items()}
    scores = Score.objects.filter(project=project, trace_id=trace_id).order_by("scored_at")
    shape = trace_shape(found, project, said.get(found.root_span_id))
    shape["observations"] = [
        observation_shape(span, said.get(span.span_id))
        for span in spans
        if span.span_id != trace_id
    ]
    return json_answer({**shape, "scores": [score_shape(s) for s in scores[:MAX_STEPS]]}, 200)


@_entered("GET")
def observations(visit: Visit, auth: KeyAuth) -> HttpResponse:
    """`GET /api/public/observations`: of one trace, or of the last week unless fromStartTime says more."""
    project, params = project_of_key(auth), visit.request.GET
    if trace_id := _text(params.get("traceId", "")):
        rows = _steps(project, _trace(project, trace_id))
    else:
        rows = Span.objects.filter(project=project)
        if not params.get("fromStartTime"):
            rows = rows.filter(started_at__gte=visit.now - dt.timedelta(days=UNBOUNDED_DAYS))
    if kind := _text(params.get("type", "")).lower():
        named = {"generation": "llm", "retriever": "retrieval", "event": "span"}
        rows = rows.filter(kind=named.get(kind, kind))
    if name := _text(params.get("name", "")):
        rows = rows.filter(name=name)
    if parent := _text(params.get("parentObservationId", "")):
        rows = rows.filter(parent_span_id=parent)
    if (level := params.get("level", "").upper()) in ("ERROR", "DEFAULT"):
        rows = rows.filter(status="error") if level == "ERROR" else rows.exclude(status="error")
    rows = _between(rows, params, "started_at", "fromStartTime", "toStartTime")
    return _page(rows.order_by("-started_at", "-span_id"), params, observation_shape)


@_entered("GET")
def observation(visit: Visit, auth: KeyAuth, observation_id: str) -> HttpResponse:
    """`GET /api/public/observations/{id}`: by the batch door's memory, or by `?traceId=`."""
    project = project_of_key(auth)
    trace_id = _text(visit.request.GET.get("traceId", ""))
    if not trace_id:
        known = LangfuseItem.objects.filter(project=project, kind="o", item_id=observation_id)
        trace_id = known.values_list("trace_id", flat=True).first() or ""
    span = None
    if trace_id:
        span = _steps(project, _trace(project, trace_id)).filter(span_id=observation_id).first()
    if span is None:
        raise NotFoundError(
            "Observation not found within authorized project. After two days its trace has to be named: ?traceId=…"
        )
    return json_answer(observation_shape(span, step_content(project, span).content), 200)


@_entered("GET")
def sessions(visit: Visit, auth: KeyAuth) -> HttpResponse:
    """`GET /api/public/sessions`."""
    project, params = project_of_key(auth), visit.request.GET
    rows = _between(
        SessionRow.objects.filter(project=project),
        params,
        "first_at",
        "fromTimestamp",
        "toTimestamp",
    )
    return _page(
        rows.order_by("-last_at", "-session_id"), params, lambda row: session_shape(row, project)
    )


@_entered("GET")
def session(visit: Visit, auth: KeyAuth, session_id: str) -> HttpResponse:
    """`GET /api/public/sessions/{id}` with its traces, the newest 1,000."""
    project = project_of_key(auth)
    row = SessionRow.objects.filter(project=project, session_id=_text(session_id)).first()
    if row is None:
        raise NotFoundError("Session not found within authorized project")
    found = Trace.objects.filter(project=project, session_id=row.session_id).order_by("-started_at")
    shapes = [trace_shape(one, project) for one in found[:MAX_STEPS]]
    return json_answer(session_shape(row, project, shapes), 200)


@_entered("GET", "POST", scopes={"POST": "ingest"})
def scores(visit: Visit, auth: KeyAuth) -> HttpResponse:
    """`GET` lists, `POST` stores one score."""
    if visit.request.method == "POST":
        return _score_made(visit, auth)
    project, params = project_of_key(auth), visit.request.GET
    rows = Score.objects.filter(project=project)
    for name, column in (
        ("traceId", "trace_id"),
        ("observationId", "span_id"),
        ("name", "name"),
        ("sessionId", "session_id"),
    ):
        if value := _text(params.get(name, "")):
            rows = rows.filter(**{column: value})
    for name, column in (("dataType", "data_type"), ("source", "source")):
        if value := _text(params.get(name, "")):
            rows = rows.filter(**{column: value.lower()})
    rows = _between(rows, params, "scored_at", "fromTimestamp", "toTimestamp")
    return _page(rows.order_by("-scored_at", "-score_id"), params, score_shape)


def _score_made(visit: Visit, auth: KeyAuth) -> HttpResponse:
    visit.content_type((JSON,))
    try:
        reader = Reader(load_json(visit.body()), "", visit.limits, visit.window)
        item = read_score(reader, score_id=new_score_id(), at=visit.now)
    except FieldError as error:
        raise DomainError(error.detail, code="invalid_field", fields=[error.field]) from error
    capture = capture_of(auth.content_capture, auth.masking)
    [told] = record_scores(project_id=auth.project_id, items=[item], now=visit.now, capture=capture)
    if told.outcome == "rejected":
        raise DomainError(told.detail, code="invalid_field", fields=[told.field])
    return json_answer({"id": told.score_id}, 200)


@_entered("GET", "DELETE", scopes={"DELETE": "ingest"})
def score(visit: Visit, auth: KeyAuth, score_id: str) -> HttpResponse:
    """One score; deleting answers 202, as there."""
    project = project_of_key(auth)
    found = Score.objects.filter(project=project, score_id=score_id).first()
    if found is None:
        raise NotFoundError("Score not found within authorized project")
    if visit.request.method == "DELETE":
        delete_scores(project_id=project.pk, score_ids=[score_id])
        return json_answer({"message": "Score deletion request queued successfully"}, 202)
    return json_answer(score_shape(found), 200)


@_entered(
    "GET", "POST", "PATCH", "DELETE", scopes=dict.fromkeys(("GET", "POST", "PATCH", "DELETE"), "")
)
def not_here(visit: Visit, auth: KeyAuth, what: str) -> HttpResponse:
    """What LLMLab has nothing of: 404 in words."""
    kind = short_text(what.removeprefix("v2/").split("/")[0].replace("-", " "), 40)
    raise NotFoundError(_NOT_HERE.format(what=kind))


def _trace(project: Project, trace_id: str) -> Trace:
    found = Trace.objects.filter(project=project, trace_id=trace_id).first()
    if found is None:
        raise NotFoundError("Trace not found within authorized project")
    return found


def _steps(project: Project, trace: Trace) -> QuerySet[Span]:
    return Span.objects.filter(
        project=project,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )


def _text(value: str) -> str:
    return value.replace("\x00", "")[:200]


def _between(rows: Any, params: Any, column: str, start: str, end: str) -> Any:
    for name, lookup in ((start, "gte"), (end, "lt")):
        if text := params.get(name):
            rows = rows.filter(**{f"{column}__{lookup}": parse_instant(text, name)})
    return rows


def _number(params: Any, name: str, default: int, most: int) -> int:
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise DomainError(
            f"{name} is {text[:40]!r}; it must be a number from 1 to {most}.",
            code="invalid_parameter",
            fields=[name],
        )
    return int(text)


def _page(rows: Any, params: Any, shape: Callable[[Any], dict[str, Any]]) -> HttpResponse:
    """One page by number; the count stops where the list does."""
    limit = _number(params, "limit", 50, MAX_LIMIT)
    number = _number(params, "page", 1, MAX_DEPTH)
    if number * limit > MAX_DEPTH:
        raise DomainError(
            f"page {number} lies deeper than {MAX_DEPTH} items; bound the time with the from… and to… parameters.",
            code="invalid_parameter",
            fields=["page"],
        )
    total = rows.order_by()[:MAX_DEPTH].count()
    found = rows[(number - 1) * limit : number * limit]
    return page([shape(row) for row in found], number=number, limit=limit, total=total)
