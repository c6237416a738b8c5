"""Pages of forecasts and anomalies of an organisation."""

import datetime as dt
import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import ConflictError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from costs.budgets.selectors import daily_spend
from costs.forecasting import charts, selectors, services, words
from costs.forecasting.candidate_names import LABELS
from costs.forecasting.lists import STATES, read_asked
from costs.forecasting.series import DAY, DailySeries
from costs.models import Budget, SeriesKind, SpendAnomaly, SpendForecast
from projects.access import project_for
from projects.selectors import projects_of

PAGE = 50
MAX_EXPORT = 10_000


def _frame(request: HttpRequest, membership: Membership, tab: str) -> dict[str, Any]:
    """What both lists show around their rows. Three queries."""
    filtered = ("q", "kind", "project", "state", "after")
    return {
        "organization": membership.organization,
        "tab": tab,
        "may_act": membership.allows(Role.MEMBER),
        "projects": projects_of(person(request), membership.organization_id),
        "is_filtered": any(request.GET.get(name) for name in filtered),
        "run": selectors.last_run(membership.organization_id),
        "job": selectors.open_job(membership.organization_id, services.KIND),
        "now": timezone.now(),
    }


@login_required
@never_cache
@require_GET
def forecast_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Where this month ends: the organisation's chart, then every series. Eight queries besides who is asking."""
    membership = page_membership(request, slug)
    asked = read_asked(request.GET, sorts=selectors.FORECAST_SORTS)
    month = timezone.now().date()
    page = selectors.forecasts_page(membership.organization_id, asked, month=month, limit=PAGE)
    context = _frame(request, membership, "forecast") | {
        "rows": [_shown(row) | {"off_by": words.off_by(row.error_share)} for row in page.rows],
        "after": page.after,
        "kinds": [("", "Every kind"), *SeriesKind.choices],
    }
    whole = selectors.forecast_for(membership.organization_id, month=month)
    if whole and not context["is_filtered"]:
        context |= _month_of(whole)
    return render_page_or_part(
        request,
        page="costs/forecasting/forecasts.html",
        part="costs/forecasting/_forecasts_results.html",
        context=context,
    )


def _shown(row: SpendForecast | SpendAnomaly) -> dict[str, Any]:
    return {"row": row, "title": words.title_of(row), "scope": words.scope_of(row)}


def _days(row: SpendForecast | SpendAnomaly, first: dt.date, end: dt.date) -> DailySeries:
    """What the series cost per day. Two queries at most."""
    name = words.name_of(row)
    if row.kind != SeriesKind.BUDGET:
        return selectors.days_of(name, row.organization_id, first, end)
    budget = Budget.objects.filter(organization_id=row.organization_id, pk=row.value).first()
    return DailySeries(name, daily_spend(budget, first, end) if budget else {})


def _month_of(row: SpendForecast) -> dict[str, Any]:
    """The forecast's figures and chart. At most four queries."""
    end = row.from_day + DAY
    before = selectors.month_before(row.month)
    series = _days(row, before, end)
    unpriced = 0
    if row.kind != SeriesKind.BUDGET:
        unpriced = selectors.unpriced_calls(words.name_of(row), row.organization_id, row.month, end)
    return {
        "forecast": row,
        "title": words.title_of(row),
        "scope": words.scope_of(row),
        "off_by": words.off_by(row.error_share),
        "naive_off_by": words.off_by(row.naive_error_share),
        "method": LABELS.get(row.method, row.method),
        "before": before,
        "last_month": series.total(before, row.month),
        "unpriced": unpriced,
        "chart": charts.month_chart(row, series, words.title_of(row)),
    }


@login_required
@never_cache
@require_GET
def forecast_detail(request: HttpRequest, slug: str, forecast_id: uuid.UUID) -> HttpResponse:
    """One series: the month's chart, the interval and the back-test behind it. Six queries besides who is asking."""
    membership = page_membership(request, slug)
    row = selectors.forecast_of(membership.organization_id, forecast_id)
    context = {"organization": membership.organization, "tab": "forecast", "now": timezone.now()}
    return render(request, "costs/forecasting/forecast.html", context | _month_of(row))


@login_required
@never_cache
@require_GET
def forecast_of_project(request: HttpRequest, slug: str) -> HttpResponse:
    """From a project's dashboard to its forecast, or to its rows of the list while there is none."""
    project = project_for(request, slug)
    organization = project.organization
    row = selectors.forecast_for(
        organization.pk, month=timezone.now().date(), project_id=project.pk
    )
    if row:
        return redirect("costs:forecast_detail", slug=organization.slug, forecast_id=row.pk)
    address = reverse("costs:forecast_list", args=[organization.slug])
    return redirect(f"{address}?project={project.pk}")


