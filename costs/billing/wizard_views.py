"""Making a billing connection in three steps, and changing one: provider, access with a live check, schedule."""

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
from django.views.decorators.http import require_http_methods

from accounts.models import Role
from accounts.selectors import page_membership, person
from core.errors import DomainError
from costs.billing import connections as services
from costs.billing.access import SEEN, plugin_named
from costs.billing.doors import connection_for
from costs.billing.forms import AccessForm, ConnectionForm, ScheduleForm
from costs.billing.selectors import account_of
from costs.providers.registry import plugins
from projects.models import ProviderConnection

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
# Beside each provider's name in step 1: what has to be at hand.
NEEDS = {
    "openai": "An admin key of your organization. It reads usage and costs per project and key.",
    "anthropic": "An admin key of your organization. It reads usage and the cost report per workspace.",
    "azure": "An app registration with the role Cost Management Reader on a subscription or billing account.",
    "google": "A service account that may query the BigQuery table your billing is exported to.",
}


def _page(
    request: HttpRequest, template: str, context: dict[str, Any], *, failed: bool
) -> HttpResponse:
    return render(request, template, context, status=UNPROCESSABLE if failed else HTTPStatus.OK)


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Steps 1 and 2: which provider, then its access; sending it asks the provider at once."""
    membership = page_membership(request, slug, Role.ADMIN)
    provider = request.GET.get("provider", "")
    if not provider:
        choices = [{"plugin": one, "needs": NEEDS.get(one.provider, "")} for one in plugins()]
        context = {"organization": membership.organization, "choices": choices}
        return render(request, "costs/billing/choose.html", context)
    plugin = plugin_named(provider)
    form = AccessForm(request.POST or None, plugin=plugin, has_name=True)
    if form.is_bound and form.is_valid():
        try:
            made = services.create_connection(
                organization=membership.organization,
                provider=provider,
                name=form.cleaned_data["name"],
                values=form.values(),
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("costs:billing_connection_setup", slug=slug, connection_id=made.pk)
    context = {"organization": membership.organization, "form": form, "plugin": plugin}
    return _page(request, "costs/billing/access.html", context, failed=form.is_bound)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def connection_setup(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Step 3: what the credentials see, the schedule and the first day of history."""
    membership, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    if account_of(connection) is not None:
        return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)
    now = timezone.now()
    form = ScheduleForm(request.POST or None, now=now)
    if form.is_bound and form.is_valid():
        try:
            services.start_billing(
                connection=connection, actor=person(request), now=now, **form.cleaned_data
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{connection.name} is connected. Its history is being read.")
            return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)
    context = _context(membership.organization, connection) | {"form": form}
    return _page(request, "costs/billing/setup.html", context, failed=form.is_bound)


def _context(organization: Any, connection: ProviderConnection) -> dict[str, Any]:
    return {
        "organization": organization,
        "connection": connection,
        "account": account_of(connection),
        "plugin": plugin_named(connection.provider),
        "seen": connection.settings.get(SEEN, {}),
    }


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def connection_edit(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Name, schedule and first day; beneath, the way to delete it all."""
    membership, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    account, now = account_of(connection), timezone.now()
    initial: dict[str, Any] = {"name": connection.name}
    if account is not None:
        initial |= {"schedule": account.schedule, "history_from": account.history_from}
    form = ConnectionForm(request.POST or None, now=now, initial=initial)
    if account is None:
        for name in ("schedule", "history_from"):
            del form.fields[name]
    if form.is_bound and form.is_valid():
        try:
            services.change_connection(
                connection=connection, actor=person(request), now=now, **form.cleaned_data
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved.")
            return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)
    context = _context(membership.organization, connection) | {"form": form}
    return _page(request, "costs/billing/edit.html", context, failed=form.is_bound)


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def connection_access(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Other settings or new secrets, saved once the provider has accepted them: how a key is rotated."""
    membership, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    plugin = plugin_named(connection.provider)
    form = AccessForm(request.POST or None, plugin=plugin, stored=connection.settings)
    if form.is_bound and form.is_valid():
        try:
            services.change_access(
                connection=connection,
                values=form.values(),
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{plugin.label} accepted it; it is saved.")
            return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)
    context = _context(membership.organization, connection) | {"form": form}
    return _page(request, "costs/billing/access.html", context, failed=form.is_bound)
