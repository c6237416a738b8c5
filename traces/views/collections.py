"""`P/collections/`: named lists of traces and steps, filled from the trace page, downloaded as JSON lines."""

import uuid
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms import add_domain_error
from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core.errors import DomainError, NotFoundError
from core.streaming import ChunkedResponse
from projects.access import parse_uuid, project_for
from projects.models import Project
from traces.feedback import collections as services
from traces.filters import parse_filters
from traces.models import Collection
from traces.selectors.collection_export import example_lines
from traces.selectors.feedback import collections_of, items_of
from traces.selectors.listing import matching

PAGE_SIZE = 50
MAX_ADDED = 1_000


class CollectionForm(forms.Form):
    """Name and description."""

    name = forms.CharField(max_length=services.MAX_NAME, label="Name")
    description = forms.CharField(
        max_length=services.MAX_DESCRIPTION, required=False, label="Description"
    )


@login_required
@require_http_methods(["GET", "POST"])
def collection_list(request: HttpRequest, slug: str) -> HttpResponse:
    """All of them, newest first, and a form for one more (members). `q` narrows, `before` pages."""
    project = project_for(request, slug, Role.MEMBER if request.method == "POST" else Role.VIEWER)
    form = CollectionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_collection(
                project=project, actor=person(request), **form.cleaned_data
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, f"{made.name} is there; add traces from their pages.")
            return redirect("traces:collection_detail", slug=project.ref, collection_id=made.pk)
    search = request.GET.get("q", "")
    found = collections_of(project, search=search)
    if before := _before(request):
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE_SIZE + 1])
    context = _context(project) | {
        "form": form,
        "rows": rows[:PAGE_SIZE],
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else "",
        "search": search,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "traces/collection_list.html", context, status=status)


def _before(request: HttpRequest) -> uuid.UUID | None:
    text = request.GET.get("before", "")
    found = parse_uuid(text)
    if text and found is None:
        raise DomainError("before is not an id; start again without it.", fields=["before"])
    return found


def _context(project: Project) -> dict[str, Any]:
    is_member = ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER]
    return {"project": project, "may_edit": is_member}


def _collection(project: Project, collection_id: uuid.UUID) -> Collection:
    found = collections_of(project).filter(pk=collection_id).first()
    if found is None:
        raise NotFoundError("There is no such collection in this project.")
    return found


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def collection_detail(request: HttpRequest, slug: str, collection_id: uuid.UUID) -> HttpResponse:
    """The items, newest first; POST renames. `before` pages."""
    project = project_for(request, slug, Role.MEMBER if request.method == "POST" else Role.VIEWER)
    collection = _collection(project, collection_id)
    initial = {"name": collection.name, "description": collection.description}
    form = CollectionForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_collection(project=project, collection=collection, **form.cleaned_data)
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "The collection is changed.")
            return redirect(
                "traces:collection_detail", slug=project.ref, collection_id=collection.pk
            )
    found = items_of(project, collection)
    if before := _before(request):
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE_SIZE + 1])
    context = _context(project) | {
        "collection": collection,
        "form": form,
        "rows": rows[:PAGE_SIZE],
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else "",
        "max_expected": services.MAX_EXPECTED,
        "max_note": services.MAX_NOTE,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "traces/collection_detail.html", context, status=status)


@login_required
@require_POST
def collection_delete(request: HttpRequest, slug: str, collection_id: uuid.UUID) -> HttpResponse:
    """Delete it with its items; the traces stay."""
    project = project_for(request, slug, Role.MEMBER)
    collection = _collection(project, collection_id)
    items = services.delete_collection(
        project=project, collection=collection, actor=person(request)
    )
    messages.success(request, f"{collection.name} is deleted with {items:,} items.")
    return redirect("traces:collection_list", slug=project.ref)


