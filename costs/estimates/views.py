"""The calculator: what a planned workload would cost each month, on the planned models and on others."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Membership
from accounts.selectors import page_membership, person
from core import formats
from core.charts import Series
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from costs.estimates import starting
from costs.estimates.estimate import Estimate
from costs.estimates.forms import Calculator, query_of, read_calculator
from costs.estimates.plans import compared_plans, retention
from costs.known_models import first_models, known_models
from costs.pricing import ORDER
from costs.selectors.price_rules import rules_of
from projects.access import SESSION_PROJECT, project_for
from projects.models import Project
from projects.selectors import projects_of

DEFAULT_TASKS = 1000


@login_required
@never_cache
@require_GET
def calculator(request: HttpRequest, slug: str) -> HttpResponse:
    """The form and what it comes to. The address holds everything, so an estimate is kept or sent as a link."""
    membership = page_membership(request, slug)
    if request.GET.get("from"):
        return _start(request, membership)
    forms = read_calculator(request.GET)
    plans = _plans(membership, forms)
    context = {
        "organization": membership.organization,
        "forms": forms,
        "tab": "calculator",
        "known_models": known_models(),
        "origin": _origin(request),
        "start_kinds": starting.KINDS.items(),
        **_shown(plans),
    }
    if not forms.is_filled:
        own = context["own_projects"] = _own_projects(request, membership)
        context["offers"] = _offers(own[0], membership) if own else []
    context["export_url"] = (
        f"{reverse('costs:calculator_export', args=[slug])}?{request.GET.urlencode()}"
    )
    page, part = "costs/estimates/calculator.html", "costs/estimates/_calculator_results.html"
    return render_page_or_part(request, page=page, part=part, context=context)


def _plans(membership: Membership, forms: Calculator) -> list[Estimate]:
    """The plan and the same on other models; empty while the form cannot be read. Two queries."""
    if not forms.is_filled or not forms.is_valid or (workload := forms.workload) is None:
        return []
    rules = rules_of(membership.organization_id)
    return compared_plans(workload, forms.compared, rules=rules, now=timezone.now())


def _shown(plans: list[Estimate]) -> dict[str, Any]:
    """What the results' template takes."""
    if not plans:
        return {"plans": [], "rows": []}
    own = plans[0]
    labels = [f"{month.number}" for month in own.months]
    series = []
    if own.per_task_usd is not None:
        series.append(Series("Models", [month.models_usd for month in own.months], "c1"))
    return {
        "plans": plans,
        "own": own,
        "rows": [_row(plan, own) for plan in plans],
        "labels": labels,
        "series": series,
        "titles": [f"Month {label}" for label in labels],
        "classes": _classes(own),
    }


def _row(plan: Estimate, own: Estimate) -> dict[str, Any]:
    change = None
    if plan is not own and plan.total_usd is not None and own.total_usd:
        change = formats.delta(plan.total_usd, own.total_usd)
    return {"plan": plan, "change": change}


def _classes(own: Estimate) -> list[tuple[str, Any]]:
    """What a task spends by token class, in the order of breakdowns."""
    found: dict[str, Any] = {}
    for part in own.parts:
        for name, cost in part.classes.items():
            found[name] = found.get(name, 0) + cost
    return sorted(found.items(), key=lambda item: ORDER.get(item[0], len(ORDER)))


def _project(request: HttpRequest, membership: Membership) -> Project:
    """The project a plan starts from; it must be of this organisation."""
    project = project_for(person(request), request.GET.get("project", "")[:200])
    if project.organization_id != membership.organization_id:
        raise DomainError(
            "The project belongs to another organisation than this page.",
            fields=["project"],
            status=404,
        )
    return project


def _start(request: HttpRequest, membership: Membership) -> HttpResponse:
    """`?from=feature&project=…&value=…` leads to the form filled with what was measured."""
    kind, value = request.GET["from"], request.GET.get("value", "")[:200]
    known = (*starting.KINDS, "trace")
    if kind not in known or "\x00" in value:
        raise DomainError(
            f"from is {kind[:40]!r}; it must be one of {', '.join(known)}.", fields=["from"]
        )
    project, now = _project(request, membership), timezone.now()
    if kind == "trace":
        origin = starting.from_trace(
            project.pk, value, tasks=DEFAULT_TASKS, keep=retention(), now=now
        )
    else:
        origin = starting.from_traffic(project.pk, kind=kind, value=value, now=now)
    models = {part.model for part in origin.workload.parts}
    query = query_of(origin.workload, compared=tuple(first_models(without=models)))
    query["origin"] = f"{project.name}: {origin.label}"[:300]
    query["origin_tasks"] = str(origin.tasks)
    if origin.recorded_usd is not None:
        query["origin_usd"] = formats.plain_decimal(origin.recorded_usd)
    if origin.left_out:
        query["origin_left"] = str(origin.left_out)
    url = reverse("costs:calculator", args=[membership.organization.slug])
    return HttpResponseRedirect(f"{url}?{query.urlencode()}")


def _origin(request: HttpRequest) -> list[tuple[str, str]]:
    """What the address says of where the plan came from, kept by the form."""
    names = ("origin", "origin_tasks", "origin_usd", "origin_left")
    return [(name, request.GET[name][:300]) for name in names if request.GET.get(name)]


def _own_projects(request: HttpRequest, membership: Membership) -> list[Project]:
    """The organisation's projects, the one used last first. One query."""
    own = projects_of(person(request), membership.organization_id)
    last = request.session.get(SESSION_PROJECT)
    return sorted(own, key=lambda project: str(project.pk) != last)


def _offers(project: Project, membership: Membership) -> list[dict[str, str]]:
    """Links that start from what the project really runs. Two queries."""
    url = reverse("costs:calculator", args=[membership.organization.slug])
    found = [("project", "")]
    found += [(one.kind, one.value) for one in starting.offers(project.pk, now=timezone.now())]
    return [
        {
            "label": f"{starting.KINDS[kind]} {value or project.name}",
            "href": f"{url}?{urlencode({'from': kind, 'project': project.ref, 'value': value})}",
        }
        for kind, value in found
    ]


@login_required
@never_cache
@require_GET
def calculator_export(request: HttpRequest, slug: str) -> HttpResponse:
    """Every plan and month as CSV."""
    membership = page_membership(request, slug)
    forms = read_calculator(request.GET)
    plans = _plans(membership, forms)
    if not plans:
        raise DomainError("There is no estimate to export: fill the form first.", fields=["tasks"])
    lines = [line.name for line in forms.workload.lines] if forms.workload else []
    head = ["plan", "month", "tasks", "models_usd", *(f"{name}_usd" for name in lines), "total_usd"]
    rows: list[list[Any]] = [
        [plan.name, month.number, month.tasks, month.models_usd, *month.lines_usd, month.total_usd]
        for plan in plans
        for month in plan.months
    ]
    return csv_file(f"{slug}-estimate.csv", csv_lines([head, *rows]))
