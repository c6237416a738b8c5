"""What can be done to a channel: switch, test, rotate, delete."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.models import Role
from accounts.selectors import page_membership, person
from alerts.channel_pages import selectors, services
from alerts.channel_pages.views import after_saving
from core.errors import DomainError


def back(request: HttpRequest, slug: str, channel_id: uuid.UUID | None, text: str) -> HttpResponse:
    messages.success(request, text)
    return redirect("alerts:channel_detail", slug=slug, channel_id=channel_id)


def refused(
    request: HttpRequest, slug: str, channel_id: uuid.UUID | None, error: DomainError
) -> HttpResponse:
    """A refusal that the page can show; what is forbidden or not there is answered as such."""
    if error.status in (403, 404):
        raise error
    messages.error(request, error.detail)
    return redirect("alerts:channel_detail", slug=slug, channel_id=channel_id)


@login_required
@require_POST
def channel_switch(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """`enabled=0` sends nothing there until `enabled=1`."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    is_on = request.POST.get("enabled", "1") == "1"
    change = services.enable_channel if is_on else services.disable_channel
    change(channel=channel, actor=person(request), now=timezone.now())
    text = "Switched on." if is_on else "Switched off. Nothing is sent there."
    return back(request, slug, channel_id, text)


@login_required
@require_POST
def channel_test(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """Send a message that says it is a test; the page shows what came of it."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    try:
        services.test_channel(channel=channel, actor=person(request), now=timezone.now())
    except DomainError as error:
        return refused(request, slug, channel_id, error)
    return redirect("alerts:channel_detail", slug=slug, channel_id=channel_id)


@login_required
@never_cache
@require_POST
def channel_secret(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """A new signing secret, shown once."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    try:
        saved = services.rotate_secret(channel=channel, actor=person(request), now=timezone.now())
    except DomainError as error:
        return refused(request, slug, channel_id, error)
    return after_saving(request, membership.organization, saved, "Rotated.")


@login_required
@require_POST
def channel_deletion(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """Forget it with its messages; its name has to be typed."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    if request.POST.get("confirmation", "").strip() != channel.name:
        messages.error(request, f"Type {channel.name} to delete it; nothing was deleted.")
        return redirect("alerts:channel_detail", slug=slug, channel_id=channel_id)
    services.delete_channel(channel=channel, actor=person(request))
    messages.success(request, f"{channel.name} is deleted.")
    return redirect("alerts:channel_list", slug=slug)
