"""What can be done to a connection and its keys: switch, test, choose models, delete; add, weigh, rotate, revoke."""

import uuid
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Organization, Role
from accounts.selectors import page_membership, person
from core.errors import DomainError
from gateway.connections import checking, holding, selectors, services
from gateway.connections.forms import KeyForm, RotationForm, WeightForm, refuse
from gateway.connections.providers import PROVIDERS
from gateway.models import Connection, ConnectionKey


def _named(
    request: HttpRequest, slug: str, connection_id: uuid.UUID
) -> tuple[Organization, Connection]:
    """The connection for an admin of its organisation. Two queries."""
    membership = page_membership(request, slug, Role.ADMIN)
    return membership.organization, selectors.connection_of(
        membership.organization_id, connection_id
    )


def _back(request: HttpRequest, slug: str, connection: Connection, text: str = "") -> HttpResponse:
    if text:
        messages.success(request, text)
    return redirect("gateway:connection_detail", slug=slug, gateway_connection_id=connection.pk)


def _refused(
    request: HttpRequest, slug: str, connection: Connection, error: DomainError
) -> HttpResponse:
    """A refusal that the page can show; what is forbidden or not there is answered as such."""
    if error.status in (403, 404):
        raise error
    messages.error(request, error.detail)
    return _back(request, slug, connection)


@login_required
@require_POST
def connection_switch(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """`enabled=0` sends no call there until `enabled=1`."""
    _, row = _named(request, slug, gateway_connection_id)
    is_on = request.POST.get("enabled", "1") == "1"
    services.switch_connection(
        connection=row, is_enabled=is_on, actor=person(request), now=timezone.now()
    )
    return _back(request, slug, row, "Switched on." if is_on else "Switched off. No call goes there.")  # fmt: skip


@login_required
@require_POST
def connection_test(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """Have a worker make one cheap call; the page shows what comes of it."""
    _, row = _named(request, slug, gateway_connection_id)
    try:
        checking.start_test(
            connection=row,
            actor=person(request),
            now=timezone.now(),
            model=request.POST.get("model", "").strip(),
        )
    except DomainError as error:
        return _refused(request, slug, row, error)
    return _back(request, slug, row)


@login_required
@require_POST
def connection_models(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """The models it is to serve, of those it offered or was given."""
    _, row = _named(request, slug, gateway_connection_id)
    try:
        services.change_connection(
            connection=row,
            actor=person(request),
            now=timezone.now(),
            model_names=request.POST.getlist("model"),
        )
    except DomainError as error:
        return _refused(request, slug, row, error)
    return _back(request, slug, row, "Saved.")


@login_required
@require_POST
def connection_deletion(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID
) -> HttpResponse:
    """Forget it with its keys; its name has to be typed."""
    _, row = _named(request, slug, gateway_connection_id)
    if request.POST.get("confirmation", "").strip() != row.name:
        messages.error(request, f"Type {row.name} to delete it; nothing was deleted.")
        return _back(request, slug, row)
    try:
        services.delete_connection(connection=row, actor=person(request))
    except DomainError as error:
        return _refused(request, slug, row, error)
    messages.success(request, f"{row.name} is deleted.")
    return redirect("gateway:connection_list", slug=slug)


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def key_create(request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID) -> HttpResponse:
    """One more key and its weight."""
    organization, row = _named(request, slug, gateway_connection_id)
    form = KeyForm(request.POST or None, provider=PROVIDERS[row.kind])
    if form.is_bound and form.is_valid():
        try:
            holding.add_key(
                connection=row, actor=person(request), now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            refuse(form, error)
        else:
            return _back(request, slug, row, "The key is added. Test the connection to see it work.")  # fmt: skip
    context = {"organization": organization, "tab": "connections", "connection": row, "form": form}
    return render(request, "gateway/connections/key_new.html", context, status=_status(form))


def _status(*given: forms.Form) -> HTTPStatus:
    is_bound = any(one.is_bound for one in given)
    return HTTPStatus.UNPROCESSABLE_ENTITY if is_bound else HTTPStatus.OK


@login_required
@never_cache
@require_GET
def key_detail(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID, gateway_key_id: uuid.UUID
) -> HttpResponse:
    """A key: its weight, rotating and revoking it."""
    organization, row = _named(request, slug, gateway_connection_id)
    return _key_page(request, organization, selectors.key_of(row, gateway_key_id))


def _key_page(
    request: HttpRequest,
    organization: Organization,
    key: ConnectionKey,
    *,
    rotation: RotationForm | None = None,
    weight: WeightForm | None = None,
) -> HttpResponse:
    rotation = rotation or RotationForm(provider=PROVIDERS[key.connection.kind])
    weight = weight or WeightForm(weight=key.weight)
    context = {
        "organization": organization,
        "tab": "connections",
        "connection": key.connection,
        "key": key,
        "rotation": rotation,
        "weight": weight,
        "now": timezone.now(),
    }
    status = _status(rotation, weight)
    return render(request, "gateway/connections/key.html", context, status=status)


@login_required
@require_POST
def key_weight(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID, gateway_key_id: uuid.UUID
) -> HttpResponse:
    """Another share of the calls."""
    organization, row = _named(request, slug, gateway_connection_id)
    key = selectors.key_of(row, gateway_key_id)
    form = WeightForm(request.POST, weight=key.weight)
    if form.is_valid():
        try:
            holding.weigh_key(
                key=key, actor=person(request), now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            return _refused(request, slug, row, error)
        return _back(request, slug, row, "Saved.")
    return _key_page(request, organization, key, weight=form)


@login_required
@never_cache
@sensitive_post_parameters()
@require_POST
def key_rotation(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID, gateway_key_id: uuid.UUID
) -> HttpResponse:
    """A new key in its place."""
    organization, row = _named(request, slug, gateway_connection_id)
    key = selectors.key_of(row, gateway_key_id)
    form = RotationForm(request.POST, provider=PROVIDERS[row.kind])
    if form.is_valid():
        given: dict[str, Any] = form.cleaned_data
        try:
            holding.rotate_key(key=key, actor=person(request), now=timezone.now(), **given)
        except DomainError as error:
            refuse(form, error)
        else:
            return _back(request, slug, row, "Rotated. Test the connection to see the new key work.")  # fmt: skip
    return _key_page(request, organization, key, rotation=form)


@login_required
@require_POST
def key_revocation(
    request: HttpRequest, slug: str, gateway_connection_id: uuid.UUID, gateway_key_id: uuid.UUID
) -> HttpResponse:
    """Call with it no more."""
    _, row = _named(request, slug, gateway_connection_id)
    key = selectors.key_of(row, gateway_key_id)
    holding.revoke_key(key=key, actor=person(request), now=timezone.now())
    return _back(request, slug, row, f"The key {key.hint} is revoked.")
