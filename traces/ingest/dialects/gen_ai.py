"""OpenTelemetry's GenAI vocabulary: current names, the ones they replaced, and the misspelt ones
(otel-genai §1-3, 8).
"""

from typing import Any

from traces.ingest.dialects.base import (
    client_cost,
    counted,
    first,
    first_reason,
    has_evidence,
    is_refusal,
    model_name,
    plain_span,
)
from traces.ingest.dialects.gen_ai_content import read_content
from traces.ingest.facts import SpanFacts
from traces.ingest.limits import SHORT_LENGTH
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

NAME = "gen_ai"
PRIORITY = 50

# Whatever else a span is called, only these are calls that cost money; agents and workflows repeat
# their children's.
CHARGEABLE = frozenset({"chat", "text_completion", "generate_content", "embeddings"})

_KINDS = {
    "chat": "llm", "text_completion": "llm", "generate_content": "llm", "embeddings": "embedding",
    "execute_tool": "tool", "retrieval": "retrieval", "rerank": "rerank", "create_agent": "agent",
    "invoke_agent": "agent", "invoke_workflow": "chain", "plan": "chain", "evaluate": "evaluator",
    "search_memory": "retrieval", "create_memory": "tool", "update_memory": "tool",
    "delete_memory": "tool",
}  # fmt: skip
_OPERATIONS = {
    "completion": "text_completion", "completions": "text_completion", "chat_completion": "chat",
    "chat_completions": "chat", "embedding": "embeddings", "embed": "embeddings",
    "generate": "generate_content",
    "agent": "invoke_agent", "tool": "execute_tool", "workflow": "invoke_workflow",
    "message": "chat",
    "messages": "chat",
}  # fmt: skip

_COUNTS: dict[str, tuple[str, ...]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens"),
    "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.cached_tokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens", "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
    ),
    "cache_write_5m": ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens",),
    "cache_write_1h": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.reasoning_output_tokens", "gen_ai.usage.details.reasoning_tokens",
    ),
    "input_audio": ("gen_ai.usage.audio.input_tokens",),
    "input_image": ("gen_ai.usage.image.input_tokens",),
    "output_audio": ("gen_ai.usage.audio.output_tokens",),
    "output_image": ("gen_ai.usage.image.output_tokens",),
    "web_searches": ("anthropic.usage.server_tool_use.web_search_requests",
    "gen_ai.usage.web_searches"),
}  # fmt: skip
_COUNT_NAMES = frozenset(name for names in _COUNTS.values() for name in names)
_COST = ("gen_ai.usage.cost", "operation.cost", "gen_ai.usage.total_cost")
_TIER = (
    "openai.response.service_tier", "anthropic.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier", "gen_ai.openai.request.service_tier",
)  # fmt: skip
MARKERS = frozenset(
    {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model"}
)
PREFIXES = ("gen_ai.",)


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Any gen_ai attribute makes it ours."""
    return not MARKERS.isdisjoint(attributes) or any(
        name.startswith(PREFIXES) for name in attributes
    )


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The span with its call, tokens, agent, tool and messages filled in."""
    attributes = facts.attributes
    span = plain_span(facts, cleaner)
    span.dialect = NAME
    flags: list[str] = []
    span.provider = provider_id(
        first(attributes, ("gen_ai.provider.name", "gen_ai.system")),
        host=attributes.get("server.address"),
        scope=facts.scope.name,
    )
    span.request_model = model_name(attributes.get("gen_ai.request.model"))
    span.response_model = model_name(attributes.get("gen_ai.response.model"))
    counts = read_counts(attributes, flags)
    span.operation = _operation(facts, span, counts)
    span.kind = _KINDS.get(span.operation, "span")
    span.usage = usage_from(
        counts,
        flags,
        provider=_convention_provider(span),
        is_embedding=span.operation == "embeddings",
    )
    span.client_cost_usd = client_cost(first(attributes, _COST), flags)
    span.response_id = short_text(attributes.get("gen_ai.response.id"))
    span.finish_reason = first_reason(
        first(attributes, ("gen_ai.response.finish_reasons", "anthropic.message.stop_reason"))
    )
    span.service_tier = short_text(first(attributes, _TIER), 32)
    if span.service_tier == "batch":
        span.processing = "batch"
    span.speed = short_text(
        first(attributes, ("anthropic.response.speed", "anthropic.request.speed")), 32
    )
    span.first_token_ms = _first_token(attributes)
    agent = first(attributes, ("gen_ai.agent.name", "gen_ai.workflow.name"))
    span.agent = short_text(agent) or span.agent
    prompt = attributes.get("gen_ai.prompt.name")
    version = short_text(attributes.get("gen_ai.prompt.version"))
    if prompt or version:
        span.prompt_version = short_text(f"{short_text(prompt)}@{version}".strip("@"))
    span.parameters = _parameters(attributes)
    read_content(span, facts, cleaner)
    if span.operation in CHARGEABLE:
        span.is_rejected = is_refusal(span, attributes)
        span.is_call = counted(span.usage) or has_evidence(span)
    span.flags = tuple(flags)
    return span


def read_counts(attributes: dict[str, Any], flags: list[str]) -> Counts:
    """The stated token counts; an impossible one is dropped and flagged, never guessed."""
    stated = _COUNT_NAMES.intersection(attributes)
    counts = Counts()
    if not stated:
        return counts
    for field, names in _COUNTS.items():
        if stated.isdisjoint(names):
            continue
        for name in names:
            if name in stated:
                number = lenient_count(attributes[name])
                if number == -1:
                    flags.append(BAD_COUNT)
                    continue
                setattr(counts, field, number)
                break
    return counts


def _operation(facts: SpanFacts, span: NormalSpan, counts: Counts) -> str:
    """What the span did. Older senders leave the name out; then the rest of the span must leave
    no doubt.
    """
    attributes = facts.attributes
    stated = short_text(
        first(attributes, ("gen_ai.operation.name", "llm.request.type", "traceloop.span.kind")),
        SHORT_LENGTH,
    ).lower()
    if stated:
        return _OPERATIONS.get(stated, stated)
    if "gen_ai.tool.name" in attributes or "gen_ai.tool.call.id" in attributes:
        return "execute_tool"
    if "gen_ai.agent.name" in attributes or "gen_ai.agent.id" in attributes:
        return "invoke_agent"
    has_model = span.request_model or span.response_model
    if has_model and (
        counts.input is not None or counts.output is not None or counts.total is not None
    ):
        name = facts.name.lower()
        return "embeddings" if "embed" in name or "embed" in span.request_model.lower() else "chat"
    return ""


def _convention_provider(span: NormalSpan) -> str:
    """Whose counting rules apply: Claude is exclusive on its own wire, whoever hosts it."""
    model = span.response_model or span.request_model
    return "" if "claude" in model else span.provider


def _first_token(attributes: dict[str, Any]) -> float | None:
    for name in ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"):
        seconds = attributes.get(name)
        if isinstance(seconds, (int, float)) and 0 <= seconds < 86_400:
            return float(seconds) * 1000
    return None


def _parameters(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name[15:]: attributes[name]
        for name in attributes
        if name.startswith("gen_ai.request.") and name != "gen_ai.request.model"
    }
