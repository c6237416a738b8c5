"""The ASGI application: finds the endpoint, checks the key, shapes errors as the provider would."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from examples.simulator import (
    anthropic_messages,
    batches,
    ledger,
    openai_chat,
    openai_common,
    openai_responses,
)
from examples.simulator.billing import routes as billing
from examples.simulator.faults import UNSTEADY, Faults, apply_faults, is_too_much, take_faults
from examples.simulator.http import (
    HttpError,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    StreamCutError,
    read_request,
    send_reply,
)
from examples.simulator.receivers import routes as receivers

logger = logging.getLogger(__name__)
Endpoint = Callable[[Request, Faults], Awaitable[Reply]]
ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/chat/completions"): openai_chat.chat_completions,
    ("POST", "/v1/responses"): openai_responses.responses,
    ("POST", "/v1/embeddings"): openai_chat.embeddings,
    ("GET", "/v1/models"): openai_chat.models,
    ("POST", "/v1/messages"): anthropic_messages.messages,
    ("POST", "/v1/messages/count_tokens"): anthropic_messages.count_tokens,
}
KEPT_REQUESTS = 100
# What arrived lately, for tests that check what a client really sent.
received: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
_count = 0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI entry point."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    if scope["type"] != "http":
        raise ValueError(f"The simulator does not speak {scope['type']}.")
    is_anthropic = scope["path"].startswith("/v1/messages")
    request = route = None
    try:
        request = await read_request(scope, receive)
        is_anthropic = batches.is_anthropic(request)
        route = billing.find(request) or receivers.find(request)
        reply = await (_bill(route, request) if route else _answer(request))
    except HttpError as error:
        reply = (
            route.error_reply(error, request)
            if route
            else anthropic_messages.error_reply(error, request)
            if is_anthropic
            else openai_common.error_reply(error)
        )
    await send_reply(send, reply)


async def _bill(route: billing.Route | receivers.Route, request: Request) -> Reply:
    """A billing API or a receiver of alerts: keys and faults are its own affair."""
    _count_in(request)
    return await route.answer(request)


def _count_in(request: Request) -> None:
    global _count
    _count += 1
    request.number = _count
    received.append(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.body,
            "headers": _shown(request),
        }
    )


async def _answer(request: Request) -> Reply:
    if request.path == "/healthz":
        return Reply({"status": "ok"})
    if request.path == "/simulator/requests":
        return Reply({"requests": list(received)})
    if request.path == "/simulator/usage":
        return Reply({"models": ledger.billed()})
    if (found := billing.control(request) or receivers.control(request)) is not None:
        return found
    is_unsteady = request.path.startswith(f"{UNSTEADY}/")
    request.path = request.path.removeprefix(UNSTEADY) if is_unsteady else request.path
    endpoint = ROUTES.get((request.method, request.path)) or batches.find(request)
    if endpoint is None:
        known = ", ".join(f"{method} {path}" for method, path in ROUTES)
        raise HttpError(404, "invalid_request_error", f"Unknown request URL. Known: {known}.")
    _count_in(request)
    key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    key = key or request.headers.get("x-api-key", "") or request.headers.get("api-key", "")
    if not key or key.endswith("invalid"):
        raise HttpError(
            401, "authentication_error", "Incorrect API key provided.", "invalid_api_key"
        )
    faults = take_faults(request)
    if is_unsteady and is_too_much(request.body):
        faults.asked.setdefault("overloaded")
    await apply_faults(faults, request)
    if endpoint is openai_chat.models and "anthropic-version" in request.headers:
        endpoint = anthropic_messages.models  # one path, two wires
    return await endpoint(request, faults)


def _shown(request: Request) -> dict[str, str]:
    secret = {"authorization", "x-api-key", "api-key"}
    return {name: value for name, value in request.headers.items() if name not in secret}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


__all__ = ["StreamCutError", "app"]
