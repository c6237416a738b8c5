"""The spool: what was recorded survives the process in append-only files, until acknowledged.

One line per entry, each an item of the wire. A file is locked (flock) by the process that owns it;
at start the files of processes that are gone are adopted. Only the background threads come here.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any, NamedTuple

from llmlab.config import Settings
from llmlab.delivery.outbox import SCORE, STEP, Entry
from llmlab.delivery.telling import Teller
from llmlab.ids import new_step_id
from llmlab.values import dumps

_SEAL_AT = 4 * 1024 * 1024
_READ_AT_ONCE = 4 * 1024 * 1024  # at most, and a quarter of the queue


class Place(NamedTuple):
    """Where an entry lies: a file and the number of its line."""

    file: SpoolFile
    line: int


class SpoolFile:
    """One locked file and which of its lines were acknowledged."""

    def __init__(self, path: str, descriptor: int, lines: int = 0, size: int = 0) -> None:
        self.path = path
        self.descriptor = descriptor
        self.lines = lines
        self.size = size
        self.acknowledged: set[int] = set()
        # Lines before this one have been read back; -1: nothing of it has to be read back.
        self.next_line = -1
        self.offset = 0

    @property
    def is_done(self) -> bool:
        return len(self.acknowledged) >= self.lines


class Spool:
    """The files of this process in one directory."""

    def __init__(self, settings: Settings, teller: Teller) -> None:
        self.directory = settings.spool_dir
        self.max_bytes = 10 * settings.max_queue_bytes
        self.size = 0
        self._at_once = min(_READ_AT_ONCE, settings.max_queue_bytes // 4)
        self._teller = teller
        self._active: SpoolFile | None = None
        self._files: list[SpoolFile] = []
        self._lock = threading.Lock()

    @staticmethod
    def open(settings: Settings, teller: Teller) -> Spool | None:
        """A spool in the directory of the settings, or None: off, or not possible here."""
        if not settings.spool_dir:
            return None
        try:
            import fcntl  # noqa: F401 -- without it nobody could tell whose files are abandoned

            os.makedirs(settings.spool_dir, mode=0o700, exist_ok=True)
            if not os.access(settings.spool_dir, os.W_OK | os.X_OK):
                raise PermissionError("it is not writable")
        except (OSError, ValueError, ImportError) as error:
            teller.once(
                "spool", "LLMLab: no spool in %s: %s. Going on without.", settings.spool_dir, error
            )
            return None
        return Spool(settings, teller)

    # -- writing -----------------------------------------------------------------------------

    def write(self, entry: Entry) -> None:
        """Put the entry on disk and note its place in it; where that fails it stays in memory only."""
        line = entry.line
        with self._lock:
            if self.size + len(line) > self.max_bytes:
                self._teller.once(
                    "spool full", "LLMLab: the spool holds %d bytes and takes no more.", self.size
                )
                return
            try:
                file = self._writable()
                _write_whole(file, line)
            except OSError as error:
                self._teller.once("spool", "LLMLab: the spool cannot be written: %s.", error)
                return
            entry.place = Place(file, file.lines)
            file.lines += 1
            file.size += len(line)
            self.size += len(line)

    def _writable(self) -> SpoolFile:
        if self._active is None or self._active.size >= _SEAL_AT:
            path = os.path.join(self.directory, f"{os.getpid()}-{new_step_id()}.jsonl")
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            descriptor = os.open(path, flags, 0o600)
            if not _locked(descriptor):
                os.close(descriptor)
                raise OSError("a new spool file could not be locked")
            self._active = SpoolFile(path, descriptor)
            self._files.append(self._active)
        return self._active

    def acknowledge(self, place: Place) -> None:
        """The entry needs its line no more; a file of such lines is emptied or deleted."""
        file = place.file
        with self._lock:
            file.acknowledged.add(place.line)
            if file.is_done:
                self._retire(file)

    def _retire(self, file: SpoolFile) -> None:
        self.size -= file.size
        self._teller.forget("spool full")
        if file is self._active and file.size < _SEAL_AT:
            try:
                os.ftruncate(file.descriptor, 0)
            except OSError:
                self._active = None
            else:
                file.lines = file.size = file.offset = 0
                file.next_line = -1
                file.acknowledged.clear()
                return
        self._files.remove(file)
        if file is self._active:
            self._active = None
        _delete(file)

    # -- reading back ------------------------------------------------------------------------

    def evict(self, place: Place) -> None:
        """The entry gave way in memory; its line is read back when there is room."""
        with self._lock:
            # From the start once more: lines acknowledged since are skipped.
            place.file.next_line = place.file.offset = 0

    def adopt(self) -> int:
        """Take over the files of processes that are gone; answers how many."""
        count = 0
        try:
            names = sorted(os.listdir(self.directory))
        except OSError:
            return 0
        for name in names:
            if name.endswith(".jsonl") and self._adopt(os.path.join(self.directory, name)):
                count += 1
        return count

    def _adopt(self, path: str) -> bool:
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return False
        try:
            # Unlinked between listing and locking: its owner was done with it.
            if not _locked(descriptor) or os.fstat(descriptor).st_nlink == 0:
                os.close(descriptor)
                return False
            lines, size = _count_lines(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        file = SpoolFile(path, descriptor, lines, size)
        if not lines:
            _delete(file)
            return False
        file.next_line = 0
        with self._lock:
            self._files.append(file)
            self.size += size
        return True

    @property
    def has_unread(self) -> bool:
        """Whether something lies on disk only."""
        with self._lock:
            return any(file.next_line >= 0 for file in self._files)

    def read_back(self, now: float) -> list[Entry]:
        """Some entries that lie on disk only; call when nothing waits in memory."""
        with self._lock:
            file = next((one for one in self._files if one.next_line >= 0), None)
            if file is None:
                return []
            if file is self._active:
                self._active = None  # what comes now goes into another file
            entries, broken = _read(file, now, self._at_once)
            file.acknowledged.update(broken)
            if file.is_done:
                self._retire(file)
        return entries

    # -- ending ------------------------------------------------------------------------------

    def close(self) -> None:
        """Unlock everything: what is left belongs to whoever starts next."""
        with self._lock:
            for file in self._files:
                if file.is_done:
                    _delete(file)
                else:
                    os.close(file.descriptor)
            self._files.clear()
            self._active = None

    def abandon(self) -> None:
        """In a forked child: the files are the parent's. Closing a copy does not unlock them."""
        for file in self._files:
            try:
                os.close(file.descriptor)
            except OSError:
                pass
        self._files.clear()


