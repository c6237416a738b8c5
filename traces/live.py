"""One feed per watched trace and process: fifty readers share its queries and its rendering.

A hint (or five seconds without one) makes the feed read what has a higher sequence number; each frame is rendered once
per (from, to) and handed to every reader. A feed lives as long as somebody watches.
"""

import asyncio
import datetime as dt
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db import DatabaseError
from django.utils import timezone

from projects.models import Project
from traces.frames import Frame, build_frame, gone_frame
from traces.models import Trace
from traces.selectors import detail
from traces.viewer import member_viewer
from traces.waterfall import Layout, StepFacts, lay_out

logger = logging.getLogger(__name__)
MIN_INTERVAL = 0.25  # at most four frames a second
SAFETY_INTERVAL = 5.0  # a hint may be lost
CPU_SHARE = 0.2  # of one core for one feed at most: dear traces are read less often
KEPT_FRAMES = 32

Listener = Callable[[], Awaitable[None]]


class TraceState:
    """The trace as last read. Not thread-safe: one caller at a time."""

    def __init__(self, project: Project, trace_id: str) -> None:
        self.project = project
        self.viewer = member_viewer(project, trace_id)
        self.trace_id = trace_id
        self.trace: Trace | None = None
        self.steps: dict[str, StepFacts] = {}
        self.layout: Layout | None = None
        self.read_at: dt.datetime = timezone.now()
        self._frames: OrderedDict[tuple[int, int], Frame] = OrderedDict()

    @property
    def seq(self) -> int:
        return self.trace.seq if self.trace else -1

    def advance(self) -> bool:
        """Read what is new; whether anything was. One query, two when it was.

        The trace is read before its steps: a step of a later transaction may come along, which
        the next reading repeats.
        """
        trace = detail.trace_of(self.project, self.trace_id)
        if trace is None or (self.trace is not None and trace.seq < self.trace.seq):
            was_there = self.trace is not None
            self.trace, self.steps, self.layout = None, {}, None
            self._frames.clear()
            if trace is None:
                return was_there
        if self.trace is not None and trace.seq == self.trace.seq:
            return False
        known = self.trace.seq if self.trace else -1
        self.steps.update((step.span_id, step) for step in detail.steps_of(trace, after_seq=known))
        self.read_at = timezone.now()
        self.layout = lay_out(self.steps.values(), now=self.read_at)
        self.trace = trace
        return True

    def frame(self, from_seq: int) -> Frame | None:
        """From `from_seq` to here, rendered once; None when there is nothing to tell."""
        if self.trace is None or self.layout is None:
            return gone_frame(from_seq)
        if from_seq == self.trace.seq:
            return None
        if from_seq > self.trace.seq:
            from_seq = -1  # deleted and sent again meanwhile: everything is new
        key = (from_seq, self.trace.seq)
        if key not in self._frames:
            self._frames[key] = build_frame(
                self.viewer, self.trace, self.layout, from_seq=from_seq, now=self.read_at
            )
            while len(self._frames) > KEPT_FRAMES:
                self._frames.popitem(last=False)
        return self._frames[key]


class Feed:
    """A TraceState with its loop and its listeners."""

    def __init__(self, state: TraceState) -> None:
        self.state = state
        self.listeners: set[Listener] = set()
        self._hinted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Event = asyncio.Event()

    def hint(self) -> None:
        """Something changed, probably."""
        self._hinted.set()

    async def frame(self, from_seq: int) -> Frame | None:
        await self._ready.wait()
        async with self._lock:
            return await asyncio.to_thread(self.state.frame, from_seq)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            started = time.monotonic()
            self._hinted.clear()
            try:
                async with self._lock:
                    changed = await database_sync_to_async(self.state.advance)()
            except DatabaseError as error:
                # The next hint or the safety interval tries again; the readers keep what they have.
                logger.warning("traces.live.storage_away: %s", type(error).__name__)
                await asyncio.sleep(SAFETY_INTERVAL / 5)
                continue
            self._ready.set()
            if changed:
                await asyncio.gather(*(listener() for listener in list(self.listeners)))
            spent = time.monotonic() - started
            await asyncio.sleep(max(MIN_INTERVAL, spent / CPU_SHARE) - min(spent, MIN_INTERVAL))
            try:
                async with asyncio.timeout(SAFETY_INTERVAL):
                    await self._hinted.wait()
            except TimeoutError:
                continue


_feeds: dict[tuple[Any, UUID, str], Feed] = {}


def join(project: Project, trace_id: str, listener: Listener) -> Feed:
    """Watch a trace; the first watcher starts its feed."""
    key = (asyncio.get_running_loop(), project.pk, trace_id)
    feed = _feeds.get(key)
    if feed is None:
        feed = _feeds[key] = Feed(TraceState(project, trace_id))
        feed.start()
    feed.listeners.add(listener)
    return feed


def leave(project_id: UUID, trace_id: str, listener: Listener) -> None:
    """Stop watching; the last watcher stops the feed."""
    key = (asyncio.get_running_loop(), project_id, trace_id)
    feed = _feeds.get(key)
    if feed is None:
        return
    feed.listeners.discard(listener)
    if not feed.listeners:
        feed.stop()
        del _feeds[key]
