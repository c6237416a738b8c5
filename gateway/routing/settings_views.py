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


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of ProjectRules."""
    role = Role.ADMIN if request.method == "POST" else Role.VIEWER
    project = project_for(request, slug, role)
    context: dict[str, Any] = {}
    keys, rules = keys_of(project), services.rules_of_project(project.pk)
    row = GatewaySettings.objects.select_related("updated_by").filter(pk=project.pk).first()
    shown, seen = settings_initial(rules), services.settings_mark(row)
    if request.method == "POST":
        form = SettingsForm(request.POST, initial=shown, keys=keys, guards=rules.guards)
        if "try_checks" in request.POST:
            trial, seen = GuardTrialForm(request.POST), request.POST.get("seen", seen)
            context = {"form": form, "guard_trial": trial, "tried": form.try_guards(trial)}
            context["is_tried"] = True
            if wants_part(request):
                status = HTTPStatus.OK if context["tried"] else HTTPStatus.UNPROCESSABLE_ENTITY
                return render(request, "gateway/routes/_guard_trial.html", context, status=status)
        elif form.is_valid():
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
            else:
                messages.success(request, "Saved. It holds from the next call on.")
                return redirect("gateway:settings", slug=slug)
        else:
            seen = request.POST.get("seen", seen)
    else:
        form = SettingsForm(
            initial=shown, keys=keys, guards=rules.guards, is_read_only=not may_change(project)
        )
    context = {"guard_trial": GuardTrialForm(), **context} | {
        "project": project,
        "form": form,
        "rules": rules,
        "may_change": may_change(project),
        "row": row,
        "seen": seen,
        "now": timezone.now(),
    }
    is_wrong = form.is_bound and not context.get("tried")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "gateway/settings/page.html", context, status=status)
