"""What scores of one name must look like, per project. Stored scores are never touched by a change of rules."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError
from projects.models import Project
from traces.feedback.scores import MAX_NAME, MAX_TEXT
from traces.models import ScoreDefinition, ScoreType

MAX_CATEGORIES = 50
MAX_DEFINITIONS = 200
MAX_DESCRIPTION = 500


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a definition says besides its name and type."""

    min_value: float | None = None
    max_value: float | None = None
    categories: Sequence[str] = field(default_factory=tuple)
    description: str = ""
    says_solved: bool = False
    solved_from: float | None = None
    solved_words: Sequence[str] = field(default_factory=tuple)


@transaction.atomic
def define_score(
    *,
    project: Project,
    name: str,
    data_type: str,
    rules: Rules,
    actor: User | None,
    actor_label: str = "",
) -> ScoreDefinition:
    """Add a definition. Raises DomainError naming the field, ConflictError when the name is defined already."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise DomainError(f"name must have 1 to {MAX_NAME} printable characters.", fields=["name"])
    if data_type not in ScoreType.values:
        raise DomainError(
            f"data_type is {data_type[:40]!r}; it must be one of {', '.join(ScoreType.values)}.",
            fields=["data_type"],
        )
    if ScoreDefinition.objects.filter(project=project).count() >= MAX_DEFINITIONS:
        raise ConflictError(f"A project has at most {MAX_DEFINITIONS} definitions; delete one.")
    fields = _checked(data_type, rules)
    try:
        with transaction.atomic():
            definition = ScoreDefinition.objects.create(
                project=project, name=name, data_type=data_type, **fields
            )
    except IntegrityError:
        raise ConflictError(f"{name} is defined already.", fields=["name"]) from None
    _audit("scores.definition_created", definition, project, actor, actor_label)
    return definition


@transaction.atomic
def change_definition(
    *,
    project: Project,
    definition: ScoreDefinition,
    rules: Rules,
    actor: User | None,
    actor_label: str = "",
) -> ScoreDefinition:
    """Replace the rules; name and type stay, because stored scores carry them. Raises DomainError."""
    fields = _checked(definition.data_type, rules)
    _update(project, definition, **fields)
    _audit("scores.definition_changed", definition, project, actor, actor_label)
    return definition


@transaction.atomic
def archive_definition(
    *,
    project: Project,
    definition: ScoreDefinition,
    archived: bool,
    now: dt.datetime,
    actor: User | None,
    actor_label: str = "",
) -> None:
    """Stop or resume offering it to people; values keep being checked."""
    _update(project, definition, archived_at=now if archived else None)
    action = "scores.definition_archived" if archived else "scores.definition_restored"
    _audit(action, definition, project, actor, actor_label)


@transaction.atomic
def delete_definition(
    *, project: Project, definition: ScoreDefinition, actor: User | None, actor_label: str = ""
) -> None:
    """Forget the rules; the scores of that name stay and become free ones."""
    ScoreDefinition.objects.filter(project=project, pk=definition.pk).delete()
    _audit("scores.definition_deleted", definition, project, actor, actor_label)


def _update(project: Project, definition: ScoreDefinition, **fields: Any) -> None:
    for key, value in fields.items():
        setattr(definition, key, value)
    ScoreDefinition.objects.filter(project=project, pk=definition.pk).update(
        **fields, updated_at=timezone.now()
    )


def _checked(data_type: str, rules: Rules) -> dict[str, Any]:
    """The rules as columns; those of another type are refused rather than forgotten."""
    low, high = rules.min_value, rules.max_value
    categories = [text.strip() for text in rules.categories if text.strip()]
    if data_type != ScoreType.NUMERIC and (low is not None or high is not None):
        raise DomainError(
            "min_value and max_value belong to numeric scores only.",
            fields=["min_value", "max_value"],
        )
    if data_type != ScoreType.CATEGORICAL and categories:
        raise DomainError("categories belong to categorical scores only.", fields=["categories"])
    for name, number in (("min_value", low), ("max_value", high)):
        if number is not None and not math.isfinite(number):
            raise DomainError(f"{name} must be a finite number.", fields=[name])
    if low is not None and high is not None and low >= high:
        raise DomainError(
            f"max_value is {high:g}; it must be above min_value, {low:g}.", fields=["max_value"]
        )
    _check_categories(categories, "categories")
    description = rules.description.strip()
    if len(description) > MAX_DESCRIPTION or "\x00" in description:
        raise DomainError(
            f"description may have at most {MAX_DESCRIPTION} characters.", fields=["description"]
        )
    return {
        "min_value": low,
        "max_value": high,
        "categories": categories,
        "description": description,
        **_checked_solved(data_type, rules, categories),
    }


def _checked_solved(data_type: str, rules: Rules, categories: list[str]) -> dict[str, Any]:
    """Which scores say that a task is solved; nothing may be said of it when none does."""
    start, words = rules.solved_from, [text.strip() for text in rules.solved_words if text.strip()]
    for name, given, kind in (
        ("solved_from", start is not None, ScoreType.NUMERIC),
        ("solved_words", bool(words), ScoreType.CATEGORICAL),
    ):
        if given and (data_type != kind or not rules.says_solved):
            raise DomainError(
                f"{name} belongs to {kind} scores that say whether a task is solved.", fields=[name]
            )
        if rules.says_solved and data_type == kind and not given:
            raise DomainError(f"{name} must say which scores mean solved.", fields=[name])
    low, high = rules.min_value, rules.max_value
    if start is not None and not (
        math.isfinite(start) and (low is None or start >= low) and (high is None or start <= high)
    ):
        raise DomainError(
            f"solved_from is {start:g}; it must be a number these scores can have.",
            fields=["solved_from"],
        )
    _check_categories(words, "solved_words")
    if unknown := [word for word in words if categories and word not in categories]:
        raise DomainError(
            f"solved_words has {unknown[0][:40]!r}, which is no category of this score.",
            fields=["solved_words"],
        )
    return {"says_solved": rules.says_solved, "solved_from": start, "solved_words": words}


def _check_categories(words: list[str], name: str) -> None:
    if len(words) > MAX_CATEGORIES:
        raise DomainError(
            f"{name} has {len(words)} entries; at most {MAX_CATEGORIES} are possible.",
            fields=[name],
        )
    if len(set(words)) != len(words):
        raise DomainError(f"{name} names one of them twice.", fields=[name])
    for text in words:
        if len(text) > MAX_TEXT or not text.isprintable():
            raise DomainError(
                f"{name} holds {text[:40]!r}; each is one line of at most {MAX_TEXT} characters.",
                fields=[name],
            )


def _audit(
    action: str,
    definition: ScoreDefinition,
    project: Project,
    actor: User | None,
    actor_label: str,
) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action=action,
        target=definition.name,
        data={"project": str(project.pk), "type": definition.data_type},
    )
