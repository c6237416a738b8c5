"""An ASGI application that waits, echoes and floods: what the launcher's tests need and Django does not offer."""

import asyncio
import os
from typing import Any
from urllib.parse import parse_qs


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """HTTP: `?wait=<seconds>`, answers pid and body size; `?flood=<parts>` of 64 KiB. Websocket: echoes; the text
    `flood` sends 64 MiB."""
    if scope["type"] == "websocket":
        await _websocket(receive, send)
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    query = parse_qs(scope["query_string"].decode())
    if parts := int(query.get("flood", ["0"])[0]):
        await _flood(send, parts)
        return
    await asyncio.sleep(float(query.get("wait", ["0"])[0]))
    body = f"{os.getpid()} {size}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _flood(send: Any, parts: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(parts):
        part = number.to_bytes(4) * 16_384
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message["text"] == "flood":
            for _ in range(1024):
                await send({"type": "websocket.send", "text": "x" * 65536})
                await asyncio.sleep(0)
        else:
            await send({"type": "websocket.send", "text": message["text"]})
