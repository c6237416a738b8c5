"""Destinations and schedules of exports: seen by everyone, destinations kept by admins, schedules by members."""

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.errors import DomainError
from costs.exporting import destinations, schedules
from costs.exporting.forms import (
    DestinationForm,
    ScheduleForm,
    initial_of_destination,
    initial_of_schedule,
)
from costs.exporting.pages import shown, what_of
from costs.models import ExportDestination, ExportSchedule

RUNS = 20


@login_required
@never_cache
@require_GET
def destination_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Where exports can go. Two queries."""
    membership = page_membership(request, slug)
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "destinations": list(destinations.destinations_of(membership.organization_id)),
    }
    return render(request, "costs/exporting/destinations.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def destination_create(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a new bucket; saving it checks it at once."""
    membership = page_membership(request, slug, Role.ADMIN)
    if request.method == "POST":
        return _save_destination(request, membership, DestinationForm(request.POST))
    return _destination_page(request, membership, DestinationForm())


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def destination_edit(
    request: HttpRequest, slug: str, export_destination_id: uuid.UUID
) -> HttpResponse:
    """Change a bucket; its secret stays unless another is given."""
    membership = page_membership(request, slug, Role.ADMIN)
    one = destinations.destination_of(membership.organization_id, export_destination_id)
    if request.method == "POST":
        return _save_destination(request, membership, DestinationForm(request.POST), one)
    form = DestinationForm(initial=initial_of_destination(one))
    return _destination_page(request, membership, form, one)


def _save_destination(
    request: HttpRequest,
    membership: Membership,
    form: DestinationForm,
    one: ExportDestination | None = None,
) -> HttpResponse:
    if form.is_valid():
        try:
            saved = destinations.save_destination(
                organization=membership.organization,
                draft=form.draft(),
                destination=one,
                actor=person(request),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            return _check(request, membership, saved)
    return _destination_page(request, membership, form, one)


def _check(request: HttpRequest, membership: Membership, one: ExportDestination) -> HttpResponse:
    checked = destinations.check_destination(
        destination=one, now=timezone.now(), actor=person(request)
    )
    if checked.status == ExportDestination.Status.VERIFIED:
        messages.success(request, f"{one.name} works: a probe was written and deleted.")
    else:
        messages.error(request, f"{one.name} is saved, but: {checked.status_message}")
    return redirect("costs:export_destination_list", slug=membership.organization.slug)


def _destination_page(
    request: HttpRequest,
    membership: Membership,
    form: DestinationForm,
    one: ExportDestination | None = None,
) -> HttpResponse:
    context = {"organization": membership.organization, "form": form, "destination": one}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "costs/exporting/destination_form.html", context, status=status)


@login_required
@require_POST
def destination_check(
    request: HttpRequest, slug: str, export_destination_id: uuid.UUID
) -> HttpResponse:
    """Write and delete a probe object now."""
    membership = page_membership(request, slug, Role.ADMIN)
    one = destinations.destination_of(membership.organization_id, export_destination_id)
    return _check(request, membership, one)


@login_required
@require_POST
def destination_removal(
    request: HttpRequest, slug: str, export_destination_id: uuid.UUID
) -> HttpResponse:
    """Forget a bucket and its secret."""
    membership = page_membership(request, slug, Role.ADMIN)
    one = destinations.destination_of(membership.organization_id, export_destination_id)
    destinations.remove_destination(destination=one, actor=person(request))
    messages.success(request, f"{one.name} is removed; what was sent there stays.")
    return redirect("costs:export_destination_list", slug=slug)


