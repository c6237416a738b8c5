"""A project's routes: the list, its CSV, one route, a dry run. Whoever sees the project sees them; admins change."""

import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from gateway.routing import form_parts, lists
from gateway.routing.dry_run import Outcome, run_dry
from gateway.routing.lists import Row, connections_of, listed, names_of, read_wanted
from gateway.routing.services import route_of, rules_of_route
from gateway.routing.trial_form import TrialForm
from gateway.routing.words import chain_of, facts_of_rules
from projects.access import project_for
from projects.models import Project

CELLS = (
    "id", "name", "is_enabled", "choose", "targets", "fallback_on", "calls_24h", "failed_24h", "fallbacks_24h",
    "cost_usd_24h", "version", "updated_at", "note",
)  # fmt: skip


def may_change(project: Project) -> bool:
    """Whether the reader may change routes."""
    return project.role in (Role.ADMIN, Role.OWNER)


@login_required
@never_cache
@require_GET
def route_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Routes with their targets and their calls of the last day. At most ten queries."""
    project = project_for(request, slug)
    wanted, now = read_wanted(request.GET), timezone.now()
    connections = connections_of(project)
    context = {
        "project": project,
        "may_change": may_change(project),
        "rows": listed(project, wanted, connections, now=now),
        "wanted": wanted,
        "connections": connections,
        "states": lists.STATES.items(),
        "choices": lists.CHOOSE.items(),
        "sorts": lists.SORTS.items(),
        "now": now,
    }
    return render_page_or_part(
        request,
        page="gateway/routes/list.html",
        part="gateway/routes/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def route_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV."""
    project = project_for(request, slug)
    wanted = read_wanted(request.GET)
    rows = listed(project, wanted, connections_of(project), now=timezone.now())
    return csv_file(f"{project.slug}-routes.csv", csv_lines(_lines(rows)))


def _lines(rows: list[Row]) -> Iterator[Any]:
    yield CELLS
    for row in rows:
        route, traffic = row.route, row.traffic
        chain = " > ".join(
            " | ".join(f"{one.connection}/{one.model} {one.weight}" for one in step.targets)
            for step in row.steps
        )
        yield [
            route.pk, route.name, "true" if route.is_enabled else "false", row.choose, chain,
            " ".join(rules_of_route(route).fallback_on), traffic.calls, traffic.failed, traffic.fallbacks,
            traffic.cost_usd, route.version, route.updated_at.isoformat(), route.note,
        ]  # fmt: skip


@login_required
@never_cache
@require_GET
def route_detail(request: HttpRequest, slug: str, route_id: uuid.UUID) -> HttpResponse:
    """One route: its chain, what else it says, its traffic, who changed it. At most ten queries."""
    project = project_for(request, slug)
    route, now = route_of(project, route_id), timezone.now()
    rules = rules_of_route(route)
    steps = chain_of(rules, names_of(connections_of(project)))
    context = {
        "project": project,
        "may_change": may_change(project),
        "route": route,
        "rules": rules,
        "steps": steps,
        "facts": facts_of_rules(rules),
        "traffic": lists.traffic_of(project, now=now).get(route.name, lists.Traffic()),
        "changes": lists.changes_of(route, project.organization_id),
        "trial": TrialForm(initial={"try_model": "" if route.name == "*" else route.name}),
        "now": now,
    }
    return render(request, "gateway/routes/detail.html", context)


@login_required
@never_cache
@require_GET
def route_dry_run(request: HttpRequest, slug: str) -> HttpResponse:
    """Where a request would go and why. Nothing is sent. At most fifteen queries."""
    project = project_for(request, slug)
    is_asked = "try_model" in request.GET
    trial = TrialForm(request.GET if is_asked else None)
    outcome = outcome_of(project, trial) if is_asked else None
    is_wrong = is_asked and bool(trial.errors)
    response = render_page_or_part(
        request,
        page="gateway/routes/dry_run.html",
        part="gateway/routes/_outcome.html",
        context={"project": project, "trial": trial, "outcome": outcome},
    )
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return response


def outcome_of(project: Project, trial: TrialForm, draft: Any = None) -> Outcome | None:
    """The outcome of a valid form; else its errors say why there is none."""
    if not trial.is_valid():
        return None
    try:
        return run_dry(project, trial.trial(), now=timezone.now(), draft=draft)
    except DomainError as error:
        form_parts.refuse(trial, error, [(name, f"try_{name}") for name in ("model", "text")])
        return None
