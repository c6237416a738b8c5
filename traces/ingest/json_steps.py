"""One step of the JSON door. Field names (aliases in the code):

    id, parent_id, type (llm, embedding, tool, retrieval, rerank, guardrail, evaluator, agent,
    chain, span), name,
    status (running, ok, error), started_at, ended_at, latency_ms, time_to_first_token_ms,
    provider, model, request_model, operation, service_tier, processing, speed, response_id,
    finish_reason, cache_hit,
    input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens,
    cache_write_5m_input_tokens,
    cache_write_1h_input_tokens, reasoning_output_tokens, … or usage: {…} as OpenAI, Anthropic or
    Gemini answer,
    cost_usd, input, output, tools, parameters, metadata, attributes, error (text or {"type",
    "message"}),
    user, session, agent, environment, feature, prompt_version, tags

Unknown fields are kept under the step's attributes; none of them ever decides whose the step is.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from costs.usage import Usage
from traces.ingest.dialects.base import has_evidence, is_refusal
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.json_usage import read_usage
from traces.ingest.limits import ERROR_LENGTH, SHORT_LENGTH, Limits, Window
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import clean_text, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import SUBSET_EXCEEDS_WHOLE

# The step ended but nobody said when: its length of 0 is no measurement.
DURATION_UNKNOWN = "duration_unknown"
STATUSES = {
    "running": "running", "in_progress": "running", "started": "running", "pending": "running",
    "ok": "ok", "success": "ok", "succeeded": "ok", "completed": "ok", "complete": "ok",
    "done": "ok",
    "error": "error", "failed": "error", "failure": "error", "errored": "error",
}  # fmt: skip
KINDS = {
    "llm": "llm", "chat": "llm", "completion": "llm", "generation": "llm", "model": "llm",
    "llm_call": "llm",
    "embedding": "embedding", "embeddings": "embedding", "tool": "tool", "tool_call": "tool",
    "function": "tool",
    "retrieval": "retrieval", "retriever": "retrieval", "search": "retrieval", "rerank": "rerank",
    "reranker": "rerank", "guardrail": "guardrail", "evaluator": "evaluator",
    "evaluation": "evaluator",
    "agent": "agent", "chain": "chain", "workflow": "chain", "task": "chain", "span": "span",
    "step": "span",
    "event": "span", "other": "span",
}  # fmt: skip
_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}


class TraceFacts(msgspec.Struct, kw_only=True):
    """What a step takes over from its trace."""

    trace_id: str
    root_id: str
    parent_id: str = ""
    started_at: datetime | None
    is_running: bool
    now: datetime
    agent: str = ""
    environment: str = ""
    release: str = ""
    user_id: str = ""
    session_id: str = ""
    feature: str = ""
    prompt_version: str = ""
    tags: tuple[str, ...] = ()

    @property
    def skew_after(self) -> datetime:
        return self.now + timedelta(minutes=5)

    def inherited(self) -> dict[str, Any]:
        """The facts as fields of a span."""
        names = (
            "agent",
            "environment",
            "release",
            "user_id",
            "session_id",
            "feature",
            "prompt_version",
            "tags",
        )
        return {name: getattr(self, name) for name in names}


def read_step(
    item: Any, path: str, facts: TraceFacts, limits: Limits, window: Window
) -> NormalSpan:
    """One step in normal form. Raises FieldError naming the first field that breaks a rule."""
    if type(item) is not dict:
        raise FieldError(path.rstrip("."), item, "a step must be an object")
    reader = Reader(item, path, limits, window)
    flags: list[str] = []
    span_id = reader.identifier("id", "step_id", "span_id", is_required=True)
    parent = reader.identifier("parent_id", "parent_step_id", "parent_span_id")
    if parent == facts.trace_id:
        parent = facts.root_id
    span = NormalSpan(
        trace_id=facts.trace_id,
        span_id=span_id,
        parent_span_id=facts.parent_id if span_id == facts.root_id else parent or facts.root_id,
        name=reader.text("name"),
        started_at=facts.started_at or facts.now,
        dialect="json",
        **facts.inherited(),
    )
    _read_call(span, reader)
    _read_context(span, reader)
    _read_content(span, reader)
    span.error_type, span.error_message = read_error(reader)
    _read_times(span, reader, facts, flags)
    is_model_step = span.kind in ("llm", "embedding")
    span.usage = read_usage(
        reader,
        span.provider,
        span.response_model,
        is_embedding=span.kind == "embedding",
        flags=flags,
    )
    _refuse_corrupt(span.usage, flags, reader)
    span.client_cost_usd = reader.cost("cost_usd", "cost", "total_cost")
    if is_model_step:
        stated = (
            span.usage is not None and span.usage.is_known
        ) or span.client_cost_usd is not None
        span.is_call = stated or has_evidence(span) or bool(span.response_model)
        span.is_rejected = is_refusal(span, span.attributes)
    rest = reader.rest()
    span.attributes = {**rest, **span.attributes} if rest else span.attributes
    span.flags = tuple(dict.fromkeys([*flags, *reader.cleaner.flags()]))
    return span


def _read_call(span: NormalSpan, reader: Reader) -> None:
    kind = reader.choice(KINDS, "type", "kind")
    model = reader.text("model", "response_model")
    span.request_model = reader.text("request_model") or model
    span.response_model = model or span.request_model
    span.kind = kind or ("llm" if model else "span")
    _, provider = reader.take("provider")
    if isinstance(provider, (dict, list)):
        raise FieldError(f"{reader.path}provider", provider, "it must be text")
    span.provider = provider_id(provider)
    span.operation = reader.text("operation", limit=SHORT_LENGTH) or _OPERATIONS.get(span.kind, "")
    span.service_tier = reader.text("service_tier", limit=32)
    span.processing = (
        "batch"
        if reader.text("processing", limit=32) == "batch" or span.service_tier == "batch"
        else ""
    )
    span.speed = reader.text("speed", limit=32)
    span.response_id = reader.text("response_id")
    span.finish_reason = reader.text("finish_reason", "stop_reason", limit=40)
    span.is_cache_hit = reader.flag("cache_hit", "is_cache_hit")


def _read_context(span: NormalSpan, reader: Reader) -> None:
    """What the step says of itself wins over what the trace said."""
    span.agent = reader.text("agent", "agent_name") or span.agent
    span.environment = reader.text("environment", "env", limit=SHORT_LENGTH) or span.environment
    span.user_id = reader.text("user", "user_id") or span.user_id
    span.session_id = reader.text("session", "session_id") or span.session_id
    span.feature = reader.text("feature") or span.feature
    span.prompt_version = reader.text("prompt_version") or span.prompt_version
    span.tags = tuple(dict.fromkeys((*span.tags, *reader.tags("tags"))))


def _read_content(span: NormalSpan, reader: Reader) -> None:
    span.input = reader.content("input", "messages", "prompt")
    span.output = reader.content("output", "completion")
    span.tools = reader.content("tools")
    span.parameters = reader.mapping("parameters", "model_parameters")
    span.metadata = reader.mapping("metadata")
    span.attributes = reader.mapping("attributes")


def _read_times(span: NormalSpan, reader: Reader, facts: TraceFacts, flags: list[str]) -> None:
    started_at = reader.moment("started_at", "start_time", "timestamp")
    ended_at = reader.moment("ended_at", "end_time")
    latency = reader.milliseconds("latency_ms", "duration_ms")
    status = reader.choice(STATUSES, "status")
    if started_at is None and ended_at is not None and latency is not None:
        started_at = max(ended_at - timedelta(milliseconds=latency), reader.window.earliest)
    span.started_at = started_at or span.started_at
    if ended_at is None and latency is not None:
        ended_at = span.started_at + timedelta(milliseconds=latency)
    if ended_at is not None and ended_at < span.started_at:
        ended_at = span.started_at
        flags.append("end_before_start")
    if span.started_at > facts.skew_after:
        flags.append("clock_skew")
    if span.error_type or span.error_message:
        status = "error"
    elif not status:
        has_result = ended_at is not None or span.output is not None or not facts.is_running
        status = "ok" if has_result else "running"
    span.status = status
    if ended_at is None and status != "running":
        ended_at = span.started_at
        flags.append(DURATION_UNKNOWN)
    span.ended_at = None if status == "running" else ended_at
    span.first_token_ms = reader.milliseconds("time_to_first_token_ms", "first_token_ms", "ttft_ms")


def read_error(reader: Reader) -> tuple[str, str]:
    """Type and message of `error`, given as text or as {"type", "message"}."""
    field, value = reader.take("error")
    error_type = reader.text("error_type")
    message = reader.text("error_message", limit=ERROR_LENGTH)
    if not field or value is False:
        return error_type, message
    if type(value) is dict:
        inner = Reader(value, f"{field}.", reader.limits, reader.window)
        return inner.text("type", "code") or error_type or "error", inner.text(
            "message", limit=ERROR_LENGTH
        ) or message
    if type(value) is not str:
        raise FieldError(
            field,
            value,
            'it must be text or an object like {"type": "RateLimitError", "message": "…"}',
        )
    if not value.strip():
        return error_type, message
    return error_type or "error", short_text(clean_text(value), ERROR_LENGTH)


def _refuse_corrupt(usage: Usage | None, flags: list[str], reader: Reader) -> None:
    """The JSON door can name the contradiction to its caller, so it does not store it."""
    if usage is None or SUBSET_EXCEEDS_WHOLE not in flags:
        return
    if usage.cache_read_input_tokens + usage.cache_write_input_tokens > (usage.input_tokens or 0):
        raise FieldError(
            f"{reader.path}cache_read_input_tokens",
            usage.cache_read_input_tokens,
            f"cached tokens are part of input_tokens ({usage.input_tokens}) and cannot exceed it; "
            'say usage_convention "exclusive" when they are counted apart',
        )
