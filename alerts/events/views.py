"""Pages of incidents: firing now, the history, one incident. Everybody of the organisation sees them."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Membership, Role
from accounts.selectors import current_membership, page_membership, person
from alerts.events import charts, lists, selectors
from alerts.events.details import detail_of
from alerts.inbox.services import mark_read
from alerts.models import AlertEvent, EventState
from core.csv_cells import csv_lines
from core.htmx import render_page_or_part, wants_part
from core.ranges import PRESETS, TimeRange
from core.streaming import ChunkedResponse, csv_download
from projects.selectors import projects_of

PAGE = 50
MAX_EXPORT = 10_000
RANGES = ("24h", "7d", "30d", "90d", "mtd")
CELLS = (
    "id", "title", "severity", "state", "rule", "kind", "project", "subject", "period", "value", "limit", "unit",
    "began_at", "fired_at", "acknowledged_at", "acknowledged_by", "snoozed_until", "resolved_at", "resolve_reason",
    "told_at", "words",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def alerts_home(request: HttpRequest) -> HttpResponse:
    """What fires in the organisation one was in last."""
    membership = current_membership(request)
    if membership is None:
        return redirect("projects:project_list")
    return redirect("alerts:firing", slug=membership.organization.slug)


def _frame(request: HttpRequest, membership: Membership, tab: str) -> dict[str, Any]:
    """What both lists show around their rows. Two queries."""
    return {
        "organization": membership.organization,
        "tab": tab,
        "may_act": membership.allows(Role.MEMBER),
        "may_change": membership.allows(Role.ADMIN),
        "projects": projects_of(person(request), membership.organization_id),
        "rules": selectors.rules_of(membership.organization_id),
        "severities": lists.SEVERITIES.items(),
        "kinds": lists.KINDS.items(),
    }


@login_required
@never_cache
@require_GET
def firing(request: HttpRequest, slug: str) -> HttpResponse:
    """What is not resolved, the most urgent first. At most six queries besides who is asking."""
    membership = page_membership(request, slug)
    now = timezone.now()
    asked = lists.read_asked(
        request.GET,
        now=now,
        states=tuple(lists.OPEN_STATES),
        sorts=tuple(lists.FIRING_SORTS),
        default_range="",
    )
    rows = selectors.events_of(membership.organization_id).exclude(state=EventState.RESOLVED)
    page = selectors.events_page(rows, asked, limit=PAGE)
    standing = selectors.standing_of(membership.organization_id)
    context = _frame(request, membership, "firing") | {
        "rows": page.rows,
        "after": page.after,
        "asked": asked,
        "standing": standing,
        "watching": 0 if standing.open else selectors.watching(membership.organization_id),
        "states": lists.OPEN_STATES.items(),
        "sorts": lists.FIRING_SORTS.items(),
        "now": now,
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
    """Every incident that began in a time, and how many did per day. Four queries besides who is asking."""
    membership = page_membership(request, slug)
    now = timezone.now()
    asked = lists.read_asked(request.GET, now=now)
    rows = selectors.events_of(membership.organization_id)
    page = selectors.events_page(rows, asked, limit=PAGE)
    period = asked.range
    drawing = None
    if period is not None:
        counts = selectors.counts_per_bin(membership.organization_id, asked, period)
        drawing = charts.per_bin(counts, period, _narrower(request))
    context = _frame(request, membership, "history") | {
        "rows": page.rows,
        "after": page.after,
        "asked": asked,
        "drawing": drawing,
        "states": lists.STATES.items(),
        "range": _range(period) if period else None,
        "kept": [pair for pair in request.GET.items() if pair[0] not in ("range", "after", "start", "end", "zone")],
        "now": now,
    }  # fmt: skip
    return render_page_or_part(
        request,
        page="alerts/events/history.html",
        part="alerts/events/_history_results.html",
        context=context,
    )


def _range(period: TimeRange) -> dict[str, Any]:
    return {
        "label": period.label,
        "key": period.key,
        "start": period.start,
        "end": period.end,
        "presets": [{"key": key, "label": PRESETS[key]} for key in RANGES],
    }


def _narrower(request: HttpRequest) -> Any:
    """The address of the same list for another range."""

    def link(span: str) -> str:
        query = request.GET.copy()
        for name in ("after", "start", "end", "zone"):
            query.pop(name, None)
        query["range"] = span
        return f"{request.path}?{query.urlencode()}"

    return link


@login_required
@never_cache
@require_GET
def history_export(request: HttpRequest, slug: str) -> ChunkedResponse:
    """The filtered history as CSV, in its order: at most MAX_EXPORT incidents. One query besides who is asking."""
    membership = page_membership(request, slug)
    asked = lists.read_asked(request.GET, now=timezone.now())
    rows = selectors.events_of(membership.organization_id)
    page = selectors.events_page(rows, asked, limit=MAX_EXPORT)
    name = f"{membership.organization.slug}-incidents.csv"
    return csv_download(name, csv_lines(_lines(page)))


def _lines(page: selectors.Page) -> Iterator[Any]:
    yield CELLS
    yield from map(_cells, page.rows)


def _cells(event: AlertEvent) -> list[Any]:
    def at(moment: Any) -> str:
        return moment.isoformat() if moment else ""

    return [
        event.pk, event.title, event.severity, event.state, event.name, event.kind,
        event.project.slug if event.project else "", event.subject, event.period, event.value, event.limit,
        event.unit, at(event.began_at), at(event.fired_at), at(event.acknowledged_at),
        event.acknowledged_by.email if event.acknowledged_by else "", at(event.snoozed_until),
        at(event.resolved_at), event.resolve_reason, at(event.told_at), event.words,
    ]  # fmt: skip


@login_required
@never_cache
@require_GET
def event_detail(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """What happened, why, and what was done about it. Opening it reads it. Seven queries besides who is asking."""
    membership = page_membership(request, slug)
    event = selectors.event_of(membership.organization_id, event_id)
    if not wants_part(request):
        mark_read(user=person(request), event=event, now=timezone.now())
    return render_page_or_part(
        request,
        page="alerts/events/detail.html",
        part="alerts/events/_incident.html",
        context=incident_context(membership, event),
    )


def incident_context(membership: Membership, event: AlertEvent) -> dict[str, Any]:
    """What the incident's page and each answer of an act on it show. Five queries."""
    return {
        "organization": membership.organization,
        "event": event,
        "detail": detail_of(event),
        "may_act": membership.allows(Role.MEMBER),
        "may_change": membership.allows(Role.ADMIN),
        "now": timezone.now(),
    }
