"""Maintenance windows: times in which nobody is told. Everybody of the organisation sees them, admins change them."""

import uuid
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from alerts.events import maintenance_services as services
from alerts.events.maintenance_forms import MaintenanceForm, fresh_values, values_of
from alerts.events.maintenance_lists import (
    SORTS,
    STATES,
    WindowRow,
    listed,
    read_wanted,
    window_of,
)
from alerts.models import Maintenance
from core.csv_cells import csv_lines
from core.errors import ConflictError, DomainError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from projects.selectors import projects_of

PAGE = 50
MAX_EXPORT = 1000
CELLS = (
    "id", "name", "project", "state", "starts_at", "ends_at", "repeats", "time_zone", "first_starts_at",
    "first_ends_at", "author",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def maintenance_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Windows with their running or next turn. Two queries besides who is asking."""
    membership = page_membership(request, slug)
    wanted, now = read_wanted(request.GET), timezone.now()
    rows, after = listed(membership.organization_id, wanted, now=now, limit=PAGE)
    context = {
        "organization": membership.organization,
        "tab": "maintenance",
        "may_change": membership.allows(Role.ADMIN),
        "rows": rows,
        "after": after,
        "wanted": wanted,
        "states": STATES.items(),
        "sorts": SORTS.items(),
        "projects": projects_of(person(request), membership.organization_id),
        "now": now,
    }
    return render_page_or_part(
        request,
        page="alerts/maintenance/list.html",
        part="alerts/maintenance/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def maintenance_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV."""
    membership = page_membership(request, slug)
    wanted, now = read_wanted(request.GET), timezone.now()
    rows, _ = listed(membership.organization_id, wanted, now=now, limit=MAX_EXPORT)
    name = f"{membership.organization.slug}-maintenance.csv"
    return csv_file(name, csv_lines([CELLS, *map(_cells, rows)]))


def _cells(row: WindowRow) -> list[Any]:
    window, (starts_at, ends_at) = row.window, row.shown
    return [
        window.pk, window.name, window.project.slug if window.project else "", row.state,
        starts_at.isoformat(), ends_at.isoformat(), window.repeats, window.time_zone,
        window.starts_at.isoformat(), window.ends_at.isoformat(),
        window.author.email if window.author else "",
    ]  # fmt: skip


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def maintenance_create(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a new window; `project` in the address chooses one."""
    membership = page_membership(request, slug, Role.ADMIN)
    now = timezone.now()
    if request.method == "GET":
        initial = fresh_values(now) | {"project": request.GET.get("project", "")[:64]}
        return _form_page(request, membership, _form(request, membership, initial=initial))
    form = _form(request, membership, request.POST)
    draft = form.draft(now)
    if draft is not None:
        try:
            window = services.create_maintenance(draft=draft, author=person(request), now=now)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved: {window.name}.")
            return redirect("alerts:maintenance_list", slug=slug)
    return _form_page(request, membership, form)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def maintenance_edit(request: HttpRequest, slug: str, maintenance_id: uuid.UUID) -> HttpResponse:
    """The form of a stored window."""
    membership = page_membership(request, slug, Role.ADMIN)
    now = timezone.now()
    row = window_of(membership.organization_id, maintenance_id, now)
    if request.method == "GET":
        form = _form(request, membership, initial=values_of(row.window))
        return _form_page(request, membership, form, row)
    form = _form(request, membership, request.POST)
    draft = form.draft(now)
    if draft is None:
        return _form_page(request, membership, form, row)
    window = services.change_maintenance(
        window_id=row.window.pk, draft=draft, author=person(request)
    )
    messages.success(request, f"Saved: {window.name}.")
    return redirect("alerts:maintenance_list", slug=slug)


def _form(
    request: HttpRequest, membership: Membership, data: Any = None, **options: Any
) -> MaintenanceForm:
    projects = projects_of(person(request), membership.organization_id)
    return MaintenanceForm(
        data, organization_id=membership.organization_id, projects=projects, **options
    )


def _form_page(
    request: HttpRequest,
    membership: Membership,
    form: MaintenanceForm,
    row: WindowRow | None = None,
) -> HttpResponse:
    context = {
        "organization": membership.organization,
        "tab": "maintenance",
        "form": form,
        "row": row,
        "now": timezone.now(),
    }
    is_wrong = form.is_bound and bool(form.errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "alerts/maintenance/form.html", context, status=status)


@login_required
@require_POST
def maintenance_end(request: HttpRequest, slug: str, maintenance_id: uuid.UUID) -> HttpResponse:
    """End what runs now; what still fires is told within a minute."""
    membership = page_membership(request, slug, Role.ADMIN)
    try:
        window: Maintenance = services.end_maintenance(
            organization_id=membership.organization_id,
            window_id=maintenance_id,
            author=person(request),
            now=timezone.now(),
        )
        messages.success(request, f"Ended: {window.name}. What still fires is told now.")
    except ConflictError as error:
        messages.info(request, error.detail)
    return redirect("alerts:maintenance_list", slug=slug)


@login_required
@require_POST
def maintenance_deletion(
    request: HttpRequest, slug: str, maintenance_id: uuid.UUID
) -> HttpResponse:
    """Delete a window; a running one ends by it."""
    membership = page_membership(request, slug, Role.ADMIN)
    row = window_of(membership.organization_id, maintenance_id, timezone.now())
    services.delete_maintenance(
        organization_id=membership.organization_id,
        window_id=maintenance_id,
        author=person(request),
    )
    messages.success(request, f"Deleted: {row.window.name}.")
    return redirect("alerts:maintenance_list", slug=slug)
