"""What a price depends on, kept on a record so that the call can be priced again exactly (pure).

Most of it is in columns. `usage_extra` holds what is left, under short names, and is NULL for the ordinary call. A
record from before that column tells its audio, images, searches and cache writes by TTL in its breakdown; what it
does not tell is whether it was a batch or a fast call when its service tier does not say so.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from costs.breakdown import lines_of
from costs.services.rows import CostRow
from costs.usage import ChargeableCall, Usage

if TYPE_CHECKING:
    from costs.services.reprice_rows import StoredCall

# Usage field → its name in `usage_extra`, and its class in a breakdown.
_COUNTS = {
    "cache_write_5m_input_tokens": ("w5", "cache_write_5m"),
    "cache_write_1h_input_tokens": ("w1", "cache_write_1h"),
    "input_audio_tokens": ("ia", "input_audio"),
    "input_image_tokens": ("ii", "input_image"),
    "output_audio_tokens": ("oa", "output_audio"),
    "output_image_tokens": ("oi", "output_image"),
    "web_searches": ("web", "web_search"),
}


def extra_of(call: ChargeableCall) -> str | None:
    """The JSON of `usage_extra`."""
    found: dict[str, Any] = {}
    if call.processing:
        found["processing"] = call.processing
    if call.speed:
        found["speed"] = call.speed
    if usage := call.usage:
        for field, (name, _) in _COUNTS.items():
            if count := getattr(usage, field):
                found[name] = count
        stated = usage.stated_total_tokens
        if stated is not None and stated != (usage.input_tokens or 0) + (usage.output_tokens or 0):
            found["total"] = stated
    return msgspec.json.encode(found).decode() if found else None


def call_of(row: "CostRow | StoredCall") -> ChargeableCall:
    """The call as it was priced, for pricing it again (names and people are left out)."""
    extra = msgspec.json.decode(row.usage_extra) if row.usage_extra else {}
    usage = None
    if row.usage_convention:
        counts = {field: extra.get(name, 0) for field, (name, _) in _COUNTS.items()}
        if not extra:
            counts |= _counts_in(row.breakdown)
        usage = Usage(
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cache_read_input_tokens=row.cache_read_input_tokens,
            cache_write_input_tokens=row.cache_write_input_tokens,
            reasoning_output_tokens=row.reasoning_output_tokens,
            stated_total_tokens=extra.get("total"),
            **counts,
        )
    return ChargeableCall(
        record_id=row.record_id,
        occurred_at=row.occurred_at,
        provider=row.provider,
        model=row.model,
        request_model=row.request_model,
        service_tier=row.service_tier,
        processing=extra.get("processing", ""),
        speed=extra.get("speed", ""),
        usage=usage,
        client_cost_usd=row.client_cost_usd,
    )


def _counts_in(breakdown: str) -> dict[str, int]:
    """The counts a breakdown names."""
    if not (
        "_audio" in breakdown
        or "_image" in breakdown
        or "cache_write_" in breakdown
        or "web_search" in breakdown
    ):
        return {}
    by_class = {line["class"]: int(line["quantity"]) for line in lines_of(breakdown)}
    return {field: by_class[label] for field, (_, label) in _COUNTS.items() if label in by_class}
