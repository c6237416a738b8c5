"""Usage objects as providers and SDKs write them inside a span (JSON), turned into counts. Not a dialect.

Whether cached and reasoning tokens stand inside the whole or beside it follows from the shape; where it does not, the
stated total decides (llm-responses §7).
"""

from collections.abc import Mapping
from typing import Any

from costs.usage import Convention
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count

# Langfuse's free map: whatever begins with input or output is a class of its own beside `input` and `output`.
_FREE = {
    "cache_read": (
        "input_cache_read", "input_cached_tokens", "input_cache_read_tokens", "cache_read_input_tokens",
        "input_cached", "cache_read",
    ),
    "cache_write": (
        "input_cache_creation", "input_cache_write", "input_cache_write_tokens", "input_cache_creation_tokens",
        "cache_creation_input_tokens", "cache_write_input_tokens", "cache_write",
    ),
    "cache_write_5m": ("input_cache_creation_5m", "input_cache_write_5m"),
    "cache_write_1h": ("input_cache_creation_1h", "input_cache_write_1h", "cache_creation_input_tokens_above_1hr"),
    "reasoning": ("output_reasoning", "output_reasoning_tokens", "reasoning_tokens", "reasoning"),
    "input_audio": ("input_audio", "input_audio_tokens"),
    "input_image": ("input_image", "input_image_tokens"),
    "output_audio": ("output_audio", "output_audio_tokens"),
    "output_image": ("output_image", "output_image_tokens"),
}  # fmt: skip


_CACHED = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens"})


def counts_of(usage: Mapping[str, Any], flags: list[str]) -> tuple[Counts, Convention | None]:
    """The counts a usage object states, and the convention its shape proves (None: arithmetic decides)."""
    read = _Reader(usage, flags)
    if "promptTokenCount" in usage or "prompt_token_count" in usage:
        return _gemini(read), "inclusive"
    if "prompt_tokens" in usage or "completion_tokens" in usage:
        return _openai(read, "prompt_tokens", "completion_tokens"), None
    if "input_tokens_details" in usage or "output_tokens_details" in usage:
        return _openai(read, "input_tokens", "output_tokens"), None
    if "input_tokens" in usage or "output_tokens" in usage:
        # Anthropic's own object has the cache beside the input, and no total; who adds a total adds the cache up too.
        beside = usage.get("total_tokens") is None and not _CACHED.isdisjoint(usage)
        return _anthropic(read), "exclusive" if beside else None
    if "promptTokens" in usage or "completionTokens" in usage:
        return Counts(
            input=read("promptTokens"), output=read("completionTokens"), total=read("totalTokens")
        ), None
    return _free(read)


class _Reader:
    """Counts by key; an impossible one is dropped and flagged."""

    def __init__(self, usage: Mapping[str, Any], flags: list[str]) -> None:
        self.usage, self.flags = usage, flags

    def __call__(self, *names: str) -> int | None:
        for name in names:
            value: Any = self.usage
            for step in name.split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is None:
                continue
            number = lenient_count(value)
            if number != -1:
                return number
            self.flags.append(BAD_COUNT)
        return None


def _openai(read: _Reader, prompt: str, completion: str) -> Counts:
    """Chat Completions and Responses: details are parts of the whole. LangChain's and Langfuse's copies too."""
    inner, outer = f"{prompt}_details.", f"{completion}_details."
    return Counts(
        input=read(prompt),
        output=read(completion),
        total=read("total_tokens"),
        cache_read=read(inner + "cached_tokens", inner + "cache_read"),
        cache_write=read(inner + "cache_write_tokens", inner + "cache_creation"),
        input_audio=read(inner + "audio_tokens"),
        input_image=read(inner + "image_tokens"),
        reasoning=read(outer + "reasoning_tokens"),
        output_audio=read(outer + "audio_tokens"),
        output_image=read(outer + "image_tokens"),
    )


def _anthropic(read: _Reader) -> Counts:
    """Messages (cache beside the input) and everyone who borrowed its names (cache inside): arithmetic decides."""
    return Counts(
        input=read("input_tokens"),
        output=read("output_tokens"),
        total=read("total_tokens"),
        cache_read=read("cache_read_input_tokens"),
        cache_write=read("cache_creation_input_tokens", "cache_write_input_tokens"),
        cache_write_5m=read("cache_creation.ephemeral_5m_input_tokens"),
        cache_write_1h=read("cache_creation.ephemeral_1h_input_tokens"),
        reasoning=read("reasoning_tokens", "reasoning_output_tokens"),
        web_searches=read("server_tool_use.web_search_requests"),
    )


def _gemini(read: _Reader) -> Counts:
    """Thoughts are told beside the candidates, tool results beside the prompt, the cache inside it."""
    thoughts = read("thoughtsTokenCount", "thoughts_token_count")
    prompt = read("promptTokenCount", "prompt_token_count")
    tools = read("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    candidates = read("candidatesTokenCount", "candidates_token_count")
    return Counts(
        input=_sum(prompt, tools),
        output=_sum(candidates, thoughts),
        total=read("totalTokenCount", "total_token_count"),
        cache_read=read("cachedContentTokenCount", "cached_content_token_count"),
        reasoning=thoughts,
    )


def _free(read: _Reader) -> tuple[Counts, Convention | None]:
    counts = Counts(input=read("input"), output=read("output"), total=read("total"))
    for field, names in _FREE.items():
        setattr(counts, field, read(*names))
    beside = [counts.cache_read, counts.cache_write, counts.input_audio, counts.input_image]
    after = [counts.reasoning, counts.output_audio, counts.output_image]
    whole = _sum(counts.input, counts.output)
    if counts.total is not None and whole == counts.total:
        return counts, "inclusive"
    counts.input = _sum(counts.input, *beside)
    counts.output = _sum(counts.output, *after)
    return counts, "inclusive"


def _sum(*numbers: int | None) -> int | None:
    stated = [number for number in numbers if number is not None]
    return sum(stated) if stated else None
