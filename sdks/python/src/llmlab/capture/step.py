"""The step of a call: request and answer put together under the names of the wire."""

from collections.abc import Iterable
from typing import Any, Callable, NamedTuple, Optional

from .answer import Answer, error_of, mapping, text
from .call import Call, Json
from .chat import fold_chat, fold_completion, read_chat, read_completion
from .embeddings import read_embeddings, without_vectors
from .endpoints import Endpoint, endpoint_of
from .messages import fold_message, read_batch, read_message
from .responses import fold_response, read_response
from .wire import AMAZON_EVENTS, Event, decoded, events_of, object_of

# What has a place of its own in a step, or says only how the answer is sent.
_NOT_PARAMETERS = frozenset(
    {
        "model", "messages", "input", "prompt", "instructions", "system", "tools", "stream",
        "stream_options",
    }
)  # fmt: skip
_MESSAGE_LENGTH = 500


class _Shape(NamedTuple):
    read: Callable[[Json], Answer]
    fold: Optional[Callable[[Iterable[Event]], Answer]]


_SHAPES: dict[str, _Shape] = {
    "chat": _Shape(read_chat, fold_chat),
    "completions": _Shape(read_completion, fold_completion),
    "responses": _Shape(read_response, fold_response),
    "embeddings": _Shape(read_embeddings, None),
    "messages": _Shape(read_message, fold_message),
    "batches": _Shape(read_batch, None),
}


def step_of(call: Call) -> Optional[Json]:
    """The step without its ids and times; None for a call that is not recorded.

    `time_to_first_token_ms` is there for streams that brought one. Never raises for what a client or a server sent.
    """
    endpoint = endpoint_of(call.method, call.url)
    if endpoint is None:
        return None
    body = object_of(call.request_body)
    step = _request(endpoint, body)
    answer = _answer(call, endpoint)
    is_stream = endpoint.is_stream or body.get("stream") is True or _is_stream(call)
    _add_answer(step, answer, is_stream)
    if is_stream and answer.first_token_at is not None:
        waited = max(0.0, answer.first_token_at - call.sent_at)
        step["time_to_first_token_ms"] = round(waited * 1000, 1)
    if call.retries > 0:
        step["attributes"]["retries"] = call.retries
    return {key: value for key, value in step.items() if value is not None}


def request_facts(method: str, url: str, body: bytes) -> Json:
    """What a request alone tells, while its answer is awaited; empty for one that is not recorded."""
    endpoint = endpoint_of(method, url)
    step = _request(endpoint, object_of(body)) if endpoint else {}
    return {key: value for key, value in step.items() if value is not None}


def _request(endpoint: Endpoint, body: Json) -> Json:
    attributes: Json = {"server.address": endpoint.host} if endpoint.host else {}
    if endpoint.shape == "batches":
        requests = body.get("requests")
        attributes["requests"] = len(requests) if isinstance(requests, list) else 0
        kept = {"type": "span", "name": endpoint.operation, "provider": endpoint.provider}
        return {**kept, "attributes": attributes}
    model = text(body.get("model")) or endpoint.model or None
    return {
        "type": "embedding" if endpoint.shape == "embeddings" else "llm",
        "name": endpoint.operation,
        "operation": endpoint.operation,
        "provider": endpoint.provider,
        "request_model": model,
        "model": model,
        "parameters": {key: body[key] for key in body if key not in _NOT_PARAMETERS} or None,
        "tools": body["tools"] if isinstance(body.get("tools"), list) else None,
        "input": _input(endpoint.shape, body),
        "attributes": attributes,
    }


def _input(shape: str, body: Json) -> Any:
    if shape == "chat":
        return body.get("messages")
    if shape == "messages":
        return _with_system(body.get("system"), body.get("messages"))
    if shape == "responses":
        instructions, given = body.get("instructions"), body.get("input")
        if not instructions:
            return given
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
        return _with_system(instructions, turns)
    return body.get("prompt" if shape == "completions" else "input")


def _with_system(system: Any, turns: Any) -> Any:
    if not system:
        return turns
    return [{"role": "system", "content": system}, *(turns if isinstance(turns, list) else [])]


def _is_stream(call: Call) -> bool:
    content_type = call.header("content-type")
    return content_type.startswith(("text/event-stream", AMAZON_EVENTS))


def _answer(call: Call, endpoint: Endpoint) -> Answer:
    answer = Answer()
    chunks = decoded(call)
    if call.status is not None and call.status >= 400:
        raw = b"".join(part for _, part in chunks)
        said = raw.decode("utf-8", "replace")[:_MESSAGE_LENGTH]
        answer.error = error_of(object_of(raw), f"HTTP {call.status}", said)
        answer.attributes["http.status"] = call.status
    elif call.status is not None:
        shape = _SHAPES[endpoint.shape]
        if shape.fold and _is_stream(call):
            answer = shape.fold(events_of(chunks, call.header("content-type")))
        else:
            raw = b"".join(part for _, part in chunks)
            body = object_of(without_vectors(raw) if shape.read is read_embeddings else raw)
            answer = shape.read(body)
            if answer.error is None and mapping(body.get("error")):  # some proxies say 200 to it
                answer.error = error_of(body, "error", "")
    if call.error is not None and answer.error is None:
        answer.error = {"type": call.error[0], "message": call.error[1]}
    return answer


def _add_answer(step: Json, answer: Answer, is_stream: bool) -> None:
    step["status"] = "ok" if answer.error is None else "error"
    step["error"] = answer.error
    step["attributes"].update(answer.attributes)
    step["response_id"] = answer.response_id
    if step["type"] == "span":
        return
    step["model"] = answer.model or step["model"]
    step["finish_reason"] = answer.finish_reason
    step["service_tier"] = answer.service_tier
    step["output"] = answer.output
    step["usage"] = answer.usage if answer.is_whole else None
    if is_stream:
        step["attributes"]["stream"] = True
    if not answer.is_whole and answer.error is None:
        step["attributes"]["stopped_reading"] = True
