"""Long jobs: how far they are, how they ended, and the button that ends them early."""

import datetime as dt
import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Membership
from accounts.selectors import person
from core import jobs
from core.errors import ConflictError, DomainError, NotFoundError
from core.htmx import render_page_or_part, wants_part
from core.models import Job
from projects import job_selectors as selectors


@login_required
@never_cache
@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    """Jobs of the person's organisations, newest first; `state` and `kind` narrow, `before` pages."""
    page = selectors.job_page(
        person(request),
        state=request.GET.get("state", ""),
        kind=request.GET.get("kind", ""),
        before=request.GET.get("before", ""),
    )
    context = {"page": page, "states": Job.State.choices, "now": timezone.now()}
    return render_page_or_part(
        request,
        page="projects/job_list.html",
        part="projects/_job_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def job_detail(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """One job; the part polls itself until the job ends."""
    job, membership = _job(request, job_id)
    context = job_context(job, membership)
    return render_page_or_part(
        request, page="projects/job_detail.html", part="components/job.html", context=context
    )


def job_context(job: Job, membership: Membership) -> dict[str, object]:
    """What components/job.html shows."""
    return {
        "job": job,
        "job_ratio": job.percent / 100,
        "may_cancel": job.is_open
        and job.cancel_requested_at is None
        and jobs.is_registered(job.kind)
        and selectors.may_cancel(job, membership),
        "left": selectors.time_left(job, now=timezone.now()),
    }


@login_required
@require_POST
def job_cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """End the job before its next step: whoever started it, and admins."""
    job, membership = _job(request, job_id)
    cancel(job, membership, now=timezone.now())
    if wants_part(request):
        return job_detail_part(request, job_id)
    messages.success(request, f"{job.title} ends after the step it is in.")
    return redirect("projects:job_detail", job_id=job.pk)


def job_detail_part(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """The job's card after a change."""
    job, membership = _job(request, job_id)
    return render_page_or_part(
        request,
        page="projects/job_detail.html",
        part="components/job.html",
        context=job_context(job, membership),
    )


def cancel(job: Job, membership: Membership, *, now: dt.datetime) -> None:
    """Raises DomainError 403 for a member who did not start it, ConflictError when it cannot be cancelled any more."""
    if not selectors.may_cancel(job, membership):
        raise DomainError(
            "Cancelling needs the role admin, or having started the job.",
            code="forbidden",
            status=HTTPStatus.FORBIDDEN,
        )
    if not jobs.is_registered(job.kind):
        raise ConflictError("This kind of job has its own page to cancel it.")
    jobs.request_cancel(job.pk, now=now)


def _job(request: HttpRequest, job_id: uuid.UUID) -> tuple[Job, Membership]:
    found = selectors.job_of(person(request), job_id)
    if found is None:
        raise NotFoundError("There is no such job, or you have no access to it.")
    request.current_membership = found[1]  # type: ignore[attr-defined]
    return found
