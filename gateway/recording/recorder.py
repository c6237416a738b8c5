"""The thread that takes ended calls from the journal's writer to PostgreSQL, a batch at a time.

`begin` and `finish` are for the event loop: they write to the journal and return. Memory is bounded: when PostgreSQL is
away for long, what ends is only in the journal, and is read from there again once it is back.
"""

import atexit
import datetime as dt
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from prometheus_client import Counter

from gateway.recording import replay, writer
from gateway.recording.journal import Journal, Place
from gateway.structs import Call, Finished

logger = logging.getLogger(__name__)

BATCH = 500
BATCH_BYTES = 16 * 1024 * 1024
WAIT_S = 0.05
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
# What may wait in memory; more is only in the journal.
MAX_WAITING = 10_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
REPLAY_EVERY_S = 60.0
SIGN_OF_LIFE_S = 1.0

recorded_total = Counter(
    "llmlab_gateway_recorded", "Calls of the gateway by how they were recorded", ["outcome"]
)

Write = Callable[..., None]
# A call that ended, and where its record begins in the journal; None: the disk would not take it.
Item = tuple[Finished, Place | None]


def directory() -> Path:
    """Where this machine's journals are."""
    return Path(settings.LLMLAB_DATA_DIR) / "gateway" / "journal"


class Recorder:
    """One per process. `begin` and `finish` may be called from any thread and never fail."""

    def __init__(
        self,
        journal: Journal,
        *,
        write: Write = writer.record,
        clock: Callable[[], dt.datetime] = timezone.now,
        reconnect: Callable[[], None] | None = None,
        most_waiting: int = MAX_WAITING,
    ) -> None:
        self.journal, self._write, self._clock = journal, write, clock
        self.most_waiting, self._reconnect = most_waiting, reconnect or _reconnect
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        # Where in the journal what is not in memory begins; None: all of it is in memory.
        self._spilled: Place | None = None
        self._is_busy = self._is_stopping = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway-recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def begin(self, call: Call) -> None:
        """The call is about to be made."""
        try:
            self.journal.begin(call)
        except OSError:
            logger.exception("gateway.journal.unwritable")

    def drop(self, call_id: str) -> None:
        """The call that began was not made after all."""
        with suppress(OSError):
            self.journal.drop(call_id)

    def finish(self, finished: Finished) -> None:
        """The call ended: when this returns, it is on disk."""
        size = _size(finished)
        with self._changed:
            try:
                place = self.journal.finish(finished)
            except OSError:
                logger.exception("gateway.journal.unwritable")
                recorded_total.labels("unjournalled").inc()
                place = None
            is_full = len(self._waiting) >= self.most_waiting or (
                self._bytes + size > MAX_WAITING_BYTES and bool(self._waiting)
            )
            if place is None and is_full:
                logger.critical("gateway.recording.dropped", extra={"call_id": finished.call.id})
                recorded_total.labels("dropped").inc()
                return
            if place is not None and (is_full or self._spilled is not None):
                self._spilled = self._spilled or place
                return
            self._waiting.append((finished, place))
            self._bytes += size
            if len(self._waiting) in (1, BATCH):
                self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until all that ended so far is recorded; whether it is."""
        until = time.monotonic() + timeout
        with self._changed:
            while self._waiting or self._spilled is not None or self._is_busy:
                if not self._changed.wait(min(0.1, until - time.monotonic())) and (
                    time.monotonic() >= until
                ):
                    return False
        return True

    def close(self, timeout: float = 5.0) -> None:
        """Record what waits, as far as that goes in time, and let go of the journal; the rest is replayed by others."""
        with self._changed:
            if self._is_stopping:
                return
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self.journal.close()

    def _run(self) -> None:
        replay_at = 0.0
        while True:
            if time.monotonic() >= replay_at and not self._is_stopping:
                self._replay()
                replay_at = time.monotonic() + REPLAY_EVERY_S
            batch = self._next_batch(replay_at)
            is_stored = True
            try:
                is_stored = self._store(batch) if batch else True
            except Exception:  # it stays in the journal; the thread must live
                logger.exception("gateway.recording.failed")
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                is_done = not self._waiting and self._spilled is None
            if not is_stored or (self._is_stopping and is_done):
                break
        self._reconnect()

    def _replay(self) -> None:
        """What dead processes of this machine left. PostgreSQL being away is no news here."""
        try:
            replay.replay(directory=self.journal.directory, write=self._write, clock=self._clock)
        except Exception as error:
            if not replay.is_away(error):
                logger.exception("gateway.recording.replay_failed")
            self._reconnect()

    def _next_batch(self, until: float) -> list[Item]:
        """What to record next: from memory, and when that is empty from the journal; empty when it is time to look
        around or to stop."""
        with self._changed:
            while not self._waiting and self._spilled is None and not self._is_stopping:
                wait = until - time.monotonic()
                if wait <= 0:
                    return []
                self._changed.wait(min(wait, SIGN_OF_LIFE_S))
                self.journal.show_life()
            self._is_busy = True
            if self._waiting:
                ends = time.monotonic() + WAIT_S
                while len(self._waiting) < BATCH and not self._is_stopping:
                    wait = ends - time.monotonic()
                    if wait <= 0 or self._spilled is not None:
                        break
                    self._changed.wait(wait)
                return self._taken()
            spilled = self._spilled
        return [] if spilled is None else self._read_back(spilled)

    def _taken(self) -> list[Item]:
        batch: list[Item] = []
        size = 0
        while self._waiting and len(batch) < BATCH and size < BATCH_BYTES:
            item = self._waiting.popleft()
            size += _size(item[0])
            batch.append(item)
        self._bytes -= size
        return batch

    def _read_back(self, spilled: Place) -> list[Item]:
        """The next ends that are only in the journal; back to memory when there are none left."""
        found, place = self.journal.read(spilled, most=BATCH, most_bytes=BATCH_BYTES)
        with self._changed:
            self._spilled = None if place >= self.journal.end else place
        return [(finished, at) for finished, at in found]

    def _store(self, batch: list[Item]) -> bool:
        """Record the batch, however long that takes. False: the process ends first."""
        finished = [one for one, _ in batch]
        pause = FIRST_PAUSE_S
        while True:
            try:
                aside = replay.write_or_halve(finished, self._write, self._clock)
                break
            except Exception as error:
                if not replay.is_away(error):
                    raise
                logger.warning("gateway.recording.storage_away: %s", error.__class__.__name__)
            self._reconnect()
            if self._stop.wait(pause):
                return False
            pause = min(pause * 2, LONGEST_PAUSE_S)
        replay.set_aside(self.journal.directory / replay.SET_ASIDE, aside)
        self.journal.committed(place.segment for _, place in batch if place is not None)
        recorded_total.labels("recorded").inc(len(batch) - len(aside))
        recorded_total.labels("set_aside").inc(len(aside))
        return True


def _size(finished: Finished) -> int:
    return len(finished.call.body) + len(finished.answer) + 2048


def _reconnect() -> None:
    """Let go of this thread's connection, which may be broken; the next query opens one."""
    with suppress(DatabaseError, InterfaceError):
        connection.close()


