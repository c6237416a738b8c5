"""A provider that counts what it was asked for, by user: the other side's own books of benchmarks.gateway_race and
benchmarks.gateway_outage.

`python -m benchmarks.gateway_counting PORT SHORTEST LONGEST` answers each call after SHORTEST to LONGEST seconds, with
a response id of its own. The model `gpt-4.1-nano` always fails. GET says what it has counted.
"""

import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from typing import Any

from benchmarks.gateway_provider import HEAD, LENGTH, Provider, event

BROKEN = "gpt-4.1-nano"
PIECES = 5


class Counting(Provider):
    """What it answers is used: it counts a call when it has read it, whether or not anybody waits for the answer."""

    shortest, longest = 0.0, 0.0
    chance = random.Random(7)
    # user → response id → [input tokens, output tokens]
    answered: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)  # type: ignore[assignment]
    failed: Counter[str] = Counter()

    def told(self) -> bytes:
        body = json.dumps({"answered": Counting.answered, "failed": Counting.failed}).encode()
        return HEAD % (b"application/json", LENGTH % len(body)) + body

    def answer(self, body: bytes) -> None:
        asked = json.loads(body)
        user = str(asked.get("user", ""))
        if asked["model"] == BROKEN:
            Counting.failed[user] += 1
            error = json.dumps({"error": {"message": "Down.", "type": "server_error"}}).encode()
            head = HEAD.replace(b"200 OK", b"500 Internal Server Error")
            self.write(head % (b"application/json", LENGTH % len(error)) + error)
            return
        number = sum(map(len, Counting.answered.values()))
        response_id = f"chatcmpl-count-{number}"
        text = "".join(str(turn["content"]) for turn in asked["messages"])
        used = max(1, len(text) // 5), Counting.chance.randint(1, asked.get("max_tokens", 64))
        Counting.answered[user][response_id] = used
        usage = {
            "prompt_tokens": used[0],
            "completion_tokens": used[1],
            "total_tokens": sum(used),
        }
        begin = {"id": response_id, "created": 1_790_000_000, "model": asked["model"]}
        wait = Counting.chance.uniform(self.shortest, self.longest)
        if asked.get("stream"):
            self.later(_streamed(begin, usage), 0, wait / PIECES)
        else:
            asyncio.get_running_loop().call_later(wait, self.write, _whole(begin, usage))

    def later(self, parts: list[bytes], place: int, wait: float) -> None:
        """A piece after each `wait`."""
        if place < len(parts) and not self.transport.is_closing():
            self.write(parts[place])
            asyncio.get_running_loop().call_later(wait, self.later, parts, place + 1, wait)


def _whole(begin: dict[str, Any], usage: dict[str, int]) -> bytes:
    message = {"role": "assistant", "content": "Counted.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    document = {**begin, "object": "chat.completion", "choices": [choice], "usage": usage}
    body = json.dumps(document).encode()
    return HEAD % (b"application/json", LENGTH % len(body)) + body


def _streamed(begin: dict[str, Any], usage: dict[str, int]) -> list[bytes]:
    def chunk(choices: list[Any], **more: Any) -> bytes:
        document = {**begin, "object": "chat.completion.chunk", "choices": choices, **more}
        return event(json.dumps(document))

    parts = [HEAD % (b"text/event-stream", b"transfer-encoding: chunked")]
    for number in range(PIECES):
        finish = "stop" if number == PIECES - 1 else None
        delta = {"role": "assistant", "content": "word "}
        parts.append(chunk([{"index": 0, "delta": delta, "finish_reason": finish}]))
    return [*parts, chunk([], usage=usage), event("[DONE]") + b"0\r\n\r\n"]


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Counting, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    Counting.shortest, Counting.longest = float(sys.argv[2]), float(sys.argv[3])
    asyncio.run(serve(int(sys.argv[1])))
