"""Langfuse's token counts: a free map of classes beside `input` and `output`, or one of its older shapes."""

from __future__ import annotations

from typing import Any

from llmlab.cli.imports.units import load, stated, whole

# A class of Langfuse's map → our field. Whatever begins with input_ stands beside `input`, output_ beside `output`.
_CLASSES = {
    "cache_read_input_tokens": (
        "input_cached_tokens", "input_cache_read", "input_cache_read_tokens", "cache_read_input_tokens", "input_cached",
        "cache_read",
    ),
    "cache_write_input_tokens": (
        "input_cache_creation", "input_cache_creation_tokens", "input_cache_write", "cache_creation_input_tokens",
        "cache_write_input_tokens", "cache_write",
    ),
    "reasoning_output_tokens": ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens"),
    "input_audio_tokens": ("input_audio_tokens", "input_audio"),
    "input_image_tokens": ("input_image_tokens", "input_image"),
    "output_audio_tokens": ("output_audio_tokens", "output_audio"),
    "output_image_tokens": ("output_image_tokens", "output_image"),
}  # fmt: skip
_PROVIDERS_OWN = (
    "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "promptTokenCount", "promptTokens",
    "completionTokens",
)  # fmt: skip


def counts_of(row: dict[str, Any]) -> dict[str, Any]:
    """Fields of a step. Raises RowError for a count that is none."""
    details = _mapping(row.get("usageDetails", row.get("usage_details")))
    if details:
        if any(name in details for name in _PROVIDERS_OWN):
            return {"usage": details}
        return _free(details)
    usage = _mapping(row.get("usage"))
    if usage:
        if str(usage.get("unit") or "TOKENS").upper() != "TOKENS":
            return {}
        if any(name in usage for name in _PROVIDERS_OWN):
            return {
                "usage": {name: value for name, value in usage.items() if name in _PROVIDERS_OWN}
            }
        return _free({name: usage.get(name) for name in ("input", "output", "total")})
    flat = {
        "input": row.get("promptTokens", row.get("inputUsage", row.get("input_usage"))),
        "output": row.get("completionTokens", row.get("outputUsage", row.get("output_usage"))),
        "total": row.get("totalTokens", row.get("totalUsage", row.get("total_usage"))),
    }
    # Old rows say 0 everywhere where nothing was known.
    return _free(flat) if any(flat.values()) else {}


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = load(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _free(details: dict[str, Any]) -> dict[str, Any]:
    read = {
        name: whole(value, f"usageDetails.{name}")
        for name, value in details.items()
        if not isinstance(value, dict)
    }
    found: dict[str, int] = {}
    for name, aliases in _CLASSES.items():
        number = next((read[alias] for alias in aliases if read.get(alias)), None)
        if number:
            found[name] = number
    given, made, total = read.get("input"), read.get("output"), read.get("total")
    if given is None and made is None:
        return {} if total is None else {"total_tokens": total}
    # Where input and output alone are the total, the classes lie inside them; else they stand beside.
    if total is None or total != (given or 0) + (made or 0):
        beside = (
            "cache_read_input_tokens",
            "cache_write_input_tokens",
            "input_audio_tokens",
            "input_image_tokens",
        )
        given = (given or 0) + sum(found.get(name, 0) for name in beside)
        after = ("reasoning_output_tokens", "output_audio_tokens", "output_image_tokens")
        made = (
            None
            if made is None and not any(map(found.get, after))
            else (made or 0) + sum(found.get(n, 0) for n in after)
        )
    return stated(input_tokens=given, output_tokens=made, usage_convention="inclusive", **found)
