"""Snapshots for a loop that must not wait for PostgreSQL: read in a thread, the last one used meanwhile."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

from django.db import close_old_connections, connections

from costs.services.rule_cache import load_rules
from gateway.snapshot import FRESH_S, Snapshot, snapshot_of

# A snapshot this old is still used for a call while a newer one is read.
USABLE_S = 3.0
MAX_KEPT = 2_000
THREADS = 2


class Snapshots:
    """What the engine knows of projects. Belongs to one loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-snapshot")
        self._kept: dict[str, tuple[Snapshot, float]] = {}
        self._reading: dict[str, asyncio.Task[Snapshot]] = {}

    async def get(self, organization_id: str, project_id: str, connection: str = "") -> Snapshot:
        """At most USABLE_S old while PostgreSQL answers; else as gateway.snapshot says. Raises DatabaseError.

        The door that chose `connection` may know a newer one than is kept here: then it is read again.
        """
        found = await self._get(organization_id, project_id)
        if connection and connection not in found.connections:
            found = await self._read(organization_id, project_id, fresh_s=0.0)
        return found

    async def _get(self, organization_id: str, project_id: str) -> Snapshot:
        kept = self._kept.get(project_id)
        age = time.monotonic() - kept[1] if kept else USABLE_S
        if kept is not None and age < FRESH_S:
            return kept[0]
        task = self._reading.get(project_id)
        if task is None:
            task = asyncio.ensure_future(self._read(organization_id, project_id))
            self._reading[project_id] = task
            task.add_done_callback(lambda done: self._done(project_id, done))
        if kept is not None and age < USABLE_S:
            return kept[0]
        return await asyncio.shield(task)

    async def _read(
        self, organization_id: str, project_id: str, *, fresh_s: float = FRESH_S
    ) -> Snapshot:
        at = time.monotonic()
        loop = asyncio.get_running_loop()
        is_new = project_id not in self._kept
        found = await loop.run_in_executor(
            self._threads, _snapshot, UUID(organization_id), UUID(project_id), at, fresh_s, is_new
        )
        if len(self._kept) >= MAX_KEPT and project_id not in self._kept:
            self._kept.pop(next(iter(self._kept)))
        self._kept[project_id] = (found, at)
        return found

    def _done(self, project_id: str, task: "asyncio.Task[Snapshot]") -> None:
        self._reading.pop(project_id, None)
        if not task.cancelled():
            task.exception()  # whoever waits is told; a reading ahead may fail in silence

    def close(self) -> None:
        # Each thread has a connection of its own; together, so that each does it once.
        meeting = threading.Barrier(THREADS, timeout=5.0)
        for _ in range(THREADS):
            self._threads.submit(_disconnect, meeting)
        self._threads.shutdown()


def _disconnect(meeting: threading.Barrier) -> None:
    with suppress(threading.BrokenBarrierError):
        meeting.wait()
    connections.close_all()


def _snapshot(
    organization_id: UUID, project_id: UUID, now: float, fresh_s: float, is_new: bool
) -> Snapshot:
    close_old_connections()
    if is_new:
        # What the answers' cost headers are priced with; from then on the recorder keeps them fresh.
        load_rules(project_id)
    return snapshot_of(organization_id, project_id, now=now, fresh_s=fresh_s)
