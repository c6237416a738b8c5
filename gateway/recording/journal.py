"""What calls began and how they ended, on this machine's disk before PostgreSQL has it; survives kill -9.

One owner (process) writes one row of segment files beside a lock file that it holds. A record is a length, a kind and
sealed msgpack; a torn last one is ignored. Segments go from the oldest on, when all that ended in them is recorded and
all that began in them has ended. Nothing is synced to the disk: what the machine itself loses when its power fails is
the last seconds (docs/gateway.md).
"""

import fcntl
import logging
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from core import crypto
from gateway.structs import Call, Finished, pack, unpack_call, unpack_finished

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
LOCK = ".lock"
BEGUN, ENDED, DROPPED = b"b", b"f", b"x"
_HEAD = struct.Struct("<Ic")


class Place(NamedTuple):
    """Where a record ends, or the next one begins."""

    segment: int
    offset: int


class _Segment:
    """One file; `pins` are records in it that are still needed."""

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number = path, number
        self.size = self.pins = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.fd = os.open(path, flags, 0o600)


class Journal:
    """A process's own journal. Safe from several threads; not across a fork."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises OSError when the directory cannot be written."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory, self.segment_bytes = directory, segment_bytes
        self.owner = f"{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(3)}"
        wrapped = crypto.new_data_key()
        self._cipher = crypto.data_cipher(wrapped)
        # Held before others can see it: who gets a lock file's lock knows that its owner is dead.
        hidden = directory / f".{self.owner}{LOCK}"
        self._lock_fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        os.write(self._lock_fd, wrapped)
        self._lock_path = hidden.rename(directory / f"{self.owner}{LOCK}")
        self._guard = threading.Lock()
        self._begun: dict[str, _Segment] = {}
        self._segments: list[_Segment] = []
        self._count = 0
        self._is_closed = False
        self._open_segment()

    def begin(self, call: Call) -> None:
        """Write that the call is about to be made. Without an end it will be recorded as lost."""
        with self._guard:
            self._release(call.id)
            segment, _ = self._append(BEGUN, pack(call))
            segment.pins += 1
            self._begun[call.id] = segment

    def drop(self, call_id: str) -> None:
        """Write that the call that began here was not made after all."""
        with self._guard:
            if call_id in self._begun:
                self._append(DROPPED, call_id.encode())
                self._release(call_id)
                self._tidy()

    def finish(self, finished: Finished) -> Place:
        """Write how the call ended; its segment stays until `committed` is told of it."""
        data = pack(finished)
        with self._guard:
            segment, start = self._append(ENDED, data)
            segment.pins += 1
            self._release(finished.call.id)
            return Place(segment.number, start)

    def committed(self, segments: Iterable[int]) -> None:
        """What ended in these segments (one number per record) is recorded."""
        with self._guard:
            by_number = {segment.number: segment for segment in self._segments}
            for number in segments:
                by_number[number].pins -= 1
            self._tidy()

    def read(
        self, place: Place, *, most: int, most_bytes: int
    ) -> tuple[list[tuple[Finished, Place]], Place]:
        """What ended from `place` on, at least one record if there is one, and where to go on."""
        with self._guard:
            ends = [(one.number, one.path, one.size) for one in self._segments]
        found: list[tuple[Finished, Place]] = []
        size = 0
        for number, path, end in ends:
            if number < place.segment:
                continue
            start = place.offset if number == place.segment else 0
            place = Place(number, start)
            for kind, data, offset in records(path, self._cipher, start=start, end=end):
                if found and (len(found) >= most or size + len(data) > most_bytes):
                    return found, place
                if kind == ENDED:
                    found.append((unpack_finished(data), place))
                    size += len(data)
                place = Place(number, offset)
        return found, place

    @property
    def end(self) -> Place:
        """Where the next record goes."""
        with self._guard:
            return Place(self._segments[-1].number, self._segments[-1].size)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._guard:
            return sum(segment.size for segment in self._segments)

    def show_life(self) -> None:
        """Let those who find this journal later know until when its owner lived, if calls are under way."""
        if self._begun and not self._is_closed:
            with suppress(OSError):
                os.utime(self._lock_path)

    def close(self) -> None:
        """Let go. What is not recorded stays for others to replay."""
        with self._guard:
            self._is_closed = True
            is_done = not any(segment.pins for segment in self._segments)
            for segment in self._segments:
                os.close(segment.fd)
                if is_done:
                    segment.path.unlink(missing_ok=True)
            if is_done:
                self._lock_path.unlink(missing_ok=True)
            os.close(self._lock_fd)

    def abandon(self) -> None:
        """In a fork's child: the files are the parent's, and this process must not keep them locked."""
        self._is_closed = True
        for fd in (*(segment.fd for segment in self._segments), self._lock_fd):
            with suppress(OSError):
                os.close(fd)

    def _append(self, kind: bytes, plain: bytes) -> tuple[_Segment, int]:
        if self._is_closed:  # the numbers of its files may be others' by now
            raise OSError("The journal is closed.")
        segment = self._segments[-1]
        if segment.size >= self.segment_bytes:
            segment = self._open_segment()
        sealed = crypto.seal(self._cipher, plain, kind)
        record = _HEAD.pack(len(sealed), kind) + sealed
        start = segment.size
        try:
            if os.write(segment.fd, record) != len(record):
                raise OSError("The disk is full.")
        except OSError:
            # No torn record in the middle: what follows must stay readable.
            os.ftruncate(segment.fd, start)
            raise
        segment.size += len(record)
        return segment, start

    def _open_segment(self) -> _Segment:
        path = self.directory / f"{self.owner}.{self._count:08d}"
        segment = _Segment(path, self._count)
        self._count += 1
        self._segments.append(segment)
        return segment

    def _release(self, call_id: str) -> None:
        segment = self._begun.pop(call_id, None)
        if segment is not None:
            segment.pins -= 1

    def _tidy(self) -> None:
        """From the oldest on: an end is never gone while its beginning is still there."""
        while len(self._segments) > 1 and not self._segments[0].pins:
            segment = self._segments.pop(0)
            os.close(segment.fd)
            segment.path.unlink(missing_ok=True)
        last = self._segments[-1]
        if len(self._segments) == 1 and last.size and not last.pins:
            os.ftruncate(last.fd, 0)
            last.size = 0


def records(
    path: Path, cipher: crypto.Cipher, *, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, content and end of each whole record; stops at one that is torn or altered."""
    with path.open("rb") as file:
        limit = os.fstat(file.fileno()).st_size if end is None else end
        file.seek(start)
        while start + _HEAD.size <= limit:
            size, kind = _HEAD.unpack(file.read(_HEAD.size))
            start += _HEAD.size + size
            if start > limit:
                return
            try:
                plain = crypto.unseal(cipher, file.read(size), kind)
            except (crypto.DecryptionError, InvalidTag, ValueError):
                logger.warning("gateway.journal.unreadable", extra={"path": str(path)})
                return
            yield kind, plain, start


