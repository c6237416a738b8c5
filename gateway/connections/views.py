"""Connections: the list, making and changing one, and how it stands."""

import uuid
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Membership, Organization, Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part, wants_part
from core.streaming import csv_file
from gateway.connections import selectors, services
from gateway.connections.checking import NOBODY
from gateway.connections.forms import ConnectionForm, refuse
from gateway.connections.providers import PROVIDERS
from gateway.connections.values import provider_for
from gateway.models import Connection

ICONS = {
    "openai": "sparkles",
    "anthropic": "bot",
    "azure": "building-2",
    "gemini": "star",
    "compatible": "server",
}
CSV_HEAD = (
    "name", "kind", "address", "state", "project", "models", "keys", "checked_at", "check_message", "created_at",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def connection_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every connection and how it stands. Three queries with the membership."""
    membership = page_membership(request, slug)
    asked, now = selectors.read_asked(request.GET), timezone.now()
    rows, after = selectors.listed(membership.organization_id, asked, now=now)
    context = {
        "organization": membership.organization,
        "tab": "connections",
        "may_change": membership.allows(Role.ADMIN),
        "rows": rows,
        "after": after,
        "asked": asked,
        "kinds": selectors.KINDS.items(),
        "states": selectors.STATES.items(),
        "sorts": selectors.SORTS.items(),
        "icons": ICONS,
        "now": now,
        "is_testing": any(row.state == "testing" for row in rows),
    }
    return render_page_or_part(
        request,
        page="gateway/connections/list.html",
        part="gateway/connections/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def connection_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The connections that the list shows as CSV; there are at most a hundred."""
    membership = page_membership(request, slug)
    asked = selectors.read_asked(request.GET)
    found = list(selectors.chosen(membership.organization_id, asked)[: services.MAX_CONNECTIONS])
    lines = [
        (
            row.connection.name, row.connection.kind, row.address, row.state,
            row.connection.project.name if row.connection.project else "",
            " ".join(row.connection.model_names), " ".join(one.key.hint for one in row.keys),
            row.connection.checked_at.isoformat() if row.connection.checked_at else "",
            row.connection.check_message, row.connection.created_at.isoformat(),
        )
        for row in selectors.rows_of(found, now=timezone.now())
    ]  # fmt: skip
    return csv_file(f"{slug}-connections.csv", csv_lines([CSV_HEAD, *lines]))


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Which kind, then its form; the address is checked when it is sent."""
    membership = page_membership(request, slug, Role.ADMIN)
    kind = request.GET.get("kind", "")
    if not kind:
        context = {
            "organization": membership.organization,
            "tab": "connections",
            "choices": [(one, ICONS[kind]) for kind, one in PROVIDERS.items()],
        }
        return render(request, "gateway/connections/choose.html", context)
    form = ConnectionForm(
        request.POST or None,
        provider=provider_for(kind),
        projects=selectors.projects_to_choose(membership.organization_id),
    )
    if form.is_bound and form.is_valid():
        try:
            made = services.create_connection(
                organization=membership.organization,
                kind=kind,
                actor=person(request),
                now=timezone.now(),
                **form.values(),
            )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{made.name} is added. Test it to see it work.")
            return redirect("gateway:connection_detail", slug=slug, gateway_connection_id=made.pk)
    return _form_page(request, membership.organization, form, None)


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_edit(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """Name, address, settings, models, project."""
    membership = page_membership(request, slug, Role.ADMIN)
    row = selectors.connection_of(membership.organization_id, gateway_connection_id)
    form = ConnectionForm(
        request.POST or None,
        provider=PROVIDERS[row.kind],
        projects=selectors.projects_to_choose(membership.organization_id),
        connection=row,
    )
    if form.is_bound and form.is_valid():
        try:
            services.change_connection(
                connection=row, actor=person(request), now=timezone.now(), **form.values()
            )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("gateway:connection_detail", slug=slug, gateway_connection_id=row.pk)
    return _form_page(request, membership.organization, form, row)


def _form_page(
    request: HttpRequest,
    organization: Organization,
    form: ConnectionForm,
    connection: Connection | None,
) -> HttpResponse:
    context = {
        "organization": organization,
        "tab": "connections",
        "form": form,
        "provider": form.provider,
        "connection": connection,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "gateway/connections/edit.html", context, status=status)


@login_required
@never_cache
@require_GET
def connection_detail(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """How a connection stands, its keys and models, the routes that use it. The part polls while it is tested."""
    membership = page_membership(request, slug)
    row = selectors.connection_of(membership.organization_id, gateway_connection_id)
    context = _state(membership, row)
    # Only where the page shows others: somebody may be choosing among them.
    shown = request.GET.get("models", "")
    context["has_news"] = wants_part(request) and shown not in ("", str(len(context["models"])))
    return render_page_or_part(
        request,
        page="gateway/connections/detail.html",
        part="gateway/connections/_state.html",
        context=context,
    )


def _state(membership: Membership, connection: Connection) -> dict[str, Any]:
    """Two queries."""
    now = timezone.now()
    row = selectors.rows_of([connection], now=now)[0]
    chosen = set(connection.model_names)
    return {
        "organization": membership.organization,
        "tab": "connections",
        "may_change": membership.allows(Role.ADMIN),
        "connection": connection,
        "row": row,
        "icon": ICONS[connection.kind],
        "settings": [
            (field.label, "Yes" if connection.settings[field.name] is True else connection.settings[field.name])
            for field in row.provider.fields
            if field.name in connection.settings
        ],
        # What may be chosen: what it offered, and what was named besides.
        "models": [
            (name, name in chosen)
            for name in dict.fromkeys([*connection.model_names, *connection.offered_models])
        ],
        "routes": selectors.routes_using(connection),
        "nobody": NOBODY,
        "now": now,
    }  # fmt: skip
