"""The thread that talks to the server: batches, retries, backing off, halving."""

from __future__ import annotations

import itertools
import os
import time
from queue import Empty, SimpleQueue
from typing import Any

from llmlab.config import Settings, logger
from llmlab.delivery.answers import Reader, grouped, settle
from llmlab.delivery.counts import Counts
from llmlab.delivery.forking import load_http
from llmlab.delivery.outbox import RUNNING, SCORE, Entry, Outbox
from llmlab.delivery.spool import Spool
from llmlab.delivery.telling import Teller
from llmlab.delivery.transport import Answer, Transport, Unreachable
from llmlab.values import dumps

MAX_BATCH_BYTES = 4 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_REFUSED, _LONGEST_TOLD = 0.5, 30.0, 60.0, 300.0
_DONE = (200, 201, 202, 204, 207)
_AGAIN = (408, 425, 429)
_MISPLACED = (301, 302, 303, 307, 308, 401, 403, 404)


class Flush:
    """Somebody waits until everything recorded so far is acknowledged."""

    __slots__ = ("answer", "deadline", "last", "stays_here")

    def __init__(self, timeout: float, *, stays_here: bool = False) -> None:
        self.answer: SimpleQueue[bool] = SimpleQueue()
        self.deadline = time.monotonic() + timeout
        # The number of the last entry that was queued before it.
        self.last = 0
        # Only until the encoder has seen it all.
        self.stays_here = stays_here


class Stop:
    """End the thread: what is not sent by then stays."""


