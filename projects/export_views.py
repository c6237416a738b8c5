"""`/projects/<slug>/exports/`: ask for a file, watch it grow, take it away."""

import gzip
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.models import Job
from core.ranges import PRESETS
from core.streaming import ChunkedResponse
from projects.access import project_for
from projects.exports import job as exports
from projects.exports.registry import Request, sources
from projects.models import Project

SHOWN = 50
CHUNK = 256 * 1024
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
RANGES = tuple((key, PRESETS[key]) for key in ("24h", "7d", "30d", "90d"))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def export_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The project's exports, newest first, and the form for another; POST asks for one."""
    is_post = request.method == "POST"
    project = project_for(request, slug, Role.MEMBER if is_post else Role.VIEWER)
    if is_post:
        return _create(request, project)
    return _page(request, project)


def _page(
    request: HttpRequest, project: Project, *, error: DomainError | None = None
) -> HttpResponse:
    rows = list(exports.exports_of(project).order_by("-pk")[:SHOWN])
    given = request.POST if error else request.GET
    context = {
        "project": project,
        "rows": [_row(job) for job in rows],
        "is_open": any(job.is_open for job in rows),
        "sources": sources(),
        "formats": exports.FORMATS.items(),
        "ranges": RANGES,
        "given": {name: given.get(name, "") for name in ("kind", "format", "query", "range")},
        "may_create": project.role != Role.VIEWER,
        "error": error,
    }
    return render_page_or_part(
        request,
        page="projects/export_list.html",
        part="projects/_export_rows.html",
        context=context,
        status=error.status if error else 200,
    )


def _row(job: Job) -> dict[str, Any]:
    return {"job": job, "ratio": job.percent / 100, "size": job.result.get("bytes")}


def _create(request: HttpRequest, project: Project) -> HttpResponse:
    query = request.POST.get("query", "").removeprefix("?")
    kind = request.POST.get("kind", "traces")
    if not query and request.POST.get("range") and _has_range(kind):
        query = f"range={request.POST['range']}"
    wanted = Request(
        query=query[:4000],
        # "All that match" in a list's bulk bar means the query, whatever rows are ticked as well.
        ids=()
        if request.POST.get("scope") == "all"
        else tuple(text for text in request.POST.getlist("ids") if text),
        with_payloads=request.POST.get("with_payloads") in ("1", "on", "true"),
        now=timezone.now(),
    )
    try:
        exports.start_export(
            project=project,
            kind=kind,
            format_name=request.POST.get("format", "csv"),
            request=wanted,
            actor=person(request),
        )
    except DomainError as error:
        return _page(request, project, error=error)
    messages.success(request, "The export is under way; it stands here when it is ready.")
    return redirect("projects:export_list", slug=project.ref)


def _has_range(kind: str) -> bool:
    return all(source.has_range for source in sources() if source.kind == kind)


def export_of(project: Project, job_id: uuid.UUID) -> Job:
    """The project's export; raises NotFoundError."""
    job: Job | None = exports.exports_of(project).filter(pk=job_id).first()
    if job is None:
        raise NotFoundError("There is no such export in this project.")
    return job


@login_required
@never_cache
@require_GET
def export_file(request: HttpRequest, slug: str, job_id: uuid.UUID) -> StreamingHttpResponse:
    """The finished file, streamed; `?gz=1` leaves CSV and JSON Lines compressed."""
    project = project_for(request, slug)
    return file_response(export_of(project, job_id), packed=request.GET.get("gz") == "1")


def file_response(job: Job, *, packed: bool = False) -> StreamingHttpResponse:
    """Raises NotFoundError when there is no file: not ready, failed, or removed after a week."""
    name = job.result.get("file", "")
    if job.state != Job.State.DONE or not name or not default_storage.exists(name):
        raise NotFoundError(
            "This export has no file: it is not finished, it failed, or the file was removed after a week or because a"
            " person's data was deleted."
        )
    stamp = job.created_at.strftime("%Y%m%d-%H%M%S")
    shown = f"{job.params['kind']}-{stamp}.{job.params['format']}"
    return stored_file(name, shown, packed=packed)


def stored_file(name: str, shown: str, *, packed: bool = False) -> StreamingHttpResponse:
    """A file of the storage, chunk by chunk, under the name `shown` (without .gz); what is compressed comes unpacked
    unless asked otherwise."""
    is_packed = name.endswith(".gz")
    kind = shown.rpartition(".")[2]
    response = ChunkedResponse(
        _chunks(name, unpack=is_packed and not packed),
        content_type="application/gzip" if is_packed and packed else TYPES[kind],
    )
    end = ".gz" if is_packed and packed else ""
    response["Content-Disposition"] = f'attachment; filename="{shown}{end}"'
    return response


def _chunks(name: str, *, unpack: bool) -> Iterator[bytes]:
    with default_storage.open(name) as stored:
        if not unpack:
            while data := stored.read(CHUNK):
                yield data
            return
        with gzip.GzipFile(fileobj=stored) as lines:
            while data := lines.read(CHUNK):
                yield data


@login_required
@require_POST
def export_delete(request: HttpRequest, slug: str, job_id: uuid.UUID) -> HttpResponse:
    """Remove an ended export and its file; one that runs is cancelled first."""
    project = project_for(request, slug, Role.MEMBER)
    job = export_of(project, job_id)
    if job.is_open:
        raise DomainError("This export is under way; cancel it first.", code="conflict", status=409)
    exports.delete_export(job=job)
    messages.success(request, "The export and its file are removed.")
    return redirect("projects:export_list", slug=project.ref)
