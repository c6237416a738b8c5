"""Entry points, the project list, creating a project, its setup page."""

from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.forms import add_domain_error
from accounts.models import Role
from accounts.selectors import (
    SESSION_ORGANIZATION,
    current_membership,
    memberships_of,
    person,
)
from core.errors import DomainError
from core.htmx import render_page_or_part
from projects import selectors, services
from projects.access import project_for
from projects.context_processors import last_project
from projects.forms import ProjectForm
from projects.gateway_snippets import languages, switches
from projects.models import ApiKey
from projects.snippets import PLACEHOLDER, snippets

SETUP_KEY_NAME = "Setup"


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """`/`: the last used project's dashboard; without a project the way to one; signed out, the
    login.
    """
    return _to_last_project(request, "costs:dashboard")


@login_required
@require_GET
def entry(request: HttpRequest, target: str) -> HttpResponse:
    """`/dashboard/`, `/traces/`, `/gateway/`, `/setup/`, `/settings/`: that page of the last used project."""
    return _to_last_project(request, target)


def _to_last_project(request: HttpRequest, target: str) -> HttpResponse:
    user = request.user
    if not user.is_authenticated:
        return redirect("account_login")
    project = last_project(request, selectors.projects_of(user))
    if project is not None:
        response = redirect(target, slug=project.ref)
        query = request.META.get("QUERY_STRING", "")
        if query:
            response["Location"] += f"?{query}"
        return response
    membership = current_membership(request)
    if membership is None:
        return redirect("accounts:organization_create")
    if membership.allows(Role.MEMBER):
        return redirect("projects:project_create")
    return redirect("projects:project_list")


@login_required
@require_GET
def project_home(request: HttpRequest, slug: str) -> HttpResponse:
    """`/projects/<slug>/` is its dashboard."""
    return redirect("costs:dashboard", slug=project_for(request, slug).ref)


@login_required
@require_GET
def project_list(request: HttpRequest) -> HttpResponse:
    """The current organisation's projects; spend and last activity are filled in by the costs
    panel.
    """
    membership = current_membership(request)
    if membership is None:
        return redirect("accounts:organization_create")
    request.current_membership = membership  # type: ignore[attr-defined]
    archived = request.GET.get("status") == "archived"
    search = request.GET.get("q", "").replace("\x00", "").strip()[:80]
    sort = request.GET.get("sort", selectors.DEFAULT_SORT)
    context = {
        "membership": membership,
        "memberships": memberships_of(person(request)),
        "projects": selectors.project_list(
            person(request),
            membership.organization,
            archived=archived,
            search=search,
            sort=sort,
        ),
        "archived": archived,
        "search": search,
        "archived_count": selectors.archived_count(membership.organization),
        "jobs": selectors.deletion_jobs(membership.organization),
        "may_create": membership.allows(Role.MEMBER),
    }
    return render_page_or_part(
        request,
        page="projects/project_list.html",
        part="projects/_project_list_results.html",
        context=context,
    )


@login_required
@require_http_methods(["GET", "POST"])
def project_create(request: HttpRequest) -> HttpResponse:
    """A new project of the current organisation, then its setup page."""
    membership = current_membership(request)
    if membership is None:
        return redirect("accounts:organization_create")
    if not membership.allows(Role.MEMBER):
        raise DomainError("Creating projects needs the role member.", code="forbidden", status=403)
    request.current_membership = membership  # type: ignore[attr-defined]
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = services.create_project(
                organization=membership.organization,
                name=form.cleaned_data["name"],
                slug=form.cleaned_data["slug"] or None,
                actor=person(request),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            request.session[SESSION_ORGANIZATION] = str(membership.organization_id)
            messages.success(request, f"{project.name} is created. Send its first trace.")
            return redirect("projects:setup", slug=_ref(request, project.pk, project.slug))
    context = {"form": form, "organization": membership.organization}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "projects/project_create.html", context, status=status)


def _ref(request: HttpRequest, project_id: object, slug: str) -> str:
    """What URLs carry for a project made a moment ago."""
    found = selectors.projects_of(person(request))
    return next((project.ref for project in found if project.pk == project_id), slug)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the first trace or call: a key made on demand and shown once, code with it filled in, and the
    wait. `way=gateway` chooses calling models.
    """
    project = project_for(request, slug, Role.MEMBER if request.method == "POST" else Role.VIEWER)
    way = "gateway" if "gateway" in (request.POST.get("way"), request.GET.get("way")) else ""
    raw = None
    if request.method == "POST":
        _, raw = services.create_api_key(
            project=project,
            name=SETUP_KEY_NAME,
            scopes=[ApiKey.Scope.GATEWAY if way else ApiKey.Scope.INGEST],
            actor=person(request),
        )
    base_url = settings.LLMLAB_BASE_URL
    context = {
        "project": project,
        "raw_key": raw,
        "may_create_key": project.role != Role.VIEWER,
        "way": way,
        "snippets": snippets(
            base_url=base_url,
            project=project.slug,
            key=PLACEHOLDER if way or raw is None else raw,
            now=timezone.now(),
        ),
        "languages": languages(base_url=base_url, key=raw if way and raw else PLACEHOLDER),
        "switches": switches(base_url=base_url),
    }
    return render_page_or_part(
        request, page="projects/setup.html", part="projects/_setup_steps.html", context=context
    )