@login_required
@require_http_methods(["GET", "POST"])
def item_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add traces (`trace`, repeated) or one `step` of a trace to `collection`, or to a new one named `name`.

    GET shows the choice, and so does a POST with `choose`: the trace page leads here by a link, the list's bulk bar by
    its form (`ids`, or `scope=all` with `query`).
    """
    project = project_for(request, slug, Role.MEMBER)
    given = request.POST if request.method == "POST" else request.GET
    trace_ids, span_id = given.getlist("trace")[:MAX_ADDED], given.get("step", "")
    is_choosing = "choose" in request.POST
    if is_choosing:
        trace_ids = _ticked(request, project)
    error = "" if trace_ids else "No trace is selected; tick some in the list first."
    if request.method == "POST" and not is_choosing:
        try:
            collection = _chosen(request, project)
            added = _add(request, project, collection, trace_ids, span_id)
        except DomainError as problem:
            error = problem.detail
        else:
            messages.success(request, _words(added, collection))
            return redirect(
                "traces:collection_detail", slug=project.ref, collection_id=collection.pk
            )
    context = _context(project) | {
        "collections": collections_of(project)[:200],
        "trace_ids": trace_ids,
        "span_id": span_id,
        "error": error,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render(request, "traces/collection_add.html", context, status=status)


def _ticked(request: HttpRequest, project: Project) -> list[str]:
    """What the list's bulk bar sent: the ticked rows, or the newest that match. At most MAX_ADDED."""
    if request.POST.get("scope") != "all":
        return request.POST.getlist("ids")[:MAX_ADDED]
    params = QueryDict(request.POST.get("query", "")[:6_000])
    found = matching(project, parse_filters(params, now=timezone.now(), strict=True))
    newest = found.order_by("-started_at", "-trace_id").values_list("trace_id", flat=True)
    return list(newest[:MAX_ADDED])


def _chosen(request: HttpRequest, project: Project) -> Collection:
    if name := request.POST.get("name", "").strip():
        return services.create_collection(project=project, name=name, actor=person(request))
    collection_id = parse_uuid(request.POST.get("collection", ""))
    if collection_id is None:
        raise DomainError("Choose a collection, or name a new one.", fields=["collection"])
    return _collection(project, collection_id)


def _add(
    request: HttpRequest,
    project: Project,
    collection: Collection,
    trace_ids: list[str],
    span_id: str,
) -> services.Added:
    if not trace_ids:
        raise DomainError("Name at least one trace.", fields=["trace"])
    actor = person(request)
    if span_id:
        return services.add_step(
            project=project,
            collection=collection,
            trace_id=trace_ids[0],
            span_id=span_id,
            actor=actor,
        )
    return services.add_traces(
        project=project, collection=collection, trace_ids=trace_ids, actor=actor
    )


def _words(added: services.Added, collection: Collection) -> str:
    words = f"{added.added:,} added to {collection.name}"
    if added.known:
        words += f", {added.known:,} were there already"
    if added.missing:
        words += f", {len(added.missing):,} no longer exist"
    return f"{words}."


@login_required
@require_POST
def item_edit(
    request: HttpRequest, slug: str, collection_id: uuid.UUID, item_id: uuid.UUID
) -> HttpResponse:
    """Say what the answer should have been."""
    project = project_for(request, slug, Role.MEMBER)
    services.change_item(
        project=project,
        collection=_collection(project, collection_id),
        item_id=item_id,
        expected=request.POST.get("expected", ""),
        note=request.POST.get("note", ""),
    )
    messages.success(request, "The expected answer is saved.")
    return redirect("traces:collection_detail", slug=project.ref, collection_id=collection_id)


@login_required
@require_POST
def item_delete(
    request: HttpRequest, slug: str, collection_id: uuid.UUID, item_id: uuid.UUID
) -> HttpResponse:
    """Take an item out; the trace stays."""
    project = project_for(request, slug, Role.MEMBER)
    collection = _collection(project, collection_id)
    if not services.remove_items(project=project, collection=collection, item_ids=[item_id]):
        raise NotFoundError("There is no such item in this collection.")
    messages.success(request, "Taken out of the collection.")
    return redirect("traces:collection_detail", slug=project.ref, collection_id=collection_id)


@login_required
@never_cache
@require_GET
def collection_export(
    request: HttpRequest, slug: str, collection_id: uuid.UUID
) -> StreamingHttpResponse:
    """Input, output and what was expected of each item, one JSON document per line, streamed."""
    project = project_for(request, slug)
    collection = _collection(project, collection_id)
    response = ChunkedResponse(
        example_lines(project, collection), content_type="application/x-ndjson; charset=utf-8"
    )
    name = slugify(collection.name) or "collection"
    response["Content-Disposition"] = f'attachment; filename="{name}.jsonl"'
    return response
