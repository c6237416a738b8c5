"""A change of prices from question to answer: preview it, apply exactly what was previewed, price the past again."""

import datetime as dt
from http import HTTPStatus
from uuid import UUID

import msgspec
from django.db import transaction

from accounts.models import User
from core.errors import ConflictError, DomainError
from core.models import Job
from costs.models import PriceRule
from costs.rule_drafts import RuleDraft
from costs.selectors.price_rules import rule_in_force, rules_in_force
from costs.services import price_rules, reprice_job
from costs.services.reprice import Scope
from costs.services.reprice_job import Plan


def plan_of(
    *,
    organization_id: UUID,
    action: str,
    draft: RuleDraft | None = None,
    number: int | None = None,
    scope: Scope | None = None,
) -> Plan:
    """What a change would touch, over all of the organisation's projects. Raises OverlapError for a rule that clashes,
    NotFoundError for one that is gone."""
    old = rule_in_force(organization_id, number) if number is not None else None
    if draft is not None:
        price_rules.check_overlap(draft, rules_in_force(organization_id), but=number)
    rules = [rule for rule in (draft, old) if rule is not None]
    return Plan(
        projects=reprice_job.projects_of_organization(organization_id),
        scope=scope or reprice_job.scope_of(*rules),
        action=action,
        draft=draft,
        number=number,
    )


def title_of(plan: Plan) -> str:
    """What the change is called in lists of jobs and in the audit trail."""
    about = price_rules.describe(plan.draft) if plan.draft else ""
    if plan.action == "add":
        return f"New {_kind(plan.draft)}: {about}"
    if plan.action == "replace":
        return f"Change rule #{plan.number}: {about}"
    if plan.action == "remove":
        return f"Remove rule #{plan.number}"
    if plan.scope.model is not None:
        return f"Re-price {plan.scope.model or 'calls without a model'}"
    return "Re-price with today's catalogue"


def _kind(draft: RuleDraft | None) -> str:
    return "discount" if draft and draft.kind == "discount" else "price"


def preview_change(
    *, organization_id: UUID, plan: Plan, author: User | None, now: dt.datetime
) -> Job:
    """How many calls and dollars `plan` would change: a job, done at once when it is small."""
    return reprice_job.start_preview(
        organization_id=organization_id,
        plan=plan,
        title=f"Preview: {title_of(plan)}",
        author=author,
        now=now,
    )


@transaction.atomic
def apply_preview(
    *, preview: Job, author: User | None, now: dt.datetime
) -> tuple[PriceRule | None, Job]:
    """Save what was previewed and start the re-pricing. A preview is applied once.

    Raises ConflictError while it is not done or when it was applied, and what `apply_plan` raises.
    """
    job = Job.objects.select_for_update().get(pk=preview.pk)
    if job.state != Job.State.DONE:
        raise ConflictError("The preview is not done; wait until it says how much would change.")
    if "applied_job" in job.result:
        raise ConflictError("This preview was applied already; its re-pricing is among the jobs.")
    rule, reprice = apply_plan(
        organization_id=job.organization_id, plan=Plan.of(job), author=author, now=now
    )
    job.result = {**job.result, "applied_job": str(reprice.pk)}
    job.save(update_fields=["result", "updated_at"])
    return rule, reprice


@transaction.atomic
def apply_plan(
    *, organization_id: UUID, plan: Plan, author: User | None, now: dt.datetime
) -> tuple[PriceRule | None, Job]:
    """Change the rules and start the re-pricing, in one transaction. Raises OverlapError, NotFoundError, ConflictError
    for a change that is no longer possible."""
    rule = _change(organization_id, plan, author, now)
    # Under the lock of the change: projects made since the preview are in it.
    projects = reprice_job.projects_of_organization(organization_id)
    plan = msgspec.structs.replace(plan, projects=projects)
    job = reprice_job.start_reprice(
        organization_id=organization_id,
        plan=plan,
        title=_job_title(plan, rule),
        author=author,
        now=now,
    )
    return rule, job


def _change(
    organization_id: UUID, plan: Plan, author: User | None, now: dt.datetime
) -> PriceRule | None:
    if plan.action == "reprice":
        return None
    facts = {"organization_id": organization_id, "author": author, "now": now}
    if plan.action == "add" and plan.draft is not None:
        return price_rules.add_rule(draft=plan.draft, **facts)  # type: ignore[arg-type]
    if plan.action == "replace" and plan.draft is not None and plan.number is not None:
        return price_rules.replace_rule(draft=plan.draft, number=plan.number, **facts)  # type: ignore[arg-type]
    if plan.action == "remove" and plan.number is not None:
        return price_rules.remove_rule(number=plan.number, **facts)  # type: ignore[arg-type]
    raise DomainError(
        f"{plan.action!r} cannot be applied as it stands.", status=HTTPStatus.BAD_REQUEST
    )


def _job_title(plan: Plan, rule: PriceRule | None) -> str:
    if rule is None or plan.action == "remove":
        return f"Re-price: {title_of(plan)}" if plan.action == "remove" else title_of(plan)
    return f"Re-price with {rule.kind} #{rule.number}: {price_rules.describe(rule)}"
