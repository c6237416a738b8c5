"""OpenAI's Costs and Usage APIs over the world's charges.

The flag `no_key_costs` makes an organisation whose costs cannot be grouped by key (400), `text_amounts` writes amounts
as JSON strings, as both were seen. Admin keys that start with `sk-admin-other` belong to another organisation, which
shares the bill.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from examples.simulator.billing import faults, world
from examples.simulator.billing.pages import (
    DAY,
    WIDTHS,
    buckets,
    filled,
    groups_of,
    limit_of,
    page_of,
)
from examples.simulator.billing.world import Charge
from examples.simulator.http import HttpError, Reply, Request
from examples.simulator.openai_common import error_reply as shaped

PROVIDER = "openai"
COST_GROUPS = ("project_id", "line_item", "api_key_id", "user_id", "api_source")
LIMITS = {"1d": (7, 31), "1h": (24, 168)}
KINDS = {
    "input": "input_tokens",
    "cache_read": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "input_audio": "audio_input_tokens",
    "output_audio": "audio_output_tokens",
    "input_image": "image_input_tokens",
    "output_image": "image_output_tokens",
}


def error_reply(error: HttpError, request: Request | None) -> Reply:
    """OpenAI's error body."""
    reply = shaped(error)
    reply.headers.setdefault("x-request-id", f"req_{request.number if request else 0:016x}")
    return reply


def _check_key(request: Request) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not key or key.endswith("invalid"):
        raise HttpError(
            401,
            "invalid_request_error",
            f"Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com.",
            "invalid_api_key",
        )
    if not key.startswith("sk-admin-"):
        raise HttpError(
            403,
            "invalid_request_error",
            "You have insufficient permissions for this operation. Missing scopes: api.usage.read.",
            "insufficient_permissions",
        )


def _organization(request: Request) -> dict[str, str]:
    """The header that says whose answer this is."""
    is_other = "sk-admin-other" in request.headers.get("authorization", "")
    return {"openai-organization": "org-other" if is_other else "org-simulated"}


def _range(request: Request) -> tuple[dt.datetime, dt.datetime]:
    values = {name: (request.values(name) or [""])[-1] for name in ("start_time", "end_time")}
    if not values["start_time"].isdecimal():
        raise HttpError(400, "invalid_request_error", "Missing required parameter: 'start_time'.")
    start = dt.datetime.fromtimestamp(int(values["start_time"]), dt.UTC)
    end = faults.clock() + DAY
    if values["end_time"].isdecimal():
        end = min(end, dt.datetime.fromtimestamp(int(values["end_time"]), dt.UTC))
    return start, end


def _page(
    request: Request,
    width: str,
    limits: tuple[int, int],
    rows: Callable[[list[Charge]], list[dict[str, Any]]],
) -> Reply:
    start, end = _range(request)
    size = limit_of(request, *limits)
    chosen, following = page_of(PROVIDER, request, buckets(start, end, WIDTHS[width]), size)
    data = [
        {
            "object": "bucket",
            "start_time": int(first.timestamp()),
            "end_time": int(last.timestamp()),
            "results": rows(charges),
        }
        for first, last, charges in filled(PROVIDER, chosen)
    ]
    body = {
        "object": "page",
        "data": data,
        "has_more": following is not None,
        "next_page": following,
    }
    return Reply(body, headers=_organization(request))


def line_item(charge: Charge) -> str:
    """`<model>, <kind>`, or the product's name."""
    kind = KINDS.get(charge.token_class)
    if charge.description or not charge.model or kind is None:
        return charge.description or charge.token_class or charge.model or "other"
    tier = "" if charge.tier in ("", "default", "standard") else f"{charge.tier} "
    return f"{charge.model}, {tier}{kind}"


async def costs(request: Request) -> Reply:
    """GET /v1/organization/costs."""
    _check_key(request)
    groups = groups_of(request, COST_GROUPS)
    if "api_key_id" in groups and faults.flagged("no_key_costs"):
        raise HttpError(
            400,
            "invalid_request_error",
            "Grouping by api_key_id is not supported for this organization.",
        )
    if (request.values("bucket_width") or ["1d"])[-1] != "1d":
        raise HttpError(400, "invalid_request_error", "bucket_width must be 1d.")

    def key(charge: Charge) -> tuple[Any, ...]:
        return (
            charge.currency,
            charge.sub_account or None if "project_id" in groups else None,
            line_item(charge) if "line_item" in groups else None,
            charge.key or None if "api_key_id" in groups else None,
        )

    def rows(charges: list[Charge]) -> list[dict[str, Any]]:
        return [
            _cost_row(found, parts, "line_item" in groups)
            for found, parts in world.grouped(charges, key).items()
        ]

    return _page(request, "1d", (7, 180), rows)


def _cost_row(key: tuple[Any, ...], parts: list[Charge], by_item: bool) -> dict[str, Any]:
    currency, project, item, key_id = key
    amount: Decimal | str = world.total(one.amount for one in parts)
    quantity = world.total(one.quantity for one in parts)
    return {
        "object": "organization.costs.result",
        "amount": {
            "value": format(amount, "f") if faults.flagged("text_amounts") else amount,
            "currency": currency.lower(),
        },
        "line_item": item,
        "project_id": project,
        "api_key_id": key_id,
        "user_id": None,
        "api_source": None,
        "quantity": quantity if by_item and quantity else None,
        "quantity_unit": parts[0].unit if by_item and quantity else None,
    }


