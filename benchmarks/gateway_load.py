"""The client of benchmarks.gateway, in a process of its own: raw sockets kept open, nothing parsed that need not be.

`python -m benchmarks.gateway_load JSON` prints JSON: latencies, first tokens, request ids, what went wrong.
"""

import asyncio
import json
import resource
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.gateway_provider import CHUNKS


@dataclass(frozen=True)
class Plan:
    """What to send: until `seconds` are over, or `count` calls in all where it is given."""

    url: str
    key: str
    model: str
    concurrency: int = 1
    seconds: float = 0.0
    count: int = 0
    is_stream: bool = False
    is_same: bool = False  # always the same body; otherwise no two are equal
    patience: float = 30.0


@dataclass
class Seen:
    """What came back. Milliseconds; ids are those of LLMLab's answers."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    failed: int = 0
    why: list[str] = field(default_factory=list)

    def fail(self, why: str) -> None:
        self.failed += 1
        if len(self.why) < 3:
            self.why.append(why[:300])


class Connection(asyncio.Protocol):
    """One connection with at most one call on it."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.ended: asyncio.Future[None] | None = None
        self.buffer = bytearray()
        self.first = 0.0
        self.body_at = self.length = -1
        self.is_lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._end()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.body_at < 0:
            self._read_head()
        if self.body_at < 0:
            return
        if not self.first and self.buffer.find(b"data:", self.body_at) >= 0:
            self.first = time.perf_counter()
        if self.length >= 0:
            if len(self.buffer) >= self.body_at + self.length:
                self._end()
        elif self.buffer.endswith(b"0\r\n\r\n"):
            self._end()

    def _read_head(self) -> None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        self.body_at = end + 4
        found = header(bytes(self.buffer[:end]), b"content-length")
        self.length = int(found) if found else -1

    def _end(self) -> None:
        if self.ended and not self.ended.done():
            self.ended.set_result(None)

    async def call(self, request: bytes, patience: float) -> None:
        self.buffer.clear()
        self.first, self.body_at, self.length = 0.0, -1, -1
        self.ended = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await asyncio.wait_for(self.ended, patience)


def header(head: bytes, name: bytes) -> bytes:
    """Its value, empty without one."""
    lower = head.lower()
    begin = lower.find(b"\r\n" + name + b":")
    if begin < 0:
        return b""
    return head[begin + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


class Load:
    """Sends what the plan says."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.seen = plan, Seen()
        address = urlsplit(plan.url)
        self.host, self.port = address.hostname or "", address.port or 80
        self.run_id = uuid.uuid4().hex
        self.sent, self.until = 0, 0.0

    def request(self, number: int) -> bytes:
        which = "same" if self.plan.is_same else f"{self.run_id} {number}"
        turns = [
            {"role": "system", "content": "You are a careful assistant. Answer in one sentence."},
            {"role": "user", "content": f"Which words come next, and why? Case {which}."},
        ]
        body: dict[str, Any] = {"model": self.plan.model, "messages": turns, "max_tokens": 64}
        if self.plan.is_stream:
            body["stream"] = True
        raw = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"authorization: Bearer {self.plan.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\n\r\n"
        )
        return head.encode() + raw

    def is_over(self) -> bool:
        if self.plan.count:
            return self.sent >= self.plan.count
        return time.perf_counter() >= self.until

    async def one(self) -> None:
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        while not self.is_over():
            number, self.sent = self.sent, self.sent + 1
            request, began = self.request(number), time.perf_counter()
            try:
                if connection is None or connection.is_lost:
                    _, connection = await loop.create_connection(Connection, self.host, self.port)
                    began = began if self.plan.count else time.perf_counter()
                await connection.call(request, self.plan.patience)
            except (OSError, TimeoutError) as error:
                self.seen.fail(repr(error))
                if connection is not None:
                    connection.transport.abort()
                connection = None
                continue
            self.note(connection, began, time.perf_counter())

    def note(self, connection: Connection, began: float, ended: float) -> None:
        """A good answer is a 200 that is complete."""
        head, body = (
            connection.buffer[: connection.body_at],
            connection.buffer[connection.body_at :],
        )
        is_whole = b'"finish_reason"' in body
        if self.plan.is_stream:
            is_whole = b"[DONE]" in body and body.count(b'"content"') >= CHUNKS
        if not head.startswith(b"HTTP/1.1 200") or not is_whole:
            self.seen.fail(bytes(connection.buffer[-300:]).decode(errors="replace"))
            return
        self.seen.latencies.append((ended - began) * 1000)
        if self.plan.is_stream:
            self.seen.firsts.append((connection.first - began) * 1000)
        request_id = header(bytes(head), b"x-llmlab-request-id").decode()
        if request_id:
            self.seen.ids.append(request_id)

    async def run(self) -> Seen:
        began = time.perf_counter()
        self.until = began + self.plan.seconds
        await asyncio.gather(*(self.one() for _ in range(self.plan.concurrency)))
        self.seen.seconds = time.perf_counter() - began
        return self.seen


if __name__ == "__main__":
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
    told = asyncio.run(Load(Plan(**json.loads(sys.argv[1]))).run())
    sys.stdout.write(json.dumps(asdict(told)))
