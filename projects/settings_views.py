"""`/projects/<slug>/settings/`: general, API keys, danger zone."""

import datetime as dt
import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms import add_domain_error
from accounts.models import Membership, Role
from accounts.selectors import person
from core.errors import ConflictError, DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.models import Job
from projects import selectors, services
from projects.access import check_may_hold, project_for
from projects.forms import EXPIRIES, ApiKeyForm, DeletionForm, RenameForm, RotationForm
from projects.models import ApiKey, Project
from projects.purge import TOPIC as PURGE_TOPIC

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@login_required
@require_http_methods(["GET", "POST"])
def general(request: HttpRequest, slug: str) -> HttpResponse:
    """Name, ids, address. Everyone reads, admins rename."""
    project = project_for(request, slug, Role.ADMIN if request.method == "POST" else Role.VIEWER)
    form = RenameForm(request.POST or None, initial={"name": project.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.rename_project(
                project=project,
                name=form.cleaned_data["name"],
                actor=person(request),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "The project is renamed.")
            return redirect("projects:settings", slug=project.ref)
    context = {"project": project, "form": form, "tab": "general", "may_change": _is_admin(project)}
    return _page(request, "projects/settings_general.html", context, form.is_bound)


def _is_admin(project: Project) -> bool:
    return project.role in (Role.ADMIN, Role.OWNER)


def _page(
    request: HttpRequest, template: str, context: dict[str, object], failed: bool
) -> HttpResponse:
    return render(request, template, context, status=UNPROCESSABLE if failed else HTTPStatus.OK)


@login_required
@require_GET
def api_key_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every key: prefix, scopes, last use, expiry."""
    project = project_for(request, slug, Role.MEMBER)
    now = timezone.now()
    rows = [
        {"key": key, "is_usable": key.is_usable(now), "dialog_id": f"revoke-{key.pk}"}
        for key in selectors.api_keys(project)
    ]
    context = {"project": project, "rows": rows, "tab": "api-keys", "rotation": RotationForm()}
    return render(request, "projects/api_key_list.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def api_key_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A new key; the answer to the POST is the only page that shows it."""
    project = project_for(request, slug, Role.MEMBER)
    form = ApiKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        check_may_hold(project.role, form.cleaned_data["scopes"])
        now = timezone.now()
        days = EXPIRIES[form.cleaned_data["expires_in"]]
        try:
            key, raw = services.create_api_key(
                project=project,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=now + dt.timedelta(days=days) if days else None,
                actor=person(request),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            return _show_once(request, project, key, raw)
    context = {"project": project, "form": form, "tab": "api-keys"}
    return _page(request, "projects/api_key_create.html", context, form.is_bound)


def _show_once(
    request: HttpRequest, project: Project, key: ApiKey, raw: str, old: ApiKey | None = None
) -> HttpResponse:
    context = {"project": project, "key": key, "raw_key": raw, "old": old, "tab": "api-keys"}
    return render(request, "projects/api_key_created.html", context, status=HTTPStatus.CREATED)


def _key(project: Project, key_id: uuid.UUID) -> ApiKey:
    key = selectors.api_keys(project).filter(pk=key_id).first()
    if key is None:
        raise NotFoundError("There is no such API key in this project.")
    check_may_hold(project.role, key.scopes)
    return key


@login_required
@never_cache
@require_POST
def api_key_rotate(request: HttpRequest, slug: str, key_id: uuid.UUID) -> HttpResponse:
    """A successor, shown once; the old key keeps working for the chosen overlap."""
    project = project_for(request, slug, Role.MEMBER)
    old = _key(project, key_id)
    form = RotationForm(request.POST)
    if not form.is_valid():
        raise DomainError("overlap must be one of now, 1h, 24h, 7d.", fields=["overlap"])
    key, raw = services.rotate_api_key(
        project=project,
        key=old,
        overlap=form.cleaned_data["overlap"],
        now=timezone.now(),
        actor=person(request),
    )
    old.refresh_from_db(fields=["expires_at"])
    return _show_once(request, project, key, raw, old)


@login_required
@require_POST
def api_key_revoke(request: HttpRequest, slug: str, key_id: uuid.UUID) -> HttpResponse:
    """Stop a key at once."""
    project = project_for(request, slug, Role.MEMBER)
    key = _key(project, key_id)
    services.revoke_api_key(project=project, key=key, now=timezone.now(), actor=person(request))
    messages.success(
        request, f"The key {key.name} is revoked; requests with it are refused from now on."
    )
    return redirect("projects:api_key_list", slug=project.ref)


@login_required
@require_http_methods(["GET", "POST"])
def danger(request: HttpRequest, slug: str) -> HttpResponse:
    """Archive, reopen, delete. Deleting needs the slug typed."""
    project = project_for(request, slug, Role.ADMIN)
    form = DeletionForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        job = services.request_project_deletion(
            project=project,
            actor=person(request),
            now=timezone.now(),
        )
        return redirect("projects:project_deletion", job_id=job.pk)
    context = {"project": project, "form": form, "tab": "danger"}
    return _page(request, "projects/settings_danger.html", context, form.is_bound)


@login_required
@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop or take up ingestion: `archived=1` or `archived=0`."""
    project = project_for(request, slug, Role.ADMIN)
    if request.POST.get("archived") == "0":
        services.unarchive_project(project=project, actor=person(request))
        messages.success(request, f"{project.name} takes new data again.")
    else:
        services.archive_project(project=project, actor=person(request))
        messages.success(
            request, f"{project.name} is archived: readable, but it takes no new data."
        )
    return redirect("projects:settings_danger", slug=project.ref)


@login_required
@require_GET
def deletion(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """How far the purge is; the part polls itself until it ends."""
    job, membership = _deletion_job(request, job_id)
    context = {
        "job": job,
        "job_ratio": job.percent / 100,
        "is_open": job.state in (Job.State.QUEUED, Job.State.RUNNING),
        "may_cancel": job.state == Job.State.QUEUED and membership.allows(Role.ADMIN),
    }
    return render_page_or_part(
        request,
        page="projects/project_deletion.html",
        part="projects/_deletion_progress.html",
        context=context,
    )


def _deletion_job(request: HttpRequest, job_id: uuid.UUID) -> tuple[Job, Membership]:
    job = Job.objects.filter(pk=job_id, kind=PURGE_TOPIC).first()
    membership = (
        Membership.objects.select_related("organization")
        .filter(user=person(request), organization_id=job.organization_id)
        .first()
        if job
        else None
    )
    if job is None or membership is None:
        raise NotFoundError("There is no such deletion.")
    request.current_membership = membership  # type: ignore[attr-defined]
    return job, membership


@login_required
@require_POST
def deletion_cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Bring the project back while nothing of it is deleted."""
    job, membership = _deletion_job(request, job_id)
    if not membership.allows(Role.ADMIN):
        raise DomainError("Cancelling needs the role admin.", code="forbidden", status=403)
    try:
        project = services.cancel_project_deletion(job=job, actor=person(request))
    except ConflictError as error:
        messages.error(request, error.detail)
        return redirect("projects:project_deletion", job_id=job.pk)
    messages.success(request, f"{project.name} is back; nothing was deleted.")
    return redirect("projects:project_list")