def _is_completion(charge: Charge) -> bool:
    return charge.token_class in KINDS and not _is_embedding(charge) and bool(charge.model)


def _is_embedding(charge: Charge) -> bool:
    return "embedding" in charge.model


def _sums(parts: list[Charge]) -> dict[str, int]:
    found = dict.fromkeys(KINDS, 0)
    for one in parts:
        if one.token_class in found:
            found[one.token_class] += int(one.quantity)
    return found


def _completion(parts: list[Charge]) -> dict[str, Any]:
    n = _sums(parts)
    uncached = n["input"] + n["input_audio"] + n["input_image"]
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": uncached + n["cache_read"] + n["cache_write"],
        "input_uncached_tokens": uncached,
        "input_cached_tokens": n["cache_read"],
        "input_cache_write_tokens": n["cache_write"],
        "input_text_tokens": n["input"],
        "input_audio_tokens": n["input_audio"],
        "input_image_tokens": n["input_image"],
        "input_cached_text_tokens": n["cache_read"],
        "input_cached_audio_tokens": 0,
        "input_cached_image_tokens": 0,
        "output_tokens": n["output"] + n["output_audio"] + n["output_image"],
        "output_text_tokens": n["output"],
        "output_audio_tokens": n["output_audio"],
        "output_image_tokens": n["output_image"],
        "num_model_requests": sum(one.requests for one in parts),
    }


def _embedding(parts: list[Charge]) -> dict[str, Any]:
    return {
        "object": "organization.usage.embeddings.result",
        "input_tokens": int(sum(one.quantity for one in parts)),
        "num_model_requests": sum(one.requests for one in parts),
    }


def _counted(name: str, field: str) -> Callable[[list[Charge]], dict[str, Any]]:
    def row(parts: list[Charge]) -> dict[str, Any]:
        requests = sum(one.requests for one in parts)
        return {
            "object": f"organization.usage.{name}.result",
            field: int(sum(one.quantity for one in parts)),
            **({"num_model_requests": requests} if field != "num_sessions" else {}),
        }

    return row


FIELDS = ("project_id", "user_id", "api_key_id", "model")
USAGE: dict[
    str,
    tuple[Callable[[Charge], bool], Callable[[list[Charge]], dict[str, Any]], tuple[str, ...]],
] = {
    "completions": (_is_completion, _completion, (*FIELDS, "batch", "service_tier", "api_source")),
    "decisions": (lambda _: False, _completion, (*FIELDS, "batch", "service_tier", "api_source")),
    "embeddings": (_is_embedding, _embedding, FIELDS),
    "moderations": (lambda _: False, _embedding, FIELDS),
    "images": (
        lambda one: one.unit == "images",
        _counted("images", "images"),
        (*FIELDS, "size", "source"),
    ),
    "audio_speeches": (
        lambda one: one.unit == "characters",
        _counted("audio_speeches", "characters"),
        FIELDS,
    ),
    "audio_transcriptions": (
        lambda one: one.unit == "duration_seconds",
        _counted("audio_transcriptions", "seconds"),
        FIELDS,
    ),
    "web_search_calls": (
        lambda one: one.token_class == "web_search",
        _counted("web_searches", "num_requests"),
        (*FIELDS, "context_level", "api_source"),
    ),
    "file_search_calls": (
        lambda one: one.unit == "file_searches",
        _counted("file_searches", "num_requests"),
        ("project_id", "user_id", "api_key_id", "vector_store_id"),
    ),
    "code_interpreter_sessions": (
        lambda one: one.unit == "sessions",
        _counted("code_interpreter_sessions", "num_sessions"),
        ("project_id",),
    ),
    "vector_stores": (
        lambda one: one.unit == "bytes",
        _counted("vector_stores", "usage_bytes"),
        ("project_id",),
    ),
}


async def usage(request: Request) -> Reply:
    """GET /v1/organization/usage/<name>."""
    _check_key(request)
    kind = USAGE.get(request.path_values["name"])
    if kind is None:
        raise HttpError(404, "invalid_request_error", f"Invalid URL (GET {request.path})")
    belongs, row, allowed = kind
    groups = groups_of(request, allowed)
    width = (request.values("bucket_width") or ["1d"])[-1]
    if width not in LIMITS:
        raise HttpError(400, "invalid_request_error", "bucket_width must be one of 1m, 1h, 1d.")

    def key(charge: Charge) -> tuple[Any, ...]:
        is_batch = charge.tier == "batch"
        known = {
            "project_id": charge.sub_account or None,
            "api_key_id": charge.key or None,
            "model": charge.model or None,
            "batch": is_batch,
            "service_tier": "default" if is_batch else charge.tier or "default",
        }
        return tuple(known.get(name) if name in groups else None for name in allowed)

    def rows(charges: list[Charge]) -> list[dict[str, Any]]:
        mine = [one for one in charges if one.category == "usage" and belongs(one)]
        return [
            {**row(parts), **dict(zip(allowed, found, strict=True))}
            for found, parts in world.grouped(mine, key).items()
        ]

    return _page(request, width, LIMITS[width], rows)


ROUTES = (
    ("GET", r"/v1/organization/costs", costs),
    ("GET", r"/v1/organization/usage/(?P<name>\w+)", usage),
)