@login_required
@never_cache
@require_GET
def schedule_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Exports by the clock and how they stand. Two queries."""
    membership = page_membership(request, slug)
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.MEMBER),
        "rows": [
            {"schedule": one, "what": what_of(one)}
            for one in schedules.schedules_of(membership.organization_id)
        ],
        "now": timezone.now(),
    }
    return render(request, "costs/exporting/schedules.html", context)


@login_required
@never_cache
@require_GET
def schedule_detail(request: HttpRequest, slug: str, export_schedule_id: uuid.UUID) -> HttpResponse:
    """One schedule with its last runs. Three queries."""
    membership = page_membership(request, slug)
    one = schedules.schedule_of(membership.organization_id, export_schedule_id)
    found = list(schedules.runs_of(one).order_by("-pk")[:RUNS])
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.MEMBER),
        "may_start": membership.allows(Role.MEMBER),
        "schedule": one,
        "what": what_of(one),
        "rows": [shown(job) for job in found],
        "is_open": any(job.is_open for job in found),
        "sent": sorted(one.sent),
        "now": timezone.now(),
    }
    return render(request, "costs/exporting/schedule.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def schedule_create(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a new schedule."""
    membership = page_membership(request, slug, Role.MEMBER)
    pk = membership.organization_id
    if request.method == "POST":
        return _save_schedule(request, membership, ScheduleForm(request.POST, organization_id=pk))
    first = timezone.now().date().replace(day=1)
    form = ScheduleForm(organization_id=pk, initial={"first_day": first})
    return _schedule_page(request, membership, form)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def schedule_edit(request: HttpRequest, slug: str, export_schedule_id: uuid.UUID) -> HttpResponse:
    """Change a schedule."""
    membership = page_membership(request, slug, Role.MEMBER)
    pk = membership.organization_id
    one = schedules.schedule_of(pk, export_schedule_id)
    if request.method == "POST":
        form = ScheduleForm(request.POST, organization_id=pk)
        return _save_schedule(request, membership, form, one)
    form = ScheduleForm(organization_id=pk, initial=initial_of_schedule(one))
    return _schedule_page(request, membership, form, one)


def _save_schedule(
    request: HttpRequest,
    membership: Membership,
    form: ScheduleForm,
    one: ExportSchedule | None = None,
) -> HttpResponse:
    if form.is_valid():
        try:
            saved = schedules.save_schedule(
                organization=membership.organization,
                draft=form.draft(),
                schedule=one,
                now=timezone.now(),
                actor=person(request),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved: {saved.name}.")
            slug = membership.organization.slug
            return redirect("costs:export_schedule_detail", slug=slug, export_schedule_id=saved.pk)
    return _schedule_page(request, membership, form, one)


def _schedule_page(
    request: HttpRequest,
    membership: Membership,
    form: ScheduleForm,
    one: ExportSchedule | None = None,
) -> HttpResponse:
    context = {"organization": membership.organization, "form": form, "schedule": one}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "costs/exporting/schedule_form.html", context, status=status)


@login_required
@require_POST
def schedule_run(request: HttpRequest, slug: str, export_schedule_id: uuid.UUID) -> HttpResponse:
    """Run it now; the clock goes on as before."""
    membership = page_membership(request, slug, Role.MEMBER)
    one = schedules.schedule_of(membership.organization_id, export_schedule_id)
    job = schedules.run_schedule(schedule=one, now=timezone.now(), actor=person(request))
    if job is None:
        messages.info(request, "Nothing has changed since the last run; there is nothing to send.")
        return redirect(
            "costs:export_schedule_detail", slug=slug, export_schedule_id=export_schedule_id
        )
    return redirect("costs:export_detail", slug=slug, export_id=job.pk)


@login_required
@require_POST
def schedule_pause(request: HttpRequest, slug: str, export_schedule_id: uuid.UUID) -> HttpResponse:
    """Pause (`paused` is 1) or go on (0)."""
    membership = page_membership(request, slug, Role.MEMBER)
    one = schedules.schedule_of(membership.organization_id, export_schedule_id)
    wanted = request.POST.get("paused", "")
    if wanted not in ("0", "1"):
        raise DomainError(f"paused is {wanted[:40]!r}; it must be 0 or 1.", fields=["paused"])
    schedules.pause_schedule(
        schedule=one, is_paused=wanted == "1", now=timezone.now(), actor=person(request)
    )
    messages.success(request, f"{one.name} {'is paused' if wanted == '1' else 'runs again'}.")
    return redirect(
        "costs:export_schedule_detail", slug=slug, export_schedule_id=export_schedule_id
    )


@login_required
@require_POST
def schedule_removal(
    request: HttpRequest, slug: str, export_schedule_id: uuid.UUID
) -> HttpResponse:
    """Forget a schedule; its exports and what was sent stay."""
    membership = page_membership(request, slug, Role.MEMBER)
    one = schedules.schedule_of(membership.organization_id, export_schedule_id)
    schedules.remove_schedule(schedule=one, actor=person(request))
    messages.success(request, f"{one.name} is removed.")
    return redirect("costs:export_schedule_list", slug=slug)
