"""What is encoded and waits to be sent: bounded by bytes, the oldest gives way."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmlab.budgets import Budget
    from llmlab.delivery.spool import Place

STEP, RUNNING, SCORE = "step", "running", "score"
# What an entry costs in memory beside its bytes.
_OVERHEAD = 500


class Entry:
    """One step or score as JSON, and the head of the item it belongs into."""

    __slots__ = (
        "body",
        "budget",
        "created",
        "head",
        "is_cut",
        "key",
        "kind",
        "number",
        "place",
        "size",
        "step_id",
        "was_tried",
    )

    def __init__(
        self, kind: str, key: tuple[Any, ...], head: bytes, body: bytes, created: float
    ) -> None:
        self.kind = kind
        # Steps of one key travel in one item: trace, local root and the budget that pays.
        self.key = key
        self.head = head
        self.body = body
        self.created = created
        self.size = len(head) + len(body) + _OVERHEAD
        self.step_id = ""
        # Counted up as entries are added: whoever flushes waits for all up to one number.
        self.number = 0
        self.budget: Budget | None = None
        self.place: Place | None = None
        self.is_cut = False
        # Sent before without an answer that says what became of it.
        self.was_tried = False

    def replace(self, body: bytes) -> None:
        """A shorter body for what was too large."""
        self.body = body
        self.size = len(self.head) + len(body) + _OVERHEAD
        self.is_cut = True

    @property
    def line(self) -> bytes:
        """The spool's form: an item of its own."""
        if self.kind == SCORE:
            return b'{"score":' + self.body + b"}\n"
        return self.head + b',"steps":[' + self.body + b"]}\n"


class Outbox:
    """Entries in order. Only the two background threads take its lock."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.last_number = 0
        self._entries: deque[Entry] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> list[Entry]:
        """Append; answers the oldest entries that had to give way."""
        with self._lock:
            self.last_number += 1
            entry.number = self.last_number
            self._entries.append(entry)
            self.bytes += entry.size
            pushed_out = []
            while self.bytes > self.max_bytes and self._entries:
                oldest = self._entries.popleft()
                self.bytes -= oldest.size
                pushed_out.append(oldest)
            return pushed_out

    def ended(self) -> int:
        """How many wait that would be missed, announcements not counted."""
        with self._lock:
            return sum(entry.kind != RUNNING for entry in self._entries)

    def oldest(self) -> Entry | None:
        """What has waited longest."""
        try:
            return self._entries[0]
        except IndexError:
            return None

    def take(self, most: int, max_bytes: int) -> list[Entry]:
        """The next batch, at least one entry: all for one door, so scores and steps may overtake
        each other; among themselves they stay in order.
        """
        batch: list[Entry] = []
        skipped: list[Entry] = []
        total = 0
        with self._lock:
            while self._entries and len(batch) < most and len(skipped) < 4 * most:
                entry = self._entries[0]
                if batch and total + entry.size > max_bytes:
                    break
                self._entries.popleft()
                if batch and (entry.kind == SCORE) != (batch[0].kind == SCORE):
                    skipped.append(entry)
                    continue
                batch.append(entry)
                total += entry.size
            self._entries.extendleft(reversed(skipped))
            self.bytes -= total
        return batch

    def holds_any_up_to(self, number: int) -> bool:
        """Whether something added by then still waits."""
        with self._lock:
            return any(entry.number <= number for entry in self._entries)

    def put_back(self, batch: list[Entry]) -> None:
        """Return what could not be sent to the front, in order."""
        with self._lock:
            self._entries.extendleft(reversed(batch))
            self.bytes += sum(entry.size for entry in batch)
