"""Limits: made, changed, paused, deleted. What one counts is settled when it is made: its counters are of that."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import clean_name, record_audit_event
from core.errors import ConflictError, DomainError
from gateway.models import Limit, LimitMetric, LimitScope, LimitWindow
from gateway.quotas.deciding import plain
from gateway.snapshot import touch
from projects.access import parse_uuid
from projects.models import ApiKey, Project
from projects.selectors import chosen_project

MAX_LIMITS = 200
MAX_AMOUNT = Decimal(10) ** 12
MAX_VALUE = 200


@transaction.atomic
def create_limit(
    *,
    organization: Organization,
    name: str,
    scope: str,
    metric: str,
    amount: Decimal,
    actor: User,
    now: dt.datetime,
    window: str = "",
    value: str = "",
    project_id: UUID | None = None,
    is_hard: bool = True,
) -> Limit:
    """It counts calls from now on. Raises DomainError naming the field, ConflictError on a taken name."""
    row = draft_limit(
        organization=organization,
        name=name,
        scope=scope,
        metric=metric,
        amount=amount,
        window=window,
        value=value,
        project_id=project_id,
        is_hard=is_hard,
    )
    row.created_by = actor
    if Limit.objects.filter(organization=organization).count() >= MAX_LIMITS:
        raise ConflictError(f"There are at most {MAX_LIMITS} limits; delete one first.")
    _save(row, force_insert=True)
    _audit(row, actor, "created", scope=scope, metric=metric, amount=plain(row.amount))
    touch(organization.pk)
    return row


def draft_limit(
    *,
    organization: Organization,
    name: str,
    scope: str,
    metric: str,
    amount: Decimal,
    window: str = "",
    value: str = "",
    project_id: UUID | None = None,
    is_hard: bool = True,
) -> Limit:
    """A limit that is not stored. At most two queries. Raises DomainError naming the field."""
    _choice("scope", scope, LimitScope.values)
    _choice("metric", metric, LimitMetric.values)
    if metric == LimitMetric.CONCURRENCY:
        window = _choice("window", window, [""])
    else:
        _choice("window", window, [one for one in LimitWindow.values if one])
    return Limit(
        organization=organization,
        project=chosen_project(organization.pk, project_id),
        name=clean_name(name, limit=120),
        scope=scope,
        value=_value(organization.pk, scope, value.strip()),
        metric=metric,
        window=window,
        amount=clean_amount(metric, amount),
        is_hard=is_hard,
    )


@transaction.atomic
def change_limit(
    *,
    limit: Limit,
    actor: User,
    now: dt.datetime,
    name: str | None = None,
    amount: Decimal | None = None,
    is_hard: bool | None = None,
    is_paused: bool | None = None,
) -> Limit:
    """What is given is set; what was used and set aside stays. Raises DomainError, ConflictError on a taken name."""
    row = Limit.objects.select_for_update().get(pk=limit.pk)
    wanted: dict[str, Any] = {"is_hard": is_hard, "is_paused": is_paused}
    if name is not None:
        wanted["name"] = clean_name(name, limit=120)
    if amount is not None:
        wanted["amount"] = clean_amount(row.metric, amount)
    changed = {
        field: new
        for field, new in wanted.items()
        if new is not None and new != getattr(row, field)
    }
    if not changed:
        return row
    told = {field: [_told(getattr(row, field)), _told(new)] for field, new in changed.items()}
    for field, new in changed.items():
        setattr(row, field, new)
    _save(row)
    _audit(row, actor, "changed", **told)
    touch(row.organization_id)
    return row


@transaction.atomic
def delete_limit(*, limit: Limit, actor: User) -> None:
    """Calls are no longer held to it; its counters are forgotten by and by."""
    row = Limit.objects.select_for_update().get(pk=limit.pk)
    _audit(row, actor, "deleted", scope=row.scope, metric=row.metric, amount=plain(row.amount))
    row.delete()
    touch(row.organization_id)


def clean_amount(metric: str, amount: Decimal) -> Decimal:
    """Raises DomainError: amounts are above zero, whole but for dollars."""
    if not amount.is_finite() or not 0 < amount <= MAX_AMOUNT:
        raise DomainError(
            f"amount is {str(amount)[:40]}; it must be above 0 and at most {MAX_AMOUNT}.",
            fields=["amount"],
        )
    if metric != LimitMetric.USD and amount != amount.to_integral_value():
        raise DomainError(
            f"amount is {amount}; {LimitMetric(metric).label.lower()} are counted in whole numbers.",
            fields=["amount"],
        )
    if amount != amount.quantize(Decimal("0.000001")):
        raise DomainError(
            f"amount is {amount}; it has at most six decimal places.", fields=["amount"]
        )
    return amount


def _value(organization_id: UUID, scope: str, value: str) -> str:
    if scope in (LimitScope.ORGANIZATION, LimitScope.PROJECT):
        if value:
            raise DomainError(
                "value must be empty for this scope; which project is said by project.",
                fields=["value"],
            )
        return ""
    if len(value) > MAX_VALUE or not value.isprintable():
        raise DomainError(
            f"value has at most {MAX_VALUE} characters and no control characters.",
            fields=["value"],
        )
    if scope == LimitScope.KEY and value:
        found = parse_uuid(value)
        if found is None or not _keys(organization_id).filter(pk=found).exists():
            raise DomainError(
                f"value is {value[:40]!r}; it must be the id of an API key of this organisation.",
                fields=["value"],
            )
        return str(found)
    return value


def _keys(organization_id: UUID) -> Any:
    projects = Project.objects.filter(organization_id=organization_id)
    return ApiKey.objects.filter(project__in=projects)


def _choice(field: str, value: str, allowed: list[str]) -> str:
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one) or "empty for calls at once"
        raise DomainError(f"{field} is {value[:40]!r}; it must be {shown}.", fields=[field])
    return value


def _save(row: Limit, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError:
        raise ConflictError(
            f"There is a limit named {row.name!r} already; choose another name.", fields=["name"]
        ) from None


def _told(value: Any) -> Any:
    return plain(value) if isinstance(value, Decimal) else value


def _audit(row: Limit, actor: User, verb: str, **data: Any) -> None:
    record_audit_event(
        organization_id=row.organization_id,
        actor=actor,
        action=f"gateway.limit.{verb}",
        target=row.name,
        data={"limit_id": str(row.pk), **data},
    )
