"""Writing teams and rules. Each change is audited and raises the organisation's AllocationBook, which names what was
worked out with the rules of that time."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Max

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from core.formats import plain_decimal
from costs.allocation import statements
from costs.models import AllocationBook, AllocationRule, RuleField, SplitMethod, Team
from projects.access import parse_uuid
from projects.models import ApiKey, Project

MAX_TEAMS, MAX_RULES = 500, 2_000
HUNDRED = Decimal(100)


@dataclass(frozen=True)
class TeamDraft:
    """What a team shall be. `percents`: team id → percent, for a pool with fixed shares."""

    name: str
    cost_centre: str = ""
    is_shared: bool = False
    method: str = SplitMethod.SHARE
    percents: Mapping[str, Decimal] = field(default_factory=dict)


def _lock(organization_id: UUID) -> None:
    """One writer of an organisation's allocation at a time; the book's version rises."""
    Organization.objects.select_for_update().get(pk=organization_id)
    book, is_new = AllocationBook.objects.get_or_create(
        organization_id=organization_id, defaults={"version": 1}
    )
    if not is_new:
        AllocationBook.objects.filter(pk=book.pk).update(version=F("version") + 1)


def _finish(
    organization_id: UUID,
    actor: User | None,
    action: str,
    target: str,
    now: dt.datetime,
    **data: Any,
) -> None:
    record_audit_event(
        organization_id=organization_id,
        actor=actor,
        action=f"allocation.{action}",
        target=target,
        data=data,
    )
    statements.ask(organization_id, now=now)


@transaction.atomic
def save_team(
    *,
    organization_id: UUID,
    draft: TeamDraft,
    actor: User | None,
    now: dt.datetime,
    team_id: UUID | None = None,
) -> Team:
    """A new team, or a changed one. Raises DomainError for percents that do not fit, ConflictError for a name that is
    taken or too many teams, NotFoundError."""
    _lock(organization_id)
    if team_id is None:
        if Team.objects.filter(organization_id=organization_id).count() >= MAX_TEAMS:
            raise ConflictError(f"The organisation has {MAX_TEAMS} teams, the most there can be.")
        team = Team(organization_id=organization_id)
    else:
        team = team_of(organization_id, team_id)
    _check_percents(organization_id, draft, team)
    team.name, team.cost_centre = draft.name, draft.cost_centre
    team.is_shared, team.method = draft.is_shared, draft.method
    is_fixed = draft.is_shared and draft.method == SplitMethod.FIXED
    team.percents = (
        {key: plain_decimal(one) for key, one in draft.percents.items() if one} if is_fixed else {}
    )
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError:
        raise ConflictError(
            f"Another team is called {draft.name!r} (capitals do not count).",
            code="team_name_taken",
            fields=["name"],
        ) from None
    action = "team.created" if team_id is None else "team.changed"
    _finish(organization_id, actor, action, team.name, now, cost_centre=team.cost_centre)
    return team


def _check_percents(organization_id: UUID, draft: TeamDraft, team: Team) -> None:
    if not draft.percents or not draft.is_shared or draft.method != SplitMethod.FIXED:
        return
    known = {
        str(one)
        for one in Team.objects.filter(
            organization_id=organization_id, is_shared=False
        ).values_list("pk", flat=True)
    } - {str(team.pk)}
    for key, percent in draft.percents.items():
        if key not in known:
            raise DomainError(
                f"percents names {key[:40]!r}; a pool passes on to teams of this organisation that are no pools.",
                fields=["percents"],
            )
        if not 0 <= percent <= HUNDRED:
            raise DomainError(f"percents has {percent:f}; each is 0 to 100.", fields=["percents"])
    if (total := sum(draft.percents.values(), Decimal(0))) > HUNDRED:
        raise DomainError(
            f"The percents add up to {total.normalize():f}; together they are at most 100. What is left of 100 stays"
            " with the pool.",
            fields=["percents"],
        )


def team_of(organization_id: UUID, team_id: UUID) -> Team:
    """Raises NotFoundError. One query."""
    team = Team.objects.filter(organization_id=organization_id, pk=team_id).first()
    if team is None:
        raise NotFoundError("There is no such team in this organisation.")
    return team


@transaction.atomic
def archive_team(
    *,
    organization_id: UUID,
    team_id: UUID,
    actor: User | None,
    now: dt.datetime,
    is_back: bool = False,
) -> Team:
    """Its rules no longer hold, or (is_back) hold again. Raises NotFoundError."""
    _lock(organization_id)
    team = team_of(organization_id, team_id)
    team.archived_at = None if is_back else now
    team.save(update_fields=["archived_at", "updated_at"])
    _finish(organization_id, actor, "team.restored" if is_back else "team.archived", team.name, now)
    return team


@transaction.atomic
def add_rule(
    *,
    organization_id: UUID,
    team_id: UUID,
    field: str,
    value: str,
    actor: User | None,
    now: dt.datetime,
) -> AllocationRule:
    """A rule after all others. Raises DomainError for what cannot fit any call, ConflictError for the same rule twice,
    NotFoundError."""
    _lock(organization_id)
    team = team_of(organization_id, team_id)
    value = _checked(organization_id, field, value.strip())
    own = AllocationRule.objects.filter(organization_id=organization_id)
    if own.count() >= MAX_RULES:
        raise ConflictError(f"There are {MAX_RULES} rules, the most there can be; use * in a tag.")
    if before := own.filter(field=field, value=value).select_related("team").first():
        raise ConflictError(
            f"{RuleField(field).label} {value} belongs to {before.team.name} already.",
            code="rule_exists",
            fields=["value"],
        )
    last = own.aggregate(at=Max("position"))["at"]
    rule = AllocationRule.objects.create(
        organization_id=organization_id,
        team=team,
        position=0 if last is None else last + 1,
        field=field,
        value=value,
    )
    _finish(organization_id, actor, "rule.added", team.name, now, field=field, value=value)
    return rule


def _checked(organization_id: UUID, field: str, value: str) -> str:
    if field not in RuleField.values:
        raise DomainError(
            f"field is {field[:40]!r}; it must be one of {', '.join(RuleField.values)}.",
            fields=["field"],
        )
    if not value or len(value) > 200 or "\x00" in value:
        raise DomainError("value has 1 to 200 characters and no NUL.", fields=["value"])
    if field in (RuleField.TAG, RuleField.USER):
        return value
    known = (
        Project.objects.filter(organization_id=organization_id)
        if field == RuleField.PROJECT
        else ApiKey.objects.filter(project__organization_id=organization_id)
    )
    uid = parse_uuid(value)
    if uid is None or not known.filter(pk=uid).exists():
        raise DomainError(
            f"value is {value[:40]!r}; it must be the id of a {RuleField(field).label.lower()} of this organisation.",
            fields=["value"],
        )
    return str(uid)


def _rule(organization_id: UUID, rule_id: UUID) -> AllocationRule:
    rule = (
        AllocationRule.objects.filter(organization_id=organization_id, pk=rule_id)
        .select_related("team")
        .first()
    )
    if rule is None:
        raise NotFoundError("There is no such rule in this organisation.")
    return rule


@transaction.atomic
def move_rule(
    *, organization_id: UUID, rule_id: UUID, is_up: bool, actor: User | None, now: dt.datetime
) -> None:
    """Change places with the neighbour; at the end of the list nothing happens. Raises NotFoundError."""
    _lock(organization_id)
    rule = _rule(organization_id, rule_id)
    own = AllocationRule.objects.filter(organization_id=organization_id)
    other = (
        own.filter(position__lt=rule.position).order_by("-position").first()
        if is_up
        else own.filter(position__gt=rule.position).order_by("position").first()
    )
    if other is None:
        return
    mine, theirs = rule.position, other.position
    own.filter(pk=rule.pk).update(position=theirs)
    own.filter(pk=other.pk).update(position=mine)
    _finish(organization_id, actor, "rule.moved", rule.team.name, now, value=rule.value)


@transaction.atomic
def remove_rule(
    *, organization_id: UUID, rule_id: UUID, actor: User | None, now: dt.datetime
) -> None:
    """Delete a rule; its calls fall to the next that fits. Raises NotFoundError."""
    _lock(organization_id)
    rule = _rule(organization_id, rule_id)
    rule.delete()
    _finish(
        organization_id,
        actor,
        "rule.removed",
        rule.team.name,
        now,
        field=rule.field,
        value=rule.value,
    )
