"""An organisation's price rules: the list, one rule, and changing them by way of a preview."""

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
from core.errors import DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.models import Job
from core.streaming import csv_file
from costs.models import PriceRule, RuleKind
from costs.price_forms import (
    PriceRuleForm,
    initial_of_price,
    initial_of_rule,
    suggested_prices,
)
from costs.prices import list_price
from costs.rule_drafts import RuleDraft
from costs.selectors.price_rules import (
    days_text,
    rule_in_force,
    rule_numbered,
    rules_of,
    rules_page,
)
from costs.services import price_changes, reprice_job
from costs.services.reprice import Scope
from projects.job_views import job_context

PAGE = 50
MAX_EXPORT = 10_000
STATES = {"": "In force", "removed": "Removed", "all": "All"}
SORTS = {"": "Newest first", "number": "Oldest first"}


def _choice(request: HttpRequest, name: str, allowed: Any) -> str:
    value: str = request.GET.get(name, "")
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value


def _listed(request: HttpRequest, membership: Membership, limit: int) -> list[PriceRule]:
    q, before = request.GET.get("q", "").strip(), request.GET.get("before", "")
    if len(q) > 200 or "\x00" in q:
        raise DomainError("q has at most 200 characters and no NUL.", fields=["q"])
    if before and not (before.isascii() and before.isdigit() and len(before) < 10):
        raise DomainError(
            f"before is {before[:40]!r}; it must be a rule's number.", fields=["before"]
        )
    return rules_page(
        membership.organization_id,
        state=_choice(request, "state", STATES),
        kind=_choice(request, "kind", ("", *RuleKind.values)),
        q=q,
        sort=_choice(request, "sort", SORTS),
        before=int(before) if before else None,
        limit=limit,
    )


