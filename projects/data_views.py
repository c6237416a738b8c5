"""`/projects/<slug>/settings/data/`: capture, masking, retention. Erasure and key rotation belong to traces."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import add_domain_error
from accounts.models import Role
from accounts.selectors import person
from core import masking
from core.errors import DomainError
from projects.access import project_for
from projects.data_forms import SPARE_ROWS, CaptureForm, ErasureForm, RetentionForm, TryForm
from projects.data_policy import change_data_policy
from projects.models import Project

ROW_FIELDS = ("name", "pattern", "replacement")


@login_required
@require_GET
def data_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Everyone reads what is stored and for how long; admins change it."""
    # A user's or session's page leads here with whose data it is about; the person still types the id once.
    given = {name: request.GET.get(name, "")[:200] for name in ("subject", "value")}
    return _page(request, project_for(request, slug), erasure=ErasureForm(initial=given))


def _page(request: HttpRequest, project: Project, **forms: Any) -> HttpResponse:
    rules = project.masking or {}
    initial = {"content_capture": project.content_capture, "builtin": rules.get("builtin", [])}
    rows = forms.pop("rows", rules.get("patterns", []))
    failed = any(form.errors for form in forms.values() if hasattr(form, "errors"))
    context = {
        "project": project,
        "tab": "data",
        "may_change": project.role in (Role.ADMIN, Role.OWNER),
        "capture": CaptureForm(initial=initial),
        "retention": RetentionForm(initial=RetentionForm.initial_of(project)),
        "try_form": TryForm(),
        "erasure": ErasureForm(),
        "rows": [*rows, *[{} for _ in range(SPARE_ROWS)]],
        "limit_days": settings.LLMLAB_RETENTION_DAYS,
        **forms,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failed else HTTPStatus.OK
    return render(request, "projects/settings_data.html", context, status=status)


@login_required
@require_POST
def capture_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep the capture mode and the masking rules."""
    project = project_for(request, slug, Role.ADMIN)
    form = CaptureForm(request.POST)
    rows = _rows(request)
    if form.is_valid():
        try:
            change_data_policy(
                project=project,
                actor=person(request),
                content_capture=form.cleaned_data["content_capture"],
                masking={"builtin": form.cleaned_data["builtin"], "patterns": rows},
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "From now on contents are stored this way.")
            return redirect("projects:settings_data", slug=project.ref)
    return _page(request, project, capture=form, rows=rows)


def _rows(request: HttpRequest) -> list[dict[str, str]]:
    """Own patterns of the form, without the rows left empty."""
    columns = [request.POST.getlist(f"pattern_{name}") for name in ROW_FIELDS]
    rows = [dict(zip(ROW_FIELDS, values, strict=True)) for values in zip(*columns, strict=False)]
    return [row for row in rows if row["name"].strip() or row["pattern"].strip()]


@login_required
@require_POST
def masking_try(request: HttpRequest, slug: str) -> HttpResponse:
    """What the saved rules make of a text."""
    project = project_for(request, slug, Role.MEMBER)
    form = TryForm(request.POST)
    if not form.is_valid():
        return _page(request, project, try_form=form)
    rules = masking.rules_of(project.masking)
    if project.content_capture == "masked" and not rules:
        rules = masking.all_builtin()
    found = masking.preview(rules, form.cleaned_data["text"])
    return _page(request, project, try_form=form, tried=found)


@login_required
@require_POST
def retention_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep how long things stay; the next daily run applies it."""
    project = project_for(request, slug, Role.ADMIN)
    form = RetentionForm(request.POST)
    if form.is_valid():
        try:
            change_data_policy(project=project, actor=person(request), **form.changes())
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "Saved. What is too old goes within the day.")
            return redirect("projects:settings_data", slug=project.ref)
    return _page(request, project, retention=form)
