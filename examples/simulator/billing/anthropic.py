"""Anthropic's reports over the world's charges: cost_report and usage_report (A), analytics (B).

B answers 404 unless the flag `analytics` is set. A leaves out charges of the tier `priority` and knows no keys; B has
both. What B knows is four hours old.
"""

import datetime as dt
from collections.abc import Callable
from decimal import localcontext
from typing import Any

from examples.simulator.anthropic_messages import error_reply as shaped
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

PROVIDER = "anthropic"
ORGANIZATION = "11111111-2222-4333-8444-555555555555"
BETA = "analytics-usage-cost-2026-08-24"
DELAY = dt.timedelta(hours=4)
LIMITS = {"1d": (7, 31), "1h": (24, 168)}
USAGE_GROUPS = (
    "account_id", "api_key_id", "context_window", "inference_geo", "model", "service_account_id", "service_tier",
    "speed", "workspace_id",
)  # fmt: skip
ANALYTICS_GROUPS = (
    "actor", "actor_type", "agent_id", "api_key_id", "context_window", "inference_geo", "model", "organization_id",
    "product", "service_tier", "speed", "workspace_id", "cost_type", "token_type",
)  # fmt: skip
TYPES = {
    "input": "uncached_input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
}
WORDS = {
    "input": "Input Tokens",
    "output": "Output Tokens",
    "cache_read": "Input Tokens, Cache Read",
    "cache_write_5m": "Input Tokens, Cache Write 5m",
    "cache_write_1h": "Input Tokens, Cache Write 1h",
}


def error_reply(error: HttpError, request: Request | None) -> Reply:
    """Anthropic's error body."""
    return shaped(error, request)


def _check_key(request: Request) -> None:
    key = request.headers.get("x-api-key", "")
    key = key or request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not key or key.endswith("invalid"):
        raise HttpError(401, "authentication_error", f"invalid x-api-key {key}")
    if not key.startswith("sk-ant-admin01-"):
        raise HttpError(403, "permission_error", "An Admin API key is needed for this endpoint.")


def _instant(request: Request, name: str) -> dt.datetime | None:
    text = (request.values(name) or [""])[-1]
    if not text:
        return None
    try:
        return world.instant(text)
    except ValueError:
        raise HttpError(
            400, "invalid_request_error", f"{name}: Input should be a valid datetime"
        ) from None


def _range(request: Request) -> tuple[dt.datetime, dt.datetime]:
    start = _instant(request, "starting_at")
    if start is None:
        raise HttpError(400, "invalid_request_error", "starting_at: Field required")
    known = faults.clock().replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    return start, min(_instant(request, "ending_at") or known, known)


