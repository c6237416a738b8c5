"""The engine: one event loop that takes calls from the line, as many at once as it may, and runs them.

It dies loudly: while its channel is open it lives, and when it is killed others put back what it had not begun.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from contextlib import suppress

from redis.exceptions import RedisError

from gateway.connections.clients import close_clients
from gateway.engine.leases import keep_for_ever
from gateway.engine.parts import Parts
from gateway.engine.run import Run
from gateway.engine.sink import Sink
from gateway.queues import line
from gateway.queues.link import LOST, Link, texts
from gateway.queues.listening import AGAIN_S, Blocking, Listener, reply_channel, worker_channel
from gateway.queues.writing import FrameWriter
from gateway.structs import Call

logger = logging.getLogger(__name__)

CALLS = 1_000
# Taken at once: few enough that the next worker gets its share of a crowd.
BATCH = 32
BELL_S = 5
TICK_S = 0.5
IDLE_TICK_S = 1.0
STRIKES = 2
# Ticks between two comparisons of what Redis says this worker holds with what it does.
COMPARE_TICKS = 4
DRAIN_S = 20.0


class Engine:
    """`run` until `stop`; both in one loop."""

    def __init__(
        self, url: str, parts: Parts, *, calls: int = CALLS, drain_s: float = DRAIN_S
    ) -> None:
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.link = Link(url, name="llmlab-engine")
        self.writer = FrameWriter(self.link, self.worker)
        self.runs: dict[str, Run] = {}
        self.is_ready = asyncio.Event()
        self._parts = parts
        self._calls = calls
        self._drain_s = drain_s
        self._bell = Blocking(url, name="llmlab-engine-bell")
        self._listener = Listener(url, worker_channel(self.worker), self._heard)
        self._stopping = asyncio.Event()
        self._freed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._strikes: dict[str, int] = {}
        self._strangers: set[str] = set()

    async def run(self) -> None:
        """Take and run calls until told to stop; then finish what runs, put back what has not begun."""
        for start in self._parts.start:
            await start()
        await self._listener.start()
        helpers = [
            asyncio.ensure_future(self._claim_for_ever()),
            asyncio.ensure_future(self._watch()),
            asyncio.ensure_future(keep_for_ever(self.runs, self._parts)),
        ]
        try:
            await self._stopping.wait()
            helpers[0].cancel()
            await asyncio.gather(helpers[0], return_exceptions=True)
            await self._drain()
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._leave()

    def stop(self) -> None:
        """No new calls; `run` returns when those under way have ended."""
        self._stopping.set()

    # --- taking calls

    async def _claim_for_ever(self) -> None:
        while True:
            try:
                await self._claim()
            except (*LOST, RedisError) as error:
                logger.warning("gateway.engine.no_line", extra={"why": str(error)[:200]})
                await asyncio.sleep(AGAIN_S)

    async def _claim(self) -> None:
        """Take what there is room for; with nothing to take, wait for the bell."""
        if not self.is_ready.is_set():
            await self._beat()
            self.is_ready.set()
        room = min(BATCH, self._calls - len(self.runs))
        if room <= 0:
            self._freed.clear()
            await self._freed.wait()
            return
        calls = await line.claim(self.link, self.worker, room)
        for call in calls:
            self._begin(call)
        if len(calls) < room:
            await self._bell.ask("BLPOP", "{gw}:bell", BELL_S, block_s=BELL_S)

    def _begin(self, call: Call) -> None:
        run = Run(call, self._parts, Sink(self.writer, call))
        self.runs[call.id] = run
        task = asyncio.ensure_future(self._run(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, run: Run) -> None:
        call_id = run.call.id
        try:
            if self._stopping.is_set():
                await line.put_back(self.link, self.worker, [call_id])
            elif await self._is_ours(call_id):
                try:
                    await run.run()
                finally:
                    # Even without an answer: whoever waits is then told that nothing more comes.
                    self.writer.finish(call_id)
        except (*LOST, RedisError):
            logger.warning("gateway.engine.not_put_back")  # whoever finds this worker gone does it
        except Exception:
            logger.exception("gateway.engine.run_broken")
        finally:
            self.runs.pop(call_id, None)
            self._freed.set()

    async def _is_ours(self, call_id: str) -> bool:
        """Whether the call may begin. What cannot be asked is not begun; comparing puts it back."""
        try:
            return await line.begin(self.link, self.worker, call_id)
        except (*LOST, RedisError):
            return False

    # --- watching

    def _heard(self, message: bytes) -> None:
        what, _, call_id = message.decode("utf-8", "replace").partition(":")
        run = self.runs.get(call_id)
        if what == "gone" and run is not None:
            run.client_left()
        elif what == "stop" and run is not None:
            run.stop("stopped")

    async def _watch(self) -> None:
        tick = 0
        while True:
            await asyncio.sleep(TICK_S if self.runs else IDLE_TICK_S)
            tick += 1
            try:
                await self._tick(tick)
            except (*LOST, RedisError):
                self._strikes.clear()

    async def _beat(self) -> list[str]:
        return await line.beat(self.link, self.worker, running=len(self.runs), most=self._calls)

    async def _tick(self, tick: int) -> None:
        silent = set(await self._beat())
        workers = texts(await self.link.send("ZRANGE", "{gw}:workers", 0, -1))
        streams = {run.call.reply_to for run in self.runs.values() if run.call.reply_to}
        channels = {worker_channel(one): one for one in workers if one != self.worker}
        channels |= {reply_channel(one): one for one in streams}
        gone, self.writer.gone = self.writer.gone & streams, set()
        for dead in silent | gone | await self._unheard(channels):
            if dead in streams:
                self._client_process_died(dead)
            else:
                await line.bury(self.link, dead)
        if tick % COMPARE_TICKS == 0:
            await self._compare()

    async def _unheard(self, channels: dict[str, str]) -> set[str]:
        """Those whose channel nobody has listened to twice in a row."""
        strikes: dict[str, int] = {}
        if channels:
            heard = await self.link.send("PUBSUB", "NUMSUB", *channels)
            for name, listeners in zip(channels.values(), heard[1::2], strict=True):
                if not listeners:
                    strikes[name] = self._strikes.get(name, 0) + 1
        self._strikes = strikes
        return {name for name, count in strikes.items() if count >= STRIKES}

    def _client_process_died(self, stream: str) -> None:
        for run in list(self.runs.values()):
            if run.call.reply_to == stream:
                run.client_left()

    async def _compare(self) -> None:
        """Calls that Redis gave out and that never arrived here (a connection that broke) go back."""
        held = set(texts(await self.link.send("SMEMBERS", f"{{gw}}:held:{self.worker}")))
        strangers = held - self.runs.keys()
        lost = sorted(strangers & self._strangers)
        if lost:
            await line.put_back(self.link, self.worker, lost)
        self._strangers = strangers

    # --- ending

    async def _drain(self) -> None:
        end = time.monotonic() + self._drain_s
        while self._tasks and time.monotonic() < end:
            await asyncio.wait(self._tasks, timeout=end - time.monotonic())
        for run in list(self.runs.values()):
            run.stop("lost")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)

    async def _leave(self) -> None:
        await self.writer.drain()
        for stop in self._parts.stop:
            await stop()
        with suppress(*LOST, RedisError):
            # Puts back what was claimed and not begun.
            await line.bury(self.link, self.worker)
        await self._listener.close()
        await self._bell.close()
        await self.link.close()
        await close_clients()