def _locked(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_whole(file: SpoolFile, line: bytes) -> None:
    """All of the line or nothing: a full disk must not leave half a line before the next."""
    written = 0
    try:
        while written < len(line):
            written += os.write(file.descriptor, line[written:])
    except OSError:
        if written:
            os.ftruncate(file.descriptor, file.size)
        raise


def _delete(file: SpoolFile) -> None:
    try:
        os.unlink(file.path)
    except OSError:
        pass  # somebody tidied up
    os.close(file.descriptor)


def _count_lines(descriptor: int) -> tuple[int, int]:
    """Whole lines and bytes; the last line of a killed process may be cut short and counts too."""
    lines = size = 0
    last = b"\n"
    while True:
        chunk = os.pread(descriptor, 1 << 20, size)
        if not chunk:
            return lines + (last != b"\n"), size
        lines += chunk.count(b"\n")
        size += len(chunk)
        last = chunk[-1:]


def _read(file: SpoolFile, now: float, at_once: int) -> tuple[list[Entry], list[int]]:
    """Entries of the next stretch of the file, and the numbers of lines that cannot be read."""
    entries: list[Entry] = []
    broken: list[int] = []
    begin = file.offset
    with os.fdopen(os.dup(file.descriptor), "rb") as stream:
        stream.seek(file.offset)
        for line in stream:
            number = file.next_line
            file.next_line += 1
            file.offset += len(line)
            if number not in file.acknowledged:
                entry = _entry(line, now)
                if entry is None:
                    broken.append(number)
                else:
                    entry.place = Place(file, number)
                    entries.append(entry)
            if file.offset - begin >= at_once:
                return entries, broken
    file.next_line, file.offset = -1, 0
    return entries, broken


def _entry(line: bytes, now: float) -> Entry | None:
    try:
        item: dict[str, Any] = json.loads(line)
        if "score" in item:
            return Entry(SCORE, (SCORE,), b"", dumps(item["score"]), now)
        steps = item.pop("steps")
        entry = Entry(
            STEP,
            (item["trace_id"], item.get("root_id"), None),
            dumps(item)[:-1],
            b",".join(map(dumps, steps)),
            now,
        )
        entry.step_id = str(steps[0]["id"]) if steps else ""
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
    return entry