def _iso(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _report(
    request: Request, width: str, rows: Callable[[list[Charge]], list[dict[str, Any]]]
) -> Reply:
    start, end = _range(request)
    size = limit_of(request, *LIMITS[width])
    chosen, following = page_of(PROVIDER, request, buckets(start, end, WIDTHS[width]), size)
    data = [
        {"starting_at": _iso(first), "ending_at": _iso(last), "results": rows(charges)}
        for first, last, charges in filled(PROVIDER, chosen)
    ]
    return Reply({"data": data, "has_more": following is not None, "next_page": following})


def _tier(charge: Charge) -> str:
    return charge.tier or "standard"


def describe(charge: Charge) -> str:
    """What the bill calls it."""
    if charge.description:
        return charge.description
    if charge.token_class in WORDS:
        name = charge.model.replace("-", " ").title()
        tier = " (Batch)" if charge.tier == "batch" else ""
        return f"{name} Usage{tier} - {WORDS[charge.token_class]}"
    return "Web Search Usage" if charge.token_class == "web_search" else "Other Usage"


def _cost_type(charge: Charge) -> str:
    if charge.token_class in TYPES:
        return "tokens"
    if charge.token_class == "web_search":
        return "web_search"
    return "code_execution" if charge.unit == "hours" else "session_usage"


def cents(parts: list[Charge], field: str = "amount") -> str:
    """The sum in cents, as text with every digit."""
    values = [getattr(one, field) for one in parts]
    amounts = [
        one.amount if value is None else value for one, value in zip(parts, values, strict=True)
    ]
    with localcontext(prec=200):
        return format(world.total(amounts).scaleb(2), "f")


async def cost_report(request: Request) -> Reply:
    """GET /v1/organizations/cost_report."""
    _check_key(request)
    groups = groups_of(request, ("workspace_id", "description"))
    by_words = "description" in groups

    def key(charge: Charge) -> tuple[Any, ...]:
        is_tokens = charge.token_class in TYPES
        named = (
            describe(charge),
            _cost_type(charge),
            charge.model or None if is_tokens else None,
            TYPES.get(charge.token_class),
            _tier(charge) if is_tokens else None,
            charge.context_window or None if is_tokens else None,
            charge.region or None if is_tokens else None,
        )
        workspace = charge.sub_account or None if "workspace_id" in groups else None
        return (workspace, charge.currency, *(named if by_words else (None,) * len(named)))

    def rows(charges: list[Charge]) -> list[dict[str, Any]]:
        billed = [one for one in charges if one.tier != "priority"]
        names = (
            "workspace_id", "currency", "description", "cost_type", "model", "token_type", "service_tier",
            "context_window", "inference_geo",
        )  # fmt: skip
        return [
            {"amount": cents(parts), **dict(zip(names, found, strict=True))}
            for found, parts in world.grouped(billed, key).items()
        ]

    return _report(request, "1d", rows)


def _usage_of(parts: list[Charge]) -> dict[str, Any]:
    sums = dict.fromkeys(TYPES, 0)
    searches = 0
    for one in parts:
        if one.token_class in sums:
            sums[one.token_class] += int(one.quantity)
        elif one.token_class == "web_search":
            searches += int(one.quantity)
    return {
        "uncached_input_tokens": sums["input"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": sums["cache_write_5m"],
            "ephemeral_1h_input_tokens": sums["cache_write_1h"],
        },
        "cache_read_input_tokens": sums["cache_read"],
        "output_tokens": sums["output"],
        "server_tool_use": {"web_search_requests": searches},
    }


def _dimensions(charge: Charge, names: tuple[str, ...], groups: list[str]) -> tuple[Any, ...]:
    known = {
        "api_key_id": charge.key or None,
        "workspace_id": charge.sub_account or None,
        "model": charge.model or None,
        "service_tier": _tier(charge),
        "context_window": charge.context_window or None,
        "inference_geo": charge.region or None,
        "product": "messages_api",
        "cost_type": _cost_type(charge),
        "token_type": TYPES.get(charge.token_class),
    }
    return tuple(known.get(name) if name in groups else None for name in names)


def _reported(charge: Charge) -> bool:
    """Code execution appears only in cost."""
    return charge.category == "usage" and (
        charge.token_class in TYPES or charge.token_class == "web_search"
    )


async def usage_report(request: Request) -> Reply:
    """GET /v1/organizations/usage_report/messages."""
    _check_key(request)
    groups = groups_of(request, USAGE_GROUPS)
    width = (request.values("bucket_width") or ["1d"])[-1]
    if width not in LIMITS:
        raise HttpError(400, "invalid_request_error", "bucket_width: Input should be '1d' or '1h'")

    def rows(charges: list[Charge]) -> list[dict[str, Any]]:
        found = world.grouped(
            [one for one in charges if _reported(one)],
            lambda charge: _dimensions(charge, USAGE_GROUPS, groups),
        )
        return [
            {**_usage_of(parts), **dict(zip(USAGE_GROUPS, values, strict=True))}
            for values, parts in found.items()
        ]

    return _report(request, width, rows)


def _analytics(
    request: Request,
    name: str,
    body: Callable[[list[Charge], list[str]], dict[str, Any]],
    charges_of: Callable[[Charge], bool],
) -> Reply:
    _check_key(request)
    if not faults.flagged("analytics"):
        raise HttpError(404, "not_found_error", "Not found")
    if BETA not in request.headers.get("anthropic-beta", ""):
        raise HttpError(
            400, "invalid_request_error", f"This endpoint needs the beta header {BETA}."
        )
    groups = groups_of(request, ANALYTICS_GROUPS)
    if len([one for one in groups if one not in ("cost_type", "token_type")]) > 5:
        raise HttpError(400, "invalid_request_error", "group_by: at most 5 dimensions")
    start, end = _range(request)
    if end - start > dt.timedelta(days=31):
        raise HttpError(400, "invalid_request_error", "The range is longer than 31 days.")
    size = limit_of(request, 20, 1000)
    found: list[dict[str, Any]] = []
    for first, last, charges in filled(PROVIDER, buckets(start, end, DAY)):
        by_group = world.grouped(
            [one for one in charges if charges_of(one)],
            lambda charge: _dimensions(charge, ANALYTICS_GROUPS, groups),
        )
        found += [
            {
                "starting_at": _iso(first),
                "ending_at": _iso(last),
                "group": dict(zip(ANALYTICS_GROUPS, values, strict=True)),
                name: body(parts, groups),
            }
            for values, parts in by_group.items()
        ]
    rows, following = page_of(PROVIDER, request, found, size)
    return Reply(
        {
            "data": rows,
            "has_more": following is not None,
            "next_page": following,
            "data_refreshed_at": _iso(faults.clock() - DELAY),
        }
    )


async def analytics_cost(request: Request) -> Reply:
    """GET /v1/organizations/analytics/cost."""

    def body(parts: list[Charge], groups: list[str]) -> dict[str, Any]:
        split = {"cost_type", "token_type"} & set(groups)
        return {
            "amount": cents(parts),
            "list_amount": cents(parts, "list_amount"),
            "currency": parts[0].currency,
            "requests": None if split else sum(one.requests for one in parts),
        }

    return _analytics(request, "cost", body, lambda _: True)


async def analytics_usage(request: Request) -> Reply:
    """GET /v1/organizations/analytics/usage."""

    def body(parts: list[Charge], _groups: list[str]) -> dict[str, Any]:
        sums = _usage_of(parts)
        written = sums["cache_creation"].values()
        total = (
            sums["uncached_input_tokens"] + sums["cache_read_input_tokens"] + sums["output_tokens"]
        )
        return {
            **sums,
            "total_tokens": total + sum(written),
            "requests": sum(one.requests for one in parts),
        }

    return _analytics(request, "usage", body, _reported)


async def organization(request: Request) -> Reply:
    """GET /v1/organizations/me."""
    _check_key(request)
    return Reply({"id": ORGANIZATION, "name": "Simulated", "type": "organization"})


ROUTES = (
    ("GET", r"/v1/organizations/me", organization),
    ("GET", r"/v1/organizations/cost_report", cost_report),
    ("GET", r"/v1/organizations/usage_report/messages", usage_report),
    ("GET", r"/v1/organizations/analytics/cost", analytics_cost),
    ("GET", r"/v1/organizations/analytics/usage", analytics_usage),
)
