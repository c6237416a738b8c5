"""A provider's usage object in the normal form, by the wire it came on (llm-responses §1–4) (pure)."""

from typing import Any

from costs.usage import Usage
from gateway.structs import Dialect
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

_EMPTY: dict[str, Any] = {}


def usage_of(
    dialect: Dialect, raw: dict[str, Any], *, flags: list[str], web_searches: int | None = None
) -> Usage | None:
    """The usage, or None when nothing was counted: no call has no tokens at all, so zeros mean "not said".

    `flags` gets what does not fit (counts that are none, parts larger than their whole).
    """
    if dialect.is_anthropic:
        counts = _anthropic(raw)
    elif dialect is Dialect.RESPONSES:
        counts = _openai(raw, "input", "output")
        counts.web_searches = web_searches
    else:
        counts = _openai(raw, "prompt", "completion")
        _add_compatible(counts, raw)
    _drop_bad(counts, flags)
    usage = usage_from(
        counts,
        flags,
        convention="exclusive" if dialect.is_anthropic else "inclusive",
        is_embedding=dialect is Dialect.EMBEDDINGS,
    )
    if usage is None or not (usage.input_tokens or usage.output_tokens or usage.web_searches):
        return None
    return usage


def _openai(raw: dict[str, Any], put: str, got: str) -> Counts:
    into = _object(raw, f"{put}_tokens_details")
    out = _object(raw, f"{got}_tokens_details")
    count = lenient_count
    return Counts(
        input=count(raw.get(f"{put}_tokens")),
        output=count(raw.get(f"{got}_tokens")),
        total=count(raw.get("total_tokens")),
        cache_read=count(into.get("cached_tokens")),
        cache_write=count(into.get("cache_write_tokens")),
        input_audio=count(into.get("audio_tokens")),
        input_image=count(into.get("image_tokens")),
        reasoning=count(out.get("reasoning_tokens")),
        output_audio=count(out.get("audio_tokens")),
        output_image=count(out.get("image_tokens")),
    )


def _add_compatible(counts: Counts, raw: dict[str, Any]) -> None:
    """Where DeepSeek and Moonshot say what was cached."""
    if counts.cache_read is None:
        stated = raw.get("prompt_cache_hit_tokens", raw.get("cached_tokens"))
        counts.cache_read = lenient_count(stated)


def _anthropic(raw: dict[str, Any]) -> Counts:
    """Iterations (compaction, advisors) are not in the totals beside them: where they are listed, their sum counts."""
    iterations = raw.get("iterations")
    parts = [one for one in iterations if type(one) is dict] if type(iterations) is list else []
    parts = parts or [raw]
    return Counts(
        input=_sum(parts, "input_tokens"),
        output=_sum(parts, "output_tokens"),
        cache_read=_sum(parts, "cache_read_input_tokens"),
        cache_write=_sum(parts, "cache_creation_input_tokens"),
        cache_write_5m=_sum(parts, "ephemeral_5m_input_tokens", "cache_creation"),
        cache_write_1h=_sum(parts, "ephemeral_1h_input_tokens", "cache_creation"),
        reasoning=_sum(parts, "thinking_tokens", "output_tokens_details"),
        web_searches=lenient_count(_object(raw, "server_tool_use").get("web_search_requests")),
    )


def _sum(parts: list[dict[str, Any]], name: str, inside: str = "") -> int | None:
    """The sum of a count over parts; None when none states it, -1 when one states nonsense."""
    total: int | None = None
    for part in parts:
        count = lenient_count((_object(part, inside) if inside else part).get(name))
        if count is not None:
            total = -1 if count < 0 or total == -1 else (total or 0) + count
    return total


def _object(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found = raw.get(name)
    return found if type(found) is dict else _EMPTY


def _drop_bad(counts: Counts, flags: list[str]) -> None:
    for name in counts.__struct_fields__:
        if getattr(counts, name) == -1:
            setattr(counts, name, None)
            if BAD_COUNT not in flags:
                flags.append(BAD_COUNT)