@login_required
@never_cache
@require_GET
def price_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Own prices and discounts with their days; members see them, admins change them. Two queries."""
    membership = page_membership(request, slug)
    rules = _listed(request, membership, PAGE + 1)
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "rules": [{"rule": rule, "days": days_text(rule)} for rule in rules[:PAGE]],
        "older": rules[PAGE - 1].number if len(rules) > PAGE else None,
        "states": STATES.items(),
        "sorts": SORTS.items(),
        "kinds": [("", "Prices and discounts"), *RuleKind.choices],
        "is_filtered": any(request.GET.get(name) for name in ("q", "kind", "state", "before")),
        "today": timezone.now().date(),
    }
    return render_page_or_part(
        request, page="costs/prices.html", part="costs/_prices_results.html", context=context
    )


@login_required
@never_cache
@require_GET
def price_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV."""
    membership = page_membership(request, slug)
    rows: list[list[Any]] = [
        ["number", "kind", "provider", "model", "service_tier", "prices", "factor", "valid_from", "valid_to",
         "note", "author", "created_at", "removed_at"]
    ]  # fmt: skip
    for rule in _listed(request, membership, MAX_EXPORT):
        prices = " ".join(f"{line['class']}={line['price_usd']}" for line in rule.prices)
        rows.append(
            [rule.number, rule.kind, rule.provider, rule.pattern, rule.service_tier, prices, rule.factor,
             rule.valid_from, rule.valid_to, rule.note,
             rule.author.email if rule.author else "", rule.created_at.isoformat(),
             rule.removed_at.isoformat() if rule.removed_at else ""]
        )  # fmt: skip
    name = f"{membership.organization.slug}-prices.csv"
    return csv_file(name, csv_lines(rows))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def price_create(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a new rule, filled with today's price; sending it leads to the preview."""
    membership = page_membership(request, slug, Role.ADMIN)
    kind = _kind(request)
    if request.method == "POST":
        return _preview_of_form(request, membership, PriceRuleForm(request.POST, kind=kind))
    provider, model = request.GET.get("provider", "")[:64], request.GET.get("model", "")[:200]
    initial: dict[str, Any] = {"provider": provider, "model": model}
    if kind == RuleKind.OVERRIDE and model and "\x00" not in model + provider:
        # Before discounts, which will be taken off the new price as well.
        rules = rules_of(membership.organization_id).without_discounts()
        price = list_price(provider, model, at=timezone.now(), rules=rules)
        initial = initial_of_price(provider, model, price)
        initial |= suggested_prices(request.GET)
    return _form_page(request, membership, PriceRuleForm(kind=kind, initial=initial))


def _kind(request: HttpRequest) -> str:
    kind: str = request.GET.get("kind") or RuleKind.OVERRIDE
    if kind not in RuleKind.values:
        raise DomainError(
            f"kind is {kind[:40]!r}; it must be override or discount.", fields=["kind"]
        )
    return str(kind)


def _form_page(
    request: HttpRequest,
    membership: Membership,
    form: PriceRuleForm,
    *,
    rule: PriceRule | None = None,
) -> HttpResponse:
    context = {
        "organization": membership.organization,
        "form": form,
        "kind": form.kind,
        "rule": rule,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "costs/price_form.html", context, status=status)


def _preview_of_form(
    request: HttpRequest,
    membership: Membership,
    form: PriceRuleForm,
    *,
    rule: PriceRule | None = None,
) -> HttpResponse:
    draft = form.draft()
    if draft is None:
        return _form_page(request, membership, form, rule=rule)
    try:
        plan = price_changes.plan_of(
            organization_id=membership.organization_id,
            action="replace" if rule else "add",
            draft=draft,
            number=rule.number if rule else None,
        )
    except DomainError as error:
        form.refuse(error)
        return _form_page(request, membership, form, rule=rule)
    return _to_preview(request, membership, plan)


def _to_preview(
    request: HttpRequest, membership: Membership, plan: reprice_job.Plan
) -> HttpResponse:
    job = price_changes.preview_change(
        organization_id=membership.organization_id,
        plan=plan,
        author=person(request),
        now=timezone.now(),
    )
    return redirect("costs:price_preview", slug=membership.organization.slug, job_id=job.pk)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def price_rule(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One rule: what it says and its history; for admins the form of its successor."""
    role = Role.ADMIN if request.method == "POST" else Role.VIEWER
    membership = page_membership(request, slug, role)
    if request.method == "POST":
        rule = rule_in_force(membership.organization_id, number)
        form = PriceRuleForm(request.POST, kind=rule.kind)
        return _preview_of_form(request, membership, form, rule=rule)
    rule = rule_numbered(membership.organization_id, number)
    if membership.allows(Role.ADMIN) and rule.removed_at is None and "edit" in request.GET:
        form = PriceRuleForm(kind=rule.kind, initial=initial_of_rule(rule))
        return _form_page(request, membership, form, rule=rule)
    context = {
        "organization": membership.organization,
        "rule": rule,
        "days": days_text(rule),
        "may_change": membership.allows(Role.ADMIN),
        "percent_off": None if rule.factor is None else (1 - rule.factor) * 100,
        "now": timezone.now(),
    }
    return render(request, "costs/price_rule.html", context)


@login_required
@require_POST
def price_removal(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Preview what removing a rule changes."""
    membership = page_membership(request, slug, Role.ADMIN)
    plan = price_changes.plan_of(
        organization_id=membership.organization_id, action="remove", number=number
    )
    return _to_preview(request, membership, plan)


@login_required
@require_POST
def price_repricing(request: HttpRequest, slug: str) -> HttpResponse:
    """Preview pricing stored calls again as prices are today: all, or (`provider`, `model`) one model's unpriced."""
    membership = page_membership(request, slug, Role.ADMIN)
    is_one = "model" in request.POST
    provider, model = request.POST.get("provider", ""), request.POST.get("model", "")
    if len(provider) > 64 or len(model) > 200 or "\x00" in provider + model:
        raise DomainError(
            "provider has at most 64 characters, model 200, and neither a NUL.",
            fields=["provider", "model"],
        )
    scope = Scope(
        start=_since(request.POST.get("since", "")),
        end=reprice_job.LAST,
        provider=provider if is_one else None,
        model=model if is_one else None,
        only_unpriced=is_one,
    )
    plan = price_changes.plan_of(
        organization_id=membership.organization_id, action="reprice", scope=scope
    )
    return _to_preview(request, membership, plan)


def _since(text: str) -> dt.datetime:
    if not text:
        return reprice_job.FIRST
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
    except ValueError:
        raise DomainError(
            f"since is {text[:40]!r}; it must be a day such as 2026-11-01, or empty.",
            fields=["since"],
        ) from None


def _preview(membership: Membership, job_id: uuid.UUID) -> Job:
    job = Job.objects.filter(
        pk=job_id, organization_id=membership.organization_id, kind=reprice_job.PREVIEW
    ).first()
    if job is None:
        raise NotFoundError("There is no such preview; begin again from the organisation's prices.")
    return job


@login_required
@never_cache
@require_GET
def price_preview(request: HttpRequest, slug: str, job_id: uuid.UUID) -> HttpResponse:
    """What a change would do to stored calls, and the button that does it. Large previews show their progress first."""
    membership = page_membership(request, slug, Role.ADMIN)
    job = _preview(membership, job_id)
    plan = reprice_job.Plan.of(job)
    result = {name: job.result.get(name, 0) for name in ("read", "changed", "priced", "lost")}
    amounts = {
        name: job.result.get(name, "0") for name in ("before_usd", "after_usd", "change_usd")
    }
    context = job_context(job, membership) | {
        "organization": membership.organization,
        "title": price_changes.title_of(plan),
        "plan": plan,
        "draft": plan.draft,
        "days": days_text(plan.draft) if isinstance(plan.draft, RuleDraft) else "",
        "projects": len(plan.projects),
        "applied": job.result.get("applied_job"),
        **result,
        **amounts,
    }
    return render_page_or_part(
        request, page="costs/price_preview.html", part="costs/_price_preview.html", context=context
    )


@login_required
@require_POST
def price_application(request: HttpRequest, slug: str, job_id: uuid.UUID) -> HttpResponse:
    """Save what was previewed and price the past again."""
    membership = page_membership(request, slug, Role.ADMIN)
    preview = _preview(membership, job_id)
    try:
        _, job = price_changes.apply_preview(
            preview=preview, author=person(request), now=timezone.now()
        )
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("costs:price_preview", slug=slug, job_id=job_id)
    messages.success(
        request, "Saved. New calls have the new price; stored ones are priced again now."
    )
    return redirect("projects:job_detail", job_id=job.pk)
