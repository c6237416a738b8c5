"""OpenLIT: GenAI spans with its own names for environment, application, cost and content of tools and workflows."""

from typing import Any

from traces.ingest.dialects import gen_ai
from traces.ingest.dialects.base import first
from traces.ingest.dialects.structured import json_value
from traces.ingest.facts import SpanFacts
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan

NAME = "openlit"
PRIORITY = 46
SCOPES = ("openlit*",)
IGNORED = {
    "gen_ai.sdk.version": "the traced SDK's version; kept with the step's attributes",
    "gen_ai.server.time_per_output_token": "follows from other values; kept with the step's attributes",
    "gen_ai.token.cost.*": "parts of gen_ai.usage.cost; kept with the step's attributes",
}

MARKERS = frozenset({"gen_ai.sdk.version", "gen_ai.application_name", "gen_ai.environment"})
# Media that is priced by the piece: a call once OpenLIT knows what it cost.
_MEDIA = frozenset(
    {"image", "audio", "speech_to_text", "text_to_speech", "speech_to_text_translate"}
)
_INPUTS = (
    "gen_ai.tool.input",
    "gen_ai.tool.args",
    "gen_ai.workflow.input",
    "gen_ai.retrieval.query",
)
_OUTPUTS = ("gen_ai.tool.output", "gen_ai.workflow.output", "gen_ai.content.revised_prompt")
_KINDS = {"vectordb": "retrieval", "task": "chain", "execution": "chain", "execute_task": "chain"}


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Its own keys, which it sets on every span."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The GenAI reading with OpenLIT's names on top."""
    attributes = facts.attributes
    span = gen_ai.normalise(facts, cleaner)
    span.dialect = NAME
    span.kind = _KINDS.get(span.operation, span.kind)
    environment = short_text(attributes.get("gen_ai.environment"), 64)
    if environment and environment != "default":
        span.environment = span.environment or environment
    application = short_text(attributes.get("gen_ai.application_name"))
    if application and application != "default":
        span.agent = span.agent or application
    span.user_id = span.user_id or short_text(attributes.get("gen_ai.request.user"))
    if span.input is None:
        span.input = _content(attributes, _INPUTS, cleaner)
    if span.output is None:
        span.output = _content(attributes, _OUTPUTS, cleaner)
    if span.operation in _MEDIA:
        span.kind = "llm"
        span.is_call = span.client_cost_usd is not None
    return span


def _content(attributes: dict[str, Any], names: tuple[str, ...], cleaner: Cleaner) -> Any:
    value = first(attributes, names)
    for name in names:
        if name in attributes and attributes[name] is value:
            del attributes[name]
            break
    return json_value(value, cleaner)
