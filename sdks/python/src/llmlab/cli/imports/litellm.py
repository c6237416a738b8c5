"""LiteLLM's spend logs as CSV (the table LiteLLM_SpendLogs): one call a row, kept as cost records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from llmlab.cli.imports.records import Record
from llmlab.cli.imports.units import (
    COSTS,
    RowError,
    Unit,
    content_id,
    decimal_text,
    load,
    moment,
    stamp,
    stated,
    whole,
)

REQUIRED = {"startTime", "spend", "model"}
_OPERATIONS = {
    "completion": "chat", "acompletion": "chat", "embedding": "embeddings", "aembedding": "embeddings",
    "text_completion": "text_completion", "atext_completion": "text_completion", "responses": "chat",
    "aresponses": "chat", "anthropic_messages": "chat",
}  # fmt: skip


def is_header(names: set[str]) -> bool:
    """Whether a CSV file with these columns is one."""
    return names >= REQUIRED and bool({"prompt_tokens", "total_tokens"} & names)


def convert(record: Record) -> Iterator[Unit]:
    """One cost record. Raises RowError."""
    row = record.value
    started = moment(row.get("startTime"), "startTime", required=True)
    ended = moment(row.get("endTime"), "endTime")
    metadata = _json(row.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    provider = (row.get("custom_llm_provider") or "").strip()
    model = (row.get("model") or "").strip()
    if not model:
        raise RowError("model is missing; without it nothing says what was called")
    prefix, slash, rest = model.partition("/")
    if slash and (not provider or prefix == provider):
        provider, model = provider or prefix, rest
    call = (row.get("call_type") or "").strip()
    failed = (row.get("status") or "").strip().lower() in ("failure", "error", "failed")
    body = stated(
        id=_id(row),
        occurred_at=stamp(started),
        provider=provider,
        model=model,
        operation=_OPERATIONS.get(call, call.removeprefix("a") if call.startswith("a") else call)
        or "chat",
        status="error" if failed else None,
        latency_ms=_ms(started, ended),
        time_to_first_token_ms=_first_token(row, started, ended),
        user=(row.get("end_user") or row.get("user") or "").strip(),
        session=(row.get("session_id") or "").strip(),
        agent=str(metadata.get("user_api_key_alias") or ""),
        feature=str(metadata.get("user_api_key_team_alias") or row.get("team_id") or ""),
        tags=_tags(row.get("request_tags")),
        cache_hit=True if (row.get("cache_hit") or "").strip().lower() == "true" else None,
        cost_usd=decimal_text(row.get("spend"), "spend"),
        **_counts(row, metadata),
    )
    if failed and not (body.get("input_tokens") or body.get("output_tokens")):
        # Nothing was answered: nothing was spent, and there is no price to look for.
        body["cost_usd"] = body.get("cost_usd") or "0"
    yield Unit(record.line, COSTS, body)


def _id(row: dict[str, Any]) -> str:
    given = (row.get("request_id") or "").strip()
    # A bare record's id may hold no slash and 128 characters at most.
    return given if given and "/" not in given and len(given) <= 128 else content_id("litellm", row)


def _ms(first: dt.datetime | None, last: dt.datetime | None) -> float | None:
    if first is None or last is None or last < first:
        return None
    return round((last - first).total_seconds() * 1_000, 3)


def _first_token(
    row: dict[str, Any], started: dt.datetime | None, ended: dt.datetime | None
) -> float | None:
    """LiteLLM writes the end where nothing was streamed; that is no first token."""
    first = moment(row.get("completionStartTime"), "completionStartTime")
    return None if first is None or first == ended else _ms(started, first)


def _json(text: Any) -> Any:
    if not isinstance(text, str) or text[:1] not in ("{", "["):
        return None
    try:
        return load(text)
    except ValueError:
        return None


def _tags(text: Any) -> list[str] | None:
    found = _json(text)
    return [str(tag) for tag in found if tag != ""] if isinstance(found, list) else None


def _counts(row: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """LiteLLM's prompt tokens include the cache. Where it keeps the provider's usage, the classes are read from it."""
    given, made = (
        whole(row.get("prompt_tokens"), "prompt_tokens"),
        whole(row.get("completion_tokens"), "completion_tokens"),
    )
    total = whole(row.get("total_tokens"), "total_tokens")
    if not given and not made and total:
        given = total  # embeddings of old versions
    found: dict[str, Any] = {"input_tokens": given, "output_tokens": made}
    for name in ("usage_object", "additional_usage_values"):
        usage = metadata.get(name)
        if not isinstance(usage, dict):
            continue
        inner, outer = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
        inner, outer = (one if isinstance(one, dict) else {} for one in (inner, outer))
        read = usage.get("cache_read_input_tokens") or inner.get("cached_tokens")
        found.setdefault("cache_read_input_tokens", read or None)
        found.setdefault(
            "cache_write_input_tokens", usage.get("cache_creation_input_tokens") or None
        )
        found.setdefault("reasoning_output_tokens", outer.get("reasoning_tokens") or None)
    return {**found, "usage_convention": "inclusive" if given is not None else None}
