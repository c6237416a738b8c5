"""How answers come back: one Redis stream per web process, written by workers, read by one task of the process.

A call's frames are numbered from 0; a repeat is dropped, a hole ends the call with an error. A process that waits asks
five times a second whether the workers live, and once a second where its calls are: no call hangs because somebody
died or Redis forgot.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections import deque
from contextlib import suppress
from typing import Self, cast

import msgspec
from redis.exceptions import RedisError

from gateway.queues import line
from gateway.queues.link import LOST, Link, LinkLostError, texts
from gateway.queues.listening import AGAIN_S, Blocking, Listener, reply_channel, worker_channel
from gateway.structs import Call, Frame, FrameKind

logger = logging.getLogger(__name__)

TICK_S = 0.2
# Ticks in a row without its channel after which a worker is dead: found within half a second.
STRIKES = 2
LOOK_TICKS = 5
# Redis does not answer for so long: the calls are given up.
AWAY_S = 5.0
# What a client that does not read may leave lying here.
MAX_UNREAD = 64 * 1024 * 1024
STREAM_KEEP_MS = 120_000
BLOCK_MS = 2_000

_decode = msgspec.msgpack.Decoder(list[Frame]).decode
# Where a call is that Redis cannot be asked about.
AWAY = "away"
_ENDS = (FrameKind.END, FrameKind.ALL)

REASONS = {
    "worker_died": "The worker that made the call stopped before it was answered.",
    "expired": "The call waited past its deadline.",
    "stopped": "Somebody cancelled the call.",
    "unknown": "The queue lost the call: Redis was restarted or emptied.",
    "hole": "A part of the answer was lost on its way.",
    "away": "The queue does not answer.",
    "slow_client": "The client did not read its answer.",
}


class CallLostError(Exception):
    """Nothing more will come of this call; `reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Waiting:
    """What comes for one call, in order. Iterate, or take all there is with `some`."""

    def __init__(self, reader: "FrameReader", call_id: str) -> None:
        self.call_id = call_id
        self.is_placed = False
        self.has_ended = False
        self._reader = reader
        self._frames: deque[Frame] = deque()
        self._next_seq = 0
        self._unread = 0
        self._error: CallLostError | None = None
        self._wake: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while not self._frames:
            if self.has_ended:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            await self._more()
        frame = self._frames.popleft()
        self._unread -= len(frame.data)
        return frame

    async def some(self) -> list[Frame]:
        """All frames that are here, at least one; none: it has ended. Raises CallLostError."""
        while not self._frames and not self.has_ended:
            if self._error is not None:
                raise self._error
            await self._more()
        frames, self._unread = list(self._frames), 0
        self._frames.clear()
        return frames

    async def aclose(self) -> None:
        """Wait no more. A call that has not ended is taken out of the line, or its worker is told."""
        self._reader._forget(self)

    async def leave(self) -> str:
        """As `aclose`, and where the call was till now (line.STATES): one that waited never runs. Empty: it has ended;
        AWAY: Redis does not answer, ask again (FrameReader.cancel)."""
        return await self._reader._leave(self)

    async def _more(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _put(self, frame: Frame) -> None:
        if self._error is not None or self.has_ended or frame.seq < self._next_seq:
            return
        if frame.seq > self._next_seq:
            self._fail("hole")
            return
        self._next_seq += 1
        self._frames.append(frame)
        self._unread += len(frame.data)
        if frame.kind in _ENDS:
            self.has_ended = True
            self._reader._waiting.pop(self.call_id, None)
        if self._unread > MAX_UNREAD and not self.has_ended:
            self._frames.clear()
            self._fail("slow_client")
        self._rouse()

    def _fail(self, reason: str) -> None:
        if not self.has_ended and self._error is None:
            self._error = CallLostError(reason)
            self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class FrameReader:
    """The reply stream of this process; one per event loop."""

    def __init__(self, url: str, *, name: str = "") -> None:
        unique = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.name = f"{{gw}}:reply:{name or unique}"
        self.link = Link(url)
        self._blocking = Blocking(url, name="llmlab-gateway-reply")
        self._listener = Listener(url, reply_channel(self.name), lambda _: None)
        self._waiting: dict[str, Waiting] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._background: set[asyncio.Task[str]] = set()
        self._starting: asyncio.Future[None] | None = None
        self._read_to = b"0-0"
        self._trimmed_to = b"0-0"
        # Calls nobody knows any more, and the entry up to which their end may still be in the stream.
        self._missing: dict[str, tuple[int, int]] = {}
        self._strikes: dict[str, int] = {}
        self._workers: set[str] = set()
        self._lost_at = 0.0

    async def start(self) -> None:
        """Make the stream, say that this process lives, read. Raises LinkLostError when Redis does not answer."""
        begun = self._starting
        if begun is None or (begun.done() and (begun.cancelled() or begun.exception())):
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(cast("asyncio.Future[None]", self._starting))

    async def _start(self) -> None:
        await self._keep_stream(is_due=True)
        try:
            async with asyncio.timeout(AWAY_S):
                await self._listener.start()
        except TimeoutError:
            raise LinkLostError("Redis does not answer.") from None
        self._tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._watch())]

    async def close(self) -> None:
        """Stop reading; who still waits is told that the queue is away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._background, return_exceptions=True)
        for waiting in list(self._waiting.values()):
            waiting._fail("away")
        with suppress(*LOST, RedisError):
            await self.link.send("DEL", self.name)
        await self._listener.close()
        await self._blocking.close()
        await self.link.close()

    def open(self, call_id: str) -> Waiting:
        """What will come for this call; open it before the call is put in line. Close it when done."""
        waiting = self._waiting[call_id] = Waiting(self, call_id)
        return waiting

    async def ask(
        self, call: Call, *, limit: int, now: float, bounds: line.Bounds = line.BOUNDS
    ) -> Waiting | line.Full:
        """Put the call in line and wait for its frames here. Raises LinkLostError when Redis does not answer."""
        await self.start()
        call.reply_to = self.name
        waiting = self.open(call.id)
        try:
            try:
                placed = await line.push(self.link, call, limit=limit, now=now, bounds=bounds)
            except LinkLostError:
                # The connection broke; twice in line is once.
                placed = await line.push(self.link, call, limit=limit, now=now, bounds=bounds)
        except BaseException:
            # Whether it is in line is unknown: nobody waits for it any more.
            self._forget(waiting)
            raise
        if isinstance(placed, line.Full):
            self._waiting.pop(call.id, None)
            return placed
        waiting.is_placed = True
        return waiting

    def _forget(self, waiting: Waiting) -> None:
        self._missing.pop(waiting.call_id, None)
        if self._waiting.pop(waiting.call_id, None) is None or waiting.has_ended:
            return
        task = asyncio.ensure_future(self.cancel(waiting.call_id))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _leave(self, waiting: Waiting) -> str:
        self._missing.pop(waiting.call_id, None)
        if self._waiting.pop(waiting.call_id, None) is None or waiting.has_ended:
            return ""
        return await self.cancel(waiting.call_id)

    async def cancel(self, call_id: str) -> str:
        """Nobody waits for the call any more; where it was till now (line.STATES), or AWAY."""
        with suppress(*LOST, RedisError):
            return await line.cancel(self.link, call_id)
        return AWAY

    # --- reading

    async def _read(self) -> None:
        while True:
            try:
                answer = await self._blocking.ask(
                    "XREAD", "COUNT", 500, "BLOCK", BLOCK_MS, "STREAMS", self.name, self._read_to,
                    block_s=BLOCK_MS / 1000,
                )  # fmt: skip
            except (*LOST, RedisError) as error:
                logger.warning("gateway.frames.lost", extra={"why": str(error)[:200]})
                await asyncio.sleep(AGAIN_S)
                continue
            if not answer:
                continue
            for entry, fields in answer[0][1]:
                self._read_to = entry
                if fields[1]:
                    self._hand_out(fields[1])
            if self._missing:
                self._give_up_missing()

    def _hand_out(self, packed: bytes) -> None:
        try:
            frames = _decode(packed)
        except (
            msgspec.DecodeError
        ):  # a worker of another version; its calls end with a hole or as lost
            logger.exception("gateway.frames.unreadable")
            return
        for frame in frames:
            waiting = self._waiting.get(frame.call_id)
            if waiting is not None:
                waiting._put(frame)

    # --- watching

    async def _watch(self) -> None:
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            try:
                async with asyncio.timeout(AWAY_S):
                    await self._tick(tick)
                self._lost_at = 0.0
            except (*LOST, RedisError, TimeoutError):
                self._away()

    def _away(self) -> None:
        now = asyncio.get_running_loop().time()
        self._strikes.clear()
        self._lost_at = self._lost_at or now
        if now - self._lost_at > AWAY_S:
            for waiting in list(self._waiting.values()):
                waiting._fail("away")

    async def _tick(self, tick: int) -> None:
        if not self._waiting and tick % LOOK_TICKS and not self._lost_at:
            return
        if self._read_to != self._trimmed_to:
            self._trimmed_to = self._read_to
            self.link.send("XTRIM", self.name, "MINID", self._read_to)
        await self._keep_stream(is_due=tick % 50 == 0 or self._lost_at > 0)
        if not self._waiting:
            return
        if await self._bury_the_dead() or tick % LOOK_TICKS == 0 or self._lost_at:
            await self._look()

    async def _keep_stream(self, *, is_due: bool) -> None:
        """The stream is there (workers write to no other) and goes away by itself when this process does."""
        if not await self.link.send("EXISTS", self.name):
            await self.link.send("XADD", self.name, "*", "f", "")
            is_due = True
        if is_due:
            await self.link.send("PEXPIRE", self.name, STREAM_KEEP_MS)

    async def _bury_the_dead(self) -> bool:
        """Whether a worker died since the last time."""
        workers = texts(await self.link.send("ZRANGE", "{gw}:workers", 0, -1))
        # One that is gone from the list was buried by somebody else.
        found = not self._workers.issubset(workers)
        self._workers = set(workers)
        if not workers:
            return found
        channels = [worker_channel(worker) for worker in workers]
        heard = await self.link.send("PUBSUB", "NUMSUB", *channels)
        strikes: dict[str, int] = {}
        for worker, listeners in zip(workers, heard[1::2], strict=True):
            if listeners:
                continue
            strikes[worker] = self._strikes.get(worker, 0) + 1
            if strikes[worker] >= STRIKES:
                again, lost = await line.bury(self.link, worker)
                logger.warning("gateway.worker.dead", extra={"again": again, "lost": lost})
                found = True
        self._strikes = strikes
        return found

    async def _look(self) -> None:
        ids = [waiting.call_id for waiting in self._waiting.values() if waiting.is_placed]
        if not ids:
            return
        last, places = await line.places(self.link, self.name, ids)
        for call_id, place in zip(ids, places, strict=True):
            waiting = self._waiting.get(call_id)
            if waiting is None:
                continue
            if place.state in {"worker_died", "expired", "stopped"}:
                waiting._fail(place.state)
            elif place.state == "unknown":
                self._missing[call_id] = _entry(last.encode())
        self._give_up_missing()

    def _give_up_missing(self) -> None:
        """A call nobody knows has ended; when all written before is read and its end is not here, it is lost."""
        read_to = _entry(self._read_to)
        for call_id, last in list(self._missing.items()):
            if read_to >= last:
                del self._missing[call_id]
                waiting = self._waiting.get(call_id)
                if waiting is not None:
                    waiting._fail("unknown")


def _entry(name: bytes) -> tuple[int, int]:
    milliseconds, _, number = name.partition(b"-")
    return int(milliseconds or 0), int(number or 0)
