"""A project's first trace: waiting for it on the setup page, or sending one without code."""

import datetime as dt

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import Role
from core.errors import DomainError
from projects.access import project_for
from projects.models import Project
from traces.models import Trace
from traces.samples import send_test_trace


@login_required
@never_cache
@require_GET
def first_trace_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """204 while the project has no trace (since `?since=`, when given), then sends the reader to the newest."""
    project = project_for(request, slug)
    arrived = Trace.objects.filter(project=project)
    if text := request.GET.get("since", ""):
        arrived = arrived.filter(created_at__gte=_since(text))
    found = arrived.order_by("-created_at").values_list("trace_id", flat=True).first()
    if found is None:
        return HttpResponse(status=204)
    url = _trace_url(project, found)
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]


def _since(text: str) -> dt.datetime:
    """An aware time, at most a day back: an older page is answered like a page of yesterday."""
    try:
        return max(
            dt.datetime.fromisoformat(text.replace(" ", "+")), timezone.now() - dt.timedelta(days=1)
        )
    except (ValueError, TypeError):
        raise DomainError(
            f"since is {text[:40]!r}; it must be an ISO 8601 time with its zone.", fields=["since"]
        ) from None


@login_required
@require_POST
def test_trace_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Send a small agent run through the writer and open it (member+)."""
    project = project_for(request, slug, Role.MEMBER)
    if project.status != Project.Status.ACTIVE:
        raise DomainError(
            "This project is archived and takes no traces; restore it under Settings first.",
            code="project_archived",
            status=409,
        )
    trace_id = send_test_trace(
        project=project,
        user_label=request.user.email,  # type: ignore[union-attr]
        now=timezone.now(),
    )
    url = _trace_url(project, trace_id)
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]


def _trace_url(project: Project, trace_id: str) -> str:
    return reverse("traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace_id})
