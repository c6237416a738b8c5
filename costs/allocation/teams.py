"""Which team a call belongs to: the organisation's rules in their order, else the tag `team:<name>`, else none."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from costs.explorer.dimensions import TEAM, TeamRule, named
from costs.models import AllocationBook, AllocationRule, RuleField
from costs.price_rules import fits

UNASSIGNED = ""
_FIELDS = {RuleField.TAG: "tags", RuleField.API_KEY: "api_key", RuleField.USER: "user"}


@dataclass(frozen=True)
class CompiledRule:
    """A rule as it is asked. With `has_stars`, * stands for any characters."""

    team: str
    field: str
    value: str
    has_stars: bool

    def fits(self, project_id: UUID, tags: Sequence[str], api_key_id: str, user_id: str) -> bool:
        """Whether a call with these belongs to the team."""
        if self.field == RuleField.PROJECT:
            return str(project_id) == self.value
        if self.field == RuleField.API_KEY:
            return api_key_id == self.value
        values = tags if self.field == RuleField.TAG else (user_id,)
        if not self.has_stars:
            return self.value in values
        return any(fits(self.value, value) for value in values if value)


@dataclass(frozen=True)
class Matcher:
    """The organisation's rules, compiled."""

    rules: tuple[CompiledRule, ...]
    version: int

    def team_of(self, project_id: UUID, tags: Sequence[str], api_key_id: str, user_id: str) -> str:
        """The name of the team; empty for none."""
        for rule in self.rules:
            if rule.fits(project_id, tags, api_key_id, user_id):
                return rule.team
        return named(tags, TEAM)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the rules look at, of tags, api_key and user. Tags always: they are asked last."""
        found = {"tags": None} | {
            _FIELDS[RuleField(rule.field)]: None
            for rule in self.rules
            if rule.field != RuleField.PROJECT
        }
        return tuple(found)


def compiled(team: str, field: str, value: str) -> CompiledRule:
    """A rule from its words: * stands for any characters in tags and users."""
    has_stars = "*" in value and field in (RuleField.TAG, RuleField.USER)
    return CompiledRule(team, field, value, has_stars)


def matcher(organization_id: UUID) -> Matcher:
    """The rules in force. Two queries."""
    version = (
        AllocationBook.objects.filter(organization_id=organization_id)
        .values_list("version", flat=True)
        .first()
    )
    rows = (
        AllocationRule.objects.filter(organization_id=organization_id, team__archived_at=None)
        .order_by("position")
        .values_list("team__name", "field", "value")
    )
    return Matcher(tuple(compiled(*row) for row in rows), version or 0)


def team_rule(organization_id: UUID) -> TeamRule | None:
    """The explorer's rule for the organisation; None while it has no rules of its own. Two queries."""
    found = matcher(organization_id)
    if not found.rules:
        return None
    return TeamRule(found.team_of, found.fields, f"rules:{found.version}")
