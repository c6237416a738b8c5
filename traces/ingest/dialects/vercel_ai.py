"""Vercel AI SDK (`ai.*`, versions 3 to 6): an outer span repeats the totals of its `do…` calls; only those are calls
(otel-genai §6). Version 7 writes GenAI spans, which that dialect reads.
"""

from typing import Any

from costs.provider_names import ALIASES
from costs.usage import Convention
from traces.ingest.dialects.base import (
    counted,
    first,
    first_reason,
    has_evidence,
    is_refusal,
    model_name,
    plain_span,
    tags_of,
)
from traces.ingest.dialects.structured import as_mapping, milliseconds, taken
from traces.ingest.dialects.vercel_ai_content import read_content
from traces.ingest.facts import SpanFacts
from traces.ingest.messages import parse_json
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

NAME = "vercel_ai"
PRIORITY = 30
SCOPES = ("ai",)
MARKERS = frozenset({"ai.operationId"})
IGNORED = {
    "operation.name": "repeats ai.operationId; kept with the step's attributes",
    "resource.name": "repeats ai.telemetry.functionId; kept with the step's attributes",
    "ai.response.avgOutputTokensPerSecond": "follows from other values; kept with the step's attributes",
    "ai.response.msToFinish": "follows from the step's times; kept with the step's attributes",
    "ai.embedding": "vectors are readable by nobody; dropped",
    "ai.embeddings": "vectors are readable by nobody; dropped",
    "gen_ai.*": "repeats what ai.* says; kept with the step's attributes",
}

_KINDS = {
    "doGenerate": "llm",
    "doStream": "llm",
    "doEmbed": "embedding",
    "doRerank": "rerank",
    "toolCall": "tool",
}
_OPERATIONS = {"llm": "chat", "embedding": "embeddings", "rerank": "rerank", "tool": "execute_tool"}
_COUNTS = {
    "input": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.input_tokens"),
    "output": ("ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"),
    "total": ("ai.usage.totalTokens",),
    "cache_read": ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    "cache_write": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    "reasoning": ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
}  # fmt: skip
# Version 4 told cached tokens only in what the provider added.
_ADDED = {
    "cache_read": ("cacheReadInputTokens", "cachedPromptTokens"),
    "cache_write": ("cacheCreationInputTokens",),
    "reasoning": ("reasoningTokens",),
}
_METADATA = "ai.telemetry.metadata."


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Every span of the SDK names its operation."""
    return not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The span with its call, tokens, tool, messages and telemetry metadata filled in."""
    attributes = facts.attributes
    span = plain_span(facts, cleaner)
    span.dialect = NAME
    flags: list[str] = []
    operation = short_text(attributes.get("ai.operationId"))
    span.kind = _KINDS.get(operation.rpartition(".")[2], "chain")
    span.operation = _OPERATIONS.get(span.kind, "")
    span.provider = _provider(first(attributes, ("ai.model.provider", "gen_ai.system")))
    span.request_model = model_name(first(attributes, ("ai.model.id", "gen_ai.request.model")))
    answered = first(attributes, ("ai.response.model", "gen_ai.response.model"))
    span.response_model = model_name(answered)
    added = _provider_metadata(attributes)
    counts = _read_counts(attributes, added, flags)
    convention = _convention(span, attributes, counts)
    span.usage = usage_from(
        counts,
        flags,
        provider="" if "claude" in (span.response_model or span.request_model) else span.provider,
        convention=convention,
        is_embedding=span.kind == "embedding",
    )
    span.response_id = short_text(first(attributes, ("ai.response.id", "gen_ai.response.id")))
    reasons = ("ai.response.finishReason", "ai.finishReason", "gen_ai.response.finish_reasons")
    span.finish_reason = first_reason(first(attributes, reasons))
    tier = as_mapping(added).get("serviceTier")
    span.service_tier = short_text(tier, 32)
    span.first_token_ms = milliseconds(attributes.get("ai.response.msToFirstChunk"))
    _read_telemetry(span, attributes)
    span.parameters = taken(attributes, "ai.settings.") | {
        name[15:]: attributes[name]
        for name in attributes
        if name.startswith("gen_ai.request.") and name != "gen_ai.request.model"
    }
    read_content(span, attributes, cleaner)
    if span.kind in ("llm", "embedding"):
        span.is_rejected = is_refusal(span, attributes)
        span.is_call = counted(span.usage) or has_evidence(span)
    span.flags = tuple(flags)
    return span


def _provider(value: Any) -> str:
    """`openai.chat` and `anthropic.messages` name the API after the provider; the gateway is none."""
    name = short_text(value).lower()
    if name not in ALIASES:
        name = name.partition(".")[0]
    return "" if name == "gateway" else provider_id(name)


def _provider_metadata(attributes: dict[str, Any]) -> dict[str, Any]:
    """What the provider's package added about its answer, whichever provider it is."""
    stated = parse_json(attributes.get("ai.response.providerMetadata"))
    values = [value for value in as_mapping(stated).values() if type(value) is dict]
    return values[0] if values else {}


def _read_counts(attributes: dict[str, Any], added: dict[str, Any], flags: list[str]) -> Counts:
    counts = Counts()
    for field, names in _COUNTS.items():
        for name in names:
            number = lenient_count(attributes.get(name))
            if number == -1:
                flags.append(BAD_COUNT)
            elif number is not None:
                setattr(counts, field, number)
                break
    for field, names in _ADDED.items():
        number = lenient_count(first(added, names))
        if getattr(counts, field) is None and number is not None and number >= 0:
            setattr(counts, field, number)
    return counts


def _convention(span: NormalSpan, attributes: dict[str, Any], counts: Counts) -> Convention | None:
    """Before version 6, which tells the uncached part apart, Claude's input came without its cache."""
    if "ai.usage.inputTokenDetails.noCacheTokens" in attributes:
        return "inclusive"
    is_claude = span.provider == "anthropic" or "claude" in (
        span.response_model or span.request_model
    )
    if is_claude and (counts.cache_read or counts.cache_write):
        counts.total = None  # it leaves the cache out as well
        return "exclusive"
    return None


def _read_telemetry(span: NormalSpan, attributes: dict[str, Any]) -> None:
    """`experimental_telemetry`: the function's name, and metadata whose usual keys have a place of their own."""
    span.feature = short_text(attributes.get("ai.telemetry.functionId")) or span.feature
    metadata = taken(attributes, _METADATA)
    user = first(metadata, ("userId", "user_id", "user.id"))
    session = first(
        metadata, ("sessionId", "session_id", "session.id", "conversationId", "threadId", "chatId")
    )
    span.user_id = short_text(user) or span.user_id
    span.session_id = short_text(session) or span.session_id
    span.environment = short_text(metadata.get("environment"), 64) or span.environment
    span.tags = tags_of(metadata.pop("tags", None)) or span.tags
    span.metadata = metadata
