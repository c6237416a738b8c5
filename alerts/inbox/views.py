"""The bell and the inbox."""

import datetime as dt
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Membership
from accounts.selectors import page_membership, person
from alerts.events.selectors import event_of
from alerts.inbox import selectors, services
from core.errors import DomainError
from core.htmx import render_page_or_part, wants_part

SHOWS = {"": "All", "unread": "Unread"}


@never_cache
@require_GET
def bell(request: HttpRequest, slug: str) -> HttpResponse:
    """What every page asks for once it is there, and again when something changed: no page waits for it. Six queries.

    A page left open after its reader signed out is told so quietly, not sent to the login page.
    """
    if wants_part(request) and not request.user.is_authenticated:
        return HttpResponse(status=401)
    return _bell(request, slug)


@login_required
def _bell(request: HttpRequest, slug: str) -> HttpResponse:
    membership = page_membership(request, slug)
    if not wants_part(request):
        return redirect("alerts:inbox", slug=slug)
    now = timezone.now()
    found = selectors.bell_of(membership, selectors.preference_of(membership), now)
    context = {"organization": membership.organization, "bell": found}
    return render(request, "alerts/inbox/_bell.html", context)


@login_required
@never_cache
@require_GET
def inbox(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest incidents this person is told of, read and unread. Five queries, and those of the tabs."""
    return _list(request, page_membership(request, slug))


def _list(request: HttpRequest, membership: Membership) -> HttpResponse:
    show = request.GET.get("show", "")
    if show not in SHOWS:
        raise DomainError(f"show is {show[:40]!r}; it must be unread or left out.", fields=["show"])
    now = timezone.now()
    preference = selectors.preference_of(membership)
    page = selectors.inbox_page(
        membership,
        preference,
        now=now,
        after=request.GET.get("after", ""),
        only_unread=bool(show),
    )
    context: dict[str, Any] = {
        "organization": membership.organization,
        "page": page,
        "has_unread": any(one.is_unread for one in page.rows),
        "show": show,
        "shows": SHOWS.items(),
        "until": now,
        "now": now,
        "preference": preference,
    }
    return render_page_or_part(
        request,
        page="alerts/inbox/inbox.html",
        part="alerts/inbox/_inbox.html",
        context=context,
    )


@login_required
@require_POST
def inbox_read(request: HttpRequest, slug: str) -> HttpResponse:
    """Everything up to `until` (when the list was made) is read."""
    membership = page_membership(request, slug)
    now = timezone.now()
    services.mark_all_read(
        membership=membership, until=read_instant(request.POST.get("until", ""), now), now=now
    )
    return _answered(request, membership)


@login_required
@require_POST
def inbox_event_read(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """One incident is read."""
    membership = page_membership(request, slug)
    event = event_of(membership.organization_id, event_id)
    services.mark_read(user=person(request), event=event, now=timezone.now())
    return _answered(request, membership)


def _answered(request: HttpRequest, membership: Membership) -> HttpResponse:
    """The list as it is now; the bell is told to count again."""
    if not wants_part(request):
        return redirect("alerts:inbox", slug=membership.organization.slug)
    response = _list(request, membership)
    response["HX-Trigger"] = "bell:count"
    return response


def read_instant(text: str, now: dt.datetime) -> dt.datetime:
    """`until` as it was given; now without one. Raises DomainError."""
    if not text:
        return now
    try:
        found = parse_datetime(text[:40])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise DomainError(
            f"until is {text[:40]!r}; it must be an instant such as 2026-11-21T08:00:00Z.",
            fields=["until"],
        )
    return found
