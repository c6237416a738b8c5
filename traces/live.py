"""One feed per watched trace and process: fifty readers share its queries and its rendering.

A hint (or five seconds without one) makes the feed read what has a higher sequence number; each frame is rendered once
per (from, to) and way of writing figures, and handed to every reader who wants it so. A feed lives as
long as somebody watches.
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

from core.person_formats import ANYONE, Reader, reading_as
from projects.models import Project
from traces.frames import Frame, build_frame, gone_frame
from traces.models import Trace
from traces.selectors import detail
from traces.selectors.phases import Phases, phases_in
from traces.tree import Tree
from traces.viewer import member_viewer
from traces.waterfall import StepFacts, lay_out

logger = logging.getLogger(__name__)
MIN_INTERVAL = 0.25  # at most four frames a second
SAFETY_INTERVAL = 5.0  # a hint may be lost
CPU_SHARE = 0.2  # of one core for one feed at most: dear traces are read less often
KEPT_FRAMES = 32

Listener = Callable[[], Awaitable[None]]


class TraceState:
    """The trace as last read. Not thread-safe: one caller at a time.

    The steps are read when somebody lacks something: a page opened on an ended trace of 30,000 steps has them all, and
    costs its feed one row.
    """

    def __init__(self, project: Project, trace_id: str) -> None:
        self.project = project
        self.viewer = member_viewer(project, trace_id)
        self.trace_id = trace_id
        self.trace: Trace | None = None
        self.steps: dict[str, StepFacts] = {}
        self.phases: Phases = {}
        self.tree: Tree | None = None
        self.read_at: dt.datetime = timezone.now()
        self._read_seq = -1  # what `steps` and `tree` show
        self._frames: OrderedDict[tuple[int, int, Reader], Frame] = OrderedDict()

    @property
    def seq(self) -> int:
        return self.trace.seq if self.trace else -1

    def advance(self) -> bool:
        """Look for news; whether there was any. One query."""
        trace = detail.trace_of(self.project, self.trace_id)
        if trace is None or (self.trace is not None and trace.seq < self.trace.seq):
            was_there = self.trace is not None
            self.trace, self.steps, self.tree, self._read_seq = None, {}, None, -1
            self._frames.clear()
            if trace is None:
                return was_there
        if self.trace is not None and trace.seq == self.trace.seq:
            return False
        self.trace = trace
        return True

    def lacks(self, from_seq: int) -> bool:
        """Whether a reader at `from_seq` needs steps that are not read yet."""
        return self.trace is not None and from_seq != self.seq and self._read_seq != self.seq

    def read(self) -> None:
        """Read the steps that are new. One query, two more with gateway calls.

        The trace was read before its steps: a step of a later transaction may come along, which the next reading
        repeats.
        """
        if self.trace is None:
            return
        found = detail.steps_of(self.trace, after_seq=self._read_seq)
        self.steps.update((step.span_id, step) for step in found)
        if self.viewer.sees_payloads:
            self.phases.update(phases_in(self.project, self.trace_id, found))
        self.read_at = timezone.now()
        self.tree = Tree(lay_out(self.steps.values(), now=self.read_at))
        self._read_seq = self.trace.seq

    def frame(self, from_seq: int, reader: Reader = ANYONE) -> Frame | None:
        """From `from_seq` to here, rendered once for all who want figures and times written the same way; None when
        there is nothing to tell."""
        if self.trace is None:
            return gone_frame(from_seq)
        if from_seq == self.trace.seq or self.tree is None:
            return None
        if from_seq > self.trace.seq:
            from_seq = -1  # deleted and sent again meanwhile: everything is new
        key = (from_seq, self.trace.seq, reader)
        if key not in self._frames:
            with reading_as(lambda: reader):
                self._frames[key] = build_frame(
                    self.viewer,
                    self.trace,
                    self.tree,
                    from_seq=from_seq,
                    now=self.read_at,
                    phases=self.phases,
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

    async def frame(self, from_seq: int, reader: Reader = ANYONE) -> Frame | None:
        await self._ready.wait()
        async with self._lock:
            if self.state.lacks(from_seq):
                await database_sync_to_async(self.state.read)()
            return await asyncio.to_thread(self.state.frame, from_seq, reader)

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
