"""Limits: the list, making and changing one, how far each subject of it is; pause and delete."""

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

from accounts.models import Organization, Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from gateway.models import Limit
from gateway.quotas import selectors, services
from gateway.quotas.deciding import plain
from gateway.quotas.forms import ChangeForm, LimitForm, refuse
from gateway.quotas.preview import preview_of

CSV_HEAD = (
    "name", "scope", "value", "project", "metric", "window", "amount", "hard", "paused", "subjects", "busiest",
    "used", "reserved", "resets_at", "created_at",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def limit_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every limit and how far it is. Four queries with the membership, two more where keys and projects have names."""
    membership = page_membership(request, slug)
    asked, now = selectors.read_asked(request.GET), timezone.now()
    rows, after = selectors.listed(membership.organization_id, asked, now=now)
    context = {
        "organization": membership.organization,
        "tab": "limits",
        "may_change": membership.allows(Role.ADMIN),
        "rows": rows,
        "after": after,
        "asked": asked,
        "scopes": selectors.SCOPES.items(),
        "metrics": selectors.METRICS.items(),
        "states": selectors.STATES.items(),
        "sorts": selectors.SORTS.items(),
        "now": now,
    }
    return render_page_or_part(
        request,
        page="gateway/limits/list.html",
        part="gateway/limits/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def limit_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The limits that the list shows as CSV; there are at most two hundred."""
    membership = page_membership(request, slug)
    asked = selectors.read_asked(request.GET)
    lines = []
    for row in selectors.chosen(membership.organization_id, asked, now=timezone.now()):
        limit, top = row.limit, row.top
        lines.append(
            (
                limit.name, limit.scope, limit.value, limit.project.name if limit.project else "", limit.metric,
                limit.window, plain(limit.amount), limit.is_hard, limit.is_paused, row.subjects, top.label,
                plain(top.used), plain(top.reserved), row.resets_at.isoformat() if row.resets_at else "",
                limit.created_at.isoformat(),
            )
        )  # fmt: skip
    return csv_file(f"{slug}-limits.csv", csv_lines([CSV_HEAD, *lines]))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def limit_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A new limit; with `preview` it only says what the limit would have met in the last 30 days."""
    membership = page_membership(request, slug, Role.ADMIN)
    organization = membership.organization
    form = LimitForm(
        request.POST or None,
        projects=selectors.projects_to_choose(organization.pk),
        keys=selectors.keys_to_choose(organization.pk),
    )
    preview = None
    if form.is_bound and form.is_valid():
        now = timezone.now()
        try:
            if "preview" in request.POST:
                draft = services.draft_limit(organization=organization, **form.values())
                preview = preview_of(draft, now)
            else:
                made = services.create_limit(
                    organization=organization, actor=person(request), now=now, **form.values()
                )
                messages.success(request, f"{made.name} counts from now on.")
                return redirect("gateway:limit_detail", slug=slug, gateway_limit_id=made.pk)
        except DomainError as error:
            refuse(form, error)
    return _form_page(request, organization, form, None, preview)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def limit_edit(request: HttpRequest, slug: str, gateway_limit_id: uuid.UUID) -> HttpResponse:
    """Name, amount, hard or soft; what was used stays."""
    membership = page_membership(request, slug, Role.ADMIN)
    row = selectors.limit_of(membership.organization_id, gateway_limit_id)
    form = ChangeForm(request.POST or None, limit=row)
    preview = None
    if form.is_bound and form.is_valid():
        now, values = timezone.now(), form.values()
        try:
            if "preview" in request.POST:
                row.amount = services.clean_amount(row.metric, values["amount"])
                row.is_hard = values["is_hard"]
                preview = preview_of(row, now)
            else:
                services.change_limit(limit=row, actor=person(request), now=now, **values)
                messages.success(request, "Saved.")
                return redirect("gateway:limit_detail", slug=slug, gateway_limit_id=row.pk)
        except DomainError as error:
            refuse(form, error)
    return _form_page(request, membership.organization, form, row, preview)


def _form_page(
    request: HttpRequest,
    organization: Organization,
    form: ChangeForm,
    limit: Limit | None,
    preview: Any,
) -> HttpResponse:
    context = {
        "organization": organization,
        "tab": "limits",
        "form": form,
        "limit": limit,
        "preview": preview,
        "row": selectors.Row(limit, timezone.now()) if limit else None,
    }
    is_refused = form.is_bound and preview is None
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK
    return render(request, "gateway/limits/edit.html", context, status=status)


@login_required
@never_cache
@require_GET
def limit_detail(request: HttpRequest, slug: str, gateway_limit_id: uuid.UUID) -> HttpResponse:
    """How far it is, and its busiest subjects. The part asks again by itself."""
    membership = page_membership(request, slug)
    limit = selectors.limit_of(membership.organization_id, gateway_limit_id)
    now = timezone.now()
    context = {
        "organization": membership.organization,
        "tab": "limits",
        "may_change": membership.allows(Role.ADMIN),
        "limit": limit,
        "row": selectors.rows_of([limit], now=now, busiest=selectors.BUSIEST)[0],
        "now": now,
    }
    return render_page_or_part(
        request,
        page="gateway/limits/detail.html",
        part="gateway/limits/_state.html",
        context=context,
    )


@login_required
@require_POST
def limit_pause(request: HttpRequest, slug: str, gateway_limit_id: uuid.UUID) -> HttpResponse:
    """`paused=1` counts and refuses nothing until `paused=0`."""
    membership = page_membership(request, slug, Role.ADMIN)
    row = selectors.limit_of(membership.organization_id, gateway_limit_id)
    is_paused = request.POST.get("paused", "1") == "1"
    services.change_limit(limit=row, is_paused=is_paused, actor=person(request), now=timezone.now())
    text = "Paused. It counts and refuses nothing." if is_paused else "It counts again."
    messages.success(request, text)
    return redirect("gateway:limit_detail", slug=slug, gateway_limit_id=row.pk)


@login_required
@require_POST
def limit_deletion(request: HttpRequest, slug: str, gateway_limit_id: uuid.UUID) -> HttpResponse:
    """Delete it; its name has to be typed."""
    membership = page_membership(request, slug, Role.ADMIN)
    row = selectors.limit_of(membership.organization_id, gateway_limit_id)
    if request.POST.get("confirmation", "").strip() != row.name:
        messages.error(request, f"Type {row.name} to delete it; nothing was deleted.")
        return redirect("gateway:limit_detail", slug=slug, gateway_limit_id=row.pk)
    services.delete_limit(limit=row, actor=person(request))
    messages.success(request, f"{row.name} is deleted.")
    return redirect("gateway:limit_list", slug=slug)
