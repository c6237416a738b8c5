"""Allocation: teams and their rules."""

import uuid
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
from core.errors import DomainError
from core.htmx import render_page_or_part
from costs.allocation import reading, selectors, services
from costs.allocation.forms import RuleForm, TeamForm, initial_of
from costs.models import RuleField, Team

STATES = {"": "In use", "archived": "Archived", "all": "All"}


@login_required
@never_cache
@require_GET
def team_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Teams with what they cost lately, the rules in their order, and what nobody is found for."""
    return _teams(request, page_membership(request, slug))


def _teams(request: HttpRequest, membership: Membership, **more: Any) -> HttpResponse:
    organization_id = membership.organization_id
    q, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    if state not in STATES or len(q) > 200 or "\x00" in q:
        raise DomainError(
            "state is archived or all, q has at most 200 characters.", fields=["state", "q"]
        )
    teams = list(selectors.teams_in(organization_id, q=q, state=state))
    context = {
        "organization": membership.organization,
        "tab": "teams",
        "may_change": membership.allows(Role.ADMIN),
        "spread": selectors.spread(organization_id, teams, now=timezone.now()),
        "rules": selectors.rule_rows(organization_id),
        "choices": {
            "teams": selectors.teams_in(organization_id),
            "fields": RuleField.choices,
            "projects": reading.projects_in(organization_id),
            "keys": selectors.keys_in(organization_id),
        },
        "q": q,
        "state": state,
        "states": STATES.items(),
        **more,
    }
    page, part = "costs/allocation/teams.html", "costs/allocation/_teams_results.html"
    if more:
        return render(request, page, context, status=422)
    return render_page_or_part(request, page=page, part=part, context=context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def team_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A new team."""
    return _team_form(request, page_membership(request, slug, Role.ADMIN), None)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def team_edit(request: HttpRequest, slug: str, team_id: uuid.UUID) -> HttpResponse:
    """Change a team."""
    membership = page_membership(request, slug, Role.ADMIN)
    return _team_form(request, membership, services.team_of(membership.organization_id, team_id))


def _team_form(request: HttpRequest, membership: Membership, team: Team | None) -> HttpResponse:
    others = [
        one
        for one in selectors.teams_in(membership.organization_id)
        if not one.is_shared and (team is None or one.pk != team.pk)
    ]
    initial = initial_of(team) if team else None
    form = TeamForm(request.POST or None, others=others, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.save_team(
                organization_id=membership.organization_id,
                draft=form.draft,
                actor=person(request),
                now=timezone.now(),
                team_id=team.pk if team else None,
            )
        except DomainError as error:
            form.add_error("name" if "name" in error.fields else None, error.detail)
        else:
            messages.success(request, f"{saved.name} is saved.")
            return redirect("costs:team_list", slug=membership.organization.slug)
    context = {"organization": membership.organization, "form": form, "team": team, "tab": "teams"}
    status = 422 if request.method == "POST" else 200
    return render(request, "costs/allocation/team_form.html", context, status=status)


@login_required
@require_POST
def team_archive(request: HttpRequest, slug: str, team_id: uuid.UUID) -> HttpResponse:
    """Archive a team, or (`back`) bring it back."""
    membership = page_membership(request, slug, Role.ADMIN)
    team = services.archive_team(
        organization_id=membership.organization_id,
        team_id=team_id,
        actor=person(request),
        now=timezone.now(),
        is_back=bool(request.POST.get("back")),
    )
    messages.success(
        request,
        f"{team.name} is {'archived; its rules no longer hold' if team.archived_at else 'back'}.",
    )
    return redirect("costs:team_list", slug=slug)


@login_required
@require_POST
def rule_add(request: HttpRequest, slug: str) -> HttpResponse:
    """One more rule, after the others."""
    membership = page_membership(request, slug, Role.ADMIN)
    form = RuleForm(request.POST)
    if form.is_valid():
        try:
            services.add_rule(
                organization_id=membership.organization_id,
                team_id=form.cleaned_data["team"],
                field=form.cleaned_data["field"],
                value=form.chosen_value,
                actor=person(request),
                now=timezone.now(),
            )
        except DomainError as error:
            return _teams(request, membership, rule_error=error.detail, rule_form=form)
        messages.success(request, "The rule holds from now on, for what was recorded before, too.")
        return redirect("costs:team_list", slug=slug)
    return _teams(
        request, membership, rule_error="Choose a team and what to look at.", rule_form=form
    )


@login_required
@require_POST
def rule_change(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    """`do`: up, down or remove."""
    membership = page_membership(request, slug, Role.ADMIN)
    todo = request.POST.get("do", "")
    common: dict[str, Any] = {
        "organization_id": membership.organization_id,
        "rule_id": rule_id,
        "actor": person(request),
        "now": timezone.now(),
    }
    if todo == "remove":
        services.remove_rule(**common)
    elif todo in ("up", "down"):
        services.move_rule(**common, is_up=todo == "up")
    else:
        raise DomainError(f"do is {todo[:40]!r}; it must be up, down or remove.", fields=["do"])
    return redirect("costs:team_list", slug=slug)
