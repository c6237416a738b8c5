"""A provider as fast as Python can be: chat completions whole or in twenty chunks, in a process of its own.

`python -m benchmarks.gateway_provider PORT [WAIT]` answers at once, or WAIT seconds later. GET says how many.
"""

import asyncio
import json
import sys
from typing import Any

CHUNKS = 20
USAGE = {"prompt_tokens": 24, "completion_tokens": 20, "total_tokens": 44}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n"
LENGTH = b"content-length: %d"
BEGIN = {"id": "chatcmpl-bench", "created": 1_790_000_000, "model": "gpt-4o-mini"}


def whole() -> bytes:
    """The answer to a call that does not stream."""
    message = {"role": "assistant", "content": "word " * CHUNKS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps(
        {**BEGIN, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    ).encode()
    return HEAD % (b"application/json", LENGTH % len(body)) + body


def event(data: str) -> bytes:
    """One event as one chunk of HTTP."""
    text = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


def chunk(choices: list[Any], **more: Any) -> bytes:
    return event(
        json.dumps({**BEGIN, "object": "chat.completion.chunk", "choices": choices, **more})
    )


def streamed() -> list[bytes]:
    """What is written, one after the other; the usage is the last but one."""
    parts = [HEAD % (b"text/event-stream", b"transfer-encoding: chunked")]
    for number in range(CHUNKS):
        delta = {"role": "assistant", "content": "word "} if number == 0 else {"content": "word "}
        finish = "stop" if number == CHUNKS - 1 else None
        parts.append(chunk([{"index": 0, "delta": delta, "finish_reason": finish}]))
    return [*parts, chunk([], usage=USAGE), event("[DONE]") + b"0\r\n\r\n"]


WHOLE, STREAMED = whole(), streamed()


class Provider(asyncio.Protocol):
    """One connection; requests one after the other."""

    answered = 0
    wait = 0.0

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        begin = head.find(b"content-length:")
        length = int(head[begin + 15 :].split(b"\r\n", 1)[0]) if begin >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        body = self.buffer[end + 4 : end + 4 + length]
        self.buffer = self.buffer[end + 4 + length :]
        if head.startswith(b"get "):
            self.write(self.told())
        else:
            asyncio.get_running_loop().call_later(self.wait, self.answer, body)

    def told(self) -> bytes:
        body = json.dumps({"answered": Provider.answered}).encode()
        return HEAD % (b"application/json", LENGTH % len(body)) + body

    def answer(self, body: bytes) -> None:
        Provider.answered += 1
        asked = body.replace(b" ", b"")
        if b'"stream":true' not in asked:
            self.write(WHOLE)
            return
        skipped = -1 if b'"include_usage":true' in asked else len(STREAMED) - 2
        self.next_part([part for place, part in enumerate(STREAMED) if place != skipped], 0)

    def next_part(self, parts: list[bytes], place: int) -> None:
        """Each in a turn of the loop and a segment of its own, as from a model."""
        self.write(parts[place])
        if place + 1 < len(parts):
            asyncio.get_running_loop().call_soon(self.next_part, parts, place + 1)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Provider, "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    Provider.wait = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    asyncio.run(serve(int(sys.argv[1])))
