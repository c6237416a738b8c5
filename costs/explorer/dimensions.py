"""What calls can be grouped and filtered by, and how each is read from a day's facts.

A customer is the value of a tag `customer:<name>`. So is a team (`team:<name>`) until an app registers a better rule.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from costs.explorer.facts import Facts, TagLists
from costs.explorer.grouping import groups_of
from costs.explorer.packing import Column, encode, narrow
from projects.models import Project

CUSTOMER, TEAM = "customer:", "team:"
# Name → what people read.
DIMENSIONS = {
    "provider": "Provider",
    "model": "Model",
    "agent": "Agent",
    "feature": "Feature",
    "user": "User",
    "customer": "Customer",
    "team": "Team",
    "environment": "Environment",
    "tag": "Tag",
    "api_key": "API key",
    "prompt_version": "Prompt version",
    "service_tier": "Service tier",
    "token_class": "Token class",
    "operation": "Operation",
    "project": "Project",
}
# A call has several of these: it counts under each, and once in totals.
REPEATED = ("tag", "token_class")
_OWN = frozenset(DIMENSIONS) - {"customer", "team", "tag", "token_class", "project"}


@dataclass(frozen=True)
class TeamRule:
    """`team_of(project_id, tags, api_key_id, user_id)` → the team, empty for none. `fields` are what it looks at, of
    tags, api_key and user; `version` changes whenever an answer of it may."""

    team_of: Callable[[UUID, Sequence[str], str, str], str]
    fields: tuple[str, ...] = ("tags",)
    version: str = ""


def named(tags: Iterable[str], prefix: str) -> str:
    """The value of the first such tag in order of text; empty without one."""
    return min(
        (tag[len(prefix) :] for tag in tags if tag.startswith(prefix) and tag != prefix), default=""
    )


def _by_tag(project_id: UUID, tags: Sequence[str], api_key_id: str, user_id: str) -> str:
    return named(tags, TEAM)


BY_TAG = TeamRule(_by_tag)
_team_rules: list[Callable[[UUID], TeamRule | None]] = []


def register_team_rule(rule_for: Callable[[UUID], TeamRule | None]) -> None:
    """`rule_for(organization_id)` → the organisation's rule, or None to leave it to tags. The last one registered is
    asked first."""
    _team_rules.insert(0, rule_for)


def team_rule(organization_id: UUID) -> TeamRule:
    """How the organisation's calls find their team. The queries of the registered rule."""
    for rule_for in _team_rules:
        if (rule := rule_for(organization_id)) is not None:
            return rule
    return BY_TAG


def team_rules(project_ids: Sequence[UUID]) -> dict[UUID, TeamRule]:
    """The rule of each project. One query, and those of the rules."""
    projects = dict(Project.objects.filter(pk__in=project_ids).values_list("pk", "organization_id"))
    rules = {one: team_rule(one) for one in set(projects.values())}
    return {project: rules[organization] for project, organization in projects.items()}


def team_version(project_ids: Sequence[UUID]) -> str:
    """Changes whenever a call may have another team. The queries of `team_rules`."""
    return ",".join(sorted({rule.version for rule in team_rules(project_ids).values()}))


def parts_of(name: str, rule: TeamRule) -> tuple[str, ...]:
    """The parts of facts a dimension is read from."""
    if name == "project":
        return ()
    if name == "token_class":
        return ("lines",)
    if name == "team":
        return rule.fields
    return ("tags",) if name in ("customer", "tag") else (name,)


def values_of(facts: Facts, name: str, rule: TeamRule) -> tuple[Column, list[str]]:
    """A dimension that every call has one value of: codes by call, and the texts behind them."""
    if name in _OWN:
        return facts[name], facts.texts(name)
    if name == "project":
        return np.zeros(facts.rows, dtype=np.uint8), [str(facts.project_id)]
    if name == "customer" or rule is BY_TAG:
        return _named(facts.tag_lists(), CUSTOMER if name == "customer" else TEAM)
    return _teams(facts, rule)


def _named(lists: TagLists, prefix: str) -> tuple[Column, list[str]]:
    """`named` of every call's list of tags."""
    own = [tag[len(prefix) :] if tag.startswith(prefix) else "" for tag in lists.texts]
    texts = sorted(set(own) - {""})
    # Numbers in order of text, so that the first text is the least number; a list without one has the last number.
    numbers = {text: number for number, text in enumerate(texts)}
    of_tag = narrow(np.array([numbers.get(text, len(texts)) for text in own], dtype=np.int64))
    return np.minimum.reduceat(of_tag[lists.items], lists.starts)[lists.codes], [*texts, ""]


def _teams(facts: Facts, rule: TeamRule) -> tuple[Column, list[str]]:
    """The rule is asked once for each combination of what it looks at."""
    project = facts.project_id
    lists, one_of = facts.tag_lists() if "tags" in rule.fields else None, [0]
    places: Any = np.zeros(facts.rows, dtype=np.int64)
    if lists:
        alike, one_of = lists.alike()
        places = alike[lists.codes]
    span = len(one_of)
    for field in rule.fields:
        if field != "tags":
            own = len(facts.texts(field))
            found, places = groups_of(places * own + facts[field], span * own)
            span = len(found)
    first = np.full(span, -1, dtype=np.int64)
    first[places[::-1]] = np.arange(facts.rows)[::-1]

    def asked(row: int) -> str:
        key, user = (
            facts.texts(field)[facts[field][row]] if field in rule.fields else ""
            for field in ("api_key", "user")
        )
        return rule.team_of(project, lists.of(lists.codes[row]) if lists else [], key, user)

    codes, texts = encode(asked(row) if row >= 0 else "" for row in first.tolist())
    return codes[places], texts
