"""The answer to the very same request: a copy in Redis first, then PostgreSQL, many questions in one query.

A copy's name holds the version of the organisation's rules: what invalidates answers bumps it (gateway.snapshot.touch),
so a copy made by a reader that was overtaken is never found again. Neither Redis nor PostgreSQL being away fails a
call: then it is a miss.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, InterfaceError, connection
from redis.exceptions import RedisError

from core import crypto
from gateway.cache.kept import Hit, Kept, hit_of, is_fresh, open_contents, pack_kept, unpack_kept
from gateway.queues.link import Link
from gateway.snapshot import Snapshot
from gateway.structs import CachePlan

logger = logging.getLogger(__name__)

# Each keeps a connection to PostgreSQL open: to make one costs ten times as much as what is asked.
THREADS = 1
MAX_BATCH = 200
# A call waits no longer than this for either store; what answers later is still copied to Redis.
REDIS_S = 0.2
POSTGRES_S = 0.5
# After a failure PostgreSQL is left alone for so long.
PAUSE_S = 2.0
COPY_S = 3600
MAX_COPY = 256 * 1024

COLUMNS = (
    "c.id, c.sealed, coalesce(c.cost_usd::text, ''), extract(epoch FROM c.created_at),"
    " extract(epoch FROM c.expires_at), c.facts"
)
_READ = (
    f"SELECT c.project_id, c.key, {COLUMNS}"  # noqa: S608 (a constant)
    " FROM unnest(%s::uuid[], %s::text[]) AS asked(project_id, key)"
    " JOIN gateway_cachedresponse c ON c.project_id = asked.project_id AND c.key = asked.key"
)
_Place = tuple[str, str]  # project, key


class ExactCache:
    """One per event loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._threads: ThreadPoolExecutor | None = None
        self._asked: dict[_Place, asyncio.Future[Kept | None]] = {}
        self._reading = 0
        self._is_due = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0

    async def lookup(self, plan: CachePlan, snapshot: Snapshot, *, now: float) -> Hit | None:
        """The kept answer of this very request that is young enough, or None. Asks nothing for a plan that does not
        read. `now`: seconds since 1970."""
        if not plan.reads:
            return None
        project = snapshot.project_id
        name = f"gwc:{{{project}}}:{snapshot.version}:{plan.key}"
        kept = await self._copy(name)
        if kept is None:
            kept = await self._stored((project, plan.key))
            if kept is not None and is_fresh(kept, plan, now):
                self._keep_copy(name, kept, now)
        if kept is None or not is_fresh(kept, plan, now):
            return None
        try:
            cipher = crypto.data_cipher(snapshot.data_key)
            contents = open_contents(cipher, UUID(hex=project), plan.key, kept.sealed)
        except (crypto.DecryptionError, msgspec.MsgspecError):
            logger.warning("gateway.cache.sealed_otherwise")
            return None
        return hit_of(kept, contents.answer)

    async def close(self) -> None:
        """Let the threads go."""
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._threads is not None:
            threads, self._threads = self._threads, None
            await asyncio.to_thread(end_threads, threads, THREADS)

    async def _copy(self, name: str) -> Kept | None:
        try:
            async with asyncio.timeout(REDIS_S):
                found = await self._link.send("GET", name)
        except (TimeoutError, OSError, RedisError) as error:
            logger.warning("gateway.cache.redis_away: %s", type(error).__name__)
            return None
        try:
            return unpack_kept(found) if found else None
        except msgspec.MsgspecError:
            return None

    def _keep_copy(self, name: str, kept: Kept, now: float) -> None:
        left = int(min(COPY_S, kept.expires_at - now))
        if left > 0 and len(kept.sealed) <= MAX_COPY:
            self._link.send("SET", name, pack_kept(kept), "EX", left)

    async def _stored(self, place: _Place) -> Kept | None:
        """From PostgreSQL, together with whatever else is asked at this moment."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until:
            return None
        future = self._asked.get(place)
        if future is None:
            future = self._asked[place] = loop.create_future()
            if not self._is_due:
                self._is_due = True
                loop.call_soon(self._ask)
        try:
            async with asyncio.timeout(POSTGRES_S):
                return await asyncio.shield(future)
        except TimeoutError:
            self._paused_until = loop.time() + PAUSE_S
            logger.warning("gateway.cache.postgres_slow")
            return None

    def _ask(self) -> None:
        """Start a query for all that wait; while all threads read, they wait for the next one."""
        self._is_due = False
        if not self._asked or self._reading >= THREADS:
            return
        batch = dict(list(self._asked.items())[:MAX_BATCH])
        for place in batch:
            del self._asked[place]
        self._reading += 1
        task = asyncio.ensure_future(self._answer(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: "dict[_Place, asyncio.Future[Kept | None]]") -> None:
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-cache")
        found: dict[_Place, Kept] = {}
        try:
            found = await loop.run_in_executor(self._threads, read, list(batch))
        except (DatabaseError, InterfaceError) as error:
            self._paused_until = loop.time() + PAUSE_S
            logger.warning("gateway.cache.postgres_away: %s", type(error).__name__)
        finally:
            self._reading -= 1
            for place, future in batch.items():
                if not future.done():
                    future.set_result(found.get(place))
            self._ask()


def end_threads(threads: ThreadPoolExecutor, count: int) -> None:
    """Close what the threads of a pool hold, then end them."""
    together = Barrier(count)

    def end() -> None:
        with suppress(BrokenBarrierError):
            together.wait(2)  # so that each thread gets one
        connection.close()

    for _ in range(count):
        threads.submit(end)
    threads.shutdown()


def read(places: list[_Place]) -> dict[_Place, Kept]:
    """The rows of these keys. One query. Raises DatabaseError."""
    projects, keys = [list(column) for column in zip(*places, strict=True)]
    try:
        with connection.cursor() as cursor:
            cursor.execute(_READ, [projects, keys])
            return {
                (project.hex, key): kept_of(*columns)
                for project, key, *columns in cursor.fetchall()
            }
    except (DatabaseError, InterfaceError):
        connection.close()  # the next question begins anew
        raise


def kept_of(
    row_id: UUID, sealed: Any, cost: str, created_at: Any, expires_at: Any, facts: Any
) -> Kept:
    """A row of COLUMNS."""
    if type(facts) is not dict:
        facts = msgspec.json.decode(facts)
    return Kept(
        id=row_id.hex,
        sealed=bytes(sealed),
        cost_usd=cost,
        created_at=float(created_at),
        expires_at=float(expires_at),
        provider=facts.get("provider", ""),
        model=facts.get("model", ""),
        finish_reason=facts.get("finish_reason", ""),
        input_tokens=facts.get("input_tokens"),
        output_tokens=facts.get("output_tokens"),
    )
