"""What can be done to a channel's messages: send again, cancel."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import Role
from accounts.selectors import page_membership, person
from alerts.channel_pages import selectors
from alerts.channel_pages.actions import back, refused
from alerts.delivering import cancel, replay
from alerts.models import Delivery, DeliveryState
from core.errors import DomainError

MOST_REPLAYS = 500


@login_required
@require_POST
def dead_replay(request: HttpRequest, slug: str, channel_id: uuid.UUID) -> HttpResponse:
    """Send again what was given up, oldest first: so many at once as one request can lock."""
    membership = page_membership(request, slug, Role.ADMIN)
    channel = selectors.channel_of(membership.organization_id, channel_id)
    dead = Delivery.objects.filter(
        channel=channel, organization=membership.organization, state=DeliveryState.DEAD
    )
    try:
        count = replay(
            deliveries=list(dead.order_by("pk").only("pk")[:MOST_REPLAYS]),
            actor=person(request),
            now=timezone.now(),
        )
    except DomainError as error:
        return refused(request, slug, channel_id, error)
    more = " Some are left: choose it once more for them." if dead.exists() else ""
    words = f"{count} message{'s are' if count != 1 else ' is'} sent again, oldest first.{more}"
    return back(request, slug, channel_id, words)


@login_required
@require_POST
def delivery_replay(request: HttpRequest, slug: str, delivery_id: int) -> HttpResponse:
    """Send one message again; receivers see the same id."""
    membership = page_membership(request, slug, Role.ADMIN)
    delivery = selectors.delivery_of(membership.organization_id, delivery_id)
    try:
        replay(deliveries=[delivery], actor=person(request), now=timezone.now())
    except DomainError as error:
        return refused(request, slug, delivery.channel_id, error)
    return back(request, slug, delivery.channel_id, "It is sent again.")


@login_required
@require_POST
def delivery_cancellation(request: HttpRequest, slug: str, delivery_id: int) -> HttpResponse:
    """Do not send a message that waits."""
    membership = page_membership(request, slug, Role.ADMIN)
    delivery = selectors.delivery_of(membership.organization_id, delivery_id)
    try:
        cancel(deliveries=[delivery], actor=person(request), now=timezone.now())
    except DomainError as error:
        return refused(request, slug, delivery.channel_id, error)
    return back(request, slug, delivery.channel_id, "It is not sent.")
