"""The last spans of a project as they came and as they were understood, for the page "What we understood".

At most one upload in two seconds is sampled, at most five of its steps, and the newest hundred are kept. What a project
does not allow to store is not stored here either: texts go through the same rules as the step's own payload.
"""

import copy
import datetime as dt
import logging
import time
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, connection, transaction

from core.masking import Masker
from projects.models import ContentCapture
from traces.ingest.capture import known_facts
from traces.ingest.context import IngestContext
from traces.ingest.dialects.explain import NOT_READ, Explanation, explain, said_fields
from traces.ingest.facts import SpanFacts
from traces.ingest.limits import Limits
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.payloads import payload_context, seal_payload

logger = logging.getLogger(__name__)

KEPT = 100
EVERY_SECONDS = 2.0
MAX_PER_UPLOAD = 5
NOT_KEPT = "(text is not kept in this project)"
# A look, not a copy: long values are cut.
_LOOK = Limits(max_text=2_000, max_list=100, max_keys=300, max_depth=8)
_MAX_PROJECTS = 10_000
_last: dict[UUID, float] = {}


class Sample(msgspec.Struct, kw_only=True):
    """One step: what was sent, and what became of it."""

    dialect: str
    scope: str = ""
    version: str = ""
    raw: dict[str, Any]
    resource: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    span: NormalSpan
    consumed: tuple[str, ...] = ()
    consumed_events: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()


class Keeper:
    """Collects the samples of one upload. `keep` copies; everything that takes time is done in `store`."""

    def __init__(self) -> None:
        self.facts: list[SpanFacts] = []
        self.samples: list[Sample] = []
        self._seen: set[tuple[str, str]] = set()

    def keep(self, facts: SpanFacts) -> None:
        """Look at an OTLP span before its dialect takes it apart."""
        kind = (facts.scope.name, facts.name)
        if len(self.facts) < MAX_PER_UPLOAD and kind not in self._seen:
            self._seen.add(kind)
            self.facts.append(copy.deepcopy(facts))

    def keep_read(self, raw: dict[str, Any], span: NormalSpan, unread: dict[str, str]) -> None:
        """A step of a door that reads field by field; `unread` says why of the fields that were not read."""
        if len(self.samples) < MAX_PER_UPLOAD:
            ignored = tuple((str(key), unread[key]) for key in raw if key in unread)
            consumed = tuple(str(key) for key in raw if key not in unread)
            self.samples.append(
                Sample(
                    dialect=span.dialect,
                    scope=span.scope_name,
                    version=span.scope_version,
                    raw=raw,
                    span=span,
                    consumed=consumed,
                    ignored=ignored,
                )
            )


def keeper(project_id: UUID) -> Keeper | None:
    """Someone to collect samples, when it is time for some."""
    now = time.monotonic()
    if now - _last.get(project_id, -EVERY_SECONDS) < EVERY_SECONDS:
        return None
    if len(_last) >= _MAX_PROJECTS:
        _last.clear()
    _last[project_id] = now
    return Keeper()


def unread_json(step: Any, span: NormalSpan) -> dict[str, str]:
    """The fields of a JSON step that were only kept."""
    names = step if type(step) is dict else {}
    return {name: NOT_READ for name in names if name in span.attributes and name != "attributes"}


_INSERT = """
INSERT INTO traces_ingestsample (project_id, sampled_at, position, door, dialect, scope, version, has_ignored, data)
SELECT %s, %s, v.* FROM unnest(%s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[],
  %s::bytea[]) AS v
WHERE NOT EXISTS (SELECT FROM traces_ingestsample WHERE project_id = %s AND sampled_at > %s)
ON CONFLICT DO NOTHING
"""
_TRIM = f"""
DELETE FROM traces_ingestsample WHERE project_id = %s AND (sampled_at, position) < (
  SELECT sampled_at, position FROM traces_ingestsample WHERE project_id = %s
  ORDER BY sampled_at DESC, position DESC OFFSET {KEPT - 1} LIMIT 1)
"""  # noqa: S608 - a number of ours


def store(kept: Keeper | None, context: IngestContext, *, now: dt.datetime) -> None:
    """Write what was collected. Never raises: the upload is stored, and must not fail for its sample."""
    if kept is None or not (kept.facts or kept.samples):
        return
    try:
        samples = [*kept.samples, *map(_explained, kept.facts)][:MAX_PER_UPLOAD]
        rows = [_row(position, sample, context) for position, sample in enumerate(samples)]
        with transaction.atomic(), connection.cursor() as cursor:
            since = now - dt.timedelta(seconds=EVERY_SECONDS)
            project = context.project_id
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_INSERT, [project, now, *columns, project, since])
            cursor.execute(_TRIM, [project, project])
    except (DatabaseError, ValueError, TypeError, RecursionError):
        logger.exception("traces.ingest.sample_not_kept")


def _explained(facts: SpanFacts) -> Sample:
    found: Explanation = explain(facts)
    return Sample(
        dialect=found.dialect,
        scope=found.scope,
        version=found.version,
        raw=facts.attributes,
        resource=facts.scope.resource,
        events=[
            {"name": event.name, "offset_ms": event.offset_ms, "attributes": event.attributes}
            for event in facts.events
        ],
        span=found.span,
        consumed=found.consumed,
        consumed_events=found.consumed_events,
        ignored=found.ignored,
    )


def _row(position: int, sample: Sample, context: IngestContext) -> tuple[Any, ...]:
    cleaner = Cleaner(_LOOK)
    capture = context.capture
    span = capture.apply([sample.span])[0]
    raw, resource = cleaner.value(sample.raw), cleaner.value(sample.resource)
    events = cleaner.value(sample.events)
    if capture.mode == ContentCapture.OFF.value:
        raw, resource = _facts_only(raw), _facts_only(resource)
        events = [{**event, "attributes": _facts_only(event["attributes"])} for event in events]
    elif capture.rules and capture.mode != ContentCapture.PLAIN.value:
        masker = Masker(capture.rules)
        raw, resource, events = masker.value(raw), masker.value(resource), masker.value(events)
    data = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": span.name,
        "raw": raw,
        "resource": resource,
        "events": events,
        "fields": cleaner.value(msgspec.to_builtins(said_fields(span), str_keys=True)),
        "consumed": list(sample.consumed),
        "consumed_events": list(sample.consumed_events),
        "ignored": [list(pair) for pair in sample.ignored],
        "flags": list(span.flags),
    }
    sealed, _ = seal_payload(context.sealing, data, sample_context(context.project_id))
    return (
        position,
        context.door,
        short_text(sample.dialect, 30),
        short_text(sample.scope),
        short_text(sample.version, 64),
        bool(sample.ignored),
        sealed,
    )


def sample_context(project_id: UUID) -> bytes:
    """What ties a sample to its project."""
    return payload_context(project_id, "sample", "sample")


def _facts_only(values: dict[str, Any]) -> dict[str, Any]:
    known = known_facts(values)
    return {name: known.get(name, NOT_KEPT) for name in values}
