"""Reconciliation pages: provider × month, one month, one day of a model, what bills say about prices."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.models import Job
from core.streaming import csv_download
from costs.billing.lines import choice_of, text_of
from costs.models import GapKind, PriceCheck, ReconciliationRun
from costs.reconciliation import job, selectors
from costs.reconciliation.export import cell_rows
from costs.reconciliation.shown import CellShown, check_rows, tone_of
from costs.reconciliation.waterfall import steps_of
from costs.reconciliation.words import KINDS
from projects.models import ConnectionProvider
from projects.selectors import projects_of

PAGE = 50
PROVIDERS = ("", *ConnectionProvider.values)
KIND_CHOICES = [("", "Any cause"), *GapKind.choices, ("unexplained", "Unexplained")]
KIND_NAMES = [name for name, _ in KIND_CHOICES]


def month_of_text(text: str, field: str = "month") -> dt.date:
    """The first day of `2026-11`. Raises DomainError."""
    try:
        if len(text) != 7:
            raise ValueError
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise DomainError(
            f"{field} is {text[:40]!r}; it must be a month such as 2026-11.", fields=[field]
        ) from None


def _run_of(organization_id: Any) -> dict[str, Any]:
    """How far the working out is. Two queries."""
    run = ReconciliationRun.objects.filter(pk=organization_id).first()
    running = Job.objects.filter(pk=run.job_id).first() if run and run.job_id else None
    return {"run": run, "job": running if running and running.is_open else None}


@login_required
@never_cache
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Provider × month with coverage and the cause that weighs most. Six queries with the membership."""
    membership = page_membership(request, slug)
    provider = choice_of(request.GET, "provider", PROVIDERS)
    kind = choice_of(request.GET, "kind", KIND_NAMES[:-1])
    first = month_of_text(request.GET["from"], "from") if request.GET.get("from") else None
    cells = selectors.months_of(
        membership.organization_id, provider=provider, kind=kind, first=first
    )
    months = sorted({cell.month for cell in cells}, reverse=True)
    rows = {(cell.provider, cell.month): cell for cell in cells}
    names = sorted({cell.provider for cell in cells})
    context = {
        "organization": membership.organization,
        "grid": [
            (month, [{"cell": c, "tone": tone_of(c)} if (c := rows.get((name, month))) else None for name in names])
            for month in months
        ],
        "names": names,
        "totals": selectors.by_provider(cells),
        "words": KINDS,
        "kinds": KIND_CHOICES[:-1],
        "providers": [("", "Any provider"), *ConnectionProvider.choices],
        "is_filtered": bool(provider or kind or first),
        "may_run": membership.allows(Role.MEMBER),
        "tab": "reconciliation",
        **_run_of(membership.organization_id),
    }  # fmt: skip
    return render_page_or_part(
        request,
        page="costs/reconciliation/overview.html",
        part="costs/reconciliation/_grid.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def month(request: HttpRequest, slug: str, recon_provider: str, recon_month: str) -> HttpResponse:
    """A provider's month: from recorded to billed, its causes, day × model. Eight queries with the membership."""
    membership = page_membership(request, slug)
    if recon_provider not in ConnectionProvider.values:
        raise DomainError("There is no such provider.", code="not_found", status=404)
    first = month_of_text(recon_month)
    sums = selectors.month_named(membership.organization_id, recon_provider, first)
    rows, following = _cells(request, membership.organization_id, recon_provider, first)
    steps = steps_of(
        recorded=sums.recorded_usd,
        billed=sums.billed_usd,
        causes=sums.causes,
        unexplained=sums.unexplained_usd,
    )
    names = ("model", "kind", "day")
    context = {
        "organization": membership.organization,
        "provider": recon_provider,
        "provider_label": ConnectionProvider(recon_provider).label,
        "month": first,
        "sums": sums,
        "steps": [(step, KINDS.get(step.kind)) for step in steps],
        "cells": [CellShown(row) for row in rows],
        "after": following,
        "sorts": selectors.SORTS.items(),
        "kinds": KIND_CHOICES,
        "is_filtered": any(request.GET.get(name) for name in names),
        "export_query": urlencode({"provider": recon_provider, "month": recon_month}),
        "tab": "reconciliation",
    }
    return render_page_or_part(
        request,
        page="costs/reconciliation/month.html",
        part="costs/reconciliation/_cells.html",
        context=context,
    )


def _cells(
    request: HttpRequest, organization_id: Any, provider: str, first: dt.date
) -> tuple[list[Any], str]:
    end = (first + dt.timedelta(days=32)).replace(day=1)
    if text := request.GET.get("day", ""):
        first = _day(text)
        end = first + dt.timedelta(days=1)
    rows = selectors.cells_of(
        organization_id,
        provider=provider,
        first=first,
        end=end,
        model=text_of(request.GET, "model"),
        kind=choice_of(request.GET, "kind", KIND_NAMES),
    )
    sort = choice_of(request.GET, "sort", ("", *selectors.SORTS)) or "-gap"
    return selectors.cells_page(rows, sort=sort, after=request.GET.get("after", ""), limit=PAGE)


def _day(text: str) -> dt.date:
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        found = dt.date.min
    if not dt.date(2000, 1, 1) <= found <= dt.date(2100, 1, 1):
        raise DomainError(
            f"day is {text[:40]!r}; it must be a day such as 2026-11-01.", fields=["day"]
        )
    return found


@login_required
@never_cache
@require_GET
def cell(request: HttpRequest, slug: str, recon_cell: int) -> HttpResponse:
    """One day of a model: causes with their evidence, both ledgers line by line. Five queries with the membership."""
    membership = page_membership(request, slug)
    row = selectors.cell_named(membership.organization_id, recon_cell)
    projects = {str(project.pk): project for project in projects_of(person(request))}
    shown = CellShown(row, projects)
    steps = steps_of(
        recorded=row.recorded_usd,
        billed=row.billed_usd,
        causes={cause.kind: cause.amount_usd for cause in row.causes.all()},
        unexplained=row.unexplained_usd,
    )
    bill = {"provider": row.provider, "from": row.day, "to": row.day, "model": row.model or "-"}
    context = {
        "organization": membership.organization,
        "cell": row,
        "shown": shown,
        "provider_label": ConnectionProvider(row.provider).label
        if row.provider in ConnectionProvider.values
        else row.provider,
        "steps": [(step, KINDS.get(step.kind)) for step in steps],
        "lines_url": f"{reverse('costs:billing_lines', args=[slug])}?{urlencode(bill)}",
        "tab": "reconciliation",
    }
    return render(request, "costs/reconciliation/cell.html", context)


@login_required
@never_cache
@require_GET
def export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Cells of a provider and month, or all, as CSV with a column per cause; streamed."""
    membership = page_membership(request, slug)
    first = month_of_text(request.GET["month"]) if request.GET.get("month") else None
    rows = selectors.cells_of(
        membership.organization_id,
        provider=choice_of(request.GET, "provider", PROVIDERS),
        first=first,
        end=(first + dt.timedelta(days=32)).replace(day=1) if first else None,
        model=text_of(request.GET, "model"),
        kind=choice_of(request.GET, "kind", KIND_NAMES),
    )
    return csv_download(
        f"{slug}-reconciliation.csv", csv_lines(cell_rows(selectors.cells_stream(rows)))
    )


@login_required
@never_cache
@require_GET
def price_checks(request: HttpRequest, slug: str) -> HttpResponse:
    """Prices the bills confirm, and those they contradict with a suggestion. Two queries with the membership."""
    membership = page_membership(request, slug)
    offset = request.GET.get("after", "0") or "0"
    if not (offset.isascii() and offset.isdigit() and len(offset) < 6):
        raise DomainError("after is a number of rows.", fields=["after"])
    rows = selectors.checks_of(
        membership.organization_id,
        provider=choice_of(request.GET, "provider", PROVIDERS),
        model=text_of(request.GET, "model"),
        state=choice_of(request.GET, "state", ("", *PriceCheck.State.values)),
        month=month_of_text(request.GET["month"]) if request.GET.get("month") else None,
    )
    found = list(rows[int(offset) : int(offset) + PAGE + 1])
    context = {
        "organization": membership.organization,
        "rows": check_rows(found[:PAGE], slug, may_set=membership.allows(Role.ADMIN)),
        "after": str(int(offset) + PAGE) if len(found) > PAGE else "",
        "states": [("", "Any verdict"), *PriceCheck.State.choices],
        "providers": [("", "Any provider"), *ConnectionProvider.choices],
        "is_filtered": any(request.GET.get(n) for n in ("provider", "model", "state", "month")),
        "tab": "prices",
    }
    return render_page_or_part(
        request,
        page="costs/reconciliation/prices.html",
        part="costs/reconciliation/_prices.html",
        context=context,
    )


@login_required
@never_cache
@require_POST
def run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Work out now what changed; the page shows how far it is."""
    membership = page_membership(request, slug, Role.MEMBER)
    started = job.want_reconciliation(
        organization_id=membership.organization_id, now=timezone.now(), actor_id=person(request).pk
    )
    text = "Both ledgers are being compared." if started else "A comparison is running already."
    messages.success(request, text)
    return redirect("costs:reconciliation", slug=slug)