_recorder: Recorder | None = None
_guard = threading.Lock()


def recorder() -> Recorder:
    """This process's recorder, started when first asked for. Raises OSError when no journal can be opened."""
    global _recorder
    found = _recorder
    if found is None:
        with _guard:
            if _recorder is None:
                _recorder = Recorder(Journal(directory()))
                _recorder.start()
                atexit.register(close)
            found = _recorder
    return found


def begin(call: Call) -> None:
    """The call is about to be made: a line in the journal."""
    recorder().begin(call)


def drop(call_id: str) -> None:
    """The call that began was not made after all."""
    recorder().drop(call_id)


def finish(finished: Finished) -> None:
    """The call ended: journalled when this returns, recorded soon. Tell the client of the end after it."""
    recorder().finish(finished)


def close(timeout: float = 5.0) -> None:
    """Record what waits and let go; for the end of a process."""
    global _recorder
    with _guard:
        found, _recorder = _recorder, None
    if found is not None:
        found.close(timeout)


def _forget() -> None:
    """A fork's child has no recorder thread, and its parent's journal is not its own."""
    global _recorder, _guard
    _guard = threading.Lock()
    if _recorder is not None:
        _recorder.journal.abandon()
        _recorder = None


os.register_at_fork(after_in_child=_forget)
