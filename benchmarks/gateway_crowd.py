"""Many calls at once through the gateway, and what came back: the client of benchmarks.gateway_race and
benchmarks.gateway_outage."""

import asyncio
import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 40.0
ROUTES = ("plain", "plain", "plain", "kept", "falls")


@dataclass(frozen=True)
class Ask:
    """One call."""

    user: str
    text: str
    max_tokens: int
    route: str = "plain"
    is_stream: bool = False

    def body(self) -> bytes:
        document: dict[str, Any] = {
            "model": self.route,
            "user": self.user,
            "messages": [{"role": "user", "content": self.text}],
            "max_tokens": self.max_tokens,
        }
        if self.is_stream:
            document["stream"] = True
        return json.dumps(document).encode()


@dataclass(frozen=True)
class Seen:
    """How a call ended for its client. Status 0: the connection broke."""

    ask: Ask
    status: int
    call_id: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = False
    cache: str = ""

    @property
    def outcome(self) -> str:
        """`answered`, `kept`, or the error's code."""
        if self.is_whole:
            return "kept" if self.cache == "exact" else "answered"
        return str(self.error.get("code") or ("broken off" if self.status == 200 else self.status))


def mixed(user: str, count: int, chance: random.Random) -> list[Ask]:
    """Calls of all sizes, streamed or not, on all routes; some of them equal."""
    return [
        Ask(
            user,
            text=f"Case {chance.randint(0, 9)}."
            if route == "kept"
            else f"Case {chance.random()}." + " and why" * chance.randint(0, 60),
            max_tokens=64 if route == "kept" else chance.choice((16, 64, 200)),
            route=route,
            is_stream=chance.random() < 0.4,
        )
        for route in (chance.choice(ROUTES) for _ in range(count))
    ]


async def one(url: str, key: str, ask: Ask) -> Seen:
    """Make a call on a connection of its own."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return _seen(ask, await _exchange(url, key, ask.body()))
    except (OSError, TimeoutError) as error:
        return Seen(ask, 0, error={"code": type(error).__name__})


async def _exchange(url: str, key: str, body: bytes) -> bytes:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\nconnection: close\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"x-llmlab-timeout: 30\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        return await reader.read()
    finally:
        writer.close()


def _seen(ask: Ask, raw: bytes) -> Seen:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        return Seen(ask, 0, error={"code": "closed"})
    status = int(first.split(" ")[1])
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if value
    }
    call_id = headers.get("x-llmlab-request-id", "").replace("-", "")
    error: dict[str, Any] = {}
    if status >= 400:
        error = json.loads(_unchunked(body) if "transfer-encoding" in headers else body)["error"]
    is_whole = status == 200 and b'"finish_reason": "stop"' in body.replace(b'":"', b'": "')
    if ask.is_stream:
        is_whole = is_whole and b"[DONE]" in body
    return Seen(ask, status, call_id, error, is_whole, headers.get("x-llmlab-cache", ""))


def _unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        parts.append(body[:length])
        body = body[length + 2 :] if length else b""
    return b"".join(parts)


async def rush(url: str, key: str, asks: list[Ask]) -> list[Seen]:
    """All at once."""
    return list(await asyncio.gather(*(one(url, key, ask) for ask in asks)))


async def stream_of(
    url: str,
    key: str,
    users: list[str],
    *,
    each_s: float,
    chance: random.Random,
    stop: asyncio.Event,
) -> list[Seen]:
    """A call of one of the users every `each_s` until told to stop; returns when all have ended."""
    tasks = []
    while not stop.is_set():
        (ask,) = mixed(chance.choice(users), 1, chance)
        tasks.append(asyncio.ensure_future(one(url, key, ask)))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), each_s)
    return list(await asyncio.gather(*tasks))


def outcomes(seen: list[Seen]) -> str:
    """`120 × answered, 375 × budget_exceeded`."""
    return ", ".join(f"{n} × {what}" for what, n in Counter(s.outcome for s in seen).most_common())
