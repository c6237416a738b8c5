"""A project's batches: the list, its CSV, cancelling one. Whoever sees the project sees them; members cancel."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Role
from accounts.selectors import person
from core.csv_cells import csv_lines
from core.errors import ConflictError
from core.htmx import render_page_or_part
from core.streaming import ChunkedResponse, csv_download
from gateway.batches import lists
from gateway.batches.cancelling import cancel_batch
from projects.access import project_for
from projects.models import Project

CELLS = (
    "id", "provider_id", "api", "provider", "state", "status", "endpoint", "models", "requests", "succeeded", "failed",
    "input_tokens", "output_tokens", "most_usd", "cost_usd", "created_at", "ended_at", "recorded_at", "key",
    "connection", "error",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def batch_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Batches, newest first. Two queries with the project."""
    project = project_for(request, slug)
    asked = lists.read_asked(request.GET)
    rows, after = lists.listed(project, asked)
    may_work = project.role != Role.VIEWER
    context = {
        "project": project,
        "rows": [{"batch": row, "may_cancel": may_work and lists.may_cancel(row)} for row in rows],
        "after": after,
        "asked": asked,
        "states": lists.STATES.items(),
        "wires": lists.WIRES.items(),
        "is_moving": any(row.poll_at is not None for row in rows),
    }
    return render_page_or_part(
        request,
        page="gateway/batches/list.html",
        part="gateway/batches/_list_results.html",
        context=context,
    )


@login_required
@require_POST
def batch_cancel(request: HttpRequest, slug: str, gateway_batch_id: uuid.UUID) -> HttpResponse:
    """Have the provider stop it, then the list."""
    project = project_for(request, slug, Role.MEMBER)
    row = lists.one_of(project, str(gateway_batch_id))
    try:
        cancel_batch(project=project, batch=row, actor=person(request), now=timezone.now())
        messages.success(request, "The provider is asked to cancel it. What is done is charged.")
    except ConflictError as error:
        messages.error(request, error.detail)
    return redirect("gateway:batch_list", slug=project.ref)


@login_required
@never_cache
@require_GET
def batch_export(request: HttpRequest, slug: str) -> ChunkedResponse:
    """The filtered list as CSV, in its order."""
    project = project_for(request, slug)
    asked = lists.read_asked(request.GET)
    return csv_download(f"{project.slug}-batches.csv", csv_lines(_lines(project, asked)))


def _lines(project: Project, asked: lists.Asked) -> Iterator[Any]:
    yield CELLS
    for row in lists.exported(project, asked):
        yield [
            row.id, row.provider_id, row.wire, row.provider, row.state, row.status, row.dialect,
            " ".join(row.model_names), row.total, row.succeeded, row.failed, row.input_tokens, row.output_tokens,
            row.most_usd, row.cost_usd, row.created_at.isoformat(), row.ended_at and row.ended_at.isoformat(),
            row.recorded_at and row.recorded_at.isoformat(), row.api_key_id, row.connection_id, row.error,
        ]  # fmt: skip
