"""Logfire and pydantic-ai: GenAI (or OpenInference) spans with Logfire's own keys, and spans announced before they end.

A pending span is sent when the real one starts, under an id of its own with the real span as its parent: it becomes
that span, running, and the final one completes it.
"""

import re
from datetime import timedelta
from typing import Any

from traces.ingest.dialects import gen_ai, openinference
from traces.ingest.dialects.base import counted, tags_of
from traces.ingest.dialects.logfire_content import read_content
from traces.ingest.dialects.structured import as_mapping, milliseconds
from traces.ingest.dialects.usage_shapes import counts_of
from traces.ingest.facts import SpanFacts
from traces.ingest.limits import ERROR_LENGTH, NAME_LENGTH
from traces.ingest.messages import parse_json
from traces.ingest.sanitize import Cleaner, clean_text, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import usage_from

NAME = "logfire"
PRIORITY = 20
SCOPES = ("logfire*", "pydantic-ai")
IGNORED = {
    "logfire.json_schema": "tells the types of other attributes; kept with the step's attributes",
    "logfire.msg_template": "the name's template, filled in by logfire.msg; kept with the step's attributes",
    "gen_ai.aggregated_usage.*": "totals of the calls below, which are counted there; kept with the step's attributes",
}

MARKERS = frozenset(
    {"logfire.span_type", "logfire.msg", "pydantic_ai.all_messages", "all_messages_events"}
)
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_NO_PARENT = "0" * 16
_ERROR_LEVEL = 17


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Logfire's or pydantic-ai's own keys."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The reading of the vocabulary below, with Logfire's names, tags, levels and pending spans on top."""
    attributes = facts.attributes
    span_type = attributes.get("logfire.span_type")
    pending = span_type == "pending_span" and _become_real(facts)
    _listed(attributes, "gen_ai.response.finish_reasons")
    below = openinference if openinference.matches(facts.scope.name, attributes) else gen_ai
    span: NormalSpan = below.normalise(facts, cleaner)
    span.dialect = NAME
    message = attributes.get("logfire.msg")
    if type(message) is str and message:
        span.name = short_text(message, NAME_LENGTH)
        span.trace_name = span.name if span.trace_name else ""
    _read_raw_usage(span, attributes)
    span.tags = tags_of(_listed(attributes, "logfire.tags")) or span.tags
    span.agent = short_text(attributes.get("agent_name")) or span.agent
    read_content(span, attributes, cleaner)
    if span_type == "log":
        _read_log(span, attributes)
    elif span.is_call and _is_opened_stream(span, facts):
        span.is_call = False
    if pending:
        span.status, span.ended_at = "running", None
    return span


def _become_real(facts: SpanFacts) -> bool:
    """Put the announced span in the place of its announcement; False when that names no span."""
    if not facts.parent_span_id:
        return False
    parent = facts.attributes.get("logfire.pending_parent_id")
    parent = parent.lower() if type(parent) is str else ""
    facts.span_id = facts.parent_span_id
    facts.parent_span_id = parent if _SPAN_ID.fullmatch(parent) and parent != _NO_PARENT else ""
    if facts.parent_span_id == facts.span_id:
        facts.parent_span_id = ""
    return True


def _read_raw_usage(span: NormalSpan, attributes: dict[str, Any]) -> None:
    """The provider's own usage object, which tells classes apart that Logfire's counts leave out."""
    raw = as_mapping(parse_json(attributes.get("gen_ai.usage.raw")))
    if not raw or not span.is_call:
        return
    flags = list(span.flags)
    counts, convention = counts_of(raw, flags)
    provider = "" if "claude" in (span.response_model or span.request_model) else span.provider
    told = usage_from(
        counts,
        flags,
        provider=provider,
        convention=convention,
        is_embedding=span.kind == "embedding",
    )
    if counted(told):
        span.usage, span.flags = told, tuple(flags)


def _listed(attributes: dict[str, Any], name: str) -> Any:
    """A list that is sometimes written as JSON text."""
    value = attributes.get(name)
    if type(value) is str:
        value = attributes[name] = parse_json(value)
    return value


def _read_log(span: NormalSpan, attributes: dict[str, Any]) -> None:
    """A moment. That of a stream's end brings its usage, and says how long it took; an error is one."""
    seconds = milliseconds(attributes.get("duration"), per_unit=1000.0)
    if span.is_call and not counted(span.usage):
        span.is_call = False
    elif span.is_call and seconds and span.ended_at is not None:
        span.started_at = span.ended_at - timedelta(milliseconds=seconds)
    level = attributes.get("logfire.level_num")
    if type(level) is int and level >= _ERROR_LEVEL and span.status == "ok":
        span.status = "error"
        span.error_message = clean_text(span.name)[:ERROR_LENGTH]


def _is_opened_stream(span: NormalSpan, facts: SpanFacts) -> bool:
    """Logfire ends the call's span when a stream opens; the log that follows brings answer and usage."""
    return (
        facts.scope.name.startswith("logfire.")
        and span.status == "ok"
        and not counted(span.usage)
        and not span.response_id
        and span.output is None
    )
