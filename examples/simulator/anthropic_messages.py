"""Anthropic Messages, whole and streamed, and its token counter."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

from examples.simulator import ledger, pace
from examples.simulator.faults import CUT_AFTER, Faults
from examples.simulator.http import HttpError, Reply, Request, StreamCutError, frame
from examples.simulator.words import (
    chance_for,
    compose,
    limited,
    pieces,
    text_of,
    tokens_in,
    value_for,
    wanted_tool,
)

MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5")
CACHE_FROM_TOKENS = 512
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def error_reply(error: HttpError, request: Request | None = None) -> Reply:
    """Anthropic's error body."""
    body = {
        "type": "error",
        "error": {"type": KINDS.get(error.status, error.kind), "message": error.message},
        "request_id": f"req_{request.number if request else 0:016x}",
    }
    return Reply(body, error.status, error.headers)


def headers(request: Request) -> dict[str, str]:
    """The headers Anthropic puts on every answer."""
    found = {"request-id": f"req_{request.number:016x}", "anthropic-organization-id": "simulator"}
    for name, limit in (
        ("requests", 4_000),
        ("input-tokens", 2_000_000),
        ("output-tokens", 400_000),
    ):
        found[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        found[f"anthropic-ratelimit-{name}-remaining"] = str(limit - request.number % 1_000)
        found[f"anthropic-ratelimit-{name}-reset"] = "2026-11-20T12:00:00Z"
    return found


async def messages(request: Request, faults: Faults) -> Reply:
    """POST /v1/messages."""
    chance, message = answer_message(request)
    ledger.bill(message["model"], message["usage"])
    if request.body.get("stream"):
        return Reply(events=_stream(faults, chance, message), headers=headers(request))
    await pace.for_whole_answer(chance, message["usage"]["output_tokens"])
    if "no_usage" in faults:
        message["usage"] = {"input_tokens": 0, "output_tokens": 0}
    return Reply(message, headers=headers(request))


async def models(request: Request, faults: Faults) -> Reply:
    """GET /v1/models, as Anthropic's clients know it."""
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        for name in MODELS
    ]
    body = {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    return Reply(body, headers=headers(request))


async def count_tokens(request: Request, faults: Faults) -> Reply:
    """POST /v1/messages/count_tokens."""
    _model_and_turns(request)
    uncached, read, written_5m, written_1h = _input_tokens(request.body)
    return Reply(
        {"input_tokens": uncached + read + written_5m + written_1h}, headers=headers(request)
    )


def answer_message(request: Request) -> tuple[random.Random, dict[str, Any]]:
    """Decides the whole message; raises HttpError for a request that makes no sense."""
    body = request.body
    model, turns = _model_and_turns(request)
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        raise HttpError(
            400, "invalid_request_error", "max_tokens: a whole number from 1 is required"
        )
    tools = [tool for tool in body.get("tools") or [] if tool.get("input_schema")]
    chance = chance_for(model, body.get("system"), turns, tools)
    identity = f"{chance.getrandbits(96):024x}"
    prompt = text_of(
        next((t.get("content") for t in reversed(turns) if t.get("role") == "user"), "")
    )
    content: list[dict[str, Any]] = []
    thought = ""
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        thought = f"The customer writes about this: {prompt[:160]} I should check the facts first."
        content.append({"type": "thinking", "thinking": thought, "signature": f"sig_{identity}"})
    stop = "end_turn"
    if (
        tools
        and not _has_tool_result(turns[-1])
        and (body.get("tool_choice") or {}).get("type") != "none"
    ):
        tool = wanted_tool(chance, tools, prompt)
        arguments = value_for(chance, tool["input_schema"])
        content.append(
            {
                "type": "tool_use",
                "id": f"toolu_{identity}",
                "name": tool["name"],
                "input": arguments,
            }
        )
        stop = "tool_use"
    else:
        text = _structured(chance, body.get("output_config")) or compose(chance, prompt)
        text, is_cut = limited(text, limit)
        content.append({"type": "text", "text": text})
        stop = "max_tokens" if is_cut else "end_turn"
    return chance, {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _usage(body, content, tokens_in(thought)),
    }


def _structured(chance: random.Random, wanted: Any) -> str:
    """The answer in the JSON schema asked for, if any."""
    shape = wanted.get("format") if isinstance(wanted, dict) else None
    if isinstance(shape, dict) and shape.get("type") == "json_schema":
        return json.dumps(value_for(chance, shape.get("schema")), ensure_ascii=False)
    return ""


def _model_and_turns(request: Request) -> tuple[str, list[dict[str, Any]]]:
    model, turns = request.body.get("model"), request.body.get("messages")
    if not isinstance(model, str) or not model:
        raise HttpError(400, "invalid_request_error", "model: Field required")
    if (
        not isinstance(turns, list)
        or not turns
        or not all(isinstance(turn, dict) for turn in turns)
    ):
        raise HttpError(400, "invalid_request_error", "messages: at least one message is required")
    return model, turns


def _has_tool_result(turn: dict[str, Any]) -> bool:
    content = turn.get("content")
    return isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)


