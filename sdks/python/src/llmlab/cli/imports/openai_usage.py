"""OpenAI's usage export as CSV: sums per bucket, model and key. No calls: each row becomes that many even records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmlab.cli.imports.records import Record
from llmlab.cli.imports.units import COSTS, RowError, Unit, content_id, moment, stamp, stated, whole

REQUIRED = {"num_model_requests", "model", "input_tokens"}
# More requests in one bucket than this are kept as this many records.
MOST_RECORDS = 1_000
_COUNTS = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_read_input_tokens": ("input_cached_tokens",),
    "input_audio_tokens": ("input_audio_tokens",),
    "output_audio_tokens": ("output_audio_tokens",),
}


def is_header(names: set[str]) -> bool:
    """Whether a CSV file with these columns is one."""
    return names >= REQUIRED and bool({"start_time", "start_time_iso"} & names)


def is_cost_header(names: set[str]) -> bool:
    """The costs export, which has amounts but no calls."""
    return {"amount_value", "line_item"} <= names


def convert(record: Record) -> Iterator[Unit]:
    """The records of a row: their tokens add up to the row's exactly. Raises RowError."""
    row = record.value
    started = moment(
        row.get("start_time_iso") or row.get("start_time"), "start_time", required=True
    )
    requests = whole(row.get("num_model_requests"), "num_model_requests")
    model = (row.get("model") or "").strip()
    if requests is None:
        raise RowError("num_model_requests is missing; it must be a whole number")
    if not model:
        raise RowError("model is empty: export the usage grouped by model")
    counts = {name: whole(row.get(column), column) for name, (column,) in _COUNTS.items()}
    if requests == 0 and not any(counts.values()):
        return
    parts = max(1, min(requests, MOST_RECORDS))
    tier = (row.get("service_tier") or "").strip()
    is_batch = (row.get("batch") or "").strip().lower() == "true"
    shared = stated(
        occurred_at=stamp(started),
        provider="openai",
        model=model,
        operation="embeddings" if "embedding" in model else "chat",
        service_tier="batch" if is_batch else tier if tier != "default" else "",
        user=(row.get("user_id") or "").strip(),
        agent=(row.get("api_key_id") or "").strip(),
        tags=[one] if (one := (row.get("project_id") or "").strip()) else None,
        usage_convention="inclusive",
    )
    name = content_id("openai-usage", {key: value for key, value in row.items() if value != ""})
    for part in range(parts):
        share = {
            key: _share(number, part, parts) for key, number in counts.items() if number is not None
        }
        yield Unit(record.line, COSTS, {"id": f"{name}-{part}", **shared, **_fitting(share)})


def _share(number: int, part: int, parts: int) -> int:
    """Even shares whose sum is the number."""
    return number // parts + (part < number % parts)


def _fitting(share: dict[str, int]) -> dict[str, Any]:
    """Without zeros that say nothing."""
    return {
        name: number
        for name, number in share.items()
        if number or name in ("input_tokens", "output_tokens")
    }
