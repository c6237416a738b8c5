"""Pages of incidents: firing now, the history, one incident."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from accounts.selectors import current_membership, page_membership
from alerts.events import lists, selectors
from core.htmx import render_page_or_part

PAGE = 50


@login_required
@never_cache
@require_GET
def alerts_home(request: HttpRequest) -> HttpResponse:
    """What fires in the organisation one was in last."""
    membership = current_membership(request)
    if membership is None:
        return redirect("projects:project_list")
    return redirect("alerts:firing", slug=membership.organization.slug)


@login_required
@never_cache
@require_GET
def firing(request: HttpRequest, slug: str) -> HttpResponse:
    """What is not resolved, the most urgent first."""
    membership = page_membership(request, slug)
    asked = lists.read_asked(
        request.GET,
        now=timezone.now(),
        states=tuple(lists.OPEN_STATES),
        sorts=tuple(lists.FIRING_SORTS),
        default_range="",
    )
    rows = selectors.events_of(membership.organization_id).exclude(state="resolved")
    page = selectors.events_page(rows, asked, limit=PAGE)
    context = {
        "organization": membership.organization,
        "tab": "firing",
        "rows": page.rows,
        "after": page.after,
        "asked": asked,
        "may_act": membership.allows(Role.MEMBER),
        "now": timezone.now(),
    }
    return render_page_or_part(
        request,
        page="alerts/events/firing.html",
        part="alerts/events/_firing_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Every incident of a time, newest first."""
    membership = page_membership(request, slug)
    now = timezone.now()
    asked = lists.read_asked(request.GET, now=now)
    page = selectors.events_page(selectors.events_of(membership.organization_id), asked, limit=PAGE)
    context = {
        "organization": membership.organization,
        "tab": "history",
        "rows": page.rows,
        "after": page.after,
        "asked": asked,
        "now": now,
    }
    return render_page_or_part(
        request,
        page="alerts/events/history.html",
        part="alerts/events/_history_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def event_detail(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """One incident: what happened, and what was done about it."""
    membership = page_membership(request, slug)
    event = selectors.event_of(membership.organization_id, event_id)
    context = {
        "organization": membership.organization,
        "event": event,
        "entries": list(event.entries.select_related("actor").order_by("at", "pk")[:200]),
        "may_act": membership.allows(Role.MEMBER),
        "now": timezone.now(),
    }
    return render(request, "alerts/events/detail.html", context)


@login_required
@never_cache
@require_GET
def event_acknowledge(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Where the link of a message leads: the incident, to acknowledge it there."""
    page_membership(request, slug)
    return redirect("alerts:event_detail", slug=slug, event_id=event_id)


@login_required
@never_cache
@require_GET
def event_snooze(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Where the link of a message leads: the incident, to snooze it there."""
    page_membership(request, slug)
    return redirect("alerts:event_detail", slug=slug, event_id=event_id)