def _usage(body: dict[str, Any], content: list[dict[str, Any]], thought: int) -> dict[str, Any]:
    uncached, read, written_5m, written_1h = _input_tokens(body)
    said = sum(
        tokens_in(part.get("text") or json.dumps(part.get("input") or "")) for part in content
    )
    return {
        "input_tokens": uncached,
        "cache_creation_input_tokens": written_5m + written_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written_5m,
            "ephemeral_1h_input_tokens": written_1h,
        },
        "output_tokens": said + thought,
        "output_tokens_details": {"thinking_tokens": thought},
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _input_tokens(body: dict[str, Any]) -> tuple[int, int, int, int]:
    """Uncached, cache read, written for 5 minutes, written for 1 hour.

    Everything up to the last `cache_control` is cacheable; it counts as written on the first turn
    of a conversation and as read on the later ones.
    """
    turns = body["messages"]
    parts: list[Any] = list(body.get("tools") or [])
    system = body.get("system")
    parts += system if isinstance(system, list) else [system] if system else []
    for turn in turns:
        content = turn.get("content")
        parts += content if isinstance(content, list) else [content]
    sizes = [
        tokens_in(
            json.dumps(part) if isinstance(part, dict) and "input_schema" in part else text_of(part)
        )
        for part in parts
    ]
    total = sum(sizes) + 3 * len(turns)
    marks = [
        (place, part["cache_control"])
        for place, part in enumerate(parts)
        if isinstance(part, dict) and part.get("cache_control")
    ]
    if not marks or (cached := sum(sizes[: marks[-1][0] + 1])) < CACHE_FROM_TOKENS:
        return total, 0, 0, 0
    if len(turns) > 1:
        return total - cached, cached, 0, 0
    if marks[-1][1].get("ttl") == "1h":
        return total - cached, 0, 0, cached
    return total - cached, 0, cached, 0


async def _stream(
    faults: Faults, chance: random.Random, message: dict[str, Any]
) -> AsyncIterator[bytes]:
    def event(kind: str, **data: Any) -> bytes:
        return frame({"type": kind, **data}, kind)

    usage = message["usage"]
    opening = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 1},
    }
    opening["usage"]["output_tokens_details"] = {"thinking_tokens": 0}
    await pace.before_first_token(chance)
    yield event("message_start", message=opening)
    for place, part in enumerate(message["content"]):
        start, deltas = _block(part)
        yield event("content_block_start", index=place, content_block=start)
        if place == 0:
            yield event("ping")
        for number, delta in enumerate(deltas):
            if number == CUT_AFTER and "cut" in faults:
                raise StreamCutError("cut as asked")
            if number == CUT_AFTER and "stream_error" in faults:
                yield event("error", error={"type": "overloaded_error", "message": "Overloaded"})
                return
            await pace.before_piece(chance)
            yield event("content_block_delta", index=place, delta=delta)
        yield event("content_block_stop", index=place)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = (
        "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
        "output_tokens_details", "server_tool_use",
    )  # fmt: skip
    yield event("message_delta", delta=ended, usage={key: usage[key] for key in counted})
    yield event("message_stop")


def _block(part: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a content block starts in a stream, and its deltas."""
    if part["type"] == "tool_use":
        text = json.dumps(part["input"], ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
        return {**part, "input": {}}, deltas
    if part["type"] == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces(part["thinking"])
        ]
        deltas.append({"type": "signature_delta", "signature": part["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    return {"type": "text", "text": ""}, [
        {"type": "text_delta", "text": piece} for piece in pieces(part["text"])
    ]
