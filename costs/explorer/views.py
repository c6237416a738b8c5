"""The cost explorer's page, its filters and its CSV. The address holds the whole question."""

import datetime as dt
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Membership, Role
from accounts.selectors import current_membership, page_membership, person
from core.htmx import render_page_or_part
from core.streaming import csv_file
from costs.explorer.answers import cached_answer
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.menus import bar, more_url, narrowed_to
from costs.explorer.naming import names_for
from costs.explorer.page import csv_of, look_at
from costs.explorer.page_state import PageState, read_page
from costs.filters import NONE
from costs.forms import choice
from projects.models import Project
from projects.selectors import projects_of

SUGGESTIONS = 30


def own_projects(request: HttpRequest, membership: Membership) -> list[Project]:
    """The organisation's projects in the order answers are kept by. One query."""
    found = projects_of(person(request), membership.organization_id)
    return sorted(found, key=lambda one: one.pk)


def _state(
    request: HttpRequest, slug: str, projects: list[Project], *extra: str
) -> tuple[PageState, dt.datetime]:
    now = timezone.now()
    ids = [one.pk for one in projects]
    return read_page(request.GET, slug=slug, project_ids=ids, now=now, extra=extra), now


@login_required
@never_cache
@require_GET
def costs_home(request: HttpRequest) -> HttpResponse:
    """The explorer of the reader's organisation."""
    membership = current_membership(request)
    if membership is None:
        return redirect("projects:project_list")
    return redirect("costs:explorer", slug=membership.organization.slug)


@login_required
@never_cache
@require_GET
def explorer(request: HttpRequest, slug: str) -> HttpResponse:
    """What calls cost, by what the address asks for. At most nine queries with kept answers."""
    membership = page_membership(request, slug)
    projects = own_projects(request, membership)
    state, now = _state(request, slug, projects)
    look = look_at(state, projects)
    context = bar(state, look.names, sorted(projects, key=lambda one: one.name.lower()), now=now) | {
        "organization": membership.organization,
        "tab": "explorer",
        "state": state,
        "look": look,
        "has_projects": bool(projects),
        "more_url": more_url(state, look.table.shown, look.table.count),
        "may_save": membership.allows(Role.MEMBER),
    }  # fmt: skip
    return render_page_or_part(
        request,
        page="costs/explorer/explorer.html",
        part="costs/explorer/_explorer.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def explorer_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The question's answer as CSV: what the page shows, every digit, groups it leaves out included."""
    membership = page_membership(request, slug)
    projects = own_projects(request, membership)
    state, _ = _state(request, slug, projects)
    text = csv_of(state)
    name = f"{membership.organization.slug}-costs.csv"
    return csv_file(name, [text])


@login_required
@never_cache
@require_GET
def explorer_filters(request: HttpRequest, slug: str) -> HttpResponse:
    """Values to filter one dimension by, those with the most calls first. One answer."""
    membership = page_membership(request, slug)
    projects = own_projects(request, membership)
    dimension = choice(request.GET, "dimension", tuple(DIMENSIONS), "model")
    state, _ = _state(request, slug, projects, "dimension")
    chosen = state.filters.get(dimension, ())
    open_state = narrowed_to(state, dimension, ())
    question = replace(
        open_state.asked.question,
        by=(dimension,),
        bin="",
        measures=("calls",),
        sort="",
        ascending=False,
        limit=SUGGESTIONS,
    )
    found = cached_answer(question)
    listed = [(row.key[0], row["calls"]) for row in found.groups if row.key]
    listed += [(value, None) for value in chosen if value not in dict(listed)]
    names = names_for(
        [(dimension, value) for value, _ in listed],
        project_ids=[one.pk for one in projects],
        projects={str(one.pk): one.name for one in projects},
    )
    context: dict[str, Any] = {
        "organization": membership.organization,
        "tab": "explorer",
        "state": state,
        "dimension": dimension,
        "label": DIMENSIONS[dimension],
        "dimensions": [
            (name, label, state.url("costs:explorer_filters", dimension=name), len(state.filters.get(name, ())))
            for name, label in DIMENSIONS.items()
        ],
        "options": [
            (value or NONE, names.of(dimension, value), calls, value in chosen)
            for value, calls in listed
        ],
        "rest": found.group_count - len(found.groups),
        "kept": [
            (name, value)
            for name, values in open_state.params.items()
            for value in values
            if name != "limit"
        ],
    }  # fmt: skip
    return render_page_or_part(
        request,
        page="costs/explorer/filters.html",
        part="costs/explorer/_filters.html",
        context=context,
    )
