"""Channels: the list, making and changing one, and how it stands."""

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
from alerts.channel_pages import selectors, services
from alerts.channel_pages.forms import ChannelForm, refuse, values_of
from alerts.channels.registry import plugin_for, plugins
from alerts.models import Channel
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.list_query import read_choice
from core.streaming import csv_file

ICONS = {
    "email": "mail",
    "slack": "hash",
    "pagerduty": "bell",
    "webhook": "braces",
    "teams": "users",
    "discord": "messages-square",
}
CSV_HEAD = (
    "name", "kind", "receiver", "state", "reason", "minimum_severity", "rules", "waiting", "given_up", "last_sent_at",
    "created_at",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def channel_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every channel and how it stands. Five queries with the membership and the banner."""
    membership = page_membership(request, slug)
    asked = selectors.read_asked(request.GET)
    rows, after = selectors.listed(membership.organization_id, asked)
    context = {
        "organization": membership.organization,
        "tab": "channels",
        "may_change": membership.allows(Role.ADMIN),
        "rows": rows,
        "after": after,
        "asked": asked,
        "kinds": selectors.KINDS.items(),
        "states": selectors.STATES.items(),
        "sorts": selectors.SORTS.items(),
        "icons": ICONS,
        "now": timezone.now(),
    }
    return render_page_or_part(
        request,
        page="alerts/channels/list.html",
        part="alerts/channels/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def channel_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The channels that the list shows as CSV; there are at most a hundred."""
    membership = page_membership(request, slug)
    asked = selectors.read_asked(request.GET)
    found = list(selectors.chosen(membership.organization_id, asked)[: services.MAX_CHANNELS])
    lines = [
        (
            one.channel.name, one.channel.kind, one.channel.hint, one.state, one.channel.disabled_reason,
            one.channel.minimum_severity, one.rules, one.waiting, one.dead,
            one.channel.last_sent_at.isoformat() if one.channel.last_sent_at else "",
            one.channel.created_at.isoformat(),
        )
        for one in selectors.rows_of(found)
    ]  # fmt: skip
    return csv_file(f"{slug}-channels.csv", csv_lines([CSV_HEAD, *lines]))


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def channel_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Which kind, then its form; the address is checked when it is sent."""
    membership = page_membership(request, slug, Role.ADMIN)
    kind = request.GET.get("kind", "")
    if not kind:
        context = {
            "organization": membership.organization,
            "tab": "channels",
            "choices": [(one, ICONS.get(one.kind, "send")) for one in plugins()],
        }
        return render(request, "alerts/channels/choose.html", context)
    form = ChannelForm(request.POST or None, plugin=plugin_for(kind))
    if form.is_bound and form.is_valid():
        try:
            saved = services.create_channel(
                organization=membership.organization,
                kind=kind,
                name=form.cleaned_data["name"],
                values=values_of(form, form.plugin),
                minimum_severity=form.cleaned_data["minimum_severity"],
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            refuse(form, error)
        else:
            return after_saving(
                request, membership.organization, saved, f"{saved.channel.name} is added. Send a test to see it work."
            )  # fmt: skip
    return _form_page(request, membership.organization, form, None)


def after_saving(
    request: HttpRequest, organization: Organization, saved: services.Saved, text: str
) -> HttpResponse:
    """Back to the channel; a secret that was made is shown on the way, once."""
    if saved.shown:
        context = {
            "organization": organization,
            "tab": "channels",
            "channel": saved.channel,
            "shown": saved.shown,
        }
        return render(request, "alerts/channels/secret.html", context, status=HTTPStatus.CREATED)
    messages.success(request, text)
    return redirect("alerts:channel_detail", slug=organization.slug, channel_id=saved.channel.pk)


def _form_page(
    request: HttpRequest, organization: Organization, form: ChannelForm, channel: Channel | None
) -> HttpResponse:
    context = {
        "organization": organization,
        "tab": "channels",
        "form": form,
        "plugin": form.plugin,
        "channel": channel,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "alerts/channels/edit.html", context, status=status)


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def channel_edit(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """Name, severity, settings and new secrets."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    form = ChannelForm(request.POST or None, plugin=plugin_for(channel.kind), channel=channel)
    if form.is_bound and form.is_valid():
        try:
            saved = services.change_channel(
                channel=channel,
                name=form.cleaned_data["name"],
                minimum_severity=form.cleaned_data["minimum_severity"],
                values=values_of(form, form.plugin),
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            refuse(form, error)
        else:
            return after_saving(request, membership.organization, saved, "Saved.")
    return _form_page(request, membership.organization, form, channel)


@login_required
@never_cache
@require_GET
def channel_detail(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """How a channel stands, its messages with their tries, the rules that use it. The part polls while one is open."""
    membership = page_membership(request, slug)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    return render_page_or_part(
        request,
        page="alerts/channels/detail.html",
        part="alerts/channels/_state.html",
        context=_state(request, membership, channel),
    )


def _state(request: HttpRequest, membership: Membership, channel: Channel) -> dict[str, Any]:
    """Six queries."""
    state = read_choice(request.GET, "state", tuple(selectors.DELIVERY_STATES))
    before = selectors.read_before(request.GET)
    deliveries, older = selectors.deliveries_of(channel, state=state, before=before)
    row = selectors.rows_of([channel])[0]
    return {
        "organization": membership.organization,
        "tab": "channels",
        "may_change": membership.allows(Role.ADMIN),
        "channel": channel,
        "plugin": plugin_for(channel.kind),
        "row": row,
        "icon": ICONS.get(channel.kind, "send"),
        "test": selectors.last_test(channel),
        "rules": selectors.rules_using(channel),
        "deliveries": deliveries,
        "older": older,
        "state": state,
        "delivery_states": selectors.DELIVERY_STATES.items(),
        "is_open": row.waiting > 0 and before is None,
        "now": timezone.now(),
    }
