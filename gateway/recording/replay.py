"""Records what dead processes of this machine left in their journals: ends once, beginnings without an end as lost.

Any process may do it; who holds a dead owner's lock file does. Killed on the way, the next one starts again, and what
was recorded already changes nothing.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, OperationalError

from gateway.recording.journal import Journal, remains
from gateway.recording.lost import lost
from gateway.structs import Finished

logger = logging.getLogger(__name__)

BATCH = 500
BATCH_BYTES = 16 * 1024 * 1024
SET_ASIDE = "set-aside"

Write = Callable[..., Any]


def replay(*, directory: Path, write: Write, clock: Callable[[], dt.datetime]) -> int:
    """Record what is left of dead owners in `directory`; how many calls that were.

    Raises OperationalError when PostgreSQL is away: what is not recorded stays.
    """
    total = 0
    for found in remains(directory):
        begun = [lost(call, at=at) for call, at in found.unended()]
        number = _write_all(begun, directory, write, clock)
        for path in found.segments:
            number += _write_all(found.ended(path), directory, write, clock)
            # From the oldest on, so that no end is gone before its beginning.
            path.unlink(missing_ok=True)
        found.remove()
        total += number
        if number:
            extra = {"calls": number, "lost": len(begun)}
            logger.warning("gateway.journal.replayed", extra=extra)
    return total


def _write_all(
    finished: Iterable[Finished], directory: Path, write: Write, clock: Callable[[], dt.datetime]
) -> int:
    batch: list[Finished] = []
    size = number = 0
    for one in finished:
        batch.append(one)
        size += len(one.call.body) + len(one.answer)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            number += _write_batch(batch, directory, write, clock)
            batch, size = [], 0
    return number + _write_batch(batch, directory, write, clock)


def _write_batch(
    batch: list[Finished], directory: Path, write: Write, clock: Callable[[], dt.datetime]
) -> int:
    """One that PostgreSQL will not take is set aside, so that the others need not wait for it."""
    if not batch:
        return 0
    try:
        write(batch, now=clock())
    except OperationalError:
        raise
    except (DataError, IntegrityError, ValueError, TypeError, ArithmeticError):
        logger.exception("gateway.recording.failed")
        if len(batch) == 1:
            set_aside(directory / SET_ASIDE, batch[0])
            return 0
        middle = len(batch) // 2
        for part in (batch[:middle], batch[middle:]):
            _write_batch(part, directory, write, clock)
    return len(batch)


def set_aside(directory: Path, finished: Finished) -> None:
    """Keep an end that could not be recorded, as a journal of its own: moved up again it is replayed."""
    journal = Journal(directory)
    journal.finish(finished)
    journal.close()
