"""What Chat Completions and Responses share: models, error bodies, headers, reasoning, caching."""

import random
from typing import Any

from examples.simulator.http import HttpError, Reply, Request
from examples.simulator.words import tokens_in

CREATED = 1_795_000_000  # a fixed clock keeps answers the same
# What a request for an alias is served by.
SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5.5": "gpt-5.5-2026-04-23",
}
MODELS = (
    "gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna", "gpt-5.5", "gpt-5-mini", "gpt-4o",
    "gpt-4o-mini", "text-embedding-3-small", "text-embedding-3-large", "acme-llama-70b",
)  # fmt: skip
CACHE_FROM_TOKENS = 1024
CACHE_STEP = 128
STATUSES = {402: 429, 529: 503}
TIERS = {
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}


def require_model(request: Request) -> str:
    """The model asked for; raises 400 when it is missing."""
    model = request.body.get("model")
    if not isinstance(model, str) or not model:
        raise HttpError(400, "invalid_request_error", "You must provide a model parameter.")
    return model


def error_reply(error: HttpError) -> Reply:
    """OpenAI's error body."""
    kind = "requests" if error.status == 429 else error.kind
    kind = "insufficient_quota" if error.code == "insufficient_quota" else kind
    body = {"message": error.message, "type": kind, "param": None, "code": error.code}
    return Reply({"error": body}, STATUSES.get(error.status, error.status), error.headers)


def headers(request: Request) -> dict[str, str]:
    """The headers OpenAI puts on every answer."""
    left = 9_999 - request.number % 5_000
    return {
        "x-request-id": f"req_{request.number:016x}",
        "openai-organization": "simulator",
        "openai-version": "2020-10-01",
        "openai-processing-ms": "120",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": str(left * 200),
        "x-ratelimit-reset-tokens": "12ms",
    }


def served_tier(request: Request) -> str:
    """The tier that answered; asking for fast is reported as priority."""
    return TIERS.get(str(request.body.get("service_tier") or "default"), "default")


def reasoning_tokens(chance: random.Random, model: str, effort: Any) -> int:
    """Reasoning models think a little, unless told not to."""
    thinks = model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))
    if not thinks or effort in ("none", "minimal"):
        return 0
    return chance.randrange(32, 40 if effort == "low" else 512)


def cached_tokens(prefix: str, total: int) -> int:
    """What of a long prompt was read from the cache: everything but the last message, in steps."""
    if total < CACHE_FROM_TOKENS:
        return 0
    return tokens_in(prefix) // CACHE_STEP * CACHE_STEP
