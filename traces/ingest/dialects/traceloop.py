"""Traceloop (OpenLLMetry): GenAI spans, old and new, with entities, association properties and its own older keys
(otel-genai §5).
"""

from typing import Any
from urllib.parse import urlsplit

from traces.ingest.dialects import gen_ai
from traces.ingest.dialects.base import first, first_reason
from traces.ingest.dialects.structured import as_mapping, json_value, taken
from traces.ingest.facts import SpanFacts
from traces.ingest.messages import nest, parse_clean
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan

NAME = "traceloop"
PRIORITY = 45
SCOPES = (
    "opentelemetry.instrumentation.openai.v1", "opentelemetry.instrumentation.openai.v0",
    "opentelemetry.instrumentation.anthropic", "opentelemetry.instrumentation.langchain", "traceloop.tracer",
)  # fmt: skip
IGNORED = {
    "llm.headers": "request headers may carry credentials; dropped",
    "gen_ai.headers": "request headers may carry credentials; dropped",
    "traceloop.entity.path": "repeats where the step stands in the tree; kept with the step's attributes",
}

MARKERS = frozenset(
    {"traceloop.span.kind", "traceloop.entity.name", "traceloop.workflow.name", "llm.request.type"}
)
_KINDS = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"}
_PROPERTIES = "traceloop.association.properties."
_CHUNKS = frozenset({"gen_ai.content.completion.chunk", "llm.content.completion.chunk"})
_REASONS = ("gen_ai.response.finish_reason", "gen_ai.response.stop_reason", "llm.response.finish_reason",
            "llm.response.stop_reason")  # fmt: skip


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Its own keys, or one of its scopes with any GenAI attribute."""
    if not MARKERS.isdisjoint(attributes):
        return True
    return scope_name in SCOPES and gen_ai.matches(scope_name, attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The GenAI reading, with entity input and output, properties and prompts on top."""
    attributes = facts.attributes
    for name in ("llm.headers", "gen_ai.headers"):
        attributes.pop(name, None)
    chunks = [event for event in facts.events if event.name in _CHUNKS]
    if chunks:
        # Empty marks, one for each piece of a stream: the first says when the answer began.
        facts.events = [event for event in facts.events if event.name not in _CHUNKS]
    span = gen_ai.normalise(facts, cleaner)
    span.dialect = NAME
    if chunks and span.first_token_ms is None:
        span.first_token_ms = min(event.offset_ms for event in chunks)
    kind = attributes.get("traceloop.span.kind")
    if type(kind) is str and kind in _KINDS:
        span.kind = _KINDS[kind]
    _read_properties(span, attributes)
    _read_entity(span, attributes, cleaner)
    if not span.finish_reason:
        span.finish_reason = first_reason(first(attributes, _REASONS))
    if span.provider in ("", "openai"):
        host = _host(attributes.get("gen_ai.openai.api_base"))
        span.provider = provider_id(span.provider, host=host) if host else span.provider
    key = short_text(attributes.get("traceloop.prompt.key"))
    version = short_text(attributes.get("traceloop.prompt.version"))
    if key or version:
        span.prompt_version = short_text(f"{key}@{version}".strip("@"))
    functions = nest(attributes, "llm.request.functions.")
    if functions and span.tools is None:
        span.tools = [
            as_mapping(item)
            | {"parameters": parse_clean(as_mapping(item).get("parameters"), cleaner)}
            for item in functions
        ]
    return span


def _read_properties(span: NormalSpan, attributes: dict[str, Any]) -> None:
    """Customers' own keys; who and which conversation have their place, the rest is metadata."""
    properties = taken(attributes, _PROPERTIES)
    if not properties:
        return
    user = first(properties, ("user_id", "userId", "customer_id"))
    session = first(
        properties, ("session_id", "sessionId", "conversation_id", "chat_id", "thread_id")
    )
    span.user_id = short_text(user) or span.user_id
    span.session_id = short_text(session) or span.session_id
    span.metadata = {**properties, **span.metadata}


def _read_entity(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    said = json_value(attributes.pop("traceloop.entity.input", None), cleaner)
    answered = json_value(attributes.pop("traceloop.entity.output", None), cleaner)
    span.input = said if span.input is None else span.input
    span.output = answered if span.output is None else span.output
    workflow = short_text(attributes.get("traceloop.workflow.name"))
    span.trace_name = workflow or span.trace_name
    if span.kind == "agent":
        span.agent = short_text(attributes.get("traceloop.entity.name")) or span.agent


def _host(address: Any) -> str:
    if type(address) is not str or len(address) > 2_000:
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
