"""From the frames of a call to its client: whole or streamed, without loss, with an end in any case."""

import asyncio
import time

from gateway.dialects.errors import error_event
from gateway.door import answers
from gateway.door.answers import Headers, RefusalError
from gateway.door.request import Request
from gateway.queues.frames import CallLostError, Waiting
from gateway.structs import Call, Frame, FrameKind

# The worker ends a call at its deadline; this much later the door does.
SLACK_S = 1.0
_LOST = {
    "worker_died": (503, "worker_died", 1),
    "expired": (504, "deadline_exceeded", 0),
    "stopped": (499, "cancelled", 0),
    "unknown": (503, "queue_lost", 1),
    "hole": (502, "answer_lost", 1),
    "away": (503, "queue_unavailable", 5),
    "slow_client": (499, "slow_client", 0),
}


def refusal_of(reason: str) -> RefusalError:
    """What the client reads when nothing more comes."""
    status, code, again = _LOST[reason]
    return RefusalError(status, code, str(CallLostError(reason)), retry_after_s=again)


async def relay(call: Call, waiting: Waiting, request: Request, extra: Headers) -> None:
    """Pass the answer on; `extra` goes into its head.

    Raises RefusalError when nothing was sent yet; a stream that has begun ends with an error of its own.
    """
    try:
        async with asyncio.timeout(call.deadline_at - time.time() + SLACK_S):
            await _relay(call, waiting, request, extra)
    except CallLostError as error:
        await _break_off(call, request, error.reason)
    except TimeoutError:
        await _break_off(call, request, "expired")


async def _relay(call: Call, waiting: Waiting, request: Request, extra: Headers) -> None:
    ended = False
    while not ended:
        frames = await waiting.some()
        if not frames:
            return
        parts: list[bytes] = []
        for frame in frames:
            if frame.kind is FrameKind.DATA:
                parts.append(frame.data)
            elif frame.kind is FrameKind.ALL:
                await _whole(call, frame, request, extra)
                return
            elif frame.kind is FrameKind.HEAD:
                headers = answers.answer_headers(call, frame.headers) + extra
                # Proxies in front of us keep nothing back.
                headers.append((b"x-accel-buffering", b"no"))
                await request.start(frame.status, headers)
            else:
                ended = True
        if parts or ended:
            await request.write(b"".join(parts) if len(parts) != 1 else parts[0], is_last=ended)


async def _whole(call: Call, frame: Frame, request: Request, extra: Headers) -> None:
    headers = answers.answer_headers(call, frame.headers) + extra
    headers += answers.cost_headers(
        frame.summary, frame.headers, (time.time() - call.accepted_at) * 1000
    )
    await request.answer(frame.status, headers, frame.data)


async def _break_off(call: Call, request: Request, reason: str) -> None:
    refusal = refusal_of(reason)
    if not request.status:
        raise refusal
    body = b""
    if call.is_stream:
        body = error_event(
            call.dialect,
            status=refusal.status,
            code=refusal.code,
            message=refusal.message,
            request_id=call.id,
        )
    await request.write(body, is_last=True)
