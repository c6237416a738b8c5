"""One normaliser for token counts: whose input includes the cache, and does it all add up.

Senders of one convention are made equal to the other here and nowhere else (otel-genai §3, llm-
responses §7):
afterwards `input_tokens` and `output_tokens` always include their parts.
"""

from decimal import Decimal
from typing import Any

import msgspec

from costs.usage import Convention, Usage
from traces.ingest.limits import MAX_TOKENS

DO_NOT_ADD_UP = "tokens_do_not_add_up"
SUBSET_EXCEEDS_WHOLE = "token_subset_exceeds_whole"
BAD_COUNT = "bad_token_count"

# Their wire formats always count cached tokens inside the input: more cached than sent is corrupt,
# not a convention.
_ALWAYS_INCLUSIVE = frozenset({"openai", "azure", "google", "deepseek", "mistral", "groq", "x-ai"})


class Counts(msgspec.Struct, kw_only=True):
    """Token counts as stated; None means not stated."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    web_searches: int | None = None


def lenient_count(value: Any) -> int | None:
    """A count from an attribute of any type: text and doubles are read, nonsense gives -1 (to be
    flagged).
    """
    kind = type(value)
    if kind is int:
        return value if 0 <= value <= MAX_TOKENS else -1
    if value is None:
        return None
    if kind is float and 0 <= value <= MAX_TOKENS and value.is_integer():
        return int(value)
    if (
        kind is Decimal
        and value.is_finite()
        and 0 <= value <= MAX_TOKENS
        and value == value.to_integral_value()
    ):
        return int(value)
    if kind is str and value.isascii() and value.isdigit() and len(value) <= 11:
        return lenient_count(int(value))
    return -1


def usage_from(
    counts: Counts,
    flags: list[str],
    *,
    provider: str = "",
    convention: Convention | None = None,
    is_embedding: bool = False,
) -> Usage | None:
    """The usage in normal form, or None when nothing was stated. Adds to `flags` what does not fit.

    `convention` None: the sender should count inclusively, which arithmetic then checks.
    """
    input_tokens, output_tokens = counts.input, counts.output
    read = counts.cache_read or 0
    written = _cache_written(counts, flags)
    total = counts.total
    if is_embedding and input_tokens is None:
        input_tokens = total
    if input_tokens is None and output_tokens is None and not counts.web_searches:
        return None if total is None else Usage(stated_total_tokens=total)
    if input_tokens is not None:
        input_tokens, convention = _whole_input(
            input_tokens, output_tokens, read + written, total, provider, convention
        )
    reasoning = counts.reasoning or 0
    if reasoning:
        output_tokens = _whole_output(output_tokens, reasoning, input_tokens or 0, total)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        cache_write_5m_input_tokens=counts.cache_write_5m or 0,
        cache_write_1h_input_tokens=counts.cache_write_1h or 0,
        input_audio_tokens=counts.input_audio or 0,
        input_image_tokens=counts.input_image or 0,
        output_audio_tokens=counts.output_audio or 0,
        output_image_tokens=counts.output_image or 0,
        reasoning_output_tokens=reasoning,
        web_searches=counts.web_searches or 0,
        stated_total_tokens=total,
        convention=convention or "inclusive",
    )
    _check(usage, counts.total, flags)
    return usage


def _cache_written(counts: Counts, flags: list[str]) -> int:
    """All tokens written to the cache; flagged when its parts by lifetime exceed the stated whole."""
    by_ttl = (counts.cache_write_5m or 0) + (counts.cache_write_1h or 0)
    written = by_ttl if counts.cache_write is None else counts.cache_write
    if by_ttl > written:
        flags.append(SUBSET_EXCEEDS_WHOLE)
        written = by_ttl
    return written


def _whole_output(
    stated: int | None, reasoning: int, input_tokens: int, total: int | None
) -> int | None:
    """The whole output. Only the sender's own total proves that reasoning came on top (Gemini's way)."""
    if stated is not None and total == input_tokens + stated + reasoning:
        return stated + reasoning
    return stated


def _whole_input(
    stated: int,
    output: int | None,
    cached: int,
    total: int | None,
    provider: str,
    convention: Convention | None,
) -> tuple[int, Convention]:
    """The whole input and the convention that gave it."""
    if convention == "exclusive":
        return stated + cached, "exclusive"
    if convention is None and cached > stated and provider not in _ALWAYS_INCLUSIVE:
        if total is not None and total == stated + cached + (output or 0):
            return stated + cached, "exclusive"
        return stated + cached, "guessed"
    return stated, "inclusive"


def _check(usage: Usage, total: int | None, flags: list[str]) -> None:
    """Conservation: the parts fit into their wholes, and the wholes add up to the stated total."""
    whole_input, whole_output = usage.input_tokens, usage.output_tokens
    input_parts = (
        usage.cache_read_input_tokens + usage.cache_write_input_tokens,
        usage.input_audio_tokens + usage.input_image_tokens,
    )
    output_parts = (
        usage.reasoning_output_tokens,
        usage.output_audio_tokens + usage.output_image_tokens,
    )
    if (max(input_parts) > (whole_input or 0)) or (max(output_parts) > (whole_output or 0)):
        flags.append(SUBSET_EXCEEDS_WHOLE)
    if total is not None and whole_input is not None and total != whole_input + (whole_output or 0):
        flags.append(DO_NOT_ADD_UP)
