"""The thread that turns recorded steps into bytes: `late` parts, masks, JSON, the spool."""

from __future__ import annotations

import itertools
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any

from llmlab.config import Settings, logger
from llmlab.delivery.answers import settle
from llmlab.delivery.counts import Counts
from llmlab.delivery.exporter import Exporter
from llmlab.delivery.holding import Holding
from llmlab.delivery.outbox import RUNNING, SCORE, STEP, Entry, Outbox
from llmlab.delivery.sender import Flush, Sender, Stop
from llmlab.delivery.spool import Spool
from llmlab.delivery.telling import Teller
from llmlab.step import Step
from llmlab.values import dumps, finished
from llmlab.wire import Encoder

# After so many steps the interpreter is given to the program for a moment: without it a burst of
# encoding would hold up the caller for whole 5 ms turns.
_STEPS_A_TURN = 8
_TURN_PAUSE = 0.00005
Scored = tuple[dict[str, Any], int]


class Collector:
    """Reads what callers append to `waiting`; told through `wake`, which may be put to from anywhere."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        counts: Counts,
        teller: Teller,
        spool: Spool | None,
    ) -> None:
        self.settings = settings
        self.outbox = outbox
        self.counts = counts
        self.teller = teller
        self.spool = spool
        self.encoder = Encoder(settings)
        self.holding = Holding(settings.max_queue_bytes // 4)
        # Steps and scores as callers leave them. Appending to a deque needs no lock.
        self.waiting: deque[Step | dict[str, Any]] = deque()
        self.waiting_bytes = 0
        self.open: dict[str, Step] = {}
        self.wake: SimpleQueue[Flush | Stop | Exporter | None] = SimpleQueue()
        self.starts, self.is_taken = itertools.count(), False  # one thread runs this
        self.is_asleep = False
        self.exporter: Exporter | None = None
        self.sender: Sender | None = None

    # -- the loop ----------------------------------------------------------------------------

    def run(self) -> None:
        """Until told to stop. A fault of ours costs a step at most, never the thread."""
        if self.spool is not None and self.spool.adopt() and self.sender is not None:
            self.sender.commands.put(None)  # what an earlier process left
        while True:
            try:
                command = self._wait()
                self.drain()
                self._announce()
                if isinstance(command, Stop):
                    return
                if isinstance(command, Flush):
                    self._pass_on(command)
                elif command is not None:
                    self.exporter = command
            except Exception:
                logger.exception("LLMLab: a fault in the SDK's encoder")
                time.sleep(1)

    def _wait(self) -> Flush | Stop | Exporter | None:
        # First asleep, then looking: whoever adds something in between wakes us.
        self.is_asleep = True
        interval = self._interval()
        if self.waiting and self.spool is not None:
            interval = 0.0  # on disk as soon as can be
        elif interval is not None and self.spool is None:
            self.is_asleep = False  # no need to be woken for every step
        try:
            return self.wake.get(timeout=interval) if interval != 0 else self.wake.get_nowait()
        except Empty:
            return None
        finally:
            self.is_asleep = False

    def _interval(self) -> float | None:
        """How long nothing has to be looked at; None: until told."""
        live, flush = self.settings.live_interval, self.settings.flush_interval
        if self.open and live:
            return min(live, flush)
        return flush if self.waiting or self.open else None

    def _pass_on(self, flush: Flush) -> None:
        if self.sender is None or self.exporter is not None or flush.stays_here:
            flush.answer.put(True)
        else:
            self.sender.commands.put(flush)

    # -- ended steps -------------------------------------------------------------------------

    def drain(self) -> None:
        """Encode everything that waits now."""
        for count in range(1, len(self.waiting) + 1):
            try:
                one = self.waiting.popleft()
            except IndexError:
                break  # a caller made room meanwhile
            self.counts.recorded += 1
            try:
                if isinstance(one, Step):
                    self._ended(one)
                else:
                    self._score(one)
            except Exception:
                self.counts.dropped += 1
                logger.exception("LLMLab: a step could not be encoded")
            if count % _STEPS_A_TURN == 0:
                time.sleep(_TURN_PAUSE)
            if count % self.settings.flush_at == 0:
                self._tell_sender()
        if not self.waiting:
            self.waiting_bytes = 0  # callers add to it without a lock: start afresh
        self._tell_sender()

    def _tell_sender(self) -> None:
        if self.sender is not None and len(self.outbox):
            self.sender.commands.put(None)

    def _ended(self, step: Step) -> None:
        self.waiting_bytes -= step.size
        self.open.pop(step.id, None)
        self.encoder.resolve(step)
        for one in self.holding.pass_on(step):
            self._queue(one)
        if self.holding.forgotten:
            self._forget(self.holding.forgotten)

    def _forget(self, steps: list[Step]) -> None:
        """Unsampled and without error: nobody will ever say what they cost."""
        self.counts.forgotten += len(steps)
        for step in steps:
            if step.budget is not None:
                step.budget.settle([step.id], None)
        steps.clear()

    def _queue(self, step: Step) -> None:
        trace = step.trace
        if trace.root is step:
            trace.root_encoded = True
        document = self.encoder.step(step)
        if self.exporter is not None:
            self.exporter.export({**self.encoder.head_fields(trace), "steps": [document]})
            self.counts.sent += 1
            return
        budget = step.budget
        entry = Entry(
            STEP,
            (trace.trace_id, trace.root.id, id(budget) if budget else None),
            self.encoder.head(trace),
            dumps(document),
            self._moment(step.ended_ns),
        )
        entry.step_id = step.id
        entry.budget = budget
        self._keep(entry)

    def _score(self, score: dict[str, Any]) -> None:
        document = finished(score, None)
        for name in ("reason", "metadata"):
            if name in document:
                document[name] = finished(score[name], self.encoder.mask)
        if self.exporter is not None:
            self.exporter.export_score(document)
            self.counts.sent += 1
        else:
            self._keep(Entry(SCORE, (SCORE,), b"", dumps(document), time.monotonic()))

    def _moment(self, ended_ns: int) -> float:
        """When the step ended, on the clock of waiting; a wrong wall clock moves it little."""
        ago = (time.time_ns() - ended_ns) / 1e9
        return time.monotonic() - min(max(ago, 0.0), self.settings.flush_interval)

    def _keep(self, entry: Entry) -> None:
        if self.spool is not None and entry.kind != RUNNING:
            self.spool.write(entry)
        lost = []
        for oldest in self.outbox.add(entry):
            if oldest.place is not None and self.spool is not None:
                self.spool.evict(oldest.place)
                settle([oldest], None)  # read back later it no longer knows its budget
            elif oldest.kind != RUNNING:
                lost.append(oldest)
        if lost:
            self.counts.dropped += len(lost)
            settle(lost, None)
            self.tell_dropped()

    def tell_dropped(self) -> None:
        """Say that steps gave way, and how many so far."""
        self.teller.rarely(
            "dropped",
            "LLMLab: the queue of %d bytes is full, the oldest steps are dropped; so far: %d.",
            self.settings.max_queue_bytes,
            self.counts.dropped + self.counts.overrun,
        )

    # -- running steps -----------------------------------------------------------------------

    def _announce(self) -> None:
        """Show steps that have been running for a while, each once."""
        if not self.settings.live_interval or self.exporter is not None or self.sender is None:
            return
        before = time.time_ns() - int(self.settings.live_interval * 1e9)
        for step in list(self.open.values()):
            if step.announced or step.ended_ns or step.started_ns > before:
                continue
            step.announced = True
            if step.trace.sampled:
                self._announce_one(step)

    def _announce_one(self, step: Step) -> None:
        self.encoder.resolve(step)
        document = self.encoder.step(step)
        if document["status"] != "running":
            return  # it ended this moment; its end is on the way
        trace = step.trace
        entry = Entry(
            RUNNING,
            (trace.trace_id, trace.root.id, None),
            self.encoder.head(trace),
            dumps(document),
            time.monotonic(),
        )
        entry.step_id = step.id
        self._keep(entry)
        if self.sender is not None:
            self.sender.is_urgent = True
            self.sender.commands.put(None)
