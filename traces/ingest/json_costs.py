"""`POST …/costs`: bare cost records, for callers that keep no traces.

    {"costs": [{"id", "occurred_at" | "timestamp", "provider", "model", "operation",
                token counts or usage: {…}, "cost_usd", "latency_ms", "status" | "error", "user", "session", "tags",
                "environment", "agent",
                "feature", "prompt_version", "service_tier", "cache_hit", "trace_id", "span_id"}]}

`id` is the caller's idempotency key inside the project. It may not contain a slash, so it never
meets a span's.
"""

from datetime import datetime
from typing import Any

from costs.usage import ChargeableCall, Usage
from traces.ingest.dialects.base import is_refusal_name
from traces.ingest.json_body import load_json
from traces.ingest.json_fields import FieldError, Reader
from traces.ingest.json_steps import STATUSES, read_error
from traces.ingest.json_traces import list_of
from traces.ingest.json_usage import read_usage
from traces.ingest.limits import SHORT_LENGTH, Limits, TooManyItemsError, Window
from traces.ingest.providers import provider_id
from traces.ingest.sanitize import short_text
from traces.ingest.span import Rejection
from traces.ingest.token_counts import SUBSET_EXCEEDS_WHOLE


def decode_costs(
    body: bytes, *, now: datetime, limits: Limits, window: Window
) -> tuple[list[ChargeableCall], list[Rejection]]:
    """The calls to record and the items refused; `now` is when the request arrived. Raises
    BodyError or TooManyItemsError for the body as a whole.

    Both are kept of two with the same id: as in two uploads, the ledger takes the first.
    """
    items = list_of(load_json(body), "costs", "id")
    if len(items) > limits.max_spans:
        raise TooManyItemsError(
            f"The upload holds {len(items)} costs, more than {limits.max_spans}.",
            fields=["costs"],
            items=len(items),
        )
    calls, rejections = [], []
    for index, item in enumerate(items):
        try:
            calls.append(_call(item, f"costs[{index}]", limits, window))
        except FieldError as error:
            shown = short_text(item.get("id"), 128) if type(item) is dict else ""
            rejections.append(
                Rejection(index=index, span_id=shown, code="invalid_field", detail=error.detail)
            )
    return calls, rejections


def _call(item: Any, path: str, limits: Limits, window: Window) -> ChargeableCall:
    reader = _reader(item, path, limits, window)
    flags: list[str] = []
    record_id = reader.identifier("id", "record_id", is_required=True)
    model = reader.text("model", "response_model")
    request_model = reader.text("request_model") or model
    operation = reader.text("operation", limit=SHORT_LENGTH) or "chat"
    provider = provider_id(reader.text("provider", limit=SHORT_LENGTH))
    usage = read_usage(reader, provider, model, is_embedding=operation == "embeddings", flags=flags)
    cost = reader.cost("cost_usd", "cost", "total_cost")
    is_empty = usage is None and cost is None
    _check_amounts(reader, usage, is_empty=is_empty, model=model, flags=flags)
    status = reader.choice(STATUSES, "status")
    error_type, error_message = read_error(reader)
    service_tier = reader.text("service_tier", limit=32)
    occurred_at = _occurred_at(reader)
    is_error = status == "error" or bool(error_type or error_message)
    return ChargeableCall(
        record_id=record_id,
        occurred_at=occurred_at,
        trace_id=reader.identifier("trace_id"),
        span_id=reader.identifier("span_id"),
        provider=provider,
        model=model or request_model,
        request_model=request_model,
        operation=operation,
        service_tier=service_tier,
        processing=_processing(reader, service_tier),
        speed=reader.text("speed", limit=32),
        usage=usage,
        client_cost_usd=cost,
        is_error=is_error,
        is_rejected=is_error and is_empty and is_refusal_name(error_type, error_message),
        is_cache_hit=reader.flag("cache_hit", "is_cache_hit"),
        latency_ms=reader.milliseconds("latency_ms", "duration_ms"),
        first_token_ms=reader.milliseconds("time_to_first_token_ms", "first_token_ms", "ttft_ms"),
        environment=reader.text("environment", "env", limit=SHORT_LENGTH),
        agent=reader.text("agent", "agent_name"),
        user_id=reader.text("user", "user_id"),
        session_id=reader.text("session", "session_id"),
        feature=reader.text("feature"),
        prompt_version=reader.text("prompt_version"),
        tags=reader.tags("tags"),
    )


def _reader(item: Any, path: str, limits: Limits, window: Window) -> Reader:
    if type(item) is not dict:
        raise FieldError(path, item, "a cost must be an object")
    return Reader(item, f"{path}.", limits, window)


def _check_amounts(
    reader: Reader, usage: Usage | None, *, is_empty: bool, model: str, flags: list[str]
) -> None:
    """Refuse counts that contradict each other, and a cost of which nothing is known."""
    if SUBSET_EXCEEDS_WHOLE in flags:
        raise FieldError(
            f"{reader.path}input_tokens",
            usage.input_tokens if usage else None,
            "the parts (cached, audio, reasoning …) exceed the whole; "
            'say usage_convention "exclusive" when cached '
            "tokens are counted apart",
        )
    if is_empty and not model:
        raise FieldError(
            f"{reader.path}model", None, "a cost needs a model with token counts, or cost_usd"
        )


def _occurred_at(reader: Reader) -> datetime:
    occurred_at = reader.moment("occurred_at", "timestamp", "started_at")
    if occurred_at is None:
        # "Now" would differ at the retry, and the record would be another one.
        raise FieldError(
            f"{reader.path}occurred_at", None, "it is required: when the call was made, in ISO 8601"
        )
    return occurred_at


def _processing(reader: Reader, service_tier: str) -> str:
    is_batch = service_tier == "batch" or reader.text("processing", limit=32) == "batch"
    return "batch" if is_batch else ""
