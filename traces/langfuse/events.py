"""Langfuse's batch: `{"batch": [{"id", "timestamp", "type", "body"}]}`. One bad event is one refusal.

A body is partial: a field that is absent or null says nothing. What an event says of its trace or observation becomes
facts (kept in traces.langfuse.state until the item is complete) and content (kept with the step only).
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from traces.feedback.scores import ScoreItem
from traces.ingest.json_body import load_json
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.limits import SHORT_LENGTH, BodyError, Limits, TooManyItemsError, Window
from traces.ingest.sanitize import short_text
from traces.ingest.span import Rejection
from traces.langfuse.scores import read_score

TRACE, OBSERVATION, SCORE, LOG = "t", "o", "s", "l"
# Event type → what it is about, the observation's type it implies, and whether it changes rather than makes.
TYPES: dict[str, tuple[str, str, bool]] = {
    "trace-create": (TRACE, "", False),
    "span-create": (OBSERVATION, "span", False),
    "span-update": (OBSERVATION, "span", True),
    "generation-create": (OBSERVATION, "generation", False),
    "generation-update": (OBSERVATION, "generation", True),
    "event-create": (OBSERVATION, "event", False),
    "observation-create": (OBSERVATION, "", False),
    "observation-update": (OBSERVATION, "", True),
    # Later SDKs have an event for each of the newer types.
    **{
        f"{kind}-create": (OBSERVATION, kind, False)
        for kind in ("agent", "tool", "chain", "retriever", "evaluator", "embedding", "guardrail")
    },
    "score-create": (SCORE, "", False),
    "sdk-log": (LOG, "", False),
}
OBSERVATION_TYPES = {
    kind: kind
    for kind in (
        *("span", "generation", "event", "agent", "tool", "chain", "retriever", "evaluator"),
        *("embedding", "guardrail"),
    )
}
LEVELS = {"debug": "DEBUG", "default": "DEFAULT", "warning": "WARNING", "error": "ERROR"}
MAX_STATUS = 2_000
MAX_USAGE_KEYS = 60
CONTENT = ("input", "output", "metadata", "modelParameters")
# Fields of a body that are known and not kept apart; said on the page "What we understood".
NOT_READ = {
    "public": "LLMLab shares by links of its own",
    "htmlPath": "an address of Langfuse's own pages",
    "configId": "scores are checked against the project's own definitions",
    "externalId": "replaced by id in all SDKs",
}


class Event(msgspec.Struct, kw_only=True):
    """One event, read. `facts` and `content` hold stated fields only; times are aware UTC."""

    index: int
    event_id: str
    type: str
    about: str
    item_id: str
    is_update: bool
    at: datetime
    facts: dict[str, Any] = {}
    content: dict[str, Any] = {}
    body: dict[str, Any] = {}
    score: ScoreItem | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two statements is the newer one: the client's clock, then an update before what it updates."""
        return int(self.at.timestamp() * 1_000_000), int(self.is_update)


class Batch(msgspec.Struct, kw_only=True):
    """What a body held: `events` and `rejections` together are all its items; `ids` names each by its position."""

    events: list[Event] = []
    rejections: list[Rejection] = []
    ids: list[str] = []


def read_batch(body: bytes, *, now: datetime, limits: Limits, window: Window) -> Batch:
    """Every event, read or refused by name. Raises BodyError or TooManyItemsError for the body as a whole."""
    value = load_json(body)
    items = value.get("batch") if type(value) is dict else None
    if type(items) is not list:
        raise BodyError('The body must be an object with "batch": a list.', fields=["batch"])
    if len(items) > limits.max_spans:
        raise TooManyItemsError(
            f"The batch holds {len(items)} events, more than {limits.max_spans}.",
            fields=["batch"],
            items=len(items),
        )
    batch = Batch(events=[], rejections=[], ids=[])
    for index, item in enumerate(items):
        event_id = short_text(item.get("id"), 128) if type(item) is dict else ""
        batch.ids.append(event_id)
        try:
            batch.events.append(_event(index, item, event_id, now, limits, window))
        except FieldError as error:
            code = "unknown_type" if error.field == "type" else "invalid_field"
            batch.rejections.append(
                Rejection(index=index, span_id=event_id, code=code, detail=error.detail)
            )
    return batch


