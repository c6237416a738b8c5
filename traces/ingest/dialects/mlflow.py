"""MLflow Tracing: every attribute is JSON text; inputs and outputs are the SDK's own objects."""

from typing import Any

from traces.ingest.dialects.base import (
    client_cost,
    counted,
    first,
    has_evidence,
    is_refusal,
    model_name,
    plain_span,
)
from traces.ingest.dialects.structured import (
    answer_messages,
    as_list,
    as_mapping,
    chat_messages,
    json_value,
    taken,
)
from traces.ingest.dialects.usage_shapes import counts_of
from traces.ingest.facts import SpanFacts
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

NAME = "mlflow"
PRIORITY = 25
SCOPES = ("mlflow*",)
MARKERS = frozenset({"mlflow.spanType", "mlflow.traceRequestId"})
IGNORED = {
    "mlflow.spanLogLevel": "a severity LLMLab does not show; kept with the step's attributes",
    "mlflow.traceRequestId": "MLflow's own name for the trace; kept with the step's attributes",
    "mlflow.experimentId": "MLflow's own grouping; kept with the step's attributes",
    "mlflow.trace.*": "totals of the steps below, which are counted there; kept with the step's attributes",
}

_KINDS = {
    "LLM": "llm", "CHAT_MODEL": "llm", "EMBEDDING": "embedding", "TOOL": "tool", "AGENT": "agent",
    "RETRIEVER": "retrieval", "RERANKER": "rerank", "CHAIN": "chain", "WORKFLOW": "chain", "TASK": "chain",
    "PARSER": "chain", "MEMORY": "chain", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
}  # fmt: skip
_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}
# The flavour that traced the call; these are one with their provider unless a span says otherwise.
_FLAVOURS = frozenset({"openai", "anthropic", "gemini", "groq", "mistral", "bedrock"})
_CHUNK = "mlflow.chunk.item."
_ENCODED = ("mlflow.", "user.id", "session.id")


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Every span of MLflow's has a type and its trace's name."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The span with its call, tokens, messages and tools filled in."""
    attributes = facts.attributes
    for name, value in list(attributes.items()):
        if name.startswith(_ENCODED):
            attributes[name] = json_value(value, cleaner)
    chunks = [event for event in facts.events if event.name.startswith(_CHUNK)]
    if chunks:
        # The stream's pieces, whose whole stands in the outputs.
        facts.events = [event for event in facts.events if not event.name.startswith(_CHUNK)]
    span = plain_span(facts, cleaner)
    span.dialect = NAME
    if chunks:
        span.first_token_ms = min(event.offset_ms for event in chunks)
    stated = attributes.get("mlflow.spanType")
    span.kind = _KINDS.get(stated.upper(), "span") if type(stated) is str else "span"
    span.operation = _OPERATIONS.get(span.kind, "")
    asked = attributes.pop("mlflow.spanInputs", None)
    answer = attributes.pop("mlflow.spanOutputs", None)
    flags: list[str] = []
    _identify(span, attributes, as_mapping(asked), as_mapping(answer))
    _count(span, attributes, as_mapping(answer), flags)
    _read_content(span, attributes, asked, answer, cleaner)
    span.metadata = taken(attributes, "mlflow.traceTag.")
    for prompt in as_list(attributes.get("mlflow.linkedPrompts"))[:1]:
        linked = as_mapping(prompt)
        span.prompt_version = short_text(
            f"{short_text(linked.get('name'))}@{short_text(linked.get('version'))}".strip("@")
        )
    if span.kind in ("llm", "embedding"):
        span.is_rejected = is_refusal(span, attributes)
        span.is_call = counted(span.usage) or has_evidence(span)
    span.flags = tuple(flags)
    return span


def _identify(
    span: NormalSpan, attributes: dict[str, Any], asked: dict[str, Any], answer: dict[str, Any]
) -> None:
    requested = asked.get("model") or attributes.get("mlflow.llm.model")
    span.request_model = model_name(requested)
    answered = answer.get("model") if type(answer.get("model")) is str else None
    if answer or span.status != "error":
        span.response_model = model_name(answered or attributes.get("mlflow.llm.model"))
    span.provider = provider_id(attributes.get("mlflow.llm.provider"))
    flavour = attributes.get("mlflow.message.format")
    if not span.provider and type(flavour) is str and flavour in _FLAVOURS:
        span.provider = provider_id(flavour)
    span.response_id = short_text(answer.get("id")) if span.kind in ("llm", "embedding") else ""
    span.service_tier = short_text(answer.get("service_tier"), 32)
    if span.service_tier == "batch":
        span.processing = "batch"
    choice = as_list(answer.get("choices"))
    reason = as_mapping(choice[0]).get("finish_reason") if choice else answer.get("stop_reason")
    span.finish_reason = short_text(reason, 40)


def _count(
    span: NormalSpan, attributes: dict[str, Any], answer: dict[str, Any], flags: list[str]
) -> None:
    """MLflow's own counts, cache included; what they leave out is in the provider's answer."""
    stated = as_mapping(attributes.get("mlflow.chat.tokenUsage"))
    counts = Counts()
    if stated:
        counts, _ = counts_of(stated, flags)
        hour = lenient_count(stated.get("cache_creation_input_tokens_above_1hr"))
        if hour == -1:
            flags.append(BAD_COUNT)
        elif hour and counts.cache_write is not None and hour <= counts.cache_write:
            counts.cache_write_1h, counts.cache_write_5m = hour, counts.cache_write - hour
    usage = as_mapping(answer.get("usage"))
    if usage and span.kind in ("llm", "embedding"):
        told, _ = counts_of(usage, [])
        if not stated:
            counts = told
        for field in ("reasoning", "input_audio", "output_audio", "web_searches"):
            if getattr(counts, field) is None:
                setattr(counts, field, getattr(told, field))
    span.usage = usage_from(
        counts,
        flags,
        provider="" if "claude" in (span.response_model or span.request_model) else span.provider,
        is_embedding=span.kind == "embedding",
    )
    cost = as_mapping(attributes.get("mlflow.llm.cost"))
    span.client_cost_usd = client_cost(cost.get("total_cost"), flags)


def _read_content(
    span: NormalSpan, attributes: dict[str, Any], asked: Any, answer: Any, cleaner: Cleaner
) -> None:
    span.input, span.output = asked, answer
    if span.kind not in ("llm", "embedding"):
        return
    if type(asked) is dict:
        said = first(asked, ("messages", "input", "prompt", "contents"))
        if said is not None:
            span.input = chat_messages(said, "user", cleaner)
            if type(asked.get("system")) is str:
                asked_first = {"role": "system", "content": asked["system"]}
                span.input = [asked_first, *as_list(span.input)]
        hidden = ("messages", "input", "prompt", "contents", "system", "model", "tools")
        span.parameters = {name: value for name, value in asked.items() if name not in hidden}
    tools = attributes.pop("mlflow.chat.tools", None) or as_mapping(asked).get("tools")
    span.tools = tools
    if span.kind == "embedding":
        span.output = None
    elif type(answer) is dict:
        span.output = answer_messages(answer, cleaner) or answer
