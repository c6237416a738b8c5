"""Delivery: callers append to a queue, two daemon threads do the rest.

`Collector` encodes, `Sender` talks to the server. Callers take no lock: a signal handler or a
generator finaliser may call in here at any point of the program, also in the middle of our own code.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from queue import Empty
from typing import Any

from llmlab.config import Settings, logger
from llmlab.context import current_budget
from llmlab.delivery.collector import Collector
from llmlab.delivery.counts import Counts
from llmlab.delivery.exporter import Exporter
from llmlab.delivery.forking import watch_forks
from llmlab.delivery.outbox import Outbox
from llmlab.delivery.sender import Flush, Sender, Stop
from llmlab.delivery.spool import Spool
from llmlab.delivery.telling import Teller
from llmlab.step import Step

__all__ = ["Delivery", "Exporter"]

_MAX_OPEN = 10_000
_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()


class Delivery:
    """What waits, and the threads that send it."""

    def __init__(self, settings: Settings, exporter: Exporter | None = None) -> None:
        self.settings = settings
        self.is_configured = bool(settings.enabled and settings.api_key and settings.project)
        self.is_stopped = False
        self._build(exporter)
        _deliveries.add(self)
        if self.is_on and settings.spool_dir:
            self._start()  # what an earlier process left is sent without waiting for a first step

    def _build(self, exporter: Exporter | None) -> None:
        """Everything that belongs to one process; made anew in a forked child."""
        settings = self.settings
        self.counts = Counts()
        self.teller = Teller()
        # A quarter for what waits to be encoded, the rest for what waits to be sent.
        self._room = settings.max_queue_bytes // 4
        self.outbox = Outbox(settings.max_queue_bytes - self._room)
        self.spool = Spool.open(settings, self.teller) if self.is_configured else None
        self.collector = Collector(settings, self.outbox, self.counts, self.teller, self.spool)
        self.collector.exporter = exporter
        self.sender = Sender(settings, self.outbox, self.counts, self.teller, self.spool)
        self.collector.sender = self.sender if self.is_configured else None
        self.is_on = (self.is_configured or exporter is not None) and not self.is_stopped
        self._threads: list[threading.Thread] = []
        self._starts = itertools.count()
        self._is_starting = self._is_started = False
        # Shortcuts: every call passes here.
        self._waiting = self.collector.waiting
        self._open = self.collector.open
        self._flush_at = settings.flush_at

    # -- from callers ------------------------------------------------------------------------

    def opened(self, step: Step) -> None:
        """A step started; it is announced when it runs for long."""
        if not self.is_on:
            return
        self._open[step.id] = step
        if len(self._open) > _MAX_OPEN:
            self._forget_oldest()
        if self.collector.is_asleep or not self._is_started:
            self._wake()

    def _forget_oldest(self) -> None:
        """Steps somebody never ends must not pile up: the oldest is no longer watched."""
        try:
            self._open.pop(next(iter(self._open)), None)
        except (StopIteration, RuntimeError):
            pass  # another thread changed it meanwhile; the next call comes by here too

    def add(self, step: Step) -> None:
        """A step ended."""
        if not self.is_on:
            return
        if step.budget is not None:
            step.budget.add(step.id)
        self._append(step, step.size)

    def add_score(self, score: dict[str, Any], size: int) -> None:
        """A score was given."""
        if self.is_on:
            self._append(score, size)

    def _append(self, one: Step | dict[str, Any], size: int) -> None:
        collector = self.collector
        self._waiting.append(one)
        collector.waiting_bytes += size
        if collector.waiting_bytes > self._room:
            self._make_room()
        if collector.is_asleep or len(self._waiting) == self._flush_at or not self._is_started:
            self._wake()

    def _make_room(self) -> None:
        """Callers are faster than the encoder: the oldest gives way, as in the outbox."""
        collector = self.collector
        while collector.waiting_bytes > self._room and len(self._waiting) > 1:
            try:
                oldest = self._waiting.popleft()
            except IndexError:
                collector.waiting_bytes = 0
                break
            collector.waiting_bytes -= oldest.size if isinstance(oldest, Step) else 1_000
            self.counts.overrun += 1
            if isinstance(oldest, Step):
                # A root and its trace hold each other: the bytes must not wait for the collector.
                oldest.early = oldest.late = None
                self._open.pop(oldest.id, None)
                if oldest.budget is not None:
                    oldest.budget.settle([oldest.id], None)
        collector.tell_dropped()
        self._wake()

    def _wake(self) -> None:
        self.collector.is_asleep = False
        if not self._is_started:
            self._start()
        self.collector.wake.put(None)

    # -- threads -----------------------------------------------------------------------------

    def _start(self) -> None:
        """Start the threads. A signal handler may come in at any point of it and wait for what they
        do: it calls this itself, and of two threads for one worker the second ends at once."""
        self._is_starting = True
        try:
            self._run("llmlab-encoder", self.collector)
            if self.is_configured:
                self._run("llmlab-sender", self.sender)
            if not next(self._starts):  # atomic: one caller alone gets the 0
                _at_process_end(self)
        except RuntimeError:
            logger.debug("LLMLab: no thread can be started any more: the program is ending")
        self._is_started = True

    def _run(self, name: str, worker: Collector | Sender) -> None:
        if worker.is_taken:
            return
        thread = threading.Thread(target=_work, args=(worker,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def flush(self, timeout: float, *, stays_here: bool = False) -> bool:
        """Send what waits; true when all of it was acknowledged in time. Safe in a signal handler."""
        if not self._is_started:
            if not (self._is_starting or self._waiting):
                return True
            self._start()
        if threading.current_thread() in self._threads:
            return False  # a mask or a log handler of the program called from our own thread
        flush = Flush(timeout, stays_here=stays_here)
        self.collector.wake.put(flush)
        try:
            return flush.answer.get(timeout=timeout)
        except Empty:
            return False

    def divert(self, exporter: Exporter | None) -> None:
        """From here on everything goes to the exporter; None: to the server again."""
        self.is_on = exporter is not None or (self.is_configured and not self.is_stopped)
        if self._is_started:
            self.flush(10, stays_here=True)
        self.collector.exporter = exporter

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop; what remains stays in the spool or is counted as lost, and told."""
        if self.is_stopped:
            return True
        # First close the door: threads that still run would add to what is flushed for ever.
        self.is_on = False
        # The server has been away for a while: one more try, but no waiting for a miracle.
        patience = min(timeout, 1.0) if self.sender.failures >= 3 else timeout
        done = self.flush(patience)
        self.is_stopped = True
        self.collector.wake.put(Stop())
        self.sender.commands.put(Stop())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(0.5)
        remaining = self.outbox.ended() + len(self._waiting) + self.sender.in_flight
        if self.spool is not None:
            self.spool.close()
        if remaining and self.spool is None:
            self.counts.lost = remaining
            logger.warning(
                "LLMLab: steps lost because they could not be sent before the program ended: %d."
                " LLMLAB_SPOOL_DIR keeps them for the next start.",
                remaining,
            )
        return done

    def stats(self) -> dict[str, int]:
        """Counts since the start of this process."""
        counts = self.counts
        return {
            "recorded": counts.recorded + counts.overrun + len(self._waiting),
            "sent": counts.sent,
            "waiting": len(self._waiting) + self.outbox.ended() + self.sender.in_flight,
            "waiting_bytes": self.collector.waiting_bytes + self.outbox.bytes,
            "dropped": counts.dropped + counts.overrun,
            "rejected": counts.rejected,
            "lost": counts.lost,
            "not_sampled": counts.forgotten,
            "announced": counts.announced,
            "retries": counts.retries,
            "spooled_bytes": self.spool.size if self.spool is not None else 0,
        }

    # -- fork --------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """In the child: new queue, new locks, no threads yet. What waits is the parent's to send."""
        if self.spool is not None:
            self.spool.abandon()
        budget = current_budget.get()
        if budget is not None:
            budget.give_up()  # the parent is told what those calls cost, we never are
        self._build(self.collector.exporter)


def _work(worker: Collector | Sender) -> None:
    """The body of a worker's thread, of the first one started for it."""
    if not next(worker.starts):  # atomic: one thread alone gets the 0
        worker.is_taken = True
        worker.run()


def _after_fork() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork()


def _at_process_end(delivery: Delivery) -> None:
    """multiprocessing ends its children without atexit; it has a list of its own."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(delivery, delivery.shutdown, args=(5.0,), exitpriority=10)


watch_forks(_after_fork)