class Remains:
    """A dead owner's journal, held by whoever opened it."""

    def __init__(self, lock_path: Path, lock_fd: int) -> None:
        self._lock_path, self._lock_fd = lock_path, lock_fd
        self._cipher = crypto.data_cipher(os.pread(lock_fd, 64 * 1024, 0))
        owner = lock_path.name.removesuffix(LOCK)
        self.segments = sorted(lock_path.parent.glob(f"{owner}.[0-9]*"))

    def unended(self) -> list[tuple[Call, float]]:
        """Calls that began and did not end, and when their owner last gave a sign of life."""
        begun: dict[str, Call] = {}
        for path in self.segments:
            for kind, data, _ in records(path, self._cipher):
                if kind == BEGUN:
                    call = unpack_call(data)
                    begun[call.id] = call
                elif kind == ENDED:
                    begun.pop(unpack_finished(data).call.id, None)
                else:
                    begun.pop(data.decode(), None)
        alive_at = max(path.stat().st_mtime for path in (*self.segments, self._lock_path))
        return [(call, alive_at) for call in begun.values()]

    def ended(self, path: Path) -> Iterator[Finished]:
        """What ended in one of `segments`."""
        for kind, data, _ in records(path, self._cipher):
            if kind == ENDED:
                yield unpack_finished(data)

    def remove(self) -> None:
        """All of it is recorded."""
        for path in self.segments:
            path.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._lock_fd)


def remains(directory: Path) -> Iterator[Remains]:
    """The journals of dead owners, oldest first, each held while it is looked at."""
    for path in sorted(directory.glob(f"[!.]*{LOCK}")):
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its owner lives, or another one replays it
            os.close(fd)
            continue
        if not os.fstat(fd).st_nlink:  # replayed between our open and our lock
            os.close(fd)
            continue
        try:
            found = Remains(path, fd)
        except crypto.DecryptionError:
            logger.exception("gateway.journal.sealed_with_a_lost_key", extra={"path": str(path)})
            os.close(fd)
            continue
        try:
            yield found
        finally:
            found.close()