class Sender:
    """Owns the connection. Told through `commands`, which may be put to from anywhere."""

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
        self.commands: SimpleQueue[Flush | Stop | None] = SimpleQueue()
        self.starts, self.is_taken = itertools.count(), False  # one thread runs this
        # Running steps are shown live: what waits is sent now, full batch or not.
        self.is_urgent = False
        self.failures = 0
        # Ended steps in the request under way: neither waiting nor acknowledged.
        self.in_flight = 0
        self._reader = Reader(settings, counts, teller)
        self._transport: Transport
        self._flushes: list[Flush] = []
        self._retry_at = 0.0
        self._told_until = 0.0
        self._limit = settings.flush_at

    # -- the loop ----------------------------------------------------------------------------

    def run(self) -> None:
        """Until told to stop. A fault of ours costs a batch at most, never the thread."""
        load_http(self.settings.base_url.startswith("https"))
        self._transport = Transport(self.settings)
        while True:
            try:
                if self._obey(self._pause()):
                    break
                while self._is_due():
                    self._send()
                    self._answer_flushes()
                    if self._obey(0):
                        return self._transport.close()
                self._answer_flushes()
            except Exception:
                logger.exception("LLMLab: a fault in the SDK's sender")
                time.sleep(1)
        self._transport.close()

    def _obey(self, wait: float | None) -> bool:
        """Take all commands, waiting for the first; true: stop."""
        try:
            command = self.commands.get(timeout=wait) if wait != 0 else self.commands.get_nowait()
            while True:
                if isinstance(command, Stop):
                    return True
                if isinstance(command, Flush):
                    command.last = self.outbox.last_number
                    self._flushes.append(command)
                    # Somebody waits: try now, unless the server itself said when.
                    self._retry_at = min(self._retry_at, max(self._told_until, time.monotonic()))
                command = self.commands.get_nowait()
        except Empty:
            return False

    def _pause(self) -> float | None:
        """Seconds until something is due, None: until told."""
        now = time.monotonic()
        oldest = self.outbox.oldest()
        if oldest is None:
            return None if not self._flushes else 0.0
        due = oldest.created + self.settings.flush_interval
        if self._wants_now():
            due = now
        return max(due - now, self._retry_at - now, 0.001)

    def _wants_now(self) -> bool:
        return bool(self._flushes) or self.is_urgent or len(self.outbox) >= self.settings.flush_at

    def _is_due(self) -> bool:
        oldest = self.outbox.oldest()
        if oldest is None:
            self._read_back()
            oldest = self.outbox.oldest()
        if oldest is None:
            self.is_urgent = False
            return False
        now = time.monotonic()
        if now < self._retry_at:
            return False
        return self._wants_now() or oldest.created + self.settings.flush_interval <= now

    def _read_back(self) -> None:
        """Memory is empty: fetch what lies in the spool only."""
        if self.spool is None or time.monotonic() < self._retry_at:
            return
        for entry in self.spool.read_back(time.monotonic() - self.settings.flush_interval):
            for oldest in self.outbox.add(entry):
                if oldest.place is not None:
                    self.spool.evict(oldest.place)
                    settle([oldest], None)

    def _answer_flushes(self) -> None:
        if not self._flushes:
            return
        now = time.monotonic()
        is_all_read = self.spool is None or not self.spool.has_unread
        for flush in self._flushes[:]:
            is_done = is_all_read and not self.outbox.holds_any_up_to(flush.last)
            if is_done or now >= flush.deadline:
                flush.answer.put(is_done)
                self._flushes.remove(flush)

    # -- one request -------------------------------------------------------------------------

    def _send(self) -> None:
        batch = self.outbox.take(self._limit, MAX_BATCH_BYTES)
        if not batch:
            return
        self.in_flight = sum(entry.kind != RUNNING for entry in batch)
        try:
            self._send_batch(batch)
        finally:
            self.in_flight = 0

    def _send_batch(self, batch: list[Entry]) -> None:
        try:
            self._post(batch)
        except Unreachable as error:
            self._later(batch, None)
            self.teller.once(
                "unreachable",
                "LLMLab cannot be reached at %s (%s). Steps are kept and tried again.",
                self.settings.base_url,
                error,
            )
        except BaseException:
            # Ours, not the server's: sending the same again would only fail again.
            self.counts.rejected += sum(entry.kind != RUNNING for entry in batch)
            self._finish(batch)
            settle(batch, None)
            raise

    def _post(self, batch: list[Entry]) -> None:
        if batch[0].kind == SCORE:
            groups = []
            body = b'{"scores":[' + b",".join(entry.body for entry in batch) + b"]}"
            answer = self._transport.post("scores", body)
        else:
            groups = grouped(batch)
            body = b'{"traces":[' + b",".join(group.body() for group in groups) + b"]}"
            answer = self._transport.post("traces", body)
        logger.debug(
            "LLMLab: sent %d entries, %d bytes: HTTP %d", len(batch), len(body), answer.status
        )
        status = answer.status
        if answer.was_resent:
            _mark_tried(batch)
        if status in _DONE:
            self._succeeded()
            self._reader.accepted(answer, batch, groups)
            self._finish(batch)
        elif status == 413:
            self._halve(batch, answer)
        elif status in _MISPLACED:
            self._later(batch, answer, longest=_LONGEST_REFUSED)
            self._tell_misplaced(answer)
        elif status in _AGAIN or status >= 500:
            self._later(batch, answer)
            self.teller.once(
                f"busy {status}", "LLMLab answered HTTP %d: %s. Tried again.", status, answer.detail
            )
        else:
            self._reader.refused(batch, groups, answer.detail, status)
            self._finish(batch)

    def _succeeded(self) -> None:
        if self.failures and self.teller.forget("unreachable", "key", "place", "redirect"):
            logger.warning("LLMLab takes steps again at %s.", self.settings.base_url)
        self.failures = 0
        self._retry_at = self._told_until = 0.0
        self._limit = min(self._limit * 2, self.settings.flush_at)

    def _finish(self, batch: list[Entry]) -> None:
        if self.spool is not None:
            for entry in batch:
                if entry.place is not None:
                    self.spool.acknowledge(entry.place)

    def _later(
        self, batch: list[Entry], answer: Answer | None, longest: float = _LONGEST_PAUSE
    ) -> None:
        """Keep the batch, and wait: full jitter, or as long as the server says."""
        _mark_tried(batch)
        self.outbox.put_back(batch)
        pause = _jitter() * min(longest, _FIRST_PAUSE * 2 ** min(self.failures, 10))
        told = _retry_after(answer)
        now = time.monotonic()
        if told is not None:
            self._told_until = now + told
            pause = told * (1 + 0.1 * _jitter())
        self.failures += 1
        self.counts.retries += 1
        self._retry_at = now + pause

    def _halve(self, batch: list[Entry], answer: Answer) -> None:
        """Too large: half of it next time; one step alone loses its contents instead."""
        if len(batch) > 1:
            self._limit = len(batch) // 2
            self.outbox.put_back(batch)
            return
        entry = batch[0]
        shorter = None if entry.is_cut or entry.kind == SCORE else _without_contents(entry.body)
        if shorter is None:
            self._reader.refused(batch, [], answer.detail, 413)
            settle(batch, None)
            self._finish(batch)
            return
        self.teller.once(
            "cut", "LLMLab: a step is too large for the server; its input and output are cut."
        )
        entry.replace(shorter)
        self.outbox.put_back(batch)

    def _tell_misplaced(self, answer: Answer) -> None:
        status = answer.status
        if status in (401, 403):
            self.teller.once(
                "key",
                "LLMLab refused the key (HTTP %d: %s). Check LLMLAB_API_KEY and that it has the scope ingest."
                " Steps are kept and tried again.",
                status,
                answer.detail,
            )
        elif status == 404:
            self.teller.once(
                "place",
                "LLMLab knows no project %r for this key (HTTP 404: %s). Check LLMLAB_PROJECT and LLMLAB_BASE_URL."
                " Steps are kept and tried again.",
                self.settings.project,
                answer.detail,
            )
        else:
            self.teller.once(
                "redirect",
                "LLMLab: %s redirects to %s, which is not followed with a key. Set LLMLAB_BASE_URL to it.",
                self.settings.base_url,
                answer.headers.get("location", "elsewhere"),
            )


def _mark_tried(batch: list[Entry]) -> None:
    for entry in batch:
        entry.was_tried = True


def _jitter() -> float:
    """0 to 1, different in every process however it was forked or seeded."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _retry_after(answer: Answer | None) -> float | None:
    """Seconds the server asks to wait, at most five minutes."""
    told = answer.headers.get("retry-after") if answer is not None else None
    if not told:
        return None
    try:
        seconds = float(told)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_TOLD) if seconds == seconds else None


def _without_contents(body: bytes) -> bytes | None:
    """The step with its input and output cut, or None where there is nothing to cut."""
    import json

    step: dict[str, Any] = json.loads(body)
    for name in ("input", "output"):
        if name in step:
            step[name] = f"[cut: {len(dumps(step[name]))} bytes]"
    shorter = dumps(step)
    return shorter if len(shorter) < len(body) else None
