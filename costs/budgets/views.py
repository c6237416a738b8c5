"""An organisation's budgets: the list, one budget, and the form with its live preview. Members see, admins change."""

import datetime as dt
import uuid
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part, wants_part
from core.streaming import csv_file
from costs.budgets import overview, services
from costs.budgets.details import detail_of, spender_tables
from costs.budgets.forms import BudgetForm, initial_of
from costs.budgets.overview import Row, listed, read_wanted
from costs.budgets.preview import preview_of
from costs.budgets.selectors import budget_of
from costs.budgets.spenders import known_values
from costs.models import Budget, BudgetScope
from projects.access import project_for
from projects.models import Project
from projects.selectors import projects_of

MAX_EXPORT = services.MAX_BUDGETS
CELLS = (
    "id", "name", "scope", "value", "project", "period", "rolling_days", "time_zone", "amount_usd", "spent_usd",
    "remaining_usd", "share", "unpriced_calls", "state", "is_hard", "thresholds", "period_starts_at", "resets_at",
    "starts_on", "ends_on", "outlook",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def budget_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Budgets with how they stand and where they lead, most used first. At most eight queries."""
    membership = page_membership(request, slug)
    wanted = read_wanted(request.GET)
    rows, after = listed(membership.organization_id, wanted, now=timezone.now())
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "rows": rows,
        "after": after,
        "wanted": wanted,
        "states": overview.STATES.items(),
        "scopes": [("", "Any scope"), *BudgetScope.choices],
        "sorts": overview.SORTS.items(),
        "is_filtered": any((wanted.q, wanted.state, wanted.scope, wanted.project, wanted.after)),
    }
    return render_page_or_part(
        request,
        page="costs/budgets/list.html",
        part="costs/budgets/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def budget_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV."""
    membership = page_membership(request, slug)
    rows, _ = listed(
        membership.organization_id, read_wanted(request.GET), now=timezone.now(), limit=MAX_EXPORT
    )
    name = f"{membership.organization.slug}-budgets.csv"
    return csv_file(name, csv_lines([CELLS, *map(_cells, rows)]))


def _cells(row: Row) -> list[Any]:
    budget, now = row.budget, row.standing
    return [
        budget.pk, budget.name, budget.scope, budget.value,
        budget.project.slug if budget.project else "", budget.period, budget.rolling_days or "",
        budget.time_zone, budget.amount_usd, now.spent_usd,
        now.remaining_usd, round(now.share, 6), now.unpriced_calls, now.state,
        "true" if budget.is_hard else "false", " ".join(map(str, budget.thresholds)),
        now.period.counts_from.isoformat(), now.resets_at.isoformat(), budget.starts_on or "",
        budget.ends_on or "", row.outlook.words,
    ]  # fmt: skip


@login_required
@never_cache
@require_GET
def budget_detail(request: HttpRequest, slug: str, budget_id: uuid.UUID) -> HttpResponse:
    """One budget: burn-down, what spends it, past periods, crossings, earlier terms. At most 16 queries; of a team by
    rules those of the explorer's questions more, however many calls and budgets there are."""
    membership = page_membership(request, slug)
    now = timezone.now()
    budget = budget_of(membership.organization_id, budget_id)
    detail = detail_of(budget, now)
    projects = {one.pk: one for one in projects_of(person(request), membership.organization_id)}
    names = {pk: one.name for pk, one in projects.items()}
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "budget": budget,
        "detail": detail,
        "row": detail.row,
        "standing": detail.standing,
        "tables": spender_tables(budget, detail.standing, projects, names),
        "now": now,
    }
    return render(request, "costs/budgets/detail.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def budget_create(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a new budget; its button "Preview" (and every change, with scripts) shows the past under it."""
    membership = page_membership(request, slug, Role.ADMIN)
    projects = projects_of(person(request), membership.organization_id)
    if request.method == "POST":
        form = _form(membership, projects, _data(request))
        return _sent(request, membership, form)
    initial = {
        name: request.GET.get(name, "")[:200].replace("\x00", "")
        for name in ("name", "scope", "value", "project", "amount_usd", "period")
        if name in request.GET
    }
    return _form_page(request, membership, _form(membership, projects, initial=initial))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def budget_edit(request: HttpRequest, slug: str, budget_id: uuid.UUID) -> HttpResponse:
    """The form of a stored budget."""
    membership = page_membership(request, slug, Role.ADMIN)
    budget = budget_of(membership.organization_id, budget_id)
    projects = projects_of(person(request), membership.organization_id)
    if request.method == "POST":
        return _sent(request, membership, _form(membership, projects, _data(request)), budget)
    form = _form(membership, projects, initial=initial_of(budget))
    return _form_page(request, membership, form, budget)


def _data(request: HttpRequest) -> Any:
    """What was sent; a preview beside the form needs no name yet."""
    data = request.POST.copy()
    if "preview" in data and wants_part(request) and not data.get("name", "").strip():
        data["name"] = "Draft"
    return data


def _form(
    membership: Membership, projects: list[Project], data: Any = None, **options: Any
) -> BudgetForm:
    return BudgetForm(
        data, organization_id=membership.organization_id, projects=projects, **options
    )


def _sent(
    request: HttpRequest, membership: Membership, form: BudgetForm, budget: Budget | None = None
) -> HttpResponse:
    """Preview or save what was sent."""
    now = timezone.now()
    draft = form.draft()
    if "preview" in request.POST:
        preview = preview_of(draft, now) if draft else None
        if wants_part(request):
            context = {"preview": preview, "form": form}
            return render(request, "costs/budgets/_preview.html", context)
        return _form_page(request, membership, form, budget, preview=preview)
    if draft is None:
        return _form_page(request, membership, form, budget)
    try:
        saved = _save(membership, draft, budget, person(request), now)
    except DomainError as error:
        form.refuse(error)
        return _form_page(request, membership, form, budget)
    messages.success(request, f"Saved: {saved.name}.")
    return redirect("costs:budget_detail", slug=membership.organization.slug, budget_id=saved.pk)


def _save(
    membership: Membership, draft: Any, budget: Budget | None, author: Any, now: dt.datetime
) -> Budget:
    if budget is None:
        return services.create_budget(draft=draft, author=author, now=now)
    return services.change_budget(
        organization_id=membership.organization_id,
        budget_id=budget.pk,
        draft=draft,
        author=author,
        now=now,
    )


def _form_page(
    request: HttpRequest,
    membership: Membership,
    form: BudgetForm,
    budget: Budget | None = None,
    *,
    preview: Any = None,
) -> HttpResponse:
    known = known_values(membership.organization_id, timezone.now())
    labels = dict(BudgetScope.choices)
    context = {
        "organization": membership.organization,
        "form": form,
        "budget": budget,
        "preview": preview,
        "known": [(labels[kind], value) for kind, values in known.items() for value in values],
    }
    is_wrong = form.is_bound and bool(form.errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "costs/budgets/form.html", context, status=status)


@login_required
@require_POST
def budget_pause(request: HttpRequest, slug: str, budget_id: uuid.UUID) -> HttpResponse:
    """Let a budget rest (`paused` is 1) or take it up again (0)."""
    membership = page_membership(request, slug, Role.ADMIN)
    wanted = request.POST.get("paused", "")
    if wanted not in ("0", "1"):
        raise DomainError(f"paused is {wanted[:40]!r}; it must be 0 or 1.", fields=["paused"])
    budget = services.pause_budget(
        organization_id=membership.organization_id,
        budget_id=budget_id,
        is_paused=wanted == "1",
        author=person(request),
        now=timezone.now(),
    )
    done = "rests now" if budget.is_paused else "counts again"
    messages.success(request, f"{budget.name} {done}.")
    return redirect("costs:budget_detail", slug=slug, budget_id=budget_id)


@login_required
@require_POST
def budget_deletion(request: HttpRequest, slug: str, budget_id: uuid.UUID) -> HttpResponse:
    """Delete a budget; its name must be typed."""
    membership = page_membership(request, slug, Role.ADMIN)
    budget = budget_of(membership.organization_id, budget_id)
    if request.POST.get("confirmation", "").strip() != budget.name:
        messages.error(request, f"Nothing was deleted: type {budget.name} to confirm.")
        return redirect("costs:budget_detail", slug=slug, budget_id=budget_id)
    services.delete_budget(
        organization_id=membership.organization_id, budget_id=budget_id, author=person(request)
    )
    messages.success(request, f"Deleted: {budget.name}.")
    return redirect("costs:budget_list", slug=slug)


@login_required
@never_cache
@require_GET
def budget_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The dashboard's panel: the budget of a project that is used most, drawn, and the next ones beside it."""
    project = project_for(request, slug)
    if not wants_part(request):
        return redirect("costs:budget_list", slug=project.organization.slug)
    now = timezone.now()
    rows = overview.rows_for_project(project.organization_id, project.pk, now=now)
    context = {
        "project": project,
        "organization": project.organization,
        "may_change": project.role in (Role.ADMIN, Role.OWNER),
        "rows": rows,
        "detail": detail_of(rows[0].budget, now) if rows else None,
    }
    return render(request, "costs/budgets/_panel.html", context)
