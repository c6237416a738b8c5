"""An organisation's alert rules: the list, its CSV, one rule. Members see, admins change."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from accounts.selectors import page_membership, person
from alerts.models import AlertKind, Channel, Severity
from alerts.rules import overview
from alerts.rules.details import STATES, detail_of
from alerts.rules.overview import Row, listed, read_wanted, rule_of
from alerts.rules.starters import starters_for
from core.csv_cells import csv_lines
from core.htmx import render_page_or_part
from core.streaming import csv_download
from projects.selectors import projects_of

CELLS = (
    "id", "name", "kind", "watches", "condition", "project", "state", "subject", "value", "since", "firing", "keys",
    "channels", "escalation_channels", "severities", "is_enabled", "muted_until", "last_fired_at", "note",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def rule_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Rules with where they stand, worst first. At most twelve queries."""
    membership = page_membership(request, slug)
    wanted, now = read_wanted(request.GET), timezone.now()
    rows, after = listed(membership.organization_id, wanted, now=now)
    may_change = membership.allows(Role.ADMIN)
    is_empty = not rows and not wanted.is_filtered
    context = {
        "organization": membership.organization,
        "may_change": may_change,
        "rows": rows,
        "after": after,
        "wanted": wanted,
        "now": now,
        "kinds": [("", "Anything"), *AlertKind.choices],
        "states": overview.STATES.items(),
        "severities": [("", "Any severity"), *Severity.choices],
        "enabled": overview.ENABLED.items(),
        "sorts": overview.SORTS.items(),
        "projects": projects_of(person(request), membership.organization_id),
        "channels": Channel.objects.filter(organization=membership.organization).order_by("name"),
        "starters": starters_for(membership.organization_id) if is_empty and may_change else [],
    }
    return render_page_or_part(
        request,
        page="alerts/rules/list.html",
        part="alerts/rules/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def rule_export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The filtered list as CSV."""
    membership = page_membership(request, slug)
    wanted = replace(read_wanted(request.GET), after="")
    lines = csv_lines(_lines(membership.organization_id, wanted))
    return csv_download(f"{membership.organization.slug}-alert-rules.csv", lines)


def _lines(organization_id: uuid.UUID, wanted: overview.Wanted) -> Iterator[Any]:
    """The head and every row, a page of the list at a time."""
    yield CELLS
    now = timezone.now()
    while True:
        rows, after = listed(organization_id, wanted, now=now, limit=200)
        yield from map(_cells, rows)
        if not after:
            return
        wanted = replace(wanted, after=after)


def _cells(row: Row) -> list[Any]:
    alert = row.alert
    return [
        alert.pk, alert.name, alert.kind, row.scope, row.condition, alert.project.slug if alert.project else "",
        row.state, row.worst.subject if row.worst else "", row.worst.value if row.worst else None,
        row.since.isoformat() if row.since else "", row.firing, row.keys,
        " | ".join(one.name for one in row.channels), " | ".join(one.name for one in row.escalation),
        " ".join(severity for _, severity in row.levels), "true" if alert.is_enabled else "false",
        alert.muted_until.isoformat() if row.is_muted and alert.muted_until else "",
        row.fired_at.isoformat() if row.fired_at else "", alert.note,
    ]  # fmt: skip


@login_required
@never_cache
@require_GET
def rule_detail(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """One rule: where it stands about each thing, its last 30 days with its incidents, whom it tells, who changed
    it. At most fourteen queries and those of its measure's history."""
    membership = page_membership(request, slug)
    now = timezone.now()
    alert = rule_of(membership.organization_id, alert_id)
    detail = detail_of(alert, now)
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "alert": alert,
        "row": detail.row,
        "detail": detail,
        "hidden": max(0, detail.place_count - STATES),
        "now": now,
    }
    return render(request, "alerts/rules/detail.html", context)
