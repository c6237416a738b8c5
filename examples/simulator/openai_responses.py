"""OpenAI Responses, whole and streamed."""

import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

from examples.simulator import ledger, pace
from examples.simulator.faults import CUT_AFTER, Faults
from examples.simulator.http import HttpError, Reply, Request, StreamCutError, frame
from examples.simulator.openai_common import (
    CREATED,
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


async def responses(request: Request, faults: Faults) -> Reply:
    """POST /v1/responses."""
    chance, response = respond(request)
    ledger.bill(response["model"], response["usage"])
    if "no_usage" in faults:
        response["usage"] = None
    if request.body.get("stream"):
        return Reply(events=_stream(faults, chance, response), headers=headers(request))
    await pace.for_whole_answer(
        chance, response["usage"]["output_tokens"] if response["usage"] else 0
    )
    return Reply(response, headers=headers(request))


def respond(request: Request) -> tuple[random.Random, dict[str, Any]]:
    """Decides the whole response object; raises HttpError for a request that makes no sense."""
    body, asked = request.body, require_model(request)
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if (
        not isinstance(items, list)
        or not items
        or not all(isinstance(item, dict) for item in items)
    ):
        raise HttpError(
            400, "invalid_request_error", "'input' must be a string or an array of items."
        )
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    chance = chance_for(asked, body.get("instructions"), items, tools)
    identity = f"{chance.getrandbits(160):040x}"
    thought = reasoning_tokens(chance, asked, (body.get("reasoning") or {}).get("effort"))
    prompt = text_of(
        next((i.get("content") for i in reversed(items) if i.get("role") == "user"), "")
    )
    output, written, is_cut = [], 0, False
    if (
        tools
        and items[-1].get("type") != "function_call_output"
        and body.get("tool_choice") != "none"
    ):
        tool = wanted_tool(chance, tools, prompt)
        arguments = json.dumps(value_for(chance, tool.get("parameters")), ensure_ascii=False)
        call = {
            "type": "function_call",
            "id": f"fc_{identity}",
            "call_id": f"call_{identity[:24]}",
            "name": tool["name"],
            "arguments": arguments,
            "status": "completed",
        }
        output, written = [call], tokens_in(arguments) + 8
    else:
        text = _structured(chance, body.get("text")) or compose(chance, prompt)
        text, is_cut = limited(text, body.get("max_output_tokens"))
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {
            "type": "message",
            "id": f"msg_{identity}",
            "role": "assistant",
            "content": [part],
        }
        output, written = (
            [{**message, "status": "incomplete" if is_cut else "completed"}],
            tokens_in(text),
        )
    return chance, {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "error": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": SNAPSHOTS.get(asked, asked),
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "service_tier": served_tier(request),
        "temperature": body.get("temperature", 1.0),
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "usage": _usage(body, items, tools, written, thought),
    }


def _structured(chance: random.Random, wanted: Any) -> str:
    shape = (wanted or {}).get("format") if isinstance(wanted, dict) else None
    if isinstance(shape, dict) and shape.get("type") == "json_schema":
        return json.dumps(value_for(chance, shape.get("schema")), ensure_ascii=False)
    return ""


def _usage(
    body: dict[str, Any], items: list[Any], tools: list[Any], written: int, thought: int
) -> dict[str, Any]:
    texts = [text_of(item) for item in items]
    prefix = (
        json.dumps(tools) * bool(tools) + text_of(body.get("instructions")) + "".join(texts[:-1])
    )
    total = tokens_in(prefix) + tokens_in(texts[-1]) + 4 * len(items)
    return {
        "input_tokens": total,
        "input_tokens_details": {
            "cached_tokens": min(cached_tokens(prefix, total), total),
            "cache_write_tokens": 0,
            "cache_write_tokens_details": None,
        },
        "output_tokens": written + thought,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": total + written + thought,
    }


async def _stream(
    faults: Faults, chance: random.Random, response: dict[str, Any]
) -> AsyncIterator[bytes]:
    opening = {
        **response,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
    }
    events = [
        ("response.created", {"response": opening}),
        ("response.in_progress", {"response": opening}),
    ]
    for place, item in enumerate(response["output"]):
        make = _call_events if item["type"] == "function_call" else _message_events
        events.extend(make(place, item))
    events.append((f"response.{response['status']}", {"response": response}))
    await pace.before_first_token(chance)
    deltas = 0
    for number, (kind, data) in enumerate(events):
        if kind.endswith(".delta"):
            deltas += 1
            if "cut" in faults and deltas > CUT_AFTER:
                raise StreamCutError("cut as asked")
            await pace.before_piece(chance)
        yield frame({"type": kind, "sequence_number": number, **data}, kind)


def _message_events(place: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    text = item["content"][0]["text"]
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    started = {**item, "status": "in_progress", "content": []}
    yield "response.output_item.added", {"output_index": place, "item": started}
    yield "response.content_part.added", {**where, "part": empty}
    for piece in pieces(text):
        yield "response.output_text.delta", {**where, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**where, "text": text, "logprobs": []}
    yield "response.content_part.done", {**where, "part": item["content"][0]}
    yield "response.output_item.done", {"output_index": place, "item": item}


def _call_events(place: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    where = {"item_id": item["id"], "output_index": place}
    started = {**item, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"output_index": place, "item": started}
    for piece in pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {**where, "delta": piece}
    done = {**where, "name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", done
    yield "response.output_item.done", {"output_index": place, "item": item}
