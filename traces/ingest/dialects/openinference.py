"""OpenInference (Arize): flattened messages, INTERNAL spans, prompt counts that include the
cache (otel-genai §4).
"""

from typing import Any

from traces.ingest.dialects.base import (
    client_cost,
    counted,
    first,
    first_reason,
    has_evidence,
    is_refusal,
    mapping_of,
    model_name,
    plain_span,
    tags_of,
)
from traces.ingest.dialects.openinference_content import answer_of, read_content
from traces.ingest.facts import SpanFacts
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

NAME = "openinference"
# Before gen_ai: some instrumentations write both vocabularies, and this one says what kind of step
# it is.
PRIORITY = 40
MARKERS = frozenset({"openinference.span.kind", "llm.token_count.prompt"})

_KINDS = {
    "LLM": "llm", "EMBEDDING": "embedding", "CHAIN": "chain", "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "TOOL": "tool", "AGENT": "agent", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
    "PROMPT": "chain",
    "DECISION": "chain",
}  # fmt: skip
_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}

_COUNTS = {
    "input": "llm.token_count.prompt",
    "output": "llm.token_count.completion",
    "total": "llm.token_count.total",
    "cache_read": "llm.token_count.prompt_details.cache_read",
    "cache_write": "llm.token_count.prompt_details.cache_write",
    "input_audio": "llm.token_count.prompt_details.audio",
    "reasoning": "llm.token_count.completion_details.reasoning",
    "output_audio": "llm.token_count.completion_details.audio",
}
_COST = ("llm.cost.total", "gen_ai.usage.cost")


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Its span kind is mandatory; token counts alone are enough as well."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The span with its call, tokens, messages, documents and tools filled in."""
    attributes = facts.attributes
    span = plain_span(facts, cleaner)
    span.dialect = NAME
    flags: list[str] = []
    stated_kind = attributes.get("openinference.span.kind", "LLM")
    span.kind = _KINDS.get(stated_kind.upper(), "span") if type(stated_kind) is str else "span"
    span.operation = _OPERATIONS.get(span.kind, "")
    span.parameters = mapping_of(
        first(attributes, ("llm.invocation_parameters", "embedding.invocation_parameters")), cleaner
    )
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        attributes.pop(name, None)
    metadata = mapping_of(attributes.pop("metadata", None), cleaner)
    answer = answer_of(attributes) if span.kind in ("llm", "embedding") else {}
    _identify(span, facts, answer)
    counts = _read_counts(attributes, flags)
    _read_answer(span, counts, answer, metadata)
    provider = "" if "claude" in (span.response_model or span.request_model) else span.provider
    span.usage = usage_from(counts, flags, provider=provider, is_embedding=span.kind == "embedding")
    span.client_cost_usd = client_cost(first(attributes, _COST), flags)
    span.agent = short_text(first(attributes, ("agent.name", "graph.node.name"))) or span.agent
    span.tags = tags_of(attributes.get("tag.tags")) or span.tags
    span.metadata = metadata
    version = short_text(attributes.get("llm.prompt_template.version"))
    span.prompt_version = version or span.prompt_version
    read_content(span, facts, cleaner)
    if span.kind in ("llm", "embedding"):
        span.is_rejected = is_refusal(span, attributes)
        # `models.retrieve` is an LLM span too: without tokens there must be a model that was asked
        # something.
        span.is_call = counted(span.usage) or has_evidence(span)
    span.flags = tuple(flags)
    return span


def _identify(span: NormalSpan, facts: SpanFacts, answer: dict[str, Any]) -> None:
    attributes = facts.attributes
    span.provider = provider_id(
        first(attributes, ("llm.provider", "llm.system", "gen_ai.provider.name", "gen_ai.system")),
        host=attributes.get("server.address"),
        scope=facts.scope.name,
    )
    requested = first(
        attributes, ("llm.request.model_name", "gen_ai.request.model")
    ) or span.parameters.get("model")
    stated = first(
        attributes,
        (
            "llm.response.model_name",
            "llm.model_name",
            "embedding.model_name",
            "gen_ai.response.model",
        ),
    )
    span.request_model = model_name(requested) or model_name(stated)
    # Before an answer there is only the model that was asked for.
    span.response_model = (
        model_name(stated) if stated and (answer or span.status != "error") else ""
    )
    span.finish_reason = first_reason(attributes.get("llm.finish_reason"))


def _read_counts(attributes: dict[str, Any], flags: list[str]) -> Counts:
    counts = Counts()
    for field, name in _COUNTS.items():
        number = lenient_count(attributes.get(name))
        if number == -1:
            flags.append(BAD_COUNT)
        elif number is not None:
            setattr(counts, field, number)
    return counts


def _read_answer(
    span: NormalSpan, counts: Counts, answer: dict[str, Any], metadata: dict[str, Any]
) -> None:
    """What only the raw answer in `output.value` says: served tier, cache writes by lifetime,
    web searches, the id.
    """
    if answer.get("id") is not None and (
        answer.get("usage") or answer.get("choices") or answer.get("content")
    ):
        span.response_id = short_text(answer.get("id"))
    usage = answer.get("usage")
    usage = usage if type(usage) is dict else {}
    span.service_tier = short_text(answer.get("service_tier") or usage.get("service_tier"), 32)
    if span.service_tier == "batch":
        span.processing = "batch"
    span.speed = short_text(usage.get("speed"), 32)
    by_ttl = usage.get("cache_creation")
    if type(by_ttl) is dict:
        short = lenient_count(by_ttl.get("ephemeral_5m_input_tokens"))
        long = lenient_count(by_ttl.get("ephemeral_1h_input_tokens"))
        if (
            short is not None
            and long is not None
            and short >= 0
            and long >= 0
            and short + long == (counts.cache_write or 0)
        ):
            counts.cache_write_5m, counts.cache_write_1h = short, long
    tools = usage.get("server_tool_use")
    if type(tools) is not dict:
        tools = metadata.get("server_tool_use")
    if type(tools) is dict:
        searches = lenient_count(tools.get("web_search_requests"))
        counts.web_searches = searches if searches and searches > 0 else None