@login_required
@require_POST
def forecast_refresh(request: HttpRequest, slug: str) -> HttpResponse:
    """Make the forecasts again now; members may."""
    membership = page_membership(request, slug, Role.MEMBER)
    try:
        job = services.start_refresh(
            organization_id=membership.organization_id, now=timezone.now(), actor=person(request)
        )
    except ConflictError as error:
        messages.info(request, error.detail)
        return redirect("costs:forecast_list", slug=slug)
    return redirect("projects:job_detail", job_id=job.pk)


@login_required
@never_cache
@require_GET
def forecast_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV, every digit."""
    membership = page_membership(request, slug)
    asked = read_asked(request.GET, sorts=selectors.FORECAST_SORTS)
    page = selectors.forecasts_page(
        membership.organization_id, asked, month=timezone.now().date(), limit=MAX_EXPORT
    )
    head = ["month", "kind", "value", "name", "project", "actual_usd", "expected_usd", "low_usd", "high_usd",
            "error_share", "naive_error_share", "method", "reason", "made_at"]  # fmt: skip
    lines = (
        [row.month, row.kind, row.value, words.title_of(row),
         row.project.name if row.project else "", row.actual_usd, row.expected_usd, row.low_usd,
         row.high_usd, row.error_share, row.naive_error_share,
         row.method, row.reason, row.made_at.isoformat()]
        for row in page.rows
    )  # fmt: skip
    return csv_file(f"{membership.organization.slug}-forecasts.csv", csv_lines([head, *lines]))


@login_required
@never_cache
@require_GET
def anomaly_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Strange days, newest first. Five queries besides who is asking."""
    membership = page_membership(request, slug)
    asked = read_asked(request.GET, sorts=selectors.ANOMALY_SORTS, has_state=True)
    page = selectors.anomalies_page(membership.organization_id, asked, limit=PAGE)
    frame = _frame(request, membership, "anomalies")
    projects = {str(one.pk): one for one in frame["projects"]}
    context = frame | {
        "rows": [_shown(row) | {"causes": words.causes_of(row, projects)[:1]} for row in page.rows],
        "after": page.after,
        "kinds": [("", "Every kind"), *SeriesKind.choices[:3]],
        "states": STATES.items(),
    }
    return render_page_or_part(
        request,
        page="costs/forecasting/anomalies.html",
        part="costs/forecasting/_anomalies_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def anomaly_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV, one line per anomaly."""
    membership = page_membership(request, slug)
    asked = read_asked(request.GET, sorts=selectors.ANOMALY_SORTS, has_state=True)
    page = selectors.anomalies_page(membership.organization_id, asked, limit=MAX_EXPORT)
    head = ["day", "kind", "value", "project", "actual_usd", "expected_usd", "excess_usd", "score", "state", "note",
            "marked_by", "found_at"]  # fmt: skip
    lines = (
        [row.day, row.kind, row.value, row.project.name if row.project else "", row.actual_usd, row.expected_usd,
         row.excess_usd, row.score, row.state, row.note, row.marked_by.email if row.marked_by else "",
         row.found_at.isoformat()]
        for row in page.rows
    )  # fmt: skip
    return csv_file(f"{membership.organization.slug}-anomalies.csv", csv_lines([head, *lines]))


@login_required
@never_cache
@require_GET
def anomaly_detail(request: HttpRequest, slug: str, anomaly_id: uuid.UUID) -> HttpResponse:
    """One strange day: its weeks, what moved it in dollars, and marking it. Five queries besides who is asking."""
    membership = page_membership(request, slug)
    row = selectors.anomaly_of(membership.organization_id, anomaly_id)
    projects = {
        str(one.pk): one for one in projects_of(person(request), membership.organization_id)
    }
    series = _days(row, row.day - 28 * DAY, min(row.day + 8 * DAY, timezone.now().date() + DAY))
    context = _shown(row) | {
        "organization": membership.organization,
        "tab": "anomalies",
        "may_act": membership.allows(Role.MEMBER),
        "causes": words.causes_of(row, projects),
        "chart": charts.anomaly_chart(row, series, words.title_of(row)),
        "ratio": row.actual_usd / row.expected_usd if row.expected_usd else None,
        "longest_note": services.LONGEST_NOTE,
        "now": timezone.now(),
    }
    return render(request, "costs/forecasting/anomaly.html", context)


@login_required
@require_POST
def anomaly_expectation(request: HttpRequest, slug: str, anomaly_id: uuid.UUID) -> HttpResponse:
    """Mark a day as expected (`note` says why), or with `reopen=1` take that back; members may."""
    membership = page_membership(request, slug, Role.MEMBER)
    row = selectors.anomaly_of(membership.organization_id, anomaly_id)
    actor, now = person(request), timezone.now()
    try:
        if request.POST.get("reopen"):
            services.reopen(anomaly=row, actor=actor, now=now)
            messages.success(request, "Reopened.")
        else:
            services.mark_expected(
                anomaly=row, actor=actor, note=request.POST.get("note", ""), now=now
            )
            messages.success(request, "Marked as expected.")
    except ConflictError as error:
        messages.info(request, error.detail)
    return redirect("costs:anomaly_detail", slug=slug, anomaly_id=anomaly_id)
