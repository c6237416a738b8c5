"""From the frames of a call to its client: whole or streamed, without loss, with an end in any case."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.dialects.errors import error_event
from gateway.door import answers
from gateway.door.answers import RefusalError
from gateway.queues.frames import CallLostError, Waiting
from gateway.structs import Call, Frame, FrameKind, Summary

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

# The worker ends a call at its deadline; this much later the door does.
SLACK_S = 1.0
_LOST = {
    "worker_died": (503, "worker_died", 1),
    "expired": (504, "deadline_exceeded", 0),
    "unknown": (503, "queue_lost", 1),
    "hole": (502, "answer_lost", 1),
    "away": (503, "queue_unavailable", 5),
    "slow_client": (499, "slow_client", 0),
}


def refusal_of(reason: str) -> RefusalError:
    """What the client reads when nothing more comes."""
    status, code, again = _LOST[reason]
    return RefusalError(status, code, str(CallLostError(reason)), retry_after_s=again)


class Relay:
    """One answer on its way. `run` once; then `status`, `summary` and `first_at` say how it went."""

    def __init__(self, call: Call, waiting: Waiting, send: Send) -> None:
        self.call = call
        self.status = 0
        self.summary: Summary | None = None
        self.first_at = 0.0
        # The last of it is on its way: that the connection ends now means nothing.
        self.is_over = False
        self._waiting = waiting
        self._send = send

    async def run(self) -> None:
        """Raises RefusalError when nothing was sent yet; a stream that has begun ends with an error of its own."""
        limit = self.call.deadline_at - time.time() + SLACK_S
        try:
            async with asyncio.timeout(limit):
                await self._relay()
        except CallLostError as error:
            await self._broken(error.reason)
        except TimeoutError:
            await self._broken("expired")

    async def _relay(self) -> None:
        ended = False
        while not ended:
            frames = await self._waiting.some()
            if not frames:
                return
            parts: list[bytes] = []
            for frame in frames:
                if frame.kind is FrameKind.DATA:
                    parts.append(frame.data)
                elif frame.kind is FrameKind.ALL:
                    await self._whole(frame)
                    return
                elif frame.kind is FrameKind.HEAD:
                    await self._start(frame)
                else:
                    self.summary = frame.summary
                    ended = True
            if parts or ended:
                self.first_at = self.first_at or time.time()
                self.is_over = ended
                body = b"".join(parts) if len(parts) != 1 else parts[0]
                await self._send(
                    {"type": "http.response.body", "body": body, "more_body": not ended}
                )

    async def _start(self, frame: Frame) -> None:
        self.status = frame.status
        headers = answers.call_headers(self.call, frame.headers)
        if self.call.is_stream:
            # Proxies in front of us keep nothing back.
            headers.append((b"x-accel-buffering", b"no"))
        await self._send(
            {"type": "http.response.start", "status": frame.status, "headers": headers}
        )

    async def _whole(self, frame: Frame) -> None:
        now, self.is_over = time.time(), True
        self.status, self.summary, self.first_at = frame.status, frame.summary, now
        headers = answers.call_headers(self.call, frame.headers)
        headers += answers.cost_headers(frame.summary, (now - self.call.accepted_at) * 1000)
        headers.append((b"content-length", b"%d" % len(frame.data)))
        await self._send(
            {"type": "http.response.start", "status": frame.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": frame.data})

    async def _broken(self, reason: str) -> None:
        refusal = refusal_of(reason)
        self.is_over = True
        if not self.status:
            raise refusal
        body = b""
        if self.call.is_stream:
            body = error_event(
                self.call.dialect,
                status=refusal.status,
                code=refusal.code,
                message=refusal.message,
                request_id=self.call.id,
            )
        await self._send({"type": "http.response.body", "body": body})
