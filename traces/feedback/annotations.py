"""Scores people give on the trace page: one per person, name and subject; given again it changes, undo puts it back."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import ROLE_RANK, Role, User
from accounts.services import ForbiddenError
from core.errors import DomainError, NotFoundError
from projects.models import Project
from traces.feedback.scores import ScoreItem, delete_scores, record_scores
from traces.models import Score, ScoreDefinition, ScoreSource, ScoreType

THUMBS = "thumbs"
_BOOLEANS = {
    **dict.fromkeys(("up", "yes", "true", "1"), True),
    **dict.fromkeys(("down", "no", "false", "0"), False),
}


@dataclass(frozen=True)
class Subject:
    """What is scored: a trace, or one step of it."""

    trace_id: str
    span_id: str = ""


@dataclass(frozen=True)
class Annotated:
    """The score as it is now (None: taken back) and what undo needs to bring the state before back."""

    score: Score | None
    before: dict[str, Any] | None


def annotation_id(user: User, subject: Subject, name: str) -> str:
    """The same person's score of the same name and subject is the same score."""
    text = "\n".join((str(user.pk), subject.trace_id, subject.span_id, name))
    return f"annotation-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@transaction.atomic
def annotate(
    *,
    project: Project,
    user: User,
    subject: Subject,
    name: str,
    value: str,
    reason: str | None,
    now: dt.datetime,
) -> Annotated:
    """Give or change one's own score; `reason` None keeps the reason there is.

    Thumbs given twice the same way without a reason are taken back. Raises DomainError naming the field.
    """
    name = name.strip()
    definition = ScoreDefinition.objects.filter(
        project=project, name=name.replace("\x00", "")
    ).first()
    score_id = annotation_id(user, subject, name)
    known = _own(project, score_id)
    item = ScoreItem(
        score_id=score_id,
        name=name,
        value=_read(name, value, definition),
        data_type=ScoreType.BOOLEAN if name == THUMBS and definition is None else "",
        trace_id=subject.trace_id,
        span_id=subject.span_id,
        reason=(known.reason if known else "") if reason is None else reason,
        source=ScoreSource.ANNOTATION,
        scored_at=now,
        author_id=user.pk,
    )
    if name == THUMBS and reason is None and known and known.value == float(bool(item.value)):
        delete_scores(project_id=project.pk, score_ids=[score_id])
        return Annotated(None, _state(known))
    [outcome] = record_scores(project_id=project.pk, items=[item], now=now)
    if outcome.outcome == "rejected":
        raise DomainError(outcome.detail, fields=[outcome.field])
    return Annotated(_own(project, score_id), _state(known))


@transaction.atomic
def restore(
    *,
    project: Project,
    user: User,
    subject: Subject,
    name: str,
    before: dict[str, Any] | None,
    now: dt.datetime,
) -> None:
    """Undo: the person's score as it was, or none."""
    score_id = annotation_id(user, subject, name)
    if before is None:
        delete_scores(project_id=project.pk, score_ids=[score_id])
        return
    item = ScoreItem(
        score_id=score_id,
        name=name,
        value=before["value"],
        data_type=before["data_type"],
        trace_id=subject.trace_id,
        span_id=subject.span_id,
        reason=before["reason"],
        source=ScoreSource.ANNOTATION,
        scored_at=now,
        author_id=user.pk,
    )
    [outcome] = record_scores(project_id=project.pk, items=[item], now=now)
    if outcome.outcome == "rejected":  # the definition has changed meanwhile
        raise DomainError(outcome.detail, fields=[outcome.field])


@transaction.atomic
def remove_score(*, project: Project, user: User, score_id: str) -> Score:
    """Delete one score: one's own, or any as an admin. Raises NotFoundError, ForbiddenError."""
    score = Score.objects.filter(project=project, score_id=score_id.replace("\x00", "")).first()
    if score is None:
        raise NotFoundError("There is no such score in this project.")
    if score.author_id != user.pk and ROLE_RANK[project.role] < ROLE_RANK[Role.ADMIN]:
        raise ForbiddenError("Deleting a score of somebody else needs the role admin.")
    delete_scores(project_id=project.pk, score_ids=[score_id])
    return score


def _own(project: Project, score_id: str) -> Score | None:
    return Score.objects.filter(project=project, score_id=score_id).first()


def _state(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    value: Any = score.text if score.data_type == ScoreType.CATEGORICAL else score.value
    if score.data_type == ScoreType.BOOLEAN:
        value = bool(score.value)
    return {"value": value, "data_type": score.data_type, "reason": score.reason}


def _read(name: str, text: str, definition: ScoreDefinition | None) -> float | bool | str:
    """A form's text as the type the definition asks for; without one a number where it reads as one."""
    text = text.strip()
    data_type = definition.data_type if definition else ""
    if name == THUMBS and definition is None:
        data_type = ScoreType.BOOLEAN
    if data_type == ScoreType.BOOLEAN:
        if text.lower() not in _BOOLEANS:
            raise DomainError(f"{name} is yes or no.", fields=["value"])
        return _BOOLEANS[text.lower()]
    if data_type == ScoreType.CATEGORICAL:
        return text
    try:
        return float(text)
    except ValueError:
        if data_type == ScoreType.NUMERIC:
            raise DomainError(f"{name} is a number.", fields=["value"]) from None
        return text
