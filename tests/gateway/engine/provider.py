"""A provider in the test's own loop: what it answers is chosen by the model's name."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from typing import Any

Behaviour = Callable[["Exchange"], Awaitable[None]]
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Exchange:
    """One request, and the way to answer it."""

    def __init__(
        self, document: dict[str, Any], headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        self.document, self.headers, self._writer = document, headers, writer

    async def answer(self, document: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(document).encode()
        named = {"content-type": "application/json", **headers, "content-length": str(len(body))}
        lines = "".join(
            f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items()
        ).encode()
        self._writer.write(b"HTTP/1.1 %d Fine\r\n%b\r\n%b" % (status, lines, body))
        await self._writer.drain()

    async def begin_stream(self) -> None:
        self._writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    async def chunk(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def end_stream(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def cut(self) -> None:
        self._writer.transport.abort()


class Provider:
    """Counts what it is asked; `behaviours` by model, `*` for all others."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {"*": fine}
        self.asked: list[str] = []
        self.open = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                document = json.loads(body)
                model = document["model"]
                self.asked.append(model)
                self.open += 1
                behaviour = self.behaviours.get(model, self.behaviours["*"])
                work = asyncio.ensure_future(behaviour(Exchange(document, headers, writer)))
                gone = asyncio.ensure_future(reader.read(1)) if model.endswith("-slow") else None
                try:
                    await asyncio.wait(
                        [work, gone] if gone else [work], return_when=asyncio.FIRST_COMPLETED
                    )
                    if not work.done():
                        break  # the client hung up
                    work.result()
                finally:
                    work.cancel()
                    self.open -= 1
                    if gone is not None:
                        gone.cancel()
                if gone is not None:
                    break


def completion(text: str = "Hello there") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "m-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": USAGE,
    }


def chunk(text: str | None, *, finish: str | None = None, usage: Any = None) -> bytes:
    choices = (
        [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    )
    document = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026",
        "choices": choices, "usage": usage,
    }  # fmt: skip
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def fine(exchange: Exchange) -> None:
    """A good answer, in five chunks when it streams."""
    if not exchange.document.get("stream"):
        await exchange.answer(completion(), x_request_id="req-1")
        return
    await exchange.begin_stream()
    for word in ("a", "b", "c", "d"):
        await exchange.chunk(chunk(word))
    await exchange.chunk(chunk("e", finish="stop"))
    await exchange.chunk(chunk(None, usage=USAGE))
    await exchange.chunk(b"data: [DONE]\n\n")
    await exchange.end_stream()


def failing(
    status: int,
    message: str = "no",
    times: int = 10**9,
    *,
    code: str | None = None,
    **headers: str,
) -> Behaviour:
    """An error so many times, then a good answer."""
    left = [times]

    async def behave(exchange: Exchange) -> None:
        left[0] -= 1
        if left[0] < 0:
            await fine(exchange)
        else:
            error = {"message": message, "type": "some_error", "code": code, "param": None}
            await exchange.answer({"error": error}, status, **headers)

    return behave


def cutting(after: int) -> Behaviour:
    """A stream that breaks after so many chunks."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for number in range(after):
            await exchange.chunk(chunk(f"word{number} "))
        exchange.cut()

    return behave


async def silent(exchange: Exchange) -> None:
    """Never answers."""
    await asyncio.sleep(60)


def stalling(after: int) -> Behaviour:
    """A stream that falls silent after so many chunks."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for number in range(after):
            await exchange.chunk(chunk(f"word{number} "))
        await asyncio.sleep(60)

    return behave