def _event(
    index: int, item: Any, event_id: str, now: datetime, limits: Limits, window: Window
) -> Event:
    envelope = Reader(item, "", limits, window)
    if not event_id:
        raise FieldError("id", item.get("id"), "every event needs an id of its own, as text")
    field, kind = envelope.take("type")
    known = TYPES.get(kind.lower()) if type(kind) is str else None
    if known is None:
        raise FieldError(field or "type", kind, "it must be one of " + ", ".join(TYPES))
    about, implied, is_update = known
    at = envelope.moment("timestamp", is_windowed=False) or now
    if window.complaint(at):
        at = now  # a clock that is years off orders nothing
    _, body = envelope.take("body")
    if about == LOG:
        return Event(
            index=index, event_id=event_id, type=kind, about=about, item_id="", is_update=False, at=at
        )  # fmt: skip
    reader = Reader(body, "body.", limits, window)
    event = Event(
        index=index,
        event_id=event_id,
        type=kind,
        about=about,
        item_id=reader.identifier("id", is_required=is_update),
        is_update=is_update,
        at=at,
        body=body,
    )
    if about == SCORE:
        event.score = read_score(reader, score_id=event_id, at=at)
        return event
    # A new item may leave its id to the server: the event's own makes a repeated upload the same one.
    event.item_id = event.item_id or Reader({"id": event_id}, "", limits, window).identifier("id")
    read = _trace_facts if about == TRACE else _observation_facts
    facts = read(reader) if about == TRACE else read(reader) | _type_of(reader, implied)
    event.facts = {name: value for name, value in facts.items() if value not in ("", None, (), {})}
    if about == OBSERVATION and not is_update:
        event.facts.setdefault("startTime", at)
    event.content = _content(reader)
    if tier := short_text(
        reader.object_of(event.content.get("modelParameters")).get("service_tier"), 32
    ):
        event.facts["serviceTier"] = tier
    return event


def _trace_facts(reader: Reader) -> dict[str, Any]:
    return {
        "timestamp": reader.moment("timestamp"),
        "name": reader.text("name"),
        "userId": reader.text("userId"),
        "sessionId": reader.text("sessionId"),
        "release": reader.text("release"),
        "version": reader.text("version"),
        "environment": reader.text("environment", limit=SHORT_LENGTH),
        "tags": list(reader.tags("tags")) or None,
    }


def _observation_facts(reader: Reader) -> dict[str, Any]:
    return {
        "traceId": reader.identifier("traceId"),
        "parentObservationId": reader.identifier("parentObservationId"),
        "name": reader.text("name"),
        "startTime": reader.moment("startTime"),
        "endTime": reader.moment("endTime"),
        "completionStartTime": reader.moment("completionStartTime"),
        "model": reader.text("model"),
        "usage": _numbers(reader, "usage"),
        "usageDetails": _numbers(reader, "usageDetails"),
        "costDetails": _numbers(reader, "costDetails"),
        "level": reader.choice(LEVELS, "level"),
        "statusMessage": reader.text("statusMessage", limit=MAX_STATUS),
        "version": reader.text("version"),
        "environment": reader.text("environment", limit=SHORT_LENGTH),
        "promptName": reader.text("promptName"),
        "promptVersion": reader.text("promptVersion", limit=SHORT_LENGTH),
    }


def _type_of(reader: Reader, implied: str) -> dict[str, Any]:
    """`type` of the body, where the event's own does not say; what is no type is a span."""
    return {"type": implied or reader.choice(OBSERVATION_TYPES, "type") or None}


def _numbers(reader: Reader, name: str) -> dict[str, Any]:
    """A map of numbers, one level of maps in it; money and counts keep every digit, as text where JSON has none."""
    field, value = reader.take(name)
    if not field:
        return {}
    if type(value) is not dict:
        raise FieldError(field, value, "it must be an object")
    if len(value) > MAX_USAGE_KEYS:
        raise FieldError(
            field, value, f"it has {len(value)} keys, at most {MAX_USAGE_KEYS} are allowed"
        )
    found: dict[str, Any] = {}
    for key, item in value.items():
        key = short_text(key, SHORT_LENGTH)
        if type(item) is dict:
            inner = {
                short_text(k, SHORT_LENGTH): _number(v)
                for k, v in list(item.items())[:MAX_USAGE_KEYS]
            }
            found[key] = {k: v for k, v in inner.items() if v is not None}
        elif item is not None:
            found[key] = _number(item)
    return {key: item for key, item in found.items() if item is not None}


def _number(value: Any) -> Any:
    if type(value) is int:
        return value if abs(value) < 2**63 else str(value)[:60]
    if type(value) is Decimal:
        whole = abs(value) < 2**53 and value == value.to_integral_value()
        return int(value) if whole else f"{value:f}"[:60]
    if value is None or type(value) in (bool, list, dict):
        return None
    return short_text(
        value if type(value) is str else str(getattr(value, "text", "")), SHORT_LENGTH
    )


def _content(reader: Reader) -> dict[str, Any]:
    found = {name: reader.content(name) for name in CONTENT}
    metadata, parameters = found["metadata"], found["modelParameters"]
    if metadata is not None and type(metadata) is not dict:
        found["metadata"] = {"metadata": metadata}
    if parameters is not None and type(parameters) is not dict:
        raise FieldError("body.modelParameters", parameters, "it must be an object")
    return {name: value for name, value in found.items() if value is not None}


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def unread(event: Event) -> dict[str, str]:
    """The fields of a body that were not read, and why."""
    read = {"id", *event.facts, *CONTENT, "type", "unit"}
    return {
        name: NOT_READ.get(
            name, "not part of Langfuse's ingestion API, or said without a value; not kept"
        )
        for name in event.body
        if name not in read
    }
