"""A project's calls: what waits now, the list, its CSV, one call. Whoever sees the project sees them."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from core.csv_cells import csv_lines
from core.errors import NotFoundError
from core.htmx import render_page_or_part, wants_part
from core.ranges import PRESETS, TimeRange
from core.streaming import ChunkedResponse, csv_download
from gateway.models import ENDED, LLMRequest
from gateway.requests import lists, selectors
from gateway.structs import PRIORITIES
from projects.access import parse_uuid, project_for
from projects.models import Project

CELLS = (
    "id", "accepted_at", "state", "status", "error", "asked_model", "model", "provider", "route", "because", "priority",
    "dialect", "stream", "cache", "attempts", "fallbacks", "queue_ms", "provider_ms", "first_token_ms", "total_ms",
    "input_tokens", "output_tokens", "cost_usd", "saved_usd", "user", "key", "connection", "trace", "span", "flags",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def request_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Calls of a time, newest first, and what waits now. At most seven queries with the project, eight more with a call
    beside the list."""
    project = project_for(request, slug)
    now = timezone.now()
    asked = lists.read_asked(request.GET, now=now)
    if wants_part(request) and request.headers.get("HX-Target") == "peek":
        return _peek_answer(request, project)
    page = selectors.listed(project, asked)
    context = {
        "project": project,
        "rows": page.rows,
        "after": page.after,
        "asked": asked,
        "states": lists.STATES.items(),
        "priorities": lists.PRIORITY_NAMES.items(),
        "caches": lists.CACHES.items(),
        "keys": selectors.keys_of(project),
        "routes": selectors.routes_of(project),
        "range": _range(asked.range),
        "kept": [pair for pair in request.GET.items() if pair[0] not in _MOVING],
        "now": now,
        "may_act": may_act(project),
    }
    context["retriable"] = selectors.kept_of(project, page.rows) if context["may_act"] else set()
    if not wants_part(request):
        context["connection_name"] = selectors.connection_name(project, asked.connection_id)
        context["current"] = selectors.waiting_now(project)
        if request.GET.get("peek"):
            context["peek"] = _peek(request, project)
    return render_page_or_part(
        request,
        page="gateway/requests/list.html",
        part="gateway/requests/_list_results.html",
        context=context,
    )


_MOVING = ("range", "after", "start", "end", "zone", "peek", "walk")


def _range(period: TimeRange) -> dict[str, Any]:
    return {
        "label": period.label,
        "key": period.key,
        "start": period.start,
        "end": period.end,
        "presets": [{"key": key, "label": PRESETS[key]} for key in lists.RANGES],
    }


def _peek(request: HttpRequest, project: Project) -> dict[str, Any]:
    """The call beside the list; without a row when there is none."""
    query = request.GET.copy()
    wanted = parse_uuid(query.pop("peek", [""])[-1])
    query.pop("walk", None)
    close = f"{request.path}?{query.urlencode()}" if query else request.path
    try:
        row = selectors.request_of(project, wanted) if wanted else None
    except NotFoundError:
        row = None
    found: dict[str, Any] = {"row": row, "close_href": close}
    return found | _one(project, row) if row is not None else found


def _peek_answer(request: HttpRequest, project: Project) -> HttpResponse:
    context = {"project": project, "peek": _peek(request, project), "now": timezone.now()}
    response = render(request, "gateway/requests/_peek.html", context)
    query = request.GET.copy()
    header = "HX-Replace-Url" if query.pop("walk", None) else "HX-Push-Url"
    response[header] = f"{request.path}?{query.urlencode()}"
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _one(project: Project, row: LLMRequest) -> dict[str, Any]:
    """What is shown of one call. Seven queries at most."""
    told = selectors.told_of(project, row)
    return {
        **told,
        "names": selectors.names_for(project, row),
        "priority": PRIORITIES[row.priority].capitalize() if row.priority < 3 else row.priority,
        "trace_href": _step_href(project, row) if told["step"] is not None else "",
        **_job(project, row.id),
        "href": reverse("gateway:request_detail", args=[project.ref, row.id]),
    }


def _job(project: Project, request_id: uuid.UUID) -> dict[str, Any]:
    """Its job, if it is answered later, and what was made of it again. Two queries."""
    job = selectors.job_of(project, request_id)
    return {"job": job, "again": selectors.made_again(project, request_id) if job else []}


def _open(project: Project, request_id: uuid.UUID) -> dict[str, Any]:
    """A call without a record yet. Raises NotFoundError."""
    found = _job(project, request_id)
    if found["job"] is not None:
        return {"row": None, "model": found["job"].asked_model, **found}
    live = selectors.live_call(project, request_id)
    if live is None:
        raise NotFoundError("There is no such request in this project.")
    return {"row": None, "live": live, "model": live.model, **found}


def may_act(project: Project) -> bool:
    """Whether the reader may cancel and retry."""
    return project.role != Role.VIEWER


def _step_href(project: Project, row: LLMRequest) -> str:
    page = reverse("traces:trace_detail", args=[project.ref, row.trace_id])
    return f"{page}?step={row.span_id}"


@login_required
@never_cache
@require_GET
def request_now(request: HttpRequest, slug: str) -> HttpResponse:
    """What waits and runs, the part of the list that asks again by itself. Two queries."""
    project = project_for(request, slug)
    context = {
        "project": project,
        "current": selectors.waiting_now(project),
        "now": timezone.now(),
        "may_act": may_act(project),
    }
    return render(request, "gateway/requests/_now.html", context)


@login_required
@never_cache
@require_GET
def request_detail(request: HttpRequest, slug: str, request_id: uuid.UUID) -> HttpResponse:
    """One call: where it went and why, where its time went, every try, whom it told; or how it stands while it waits or
    runs. Nine queries at most."""
    project = project_for(request, slug)
    one: dict[str, Any]
    try:
        row = selectors.request_of(project, request_id)
        one = {"row": row, "model": row.asked_model, **_one(project, row)}
    except NotFoundError:
        one = _open(project, request_id)
    job = one["job"]
    is_ended = one["row"] is not None or (job is not None and job.state in ENDED)
    one |= {"id": request_id, "is_ended": is_ended}
    context = {"project": project, "one": one, "now": timezone.now(), "may_act": may_act(project)}
    return render(request, "gateway/requests/detail.html", context)


@login_required
@never_cache
@require_GET
def request_export(request: HttpRequest, slug: str) -> ChunkedResponse:
    """The filtered list as CSV, in its order: at most MAX_EXPORT calls, a thousand per query."""
    project = project_for(request, slug)
    asked = lists.read_asked(request.GET, now=timezone.now())
    return csv_download(f"{project.slug}-requests.csv", csv_lines(_lines(project, asked)))


def _lines(project: Project, asked: lists.Asked) -> Iterator[Any]:
    yield CELLS
    for row in selectors.exported(project, asked):
        yield [
            row.id, row.accepted_at.isoformat(), row.state, row.status_code, row.error, row.asked_model, row.model,
            row.provider, row.route, row.because, PRIORITIES[min(row.priority, 2)], row.dialect,
            "true" if row.is_stream else "false", row.cache, row.attempts, row.fallbacks, row.queue_ms,
            row.provider_ms, row.first_token_ms, row.total_ms, row.input_tokens, row.output_tokens, row.cost_usd,
            row.saved_usd, row.user_id, row.api_key_id, row.connection_id, row.trace_id, row.span_id,
            " ".join(row.flags),
        ]  # fmt: skip
