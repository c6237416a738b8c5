"""How a worker answers: what one turn of its loop has for a web process leaves as one entry of that one's stream."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from redis.exceptions import NoScriptError, RedisError

from gateway.queues.link import LOST, Argument, Link, LinkLostError, script
from gateway.queues.listening import AGAIN_S
from gateway.structs import Frame, pack

logger = logging.getLogger(__name__)

# Entries of a stream nobody reads.
MAX_ENTRIES = 50_000
# What is kept of frames Redis has not confirmed.
MAX_UNSENT = 128 * 1024 * 1024
DRAIN_S = 5.0


class FrameWriter:
    """Sends frames in order; what a lost connection leaves unconfirmed is sent again (readers drop repeats)."""

    def __init__(self, link: Link, worker: str) -> None:
        self._link = link
        self._worker = worker
        self._frames: dict[str, list[Frame]] = {}
        self._finished: list[str] = []
        self._is_due = False
        self._unsent: deque[tuple[Argument, ...]] = deque()
        self._unsent_bytes = 0
        self._resending: asyncio.Task[None] | None = None
        # Streams that are not there any more: their process is gone.
        self.gone: set[str] = set()

    def send(self, stream: str, frame: Frame) -> None:
        """Send the frame with what else this turn brings."""
        self._frames.setdefault(stream, []).append(frame)
        self._schedule()

    def finish(self, call_id: str) -> None:
        """After its last frame: this worker has nothing more to do with the call."""
        self._finished.append(call_id)
        self._schedule()

    @property
    def is_full(self) -> bool:
        """Whether who can wait (a stream from a provider) should."""
        return self._link.is_full

    async def drain(self) -> None:
        """Returns when Redis has confirmed everything, or has not within a few seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._frames or self._finished or self._unsent:
                    await asyncio.sleep(0.01)

    def _schedule(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        frames, self._frames = self._frames, {}
        for stream, some in frames.items():
            self._post(
                "XADD", stream, "NOMKSTREAM", "MAXLEN", "~", MAX_ENTRIES, "*", "f", pack(some)
            )
        if self._finished:
            finished, self._finished = self._finished, []
            self._post("EVALSHA", script("finish").sha, 1, "{gw}", self._worker, *finished)

    def _post(self, *command: Argument) -> None:
        self._unsent.append(command)
        self._unsent_bytes += _size(command)
        while self._unsent_bytes > MAX_UNSENT and len(self._unsent) > 1:
            # Its calls end with a hole, which is an error the client sees.
            self._unsent_bytes -= _size(self._unsent.popleft())
            logger.error("gateway.frames.dropped")
        if self._resending is None:
            self._ask(command)

    def _ask(self, command: tuple[Argument, ...]) -> None:
        future = self._link.send(*command)
        future.add_done_callback(lambda done: self._answered(command, done))

    def _answered(self, command: tuple[Argument, ...], done: "asyncio.Future[object]") -> None:
        error = done.exception()
        if isinstance(error, LinkLostError):
            if self._resending is None:
                self._resending = asyncio.ensure_future(self._resend())
            return
        # Answers come in order, so this is the first, unless others were dropped before it.
        if self._unsent and self._unsent[0] is command:
            self._unsent.popleft()
            self._unsent_bytes -= _size(command)
        if isinstance(error, NoScriptError):
            self._post("EVAL", script("finish").source, *command[2:])
        elif error is not None:
            logger.error("gateway.frames.refused", extra={"why": str(error)[:200]})
        elif command[0] == "XADD" and done.result() is None:
            self.gone.add(str(command[1]))

    async def _resend(self) -> None:
        """Send everything unconfirmed again, in order, as soon as Redis answers."""
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                await self._link.send("PING")
                break
            except (*LOST, RedisError):
                continue
        self._resending = None
        for command in list(self._unsent):
            self._ask(command)


def _size(command: tuple[Argument, ...]) -> int:
    return sum(len(part) for part in command if isinstance(part, (bytes, str)))
