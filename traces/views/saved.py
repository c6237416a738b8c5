"""Saved views of the list and how it looks: save, rename, share, delete with undo, columns and density."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.selectors import person
from core.errors import DomainError
from projects.access import parse_uuid, project_for
from projects.models import Project
from projects.preferences import keep_preference, preference
from traces import list_columns, saved_views
from traces.models import SavedView
from traces.saved_views import Actor
from traces.views.listing import PREFERENCE

SALT = "traces.view-undo"
UNDO_SECONDS = 600


def _actor(request: HttpRequest, project: Project) -> Actor:
    return Actor(person(request), project.role)


def _list_url(project: Project, query: str = "", view: SavedView | None = None) -> str:
    params = QueryDict(query[:6_000], mutable=True)
    for name in ("after", "before", "view"):
        params.pop(name, None)
    if view is not None:
        params["view"] = str(view.pk)
    url = reverse("traces:trace_list", kwargs={"slug": project.ref})
    return f"{url}?{params.urlencode()}" if params else url


@login_required
@never_cache
@require_POST
def view_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Save the present state under a name. Sharing and the default need the role member."""
    project = project_for(request, slug)
    query = request.POST.get("query", "")
    try:
        view = saved_views.create_view(
            project=project,
            actor=_actor(request, project),
            name=request.POST.get("name", ""),
            query=query,
            layout=_layout_of(request, project),
            is_shared=bool(request.POST.get("is_shared")),
            is_default=bool(request.POST.get("is_default")),
        )
    except DomainError as error:
        if error.status == 403:
            raise
        messages.error(request, error.detail)
        return redirect(_list_url(project, query))
    messages.success(request, f"Saved as “{view.name}”.")
    return redirect(_list_url(project, query, view))


def _layout_of(request: HttpRequest, project: Project) -> dict[str, Any]:
    """The columns in use: of the view the reader came from, else the person's own."""
    uid = parse_uuid(request.POST.get("from_view", ""))
    views = saved_views.visible_views(project, person(request)) if uid else []
    came_from = next((one for one in views if one.pk == uid), None)
    if came_from is not None:
        return dict(came_from.layout)
    return preference(user=person(request), project=project, key=PREFERENCE)


@login_required
@never_cache
@require_POST
def view_change(request: HttpRequest, slug: str, view_id: UUID) -> HttpResponse:
    """`do`: save (the present state), rename, share, unshare, default, no_default."""
    project = project_for(request, slug)
    view = saved_views.view_of(project, person(request), view_id)
    query = request.POST.get("query", "")
    changes: dict[str, dict[str, Any]] = {
        "save": {"query": query},
        "rename": {"name": request.POST.get("name", "")},
        "share": {"is_shared": True},
        "unshare": {"is_shared": False},
        "default": {"is_default": True},
        "no_default": {"is_default": False},
    }
    wanted = request.POST.get("do", "")
    if wanted not in changes:
        raise DomainError(
            f"do is {wanted[:40]!r}; it must be one of {', '.join(changes)}.", fields=["do"]
        )
    try:
        saved_views.change_view(view=view, actor=_actor(request, project), changes=changes[wanted])
    except DomainError as error:
        if error.status == 403:
            raise
        messages.error(request, error.detail)
    else:
        messages.success(request, f"“{view.name}” saved.")
    return redirect(_list_url(project, query or view.query, view))


@login_required
@never_cache
@require_POST
def view_delete(request: HttpRequest, slug: str, view_id: UUID) -> HttpResponse:
    """Delete a view; the message can take it back for ten minutes."""
    project = project_for(request, slug)
    view = saved_views.view_of(project, person(request), view_id)
    kept = saved_views.delete_view(view=view, actor=_actor(request, project))
    token = signing.dumps([str(project.pk), kept], salt=SALT, compress=True)
    url = reverse("traces:view_restore", kwargs={"slug": project.ref})
    messages.success(request, f"“{view.name}” deleted.", extra_tags=f"{url}?token={token}")
    return redirect(_list_url(project, request.POST.get("query", "") or kept["query"]))


@login_required
@never_cache
@require_POST
def view_restore(request: HttpRequest, slug: str) -> HttpResponse:
    """Undo of a deletion."""
    project = project_for(request, slug)
    try:
        owner, kept = signing.loads(request.GET.get("token", ""), salt=SALT, max_age=UNDO_SECONDS)
        if owner != str(project.pk):
            raise signing.BadSignature
    except (signing.BadSignature, ValueError, TypeError):
        raise DomainError("This cannot be undone any more.", fields=["token"]) from None
    view = saved_views.restore_view(project=project, actor=_actor(request, project), kept=kept)
    messages.success(request, f"“{view.name}” is back.")
    return redirect(_list_url(project, view.query, view))


@login_required
@never_cache
@require_POST
def columns_change(request: HttpRequest, slug: str) -> HttpResponse:
    """Which columns in which order, and the density: kept with the view when it is the reader's to change, else for
    the person. `move=cost:up` takes one a place further; `reset` goes back to the default."""
    project = project_for(request, slug)
    user = person(request)
    columns = request.POST.getlist("columns")[: list_columns.MAX_COLUMNS]
    name, _, way = request.POST.get("move", "").partition(":")
    if name:
        columns = list_columns.moved(columns, name, -1 if way == "up" else 1)
    layout = list_columns.make_layout(columns, request.POST.get("density", "normal"))
    if request.POST.get("reset"):
        layout = list_columns.Layout()
    query = request.POST.get("query", "")
    uid = parse_uuid(request.POST.get("view", ""))
    view = saved_views.view_of(project, user, uid) if uid else None
    if view is not None and saved_views.may_change(view, _actor(request, project)):
        saved_views.change_view(
            view=view, actor=_actor(request, project), changes={"layout": layout.as_json()}
        )
    else:
        keep_preference(user=user, project=project, key=PREFERENCE, value=layout.as_json())
    return redirect(_list_url(project, query, view) + ("#columns" if name else ""))
