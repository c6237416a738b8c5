"""Data settings that need the traces: storage used, erasure of a user or session, a new encryption key."""

import datetime as dt
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import add_domain_error
from accounts.models import Role
from accounts.selectors import organization_for, person
from core.errors import DomainError
from projects.access import project_for
from projects.data_forms import ErasureForm
from traces import erasure, retention, rotation, storage
from traces.models import Trace


@login_required
@never_cache
@require_GET
def storage_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """How much the project holds, since when, and when the oldest will go."""
    project = project_for(request, slug)
    now = timezone.now()
    days = retention.kept_days(project)
    held = storage.held(project.pk, since=now - dt.timedelta(days=days))
    oldest = (
        Trace.objects.filter(project=project)
        .order_by("started_at")
        .values_list("started_at", flat=True)
        .first()
    )
    context = {"project": project, "held": held, "oldest": oldest, "kept_days": days}
    return render(request, "traces/_storage_panel.html", context)


@login_required
@require_POST
def erasure_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete everything of one user or session, as a job."""
    project = project_for(request, slug, Role.ADMIN)
    form = ErasureForm(request.POST)
    if form.is_valid():
        try:
            job = erasure.start_erasure(
                project=project,
                subject=form.cleaned_data["subject"],
                value=form.cleaned_data["value"],
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            return redirect("projects:job_detail", job_id=job.pk)
    context = {"project": project, "erasure": form, "tab": "data"}
    return render(
        request,
        "traces/erasure.html",
        context,
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
    )


@login_required
@require_POST
def key_rotation(request: HttpRequest, slug: str) -> HttpResponse:
    """A new data key for the organisation; owners only."""
    membership = organization_for(person(request), slug, Role.OWNER)
    job = rotation.start_rotation(
        organization=membership.organization, actor=person(request), now=timezone.now()
    )
    messages.success(request, "New contents use the new key from now on; the old ones follow.")
    return redirect("projects:job_detail", job_id=job.pk)
