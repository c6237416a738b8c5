"""Records what dead processes of this machine left in their journals: ends once, beginnings without an end as lost.

Any process may do it; who holds a dead owner's lock file does. Killed on the way, the next one starts again, and what
was recorded already changes nothing.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

from gateway.recording.journal import Journal, remains
from gateway.recording.lost import lost
from gateway.structs import Finished

logger = logging.getLogger(__name__)

BATCH = 500
BATCH_BYTES = 16 * 1024 * 1024
SET_ASIDE = "set-aside"

Write = Callable[..., Any]


def is_away(error: Exception) -> bool:
    """Whether this is PostgreSQL's trouble (gone, full, read-only, not migrated yet) and will pass, not the calls'."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if state.startswith("54"):  # a value beyond what PostgreSQL can hold
        return False
    return isinstance(error, (OperationalError, InterfaceError, InternalError, ProgrammingError))


def replay(*, directory: Path, write: Write, clock: Callable[[], dt.datetime]) -> int:
    """Record what is left of dead owners in `directory`; how many calls that were.

    Raises what `is_away` when PostgreSQL is: what is not recorded stays.
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
    """Write all in batches; how many it were. What PostgreSQL will not take is set aside."""
    batch: list[Finished] = []
    aside: list[Finished] = []
    size = number = 0
    for one in finished:
        batch.append(one)
        size += len(one.call.body) + len(one.answer)
        number += 1
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            aside += write_or_halve(batch, write, clock)
            batch, size = [], 0
    aside += write_or_halve(batch, write, clock)
    set_aside(directory / SET_ASIDE, aside)
    return number - len(aside)


def write_or_halve(
    batch: list[Finished], write: Write, clock: Callable[[], dt.datetime]
) -> list[Finished]:
    """Write the batch; returns those that cannot be, so that the others need not wait for them."""
    if not batch:
        return []
    try:
        write(batch, now=clock())
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("gateway.recording.failed")
        if len(batch) == 1:
            return batch
        middle = len(batch) // 2
        return write_or_halve(batch[:middle], write, clock) + write_or_halve(
            batch[middle:], write, clock
        )
    return []


def set_aside(directory: Path, finished: list[Finished]) -> None:
    """Keep ends that could not be recorded, as a journal of their own: moved up again it is replayed."""
    if not finished:
        return
    journal = Journal(directory)
    for one in finished:
        logger.error("gateway.recording.set_aside", extra={"call_id": one.call.id})
        journal.finish(one)
    journal.close()
