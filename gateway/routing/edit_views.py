"""Making and changing routes, with a dry run of what is not saved yet. Admins only."""

import uuid
from http import HTTPStatus
from typing import Any

import msgspec
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError
from core.htmx import wants_part
from gateway.connections.providers import known_models
from gateway.models import Connection, Route
from gateway.routing import services
from gateway.routing.drafts import read_route_rules
from gateway.routing.forms import Draft, with_rows_changed
from gateway.routing.guard_fields import GuardTrialForm
from gateway.routing.lists import connections_of, version_of
from gateway.routing.services import By, route_of, rules_of_route
from gateway.routing.trial_form import TrialForm
from gateway.routing.views import outcome_of
from gateway.structs import RouteRules
from projects.access import project_for
from projects.models import Project

OWNER = "route-form"


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def route_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A new route."""
    project = project_for(request, slug, Role.ADMIN)
    return _form(request, project, None, RouteRules())


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def route_edit(request: HttpRequest, slug: str, route_id: uuid.UUID) -> HttpResponse:
    """Change a route; `version` (an entry of its history) fills the form with what it said then."""
    project = project_for(request, slug, Role.ADMIN)
    route = route_of(project, route_id)
    rules = rules_of_route(route)
    older = version_of(route, project.organization_id, request.GET.get("version", ""))
    if older is not None:
        rules = msgspec.convert(older, RouteRules)
    return _form(request, project, route, rules)


def _form(
    request: HttpRequest, project: Project, route: Route | None, rules: RouteRules
) -> HttpResponse:
    data: QueryDict | None = request.POST if request.method == "POST" else None
    is_other_rows = data is not None and bool({"add_target", "remove_target"} & set(data))
    if data is not None and is_other_rows:
        data = with_rows_changed(data)
    connections = connections_of(project)
    draft = Draft(
        connections=connections,
        name=route.name if route else "",
        note=route.note if route else "",
        rules=rules,
        data=data,
    )
    context: dict[str, Any] = {
        "guard_trial": GuardTrialForm(),
        "project": project,
        "route": route,
        "draft": draft,
        "form": draft.form,
        "connections": connections,
        "models": _models(connections),
        "owner": OWNER,
        "seen": data.get("seen", "") if data is not None else route.version if route else "",
    }
    if is_other_rows:
        draft.forget_errors()
        if wants_part(request):
            return render(request, "gateway/routes/_targets.html", context)
    elif data is not None and "try_checks" in data:
        return _tried(request, context, draft)
    elif data is not None and "dry_run" in data:
        return _dry_run(request, project, route, draft, context)
    elif data is not None and draft.is_valid():
        saved = _save(request, project, route, draft)
        if saved is not None:
            messages.success(request, f"Saved: {saved.name}, version {saved.version}.")
            return redirect("gateway:route_detail", slug=project.ref, route_id=saved.pk)
        # Who was told and saves again means it.
        context["seen"] = route.version if route else ""
    return _page(request, context, draft)


def _tried(request: HttpRequest, context: dict[str, Any], draft: Draft) -> HttpResponse:
    """What the checks of the form would do with a pasted text."""
    trial = GuardTrialForm(request.POST)
    tried = draft.form.try_guards(trial)
    context |= {"guard_trial": trial, "tried": tried, "is_tried": True}
    if wants_part(request):
        status = HTTPStatus.OK if tried else HTTPStatus.UNPROCESSABLE_ENTITY
        return render(request, "gateway/routes/_guard_trial.html", context, status=status)
    wrong = draft.form.errors
    draft.forget_errors()
    draft.form.errors.update(wrong)
    return _page(request, context, draft)


def _save(
    request: HttpRequest, project: Project, route: Route | None, draft: Draft
) -> Route | None:
    said: dict[str, Any] = {
        "project": project,
        "name": draft.form.cleaned_data["name"],
        "note": draft.form.cleaned_data["note"],
        "rules": draft.rules,
        "by": By(person(request)),
        "now": timezone.now(),
    }
    try:
        if route is None:
            return services.create_route(**said)
        return services.change_route(route_id=route.pk, seen=request.POST.get("seen", ""), **said)
    except DomainError as error:
        draft.refuse(error)
        return None


def _dry_run(
    request: HttpRequest,
    project: Project,
    route: Route | None,
    draft: Draft,
    context: dict[str, Any],
) -> HttpResponse:
    """Where a request would go if the form were saved."""
    trial = TrialForm(request.POST, owner=OWNER)
    context["trial"], context["is_draft_wrong"] = trial, True
    if draft.is_valid():
        try:
            ids = {one.pk for one in context["connections"]}
            read = read_route_rules(draft.rules, connections=ids)
        except DomainError as error:
            draft.refuse(error)
        else:
            context["is_draft_wrong"] = False
            name = draft.form.cleaned_data["name"]
            context["outcome"] = outcome_of(project, trial, (route, name, read))
    if wants_part(request):
        status = HTTPStatus.OK if context.get("outcome") else HTTPStatus.UNPROCESSABLE_ENTITY
        return render(request, "gateway/routes/_outcome.html", context, status=status)
    return _page(request, context, draft)


def _page(request: HttpRequest, context: dict[str, Any], draft: Draft) -> HttpResponse:
    if "trial" not in context:
        route = context["route"]
        model = route.name if route and route.name != "*" else ""
        given = request.POST if "try_model" in request.POST else {}
        shown = {key: value for key, value in given.items() if key.startswith("try_")}
        context["trial"] = TrialForm(initial={"try_model": model} | shown, owner=OWNER)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if draft.is_wrong else HTTPStatus.OK
    return render(request, "gateway/routes/form.html", context, status=status)


def _models(connections: list[Connection]) -> list[str]:
    """Names to suggest: what connections list, else what prices know of their kind."""
    found: dict[str, None] = {}
    for one in connections:
        found |= dict.fromkeys(one.model_names or known_models(one.kind))
    return sorted(found)[:400]


@login_required
@require_POST
def route_enabled(request: HttpRequest, slug: str, route_id: uuid.UUID) -> HttpResponse:
    """Switch a route on (`enabled` is 1) or off (0)."""
    project = project_for(request, slug, Role.ADMIN)
    wanted = request.POST.get("enabled", "")
    if wanted not in ("0", "1"):
        raise DomainError(f"enabled is {wanted[:40]!r}; it must be 0 or 1.", fields=["enabled"])
    route = services.enable_route(
        project=project,
        route_id=route_id,
        is_enabled=wanted == "1",
        by=By(person(request)),
        now=timezone.now(),
    )
    messages.success(request, f"{route.name} is {'on' if route.is_enabled else 'off'}.")
    return redirect("gateway:route_detail", slug=slug, route_id=route_id)


@login_required
@require_POST
def route_copy(request: HttpRequest, slug: str, route_id: uuid.UUID) -> HttpResponse:
    """The same route under another name, switched off."""
    project = project_for(request, slug, Role.ADMIN)
    by = By(person(request))
    made = services.duplicate_route(project=project, route_id=route_id, by=by, now=timezone.now())
    messages.success(request, f"Copied as {made.name}, which is off.")
    return redirect("gateway:route_edit", slug=slug, route_id=made.pk)


@login_required
@require_POST
def route_deletion(request: HttpRequest, slug: str, route_id: uuid.UUID) -> HttpResponse:
    """Delete a route; its name must be typed."""
    project = project_for(request, slug, Role.ADMIN)
    route = route_of(project, route_id)
    if request.POST.get("confirmation", "").strip() != route.name:
        messages.error(request, f"Nothing was deleted: type {route.name} to confirm.")
        return redirect("gateway:route_detail", slug=slug, route_id=route_id)
    services.delete_route(
        project=project, route_id=route_id, by=By(person(request)), now=timezone.now()
    )
    messages.success(request, f"Deleted: {route.name}.")
    return redirect("gateway:route_list", slug=slug)
