"""Read one uploaded score field by field; refusals name field and rule. Its value is checked when it is stored."""

from typing import Any
from uuid import UUID

from core.ranges import InvalidRangeError, parse_instant
from traces.feedback.scores import MAX_REASON, ScoreItem
from traces.models import ScoreSource

TEXTS = {
    "id": "score_id",
    "name": "name",
    "type": "data_type",
    "trace_id": "trace_id",
    "span_id": "span_id",
    "session": "session_id",
    "reason": "reason",
    "source": "source",
    "environment": "environment",
}
FIELDS = (*TEXTS, "value", "metadata", "scored_at")


class BodyProblem(Exception):
    """One field of one score breaks a rule."""

    def __init__(self, field: str, detail: str, score_id: str = "") -> None:
        super().__init__(detail)
        self.field, self.detail, self.score_id = field, detail, score_id


def read_item(body: Any, *, author_id: UUID | None) -> ScoreItem:
    """The body as an item for record_scores. Raises BodyProblem."""
    if not isinstance(body, dict):
        raise BodyProblem("score", "A score must be an object.")
    score_id = body["id"] if isinstance(body.get("id"), str) else ""
    try:
        return _read(body, author_id)
    except BodyProblem as problem:
        problem.score_id = score_id[:128]
        raise


def _read(body: dict[str, Any], author_id: UUID | None) -> ScoreItem:
    if unknown := sorted(str(name)[:80] for name in set(body) - set(FIELDS)):
        raise BodyProblem(unknown[0], f"{unknown[0]} is unknown; known are {', '.join(FIELDS)}.")
    values: dict[str, Any] = {}
    for name, column in TEXTS.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise BodyProblem(name, f"{name} must be a text.")
        values[column] = value
    if len(values.get("reason", "")) > MAX_REASON:
        raise BodyProblem("reason", f"reason may have at most {MAX_REASON:,} characters.")
    if "name" not in values:
        raise BodyProblem("name", "name is missing.")
    if "value" not in body:
        raise BodyProblem("value", "value is missing.")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BodyProblem("metadata", "metadata must be an object.")
    values.setdefault("source", ScoreSource.API)
    return ScoreItem(
        value=body["value"],
        metadata=metadata,
        scored_at=_moment(body.get("scored_at")),
        author_id=author_id,
        **values,
    )


def _moment(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BodyProblem("scored_at", "scored_at must be a date-time in ISO 8601.")
    try:
        return parse_instant(value, "scored_at")
    except InvalidRangeError as error:
        raise BodyProblem("scored_at", error.detail) from None
