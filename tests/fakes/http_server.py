"""A scripted HTTP server in a thread: answers from a list, remembers what it was sent."""

import asyncio
import gzip
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from examples.simulator.server import serve

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Received:
    """One request as it arrived, unpacked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeServer:
    """`answer(request, number)` decides each response; numbers count from 1."""

    answer: Callable[[Received, int], Answer]
    url: str = ""
    received: list[Received] = field(default_factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.received.append(Received(scope["method"], scope["path"], headers, body))
        status, extra, payload = self.answer(self.received[-1], len(self.received))
        extra = {"content-length": str(len(payload)), **extra}
        pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": payload})


@contextmanager
def running_server(
    answer: Callable[[Received, int], Answer], *, tls: ssl.SSLContext | None = None
) -> Iterator[FakeServer]:
    """A server on a free loopback port that lives as long as the block."""
    fake = FakeServer(answer)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Any:
        return await serve(fake.app, "127.0.0.1", 0, tls=tls)

    async def stop(server: Any) -> None:
        server.close()
        # Clients have closed their connections by now; each handler ends when it reads that.
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    scheme = "https" if tls else "http"
    fake.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
