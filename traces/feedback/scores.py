"""Store scores: a whole batch in two statements, whatever its size, through whichever door it came.

The id is the client's: sent again it corrects the score, as with Langfuse; sent again with the same content it changes
nothing. A score may arrive before its trace. Values are checked against the project's definition of that name; a name
without one takes any value of one of the three types. What is wrong with one item refuses that item only.
"""

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from traces.ingest.capture import Capture
from traces.ingest.sanitize import clean_text, is_identifier, short_text
from traces.models import Score, ScoreDefinition, ScoreSource, ScoreType
from traces.models.feedback import new_score_id

MAX_REASON = 10_000
MAX_TEXT = 200
MAX_NAME = 100
MAX_METADATA = 16_384
ID_RULE = "it must be 1 to 128 letters, digits or . _ : @ + = ~ | -"

Outcome = Literal["stored", "updated", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreItem:
    """One score as a door read it. Empty `score_id`: a new one is made; empty `data_type`: the definition's or the
    value's own; no `scored_at`: now. It names a trace, a step of it, or a session."""

    name: str
    value: float | bool | str | None
    score_id: str = ""
    data_type: str = ""
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    reason: str = ""
    source: str = ScoreSource.API
    environment: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    scored_at: dt.datetime | None = None
    author_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ScoreOutcome:
    """What became of one item, in the order given. A rejected one says which field broke which rule."""

    score_id: str
    outcome: Outcome
    field: str = ""
    detail: str = ""


class _RuleError(Exception):
    def __init__(self, name: str, value: object, rule: str) -> None:
        super().__init__(rule)
        self.field = name
        self.detail = f"{name} is {_shown(value)}; {rule}."


@dataclass(frozen=True, slots=True)
class _Row:
    """A checked score, column by column."""

    score_id: str
    trace_id: str
    span_id: str
    session_id: str
    name: str
    data_type: str
    value: float | None
    text: str
    reason: str
    source: str
    environment: str
    metadata: str
    author_id: UUID | None
    scored_at: dt.datetime


COLUMNS = tuple(_Row.__dataclass_fields__)
_CASTS = {"value": "float8", "metadata": "jsonb", "author_id": "uuid", "scored_at": "timestamptz"}
# What makes a repeated upload a correction. Without a time of its own a score keeps the one it has.
_CONTENT = tuple(name for name in COLUMNS if name not in ("score_id", "scored_at"))
_UPSERT = (
    f"INSERT INTO traces_score (project_id, {', '.join(COLUMNS)}, created_at, updated_at)"  # noqa: S608 - own names
    f" SELECT %s, {', '.join(COLUMNS)}, %s, %s FROM unnest("
    + ", ".join(f"%s::{_CASTS.get(name, 'text')}[]" for name in COLUMNS)
    + f") AS given({', '.join(COLUMNS)})"
    " ON CONFLICT (project_id, score_id) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS if name != "score_id")
    + ", updated_at = EXCLUDED.updated_at WHERE ("
    + ", ".join(f"traces_score.{name}" for name in _CONTENT)
    + ") IS DISTINCT FROM ("
    + ", ".join(f"EXCLUDED.{name}" for name in _CONTENT)
    + ") RETURNING score_id, xmax = 0"
)


def record_scores(
    *,
    project_id: UUID,
    items: Sequence[ScoreItem],
    now: dt.datetime,
    capture: Capture | None = None,
) -> list[ScoreOutcome]:
    """Store, correct or recognise each item; one outcome per item, in order. Two statements, whatever their number.

    Of two items with one id in a batch the last one counts. Nothing is raised for a bad item: its outcome is
    "rejected" with the field and the rule. `capture` is what the project allows programs to store; what a person wrote
    on a page is theirs and needs none.
    """
    definitions = _definitions(project_id, {item.name for item in items})
    rows: dict[str, _Row] = {}
    found: list[ScoreOutcome | str] = []
    for item in items:
        try:
            row = _checked(item, definitions.get(item.name.strip()), now, capture)
        except _RuleError as error:
            found.append(ScoreOutcome(item.score_id, "rejected", error.field, error.detail))
        else:
            rows[row.score_id] = row
            found.append(row.score_id)
    # Sorted, so that two writers cannot wait for each other.
    written = _upsert(project_id, [rows[key] for key in sorted(rows)], now)
    outcomes: list[ScoreOutcome] = []
    for one in found:
        if isinstance(one, str):
            is_new = written.get(one)
            word: Outcome = "duplicate" if is_new is None else "stored" if is_new else "updated"
            outcomes.append(ScoreOutcome(one, word))
        else:
            outcomes.append(one)
    return outcomes


def delete_scores(*, project_id: UUID, score_ids: Sequence[str]) -> int:
    """Delete by id; returns how many there were. One statement."""
    return Score.objects.filter(project=project_id, score_id__in=score_ids).delete()[0]


def _definitions(project_id: UUID, names: set[str]) -> dict[str, ScoreDefinition]:
    wanted = [name.strip() for name in names if "\x00" not in name]
    found = ScoreDefinition.objects.filter(project=project_id, name__in=wanted)
    return {definition.name: definition for definition in found}


def _upsert(project_id: UUID, rows: Sequence[_Row], now: dt.datetime) -> dict[str, bool]:
    """Which ids were written, and whether each is new."""
    if not rows:
        return {}
    columns = [[getattr(row, name) for row in rows] for name in COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [project_id, now, now, *columns])
        return dict(cursor.fetchall())


def _checked(
    item: ScoreItem, definition: ScoreDefinition | None, now: dt.datetime, capture: Capture | None
) -> _Row:
    name = item.name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise _RuleError("name", item.name, f"it must have 1 to {MAX_NAME} printable characters")
    _check_subject(item)
    if item.source not in ScoreSource.values:
        allowed = ", ".join(ScoreSource.values)
        raise _RuleError("source", item.source, f"it must be one of {allowed}")
    data_type = _type_of(item, definition)
    value, text = read_value(item.value, data_type, definition)
    reason, said = clean_text(item.reason.strip()), item.metadata
    if capture is not None:
        reason, said = capture.apply_to_score(reason, said)
    metadata = json.dumps(said)
    if len(metadata) > MAX_METADATA:
        raise _RuleError("metadata", metadata, f"it may have at most {MAX_METADATA} bytes")
    return _Row(
        score_id=item.score_id or new_score_id(),
        trace_id=item.trace_id,
        span_id=item.span_id,
        session_id=item.session_id,
        name=name,
        data_type=data_type,
        value=value,
        text=text,
        reason=reason[:MAX_REASON],
        source=item.source,
        environment=short_text(item.environment, 64),
        metadata=metadata,
        author_id=item.author_id,
        scored_at=item.scored_at or now,
    )


def _check_subject(item: ScoreItem) -> None:
    for name in ("score_id", "trace_id", "span_id"):
        text = getattr(item, name)
        if text and not is_identifier(text):
            raise _RuleError(name, text, ID_RULE)
    if item.session_id and short_text(item.session_id) != item.session_id:
        raise _RuleError("session_id", item.session_id, "it must be one line of 200 characters")
    if item.span_id and not item.trace_id:
        raise _RuleError("trace_id", "", "a score of a step must name its trace")
    if not item.trace_id and not item.session_id:
        raise _RuleError("trace_id", "", "a score must name a trace or a session")


def _type_of(item: ScoreItem, definition: ScoreDefinition | None) -> str:
    """The definition's type, else what the item says, else what its value is."""
    given = item.data_type
    if given and given not in ScoreType.values:
        raise _RuleError("data_type", given, f"it must be one of {', '.join(ScoreType.values)}")
    if definition is not None:
        if given and given != definition.data_type:
            rule = f"the project defines {definition.name} as {definition.data_type}"
            raise _RuleError("data_type", given, rule)
        return definition.data_type
    if given:
        return given
    if isinstance(item.value, bool):
        return ScoreType.BOOLEAN
    return ScoreType.CATEGORICAL if isinstance(item.value, str) else ScoreType.NUMERIC


def read_value(
    value: object, data_type: str, definition: ScoreDefinition | None
) -> tuple[float | None, str]:
    """(value, text) as stored. Raises _RuleError naming what the type or the definition allows."""
    if data_type == ScoreType.CATEGORICAL:
        return None, _category(value, definition)
    if data_type == ScoreType.BOOLEAN:
        if value not in (0, 1) or isinstance(value, str):
            raise _RuleError("value", value, "a yes-or-no score is true, false, 1 or 0")
        return float(bool(value)), ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _RuleError("value", value, "a numeric score is a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _RuleError("value", str(value), "it must be a finite number")
    if definition is not None:
        _check_bounds(number, definition)
    return number, ""


def _check_bounds(number: float, definition: ScoreDefinition) -> None:
    low, high = definition.min_value, definition.max_value
    if low is not None and number < low:
        raise _RuleError("value", number, f"{definition.name} is at least {low:g}")
    if high is not None and number > high:
        raise _RuleError("value", number, f"{definition.name} is at most {high:g}")


def _category(value: object, definition: ScoreDefinition | None) -> str:
    text = short_text(value.strip(), MAX_TEXT) if isinstance(value, str) else ""
    if not isinstance(value, str) or not text or len(value.strip()) > MAX_TEXT:
        raise _RuleError("value", value, f"a category is a text of 1 to {MAX_TEXT} characters")
    if definition is not None and definition.categories and text not in definition.categories:
        allowed = ", ".join(definition.categories[:20])
        raise _RuleError("value", value, f"{definition.name} is one of {allowed}")
    return text


def _shown(value: object) -> str:
    if isinstance(value, str):
        text = clean_text(value[:60])
        return f'"{text}…"' if len(value) > 60 else f'"{text}"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)[:60] if isinstance(value, int | float) else "an object or list"
