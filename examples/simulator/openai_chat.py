"""OpenAI Chat Completions, embeddings and the model list."""

import array
import base64
import hashlib
import json
import math
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from examples.simulator import ledger, pace
from examples.simulator.faults import CUT_AFTER, Faults
from examples.simulator.http import HttpError, Reply, Request, StreamCutError, frame
from examples.simulator.openai_common import (
    CREATED,
    MODELS,
    SNAPSHOTS,
    cached_tokens,
    headers,
    reasoning_tokens,
    require_model,
    served_tier,
)
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

DIMENSIONS = {"text-embedding-3-large": 3072}


@dataclass
class Completion:
    """One finished answer, before it takes a wire shape."""

    identity: str
    model: str
    text: str
    tool_calls: list[dict[str, Any]]
    finish: str
    usage: dict[str, Any]


async def chat_completions(request: Request, faults: Faults) -> Reply:
    """POST /v1/chat/completions."""
    chance, completion = complete(request)
    ledger.bill(completion.model, completion.usage)
    base = {
        "id": completion.identity,
        "created": CREATED,
        "model": completion.model,
        "service_tier": served_tier(request),
        "system_fingerprint": None,
    }
    if request.body.get("stream"):
        events = _stream(request, faults, chance, completion, base)
        return Reply(events=events, headers=headers(request))
    await pace.for_whole_answer(chance, len(completion.text.split()))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": completion.text or None,
        "refusal": None,
    }
    if completion.tool_calls:
        message["tool_calls"] = completion.tool_calls
    choice = {"index": 0, "finish_reason": completion.finish, "logprobs": None, "message": message}
    body = {**base, "object": "chat.completion", "choices": [choice]}
    if "no_usage" not in faults:
        body["usage"] = completion.usage
    return Reply(body, headers=headers(request))


def complete(request: Request) -> tuple[random.Random, Completion]:
    """Decides the answer to a chat request; raises HttpError for one that makes no sense."""
    body, asked = request.body, require_model(request)
    messages = body.get("messages")
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(m, dict) for m in messages)
    ):
        raise HttpError(
            400, "invalid_request_error", "'messages' must be a non-empty array of objects."
        )
    tools = [tool["function"] for tool in body.get("tools") or [] if tool.get("function")]
    chance = chance_for(asked, messages, tools, body.get("seed"))
    identity = f"chatcmpl-{chance.getrandbits(96):024x}"
    prompt = text_of(
        next((m.get("content") for m in reversed(messages) if m.get("role") == "user"), "")
    )
    is_answered = messages[-1].get("role") == "tool"
    text, calls, finish = "", [], "stop"
    if tools and not is_answered and body.get("tool_choice") != "none":
        tool = wanted_tool(chance, tools, prompt)
        arguments = json.dumps(value_for(chance, tool.get("parameters")), ensure_ascii=False)
        function = {"name": tool["name"], "arguments": arguments}
        calls = [
            {"id": f"call_{chance.getrandbits(96):024x}", "type": "function", "function": function}
        ]
        finish = "tool_calls"
    else:
        text = _structured(chance, body.get("response_format")) or compose(chance, prompt)
        text, is_cut = limited(text, body.get("max_completion_tokens") or body.get("max_tokens"))
        finish = "length" if is_cut else "stop"
    written = tokens_in(text) + sum(tokens_in(json.dumps(call["function"])) for call in calls)
    thought = reasoning_tokens(chance, asked, body.get("reasoning_effort"))
    usage = _usage(messages, tools, written, thought)
    return chance, Completion(identity, SNAPSHOTS.get(asked, asked), text, calls, finish, usage)


def _structured(chance: random.Random, wanted: Any) -> str:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        return json.dumps(value_for(chance, schema), ensure_ascii=False)
    return (
        json.dumps({"answer": compose(chance, "")}, ensure_ascii=False)
        if kind == "json_object"
        else ""
    )


def _calls_text(calls: Any) -> str:
    return json.dumps(calls) if calls else ""


def _usage(messages: list[Any], tools: list[Any], written: int, thought: int) -> dict[str, Any]:
    texts = [text_of(m.get("content")) + _calls_text(m.get("tool_calls")) for m in messages]
    prefix = json.dumps(tools) * bool(tools) + "".join(texts[:-1])
    total = tokens_in(prefix) + tokens_in(texts[-1]) + 4 * len(messages)
    return {
        "prompt_tokens": total,
        "completion_tokens": written + thought,
        "total_tokens": total + written + thought,
        "prompt_tokens_details": {
            "cached_tokens": min(cached_tokens(prefix, total), total),
            "cache_write_tokens": 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


async def _stream(
    request: Request, faults: Faults, chance: random.Random, done: Completion, base: dict[str, Any]
) -> AsyncIterator[bytes]:
    wants_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
    rest: dict[str, Any] = {"usage": None} if wants_usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return frame({**base, "object": "chat.completion.chunk", "choices": [choice], **rest})

    await pace.before_first_token(chance)
    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for number, piece in enumerate(pieces(done.text) if done.text else ()):
        if "cut" in faults and number == CUT_AFTER:
            raise StreamCutError("cut as asked")
        await pace.before_piece(chance)
        yield chunk({"content": piece})
    for index, call in enumerate(done.tool_calls):
        start = {
            **call,
            "index": index,
            "function": {"name": call["function"]["name"], "arguments": ""},
        }
        yield chunk({"tool_calls": [start]})
        for number, piece in enumerate(pieces(call["function"]["arguments"])):
            if "cut" in faults and number == CUT_AFTER:
                raise StreamCutError("cut as asked")
            await pace.before_piece(chance)
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, done.finish)
    if wants_usage and "no_usage" not in faults:
        yield frame({**base, "object": "chat.completion.chunk", "choices": [], "usage": done.usage})
    yield frame("[DONE]")


async def embeddings(request: Request, faults: Faults) -> Reply:
    """POST /v1/embeddings. Texts that share words get vectors that are close."""
    model, given = require_model(request), request.body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise HttpError(
            400, "invalid_request_error", "'input' must be a string or a non-empty array."
        )
    if isinstance(texts[0], int):
        texts = [texts]
    size = int(request.body.get("dimensions") or DIMENSIONS.get(model, 1536))
    as_base64 = request.body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = embed(text if isinstance(text, str) else " ".join(map(str, text)), size)
        packed: Any = base64.b64encode(vector.tobytes()).decode() if as_base64 else list(vector)
        data.append({"object": "embedding", "index": index, "embedding": packed})
    used = sum(tokens_in(text) if isinstance(text, str) else len(text) for text in texts)
    await pace.before_first_token(chance_for(model, texts))
    ledger.bill(model, {"prompt_tokens": used})
    body: dict[str, Any] = {"object": "list", "data": data, "model": model}
    if "no_usage" not in faults:
        body["usage"] = {"prompt_tokens": used, "total_tokens": used}
    return Reply(body, headers=headers(request))


def embed(text: str, size: int) -> "array.array[float]":
    """A unit vector: each word adds a few hashed directions."""
    vector = array.array("f", bytes(4 * size))
    for word in text.lower().split() or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        for start in range(0, 32, 4):
            place = int.from_bytes(digest[start : start + 3], "big") % size
            vector[place] += 1.0 if digest[start + 3] & 1 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return array.array("f", (value / length for value in vector))


async def models(request: Request, faults: Faults) -> Reply:
    """GET /v1/models."""
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "simulator"}
        for name in MODELS
    ]
    return Reply({"object": "list", "data": data}, headers=headers(request))
