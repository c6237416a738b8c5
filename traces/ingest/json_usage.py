"""Token counts in JSON: our own flat names, or a provider's `usage` object as it came.

Counting rules by shape (llm-responses §1-5): OpenAI's and Gemini's input includes the cache,
Anthropic's does not.
"""

from typing import Any

from costs.usage import Convention, Usage
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.token_counts import Counts, usage_from

# Field of Counts -> accepted names. A step's own fields win over its `usage` object.
NAMES: dict[str, tuple[str, ...]] = {
    "input": ("input_tokens", "prompt_tokens", "inputTokens", "promptTokens"),
    "output": ("output_tokens", "completion_tokens", "outputTokens", "completionTokens"),
    "total": ("total_tokens", "totalTokens"),
    "cache_read": (
        "cache_read_input_tokens", "cached_input_tokens", "cached_tokens", "cache_read_tokens",
        "cachedInputTokens",
    ),
    "cache_write": (
        "cache_write_input_tokens", "cache_creation_input_tokens", "cache_write_tokens",
        "cache_creation_tokens",
    ),
    "cache_write_5m": ("cache_write_5m_input_tokens", "cache_write_5m_tokens"),
    "cache_write_1h": ("cache_write_1h_input_tokens", "cache_write_1h_tokens"),
    "reasoning": ("reasoning_output_tokens", "reasoning_tokens", "reasoningTokens"),
    "input_audio": ("input_audio_tokens",),
    "input_image": ("input_image_tokens",),
    "output_audio": ("output_audio_tokens",),
    "output_image": ("output_image_tokens",),
    "web_searches": ("web_searches", "web_search_requests"),
}  # fmt: skip

_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CONVENTIONS = {"inclusive": "inclusive", "exclusive": "exclusive"}


def read_usage(
    reader: Reader, provider: str, model: str, *, is_embedding: bool, flags: list[str]
) -> Usage | None:
    """The usage of a step or cost record. Raises FieldError for a count that is none."""
    counts = Counts()
    convention: Convention | None = None
    field, value = reader.take("usage", "usage_details", "token_usage")
    if field:
        inner = Reader(value, f"{field}.", reader.limits, reader.window)
        convention = _read_object(inner, counts, provider == "anthropic" or "claude" in model)
    _read_flat(reader, counts)
    stated: Any = reader.choice(_CONVENTIONS, "usage_convention")
    return usage_from(
        counts,
        flags,
        provider="" if "claude" in model else provider,
        convention=stated or convention,
        is_embedding=is_embedding,
    )


def _read_flat(reader: Reader, counts: Counts) -> None:
    for name, aliases in NAMES.items():
        value = reader.count(*aliases)
        if value is not None:
            setattr(counts, name, value)


def _read_object(reader: Reader, counts: Counts, is_anthropic: bool) -> Convention | None:
    """Fill `counts` from a provider's object; returns the convention its shape proves."""
    if "promptTokenCount" in reader.data or "totalTokenCount" in reader.data:
        _read_gemini(reader, counts)
        return "inclusive"
    _read_flat(reader, counts)
    details = _details(reader, _INPUT_DETAILS)
    if details is not None:
        _fill(counts, details, cache_read="cached_tokens", cache_write="cache_write_tokens")
        _fill(counts, details, input_audio="audio_tokens", input_image="image_tokens")
    details = _details(reader, _OUTPUT_DETAILS)
    if details is not None:
        _fill(
            counts,
            details,
            reasoning="reasoning_tokens",
            output_audio="audio_tokens",
            output_image="image_tokens",
        )
        thinking = details.count("thinking_tokens")
        counts.reasoning = counts.reasoning if thinking is None else thinking
    by_ttl = _details(reader, ("cache_creation",))
    if by_ttl is not None:
        _fill(
            counts,
            by_ttl,
            cache_write_5m="ephemeral_5m_input_tokens",
            cache_write_1h="ephemeral_1h_input_tokens",
        )
    tools = _details(reader, ("server_tool_use",))
    if tools is not None:
        _fill(counts, tools, web_searches="web_search_requests")
    return _shape(reader.data, is_anthropic)


def _shape(data: dict[str, Any], is_anthropic: bool) -> Convention | None:
    """Only Anthropic writes these names beside `input_tokens`, and never a total or input
    details.
    """
    if any(name in data for name in (*_INPUT_DETAILS, "prompt_tokens", "total_tokens")):
        return "inclusive"
    if any(
        name in data
        for name in ("cache_creation_input_tokens", "cache_creation", "server_tool_use")
    ):
        return "exclusive"
    if (
        is_anthropic
        and "cache_read_input_tokens" in data
        and "cache_write_input_tokens" not in data
    ):
        return "exclusive"
    return None


def _read_gemini(reader: Reader, counts: Counts) -> None:
    tool_input = reader.count("toolUsePromptTokenCount") or 0
    prompt = reader.count("promptTokenCount")
    counts.input = None if prompt is None else prompt + tool_input
    counts.cache_read = reader.count("cachedContentTokenCount")
    thoughts = reader.count("thoughtsTokenCount")
    visible = reader.count("candidatesTokenCount")
    counts.reasoning = thoughts
    counts.output = (
        None if visible is None and thoughts is None else (visible or 0) + (thoughts or 0)
    )
    counts.total = reader.count("totalTokenCount")


def _details(reader: Reader, names: tuple[str, ...]) -> Reader | None:
    field, value = reader.take(*names)
    if not field:
        return None
    if type(value) is not dict:
        raise FieldError(field, value, "it must be an object")
    return Reader(value, f"{field}.", reader.limits, reader.window)


def _fill(counts: Counts, reader: Reader, **names: str) -> None:
    for field, name in names.items():
        value = reader.count(name)
        if value is not None:
            setattr(counts, field, value)
