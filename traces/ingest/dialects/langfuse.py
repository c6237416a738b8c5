"""Langfuse's SDKs over OTLP (`langfuse.*`, versions 3 to 5): observations with JSON text in their attributes
(otel-genai §7).

Other instrumentations' spans that pass through its processor carry its trace keys only: those any dialect reads (base).
"""

import re
from decimal import Decimal
from typing import Any

from traces.ingest.dialects import gen_ai, openinference
from traces.ingest.dialects.base import (
    client_cost,
    counted,
    has_evidence,
    is_refusal,
    model_name,
    plain_span,
)
from traces.ingest.dialects.structured import (
    answer_messages,
    as_mapping,
    chat_message,
    chat_messages,
    json_value,
    moment_of,
    taken,
)
from traces.ingest.dialects.usage_shapes import counts_of
from traces.ingest.facts import SpanFacts
from traces.ingest.limits import ERROR_LENGTH
from traces.ingest.sanitize import Cleaner, clean_text, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import usage_from

NAME = "langfuse"
PRIORITY = 10
SCOPES = ("langfuse-sdk",)
MARKERS = frozenset({"langfuse.observation.type"})
IGNORED = {
    "langfuse.internal.*": "the SDK's own bookkeeping; kept with the step's attributes",
    "langfuse.trace.public": "LLMLab shares by links of its own; kept with the step's attributes",
    "langfuse.version": "a version of part of the program; kept with the step's attributes",
    "langfuse.experiment.*": "experiments are not read; kept with the step's attributes",
}

_KINDS = {
    "generation": "llm", "embedding": "embedding", "span": "span", "event": "span", "agent": "agent",
    "tool": "tool", "chain": "chain", "retriever": "retrieval", "evaluator": "evaluator", "guardrail": "guardrail",
}  # fmt: skip
_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}
_OBSERVATION = "langfuse.observation."
_CALL_KINDS = ("llm", "embedding")
_STATUS = re.compile(r"Error code: ([1-5][0-9]{2})\b")


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Every observation states its type."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The span with its call, usage, prompt, content, level and trace facts filled in."""
    attributes = facts.attributes
    span = _below(facts, cleaner)
    span.dialect = NAME
    flags = list(span.flags)
    stated = attributes.get("langfuse.observation.type")
    span.kind = _KINDS.get(stated.lower(), "span") if type(stated) is str else "span"
    span.operation = _OPERATIONS.get(span.kind, span.operation if span.kind in _CALL_KINDS else "")
    model = model_name(attributes.get("langfuse.observation.model.name"))
    if model:
        span.request_model = span.request_model or model
        span.response_model = model if span.status != "error" else ""
    parameters = json_value(attributes.get("langfuse.observation.model.parameters"), cleaner)
    if type(parameters) is dict:
        del attributes["langfuse.observation.model.parameters"]
        span.parameters = parameters
    tier = short_text(span.parameters.get("service_tier"), 32)
    span.service_tier = span.service_tier or tier
    _read_usage(span, attributes, flags, cleaner)
    _read_level(span, attributes)
    began = moment_of(
        json_value(attributes.get("langfuse.observation.completion_start_time"), cleaner)
    )
    if began is not None and span.started_at <= began <= (span.ended_at or began):
        span.first_token_ms = (began - span.started_at).total_seconds() * 1000
    name = short_text(attributes.get("langfuse.observation.prompt.name"))
    version = short_text(attributes.get("langfuse.observation.prompt.version"))
    if name:
        span.prompt_version = short_text(f"{name}@{version}".strip("@"))
    _read_content(span, attributes, cleaner)
    _read_metadata(span, attributes, cleaner)
    if span.kind in _CALL_KINDS:
        span.is_rejected = is_refusal(span, attributes)
        span.is_call = counted(span.usage) or has_evidence(span)
    else:
        span.is_call = span.is_rejected = False
    span.flags = tuple(flags)
    return span


def _below(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """What another vocabulary on the same span says, for an observation that wraps such a span."""
    if openinference.matches(facts.scope.name, facts.attributes):
        return openinference.normalise(facts, cleaner)
    if gen_ai.matches(facts.scope.name, facts.attributes):
        return gen_ai.normalise(facts, cleaner)
    return plain_span(facts, cleaner)


def _read_usage(
    span: NormalSpan, attributes: dict[str, Any], flags: list[str], cleaner: Cleaner
) -> None:
    """`usage_details` is the provider's own usage object or a map of classes; `cost_details` parts or a total."""
    usage = as_mapping(json_value(attributes.get(_OBSERVATION + "usage_details"), cleaner))
    if usage:
        counts, convention = counts_of(usage, flags)
        model = span.response_model or span.request_model
        span.usage = usage_from(
            counts,
            flags,
            provider="" if "claude" in model else span.provider,
            convention=convention,
            is_embedding=span.kind == "embedding",
        )
    costs = as_mapping(json_value(attributes.get(_OBSERVATION + "cost_details"), cleaner))
    if "total" in costs:
        span.client_cost_usd = client_cost(costs["total"], flags)
    elif costs:
        parts = [client_cost(part, flags) for part in list(costs.values())[:50]]
        stated = [part for part in parts if part is not None]
        span.client_cost_usd = sum(stated, Decimal(0)) if stated else None
    if span.client_cost_usd == 0 and not counted(span.usage):
        span.client_cost_usd = None  # the drop-in clients say 0 for every call that failed


def _read_level(span: NormalSpan, attributes: dict[str, Any]) -> None:
    message = attributes.get(_OBSERVATION + "status_message")
    if attributes.get(_OBSERVATION + "level") == "ERROR" and span.status != "running":
        span.status = "error"
    if span.status == "error" and not span.error_message and type(message) is str:
        span.error_message = clean_text(message)[:ERROR_LENGTH]
    if span.status == "error" and not span.error_type:
        # Langfuse keeps no type of error; the official SDKs' messages begin with the status.
        code = _STATUS.match(span.error_message)
        span.error_type = code[1] if code else ""


def _read_content(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    asked = json_value(attributes.pop(_OBSERVATION + "input", None), cleaner)
    answered = json_value(attributes.pop(_OBSERVATION + "output", None), cleaner)
    whole = json_value(attributes.pop("langfuse.trace.input", None), cleaner)
    told = json_value(attributes.pop("langfuse.trace.output", None), cleaner)
    asked = whole if asked is None else asked
    answered = told if answered is None else answered
    if span.kind in _CALL_KINDS:
        if type(asked) is dict and "messages" in asked:
            span.tools = asked.get("tools") or span.tools
            asked = asked["messages"]
        asked = chat_messages(asked, "user", cleaner)
        if type(answered) is str:
            answered = [{"role": "assistant", "content": answered}]
        elif type(answered) is dict:
            said = answer_messages(answered, cleaner)
            if said is None and "role" in answered:
                said = [chat_message(answered, "assistant", cleaner)]
            answered = said or answered
        else:
            answered = chat_messages(answered, "assistant", cleaner)
    span.input = asked if asked is not None else span.input
    span.output = answered if answered is not None else span.output


def _read_metadata(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    """Metadata of the observation and of the trace: one JSON text, or a key each."""
    found: dict[str, Any] = {}
    for name in ("langfuse.observation.metadata", "langfuse.trace.metadata"):
        whole = json_value(attributes.pop(name, None), cleaner)
        if type(whole) is dict:
            found |= whole
        elif whole is not None:
            found["metadata"] = whole
        keys = taken(attributes, name + ".")
        found |= {key: json_value(value, cleaner) for key, value in keys.items()}
    span.metadata = {**span.metadata, **found}
