"""The cost tab of a step: token classes, unit prices and their source, or why there is no price."""

from decimal import Decimal
from typing import Any

from costs.models import CostRecord
from traces.models import Span
from traces.selectors import detail

UNPRICED_REASONS = {
    "no_usage": "The step reported no token counts, so there is nothing to price.",
    "no_model": "The step does not say which model answered.",
    "unknown_model": "No price is known for this model.",
    "unknown_provider": "No price is known for this provider.",
    "self_hosted": "The model runs on your own machines; its cost is not a price per token.",
    "no_price": "The price list names the model, but no price for what was used.",
    "inconsistent_usage": "The token counts contradict each other: a part is larger than its whole.",
    "out_of_range": "The amount is too large to be real.",
}
CLASS_WORDS = {
    "input": "Input", "output": "Output", "cache_read": "Cached input", "cache_write": "Cache write",
    "cache_write_5m": "Cache write (5 min)", "cache_write_1h": "Cache write (1 h)", "reasoning": "Reasoning",
    "input_audio": "Audio input", "output_audio": "Audio output", "input_image": "Image input",
    "output_image": "Image output", "cache_read_audio": "Cached audio", "cache_read_image": "Cached images",
    "web_search": "Web searches", "request": "Requests",
}  # fmt: skip
COUNTED_APART = frozenset({"web_search", "request"})


def cost_context(span: Span) -> dict[str, Any]:
    """The cost tab: token classes with the unit price that was used, its source, and why something has no price."""
    record = detail.cost_record_of(span)
    if record is None:
        return {"record": None, "is_wrapper": span.has_cost_below}
    return {
        "record": record,
        "classes": _classes(record),
        "reason": UNPRICED_REASONS.get(record.unpriced_reason, record.unpriced_reason),
        "flags": record.flags,
    }


def _classes(record: CostRecord) -> list[dict[str, Any]]:
    rows = []
    for item in record.breakdown if isinstance(record.breakdown, list) else []:
        name = str(item.get("class", ""))
        unit = Decimal(str(item.get("unit_price_usd", "0")))
        rows.append(
            {
                "label": CLASS_WORDS.get(name, name.replace("_", " ").capitalize()),
                "quantity": Decimal(str(item.get("quantity", "0"))),
                "unit": unit if name in COUNTED_APART else unit * 1_000_000,
                "per": "each" if name in COUNTED_APART else "per 1M tokens",
                "cost_usd": Decimal(str(item.get("cost_usd", "0"))),
            }
        )
    return rows
