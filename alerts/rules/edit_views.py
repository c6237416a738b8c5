"""The form of a rule: first what it watches, then the fields of that, with a live preview beside it. For admins."""

import uuid
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from alerts.measures.base import Measure
from alerts.measures.registry import measure_for, measures
from alerts.models import Alert, AlertKind, Channel, Severity
from alerts.rules import services
from alerts.rules.drafts import RuleDraft
from alerts.rules.forms import RuleForm, initial_of, initial_of_new
from alerts.rules.known import budget_choices, suggestions
from alerts.rules.overview import rule_of
from alerts.rules.preview import preview_of
from alerts.rules.services import By
from alerts.rules.starters import starter_initial
from alerts.units import UNIT_WORDS
from core.errors import DomainError
from core.htmx import wants_part
from projects.access import parse_uuid
from projects.selectors import projects_of

_ORDER = {kind: place for place, kind in enumerate(AlertKind.values)}


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def rule_create(request: HttpRequest, slug: str) -> HttpResponse:
    """What to watch, and then its form; `?from=` begins with another rule, `?starter=` with a ready-made one."""
    membership = page_membership(request, slug, Role.ADMIN)
    kind, initial = _beginning(request, membership)
    if not kind:
        context = {
            "organization": membership.organization,
            "measures": sorted(measures(), key=lambda one: _ORDER.get(one.kind, 99)),
        }
        return render(request, "alerts/rules/kinds.html", context)
    measure = measure_for(kind)
    if request.method == "POST":
        return _sent(request, membership, _form(request, membership, measure))
    return _page(request, membership, _form(request, membership, measure, initial=initial))


def _beginning(request: HttpRequest, membership: Membership) -> tuple[str, dict[str, Any]]:
    """The kind, and what the form begins with. At most three queries."""
    query, organization_id = request.GET, membership.organization_id
    if (starter := query.get("starter", "")[:40]) and request.method == "GET":
        return starter_initial(starter)
    if (source := query.get("from", "")) and request.method == "GET":
        uid = parse_uuid(source)
        if uid is None:
            raise DomainError(f"from is {source[:40]!r}; it must be a rule's id.", fields=["from"])
        alert = rule_of(organization_id, uid)
        name = services.free_name(organization_id, f"{alert.name[:100]} copy")
        return alert.kind, initial_of(alert) | {"name": name}
    kind = (request.POST if request.method == "POST" else query).get("kind", "")[:40]
    if not kind or request.method == "POST":
        return kind, {}
    taken = ("project", "budget", "model", "agent", "environment", "provider", "user_id", "tag")
    given = {one: query.get(one, "")[:200].replace("\x00", "") for one in taken if one in query}
    measure = measure_for(kind)
    name = services.free_name(organization_id, measure.label)
    return kind, initial_of_new(measure, {"name": name} | given)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def rule_edit(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """The form of a stored rule; it keeps its kind."""
    membership = page_membership(request, slug, Role.ADMIN)
    alert = rule_of(membership.organization_id, alert_id)
    measure = measure_for(alert.kind)
    if request.method == "POST":
        return _sent(request, membership, _form(request, membership, measure), alert)
    form = _form(request, membership, measure, initial=initial_of(alert))
    return _page(request, membership, form, alert)


def _form(
    request: HttpRequest, membership: Membership, measure: Measure, **options: Any
) -> RuleForm:
    """At most three queries: projects, budgets, channels."""
    data = None
    if request.method == "POST":
        data = request.POST.copy()
        # A preview beside the form needs no name yet.
        if "preview" in data and wants_part(request) and not data.get("name", "").strip():
            data["name"] = "Draft"
    organization_id = membership.organization_id
    return RuleForm(
        data,
        organization_id=organization_id,
        measure=measure,
        projects=projects_of(person(request), organization_id),
        budgets=budget_choices(organization_id) if "budget" in measure.fields else (),
        channels=list(Channel.objects.filter(organization_id=organization_id).order_by("name")),
        **options,
    )


def _sent(
    request: HttpRequest, membership: Membership, form: RuleForm, alert: Alert | None = None
) -> HttpResponse:
    """Add or remove a level, preview, or save what was sent."""
    if {"add_level", "remove_level"} & set(request.POST):
        if wants_part(request):
            return render(request, "alerts/rules/_levels.html", _level_context(form))
        form.is_asked_for_more = True
        return _page(request, membership, form, alert)
    now = timezone.now()
    draft = form.draft(is_enabled=alert is None or alert.is_enabled)
    if "preview" in request.POST:
        preview = preview_of(draft.alert(), now) if draft else None
        if wants_part(request):
            context = {"preview": preview, "form": form, "now": now}
            return render(request, "alerts/rules/_preview.html", context)
        return _page(request, membership, form, alert, preview=preview)
    if draft is None:
        return _page(request, membership, form, alert)
    try:
        saved = _save(request, membership, draft, alert)
    except DomainError as error:
        form.refuse(error)
        return _page(request, membership, form, alert)
    messages.success(request, f"Saved: {saved.name}.")
    return redirect("alerts:rule_detail", slug=membership.organization.slug, alert_id=saved.pk)


def _save(
    request: HttpRequest, membership: Membership, draft: RuleDraft, alert: Alert | None
) -> Alert:
    by, now = By(person(request)), timezone.now()
    if alert is None:
        return services.create_rule(draft=draft, by=by, now=now)
    return services.change_rule(
        organization_id=membership.organization_id, rule_id=alert.pk, draft=draft, by=by, now=now
    )


def _level_context(form: RuleForm) -> dict[str, Any]:
    return {
        "form": form,
        "severities": Severity.choices,
        "unit_words": UNIT_WORDS.get(form.measure.unit, form.measure.unit),
    }


def _page(
    request: HttpRequest,
    membership: Membership,
    form: RuleForm,
    alert: Alert | None = None,
    *,
    preview: Any = None,
) -> HttpResponse:
    now = timezone.now()
    context = _level_context(form) | {
        "organization": membership.organization,
        "measure": form.measure,
        "alert": alert,
        "preview": preview,
        "known": [
            (name, values)
            for name, values in suggestions(membership.organization_id, now).items()
            if name in form.fields
        ],
        "now": now,
    }
    is_wrong = form.is_bound and not form.is_asked_for_more and bool(form.errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return render(request, "alerts/rules/form.html", context, status=status)
