"""Scores in Langfuse's words: `{"id", "traceId", "observationId", "sessionId", "name", "value", "dataType", …}`."""

import datetime as dt
from decimal import Decimal
from typing import Any

from traces.feedback.scores import MAX_REASON, ScoreItem
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.limits import SHORT_LENGTH
from traces.models import ScoreType

_TYPES = {kind.value: kind.value for kind in ScoreType}


def read_score(reader: Reader, *, score_id: str, at: dt.datetime) -> ScoreItem:
    """The body as an item for record_scores, `score_id` where it names none itself. Raises FieldError."""
    comment_field, comment = reader.take("comment")
    if comment_field and (type(comment) is not str or len(comment) > MAX_REASON):
        raise FieldError(
            comment_field, comment, f"it must be text of at most {MAX_REASON} characters"
        )
    field, value = reader.take("value", "stringValue")
    if not field:
        raise FieldError(
            f"{reader.path}value", None, "it is required: a number, or the text of a category"
        )
    metadata = reader.mapping("metadata")
    return ScoreItem(
        name=reader.text("name"),
        value=_value(field, value),
        score_id=reader.identifier("id") or score_id,
        data_type=reader.choice(_TYPES, "dataType"),
        trace_id=reader.identifier("traceId"),
        span_id=reader.identifier("observationId"),
        session_id=reader.text("sessionId"),
        reason=reader.cleaner.text(comment) if comment else "",
        environment=reader.text("environment", limit=SHORT_LENGTH),
        metadata=metadata,
        scored_at=at,
    )


def _value(field: str, value: Any) -> float | bool | str:
    if type(value) in (bool, str, float):
        found: float | bool | str = value
        return found
    if type(value) is Decimal or (type(value) is int and abs(value) < 2**63):
        return float(value)
    raise FieldError(field, value, "it must be a number, or the text of a category")
