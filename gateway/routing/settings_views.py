"""What holds for all of a project's calls: seen by whoever sees the project, changed by admins."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError
from core.htmx import wants_part
from gateway.models import GatewaySettings
from gateway.routing import form_parts, services
from gateway.routing.guard_fields import GuardTrialForm
from gateway.routing.services import By
from gateway.routing.settings_form import SettingsForm, keys_of, settings_initial
from gateway.routing.views import may_change
from projects.access import project_for
from projects.models import Project


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of ProjectRules."""
    role = Role.ADMIN if request.method == "POST" else Role.VIEWER
    project = project_for(request, slug, role)
    keys, rules = keys_of(project), services.rules_of_project(project.pk)
    row = GatewaySettings.objects.select_related("updated_by").filter(pk=project.pk).first()
    seen, given = services.settings_mark(row), request.POST.get("seen")
    page = {"project": project, "rules": rules, "row": row, "seen": seen}
    shown: dict[str, Any] = {
        "initial": settings_initial(rules), "keys": keys, "guards": rules.guards
    }  # fmt: skip
    if request.method == "GET":
        form = SettingsForm(**shown, is_read_only=not may_change(project))
        return _answer(request, page | {"form": form})
    form = SettingsForm(request.POST, **shown)
    page["form"] = form
    if "try_checks" in request.POST:
        return _tried(request, form, page | {"seen": seen if given is None else given})
    if not form.is_valid():
        page["seen"] = seen if given is None else given
    elif _is_saved(request, project, form):
        messages.success(request, "Saved. It holds from the next call on.")
        return redirect("gateway:settings", slug=slug)
    return _answer(request, page, HTTPStatus.UNPROCESSABLE_ENTITY)


def _is_saved(request: HttpRequest, project: Project, form: SettingsForm) -> bool:
    """Whether what the valid form says was saved; else the form says why not."""
    try:
        services.change_settings(
            project=project,
            changes=form.changes(),
            by=By(person(request)),
            now=timezone.now(),
            seen=request.POST.get("seen"),
        )
    except DomainError as error:
        form_parts.refuse(form, error, form.paths())
        return False
    return True


def _tried(request: HttpRequest, form: SettingsForm, page: dict[str, Any]) -> HttpResponse:
    """What the checks in the form would do: the whole page, or that part alone where a script asks."""
    trial = GuardTrialForm(request.POST)
    tried = form.try_guards(trial)
    status = HTTPStatus.OK if tried else HTTPStatus.UNPROCESSABLE_ENTITY
    told = {"form": form, "guard_trial": trial, "tried": tried, "is_tried": True}
    if wants_part(request):
        return render(request, "gateway/routes/_guard_trial.html", told, status=status)
    return _answer(request, page | told, status)


def _answer(
    request: HttpRequest, page: dict[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    rest = {"may_change": may_change(page["project"]), "now": timezone.now()}
    context = {"guard_trial": GuardTrialForm(), **page, **rest}
    return render(request, "gateway/settings/page.html", context, status=status)
