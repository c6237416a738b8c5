"""What the door asks before a call goes out: may it, and what is left.

    quotas = Quotas()                       # one per process, used on its event loop
    outcome = await quotas.reserve(call, snapshot, bounds)
    …
    await quotas.release(call)              # it was refused after all, before anybody took it

Calls that come while a transaction runs wait for the next one, together. Without limits and hard budgets there is no
query. While PostgreSQL is away what is known holds (gateway.quotas.offline).
"""

import asyncio
import datetime as dt
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from core.ids import uuid7
from gateway.models import LimitMetric
from gateway.quotas import deciding, owners, settling
from gateway.quotas.bounds import Bounds
from gateway.quotas.deciding import FREE, Granted, Refused
from gateway.quotas.granting import Asked, Known, grant
from gateway.quotas.lines import Line, is_bounding, lines_of
from gateway.quotas.offline import Offline
from gateway.snapshot import Snapshot
from gateway.structs import Call

logger = logging.getLogger(__name__)

MAX_BATCH = 256
# How long PostgreSQL is left alone after it did not answer.
PAUSE_S = 1.0
# Two processes that met in a circle, or one that had to wait too long: asked again.
_AGAIN = frozenset({"40P01", "40001", "55P03"})
# The same, and a statement that took too long.
_BUSY = _AGAIN | {"57014"}
# Shut down, starting, or a standby that is not yet the primary.
_AWAY = ("08", "57P", "25006")
MAX_TRIES = 3
T = TypeVar("T")

__all__ = ["Granted", "Quotas", "Refused"]


class Quotas:
    """Reserves for the calls of one process. Belongs to the loop it is used in; `close` ends its thread."""

    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid7().hex[-12:]}"
        self._asked: list[tuple[Asked, asyncio.Future[Granted | Refused]]] = []
        self._released: list[Call] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "quotas")
        self._known = Known()
        self._offline = Offline(self._known)
        self._retry_at = 0.0
        self._signs = owners.Signs(self.owner)
        self._beating: asyncio.Task[None] | None = None

    async def reserve(self, call: Call, snapshot: Snapshot, bounds: Bounds) -> Granted | Refused:
        """Set aside what the call can use at most, in every limit and hard budget that counts it; all or nothing.

        Marks a call that was granted: `has_reservation`, and its bounds. Never raises for PostgreSQL's sake.
        """
        call.max_input_tokens = bounds.input_tokens
        call.max_output_tokens = bounds.output_tokens
        if not snapshot.limits and not snapshot.budgets:
            return FREE
        at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
        lines = lines_of(call, snapshot, bounds, at)
        call.is_bounded = any(map(is_bounding, lines))
        return await self.reserve_lines(call, lines, unpriced=bounds.unpriced)

    async def reserve_lines(
        self, call: Call, lines: list[Line], *, unpriced: str = ""
    ) -> Granted | Refused:
        """As `reserve`, for who knows what each limit is to count (gateway.batches); `unpriced` names what has no
        price."""
        if not lines:
            return FREE
        if unpriced:
            money = next((line for line in lines if line.is_money and line.is_hard), None)
            if money is not None:
                return deciding.unpriced(money, unpriced)
        at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
        return await self._ask(call, lines, at)

    async def count_hit(self, call: Call, snapshot: Snapshot) -> Granted | Refused:
        """A kept answer is a request like any other, but costs nothing: only limits of requests count it."""
        if all(one.metric != LimitMetric.REQUESTS for one in snapshot.limits):
            return FREE
        at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
        lines = lines_of(call, snapshot, Bounds(), at)
        counting = [line for line in lines if line.metric == LimitMetric.REQUESTS]
        return await self._ask(call, counting, at) if counting else FREE

    async def _ask(self, call: Call, lines: list[Line], at: dt.datetime) -> Granted | Refused:
        future: asyncio.Future[Granted | Refused] = asyncio.get_running_loop().create_future()
        call.has_reservation = True
        self._asked.append((Asked(call, lines, at), future))
        self._wake()
        try:
            outcome = await future
        except asyncio.CancelledError:
            # Whatever was decided, nobody goes on with the call.
            self._give_back(call)
            raise
        call.has_reservation = isinstance(outcome, Granted)
        return outcome

    async def release(self, call: Call) -> None:
        """Give back all that was set aside for a call that nobody begins; no matter if nothing was."""
        if call.has_reservation:
            self._give_back(call)

    async def close(self) -> None:
        """Finish what was asked, say goodbye."""
        if self._beating is not None:
            self._beating.cancel()
        while self._worker is not None:
            await asyncio.shield(self._worker)
        await self._run(self._goodbye)
        self._thread.shutdown(wait=False)

    def _give_back(self, call: Call) -> None:
        call.has_reservation = False
        self._released.append(call)
        self._wake()

    def _wake(self) -> None:
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        if self._beating is None:
            self._beating = loop.create_task(self._beat())

    async def _beat(self) -> None:
        """Signs of life, and what was granted while PostgreSQL was away, also when no call comes."""
        while True:
            await asyncio.sleep(owners.EVERY_S)
            await self._run(lambda: self._turn([], []))

    async def _work(self) -> None:
        try:
            while self._asked or self._released:
                batch, self._asked = self._asked[:MAX_BATCH], self._asked[MAX_BATCH:]
                released, self._released = self._released, []
                outcomes = await self._run(
                    lambda batch=batch, released=released: self._turn(  # type: ignore[misc]
                        [one for one, _ in batch], released
                    )
                )
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    if not future.done():
                        future.set_result(outcome)
        finally:
            self._worker = None
            if self._asked or self._released:
                self._wake()

    async def _run(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    def _turn(self, asked: Sequence[Asked], released: Sequence[Call]) -> list[Granted | Refused]:
        """In the thread: everything that came since the last turn."""
        now = dt.datetime.now(dt.UTC)
        self._signs.give()
        # What is given back in this turn may be of a call that is asked for in it: it goes last.
        if self._offline.since is not None and time.monotonic() < self._retry_at:
            outcomes = self._offline.grant(asked)
            self._give(released, now)
            return outcomes
        try:
            self._write_back(now)
            outcomes = self._grant(asked, now)
        except (DatabaseError, InterfaceError):
            self._lose(now)
            outcomes = self._offline.grant(asked)
        self._give(released, now)
        return outcomes

    def _grant(self, asked: Sequence[Asked], now: dt.datetime) -> list[Granted | Refused]:
        """Raises DatabaseError when PostgreSQL is away. What it objects to is refused: one call's fault is not the
        others'."""
        if not asked:
            return []
        try:
            return again(lambda: grant(asked, owner=self.owner, known=self._known, now=now))
        except Exception as error:
            if is_away(error):
                raise
            logger.exception("gateway.quotas.failed", extra={"calls": len(asked)})
            if len(asked) > 1 and sqlstate(error) not in _BUSY:
                return [outcome for one in asked for outcome in self._grant([one], now)]
        return [deciding.unavailable(one.lines[0]) for one in asked]

    def _write_back(self, now: dt.datetime) -> None:
        try:
            again(lambda: self._offline.write_back(owner=self.owner, now=now))
        except (DatabaseError, InterfaceError) as error:
            if is_away(error):
                raise
            # Written again it would fail again: what these calls used is charged when they are recorded.
            logger.exception("gateway.quotas.not_written", extra={"calls": self._offline.drop()})

    def _give(self, released: Sequence[Call], now: dt.datetime) -> None:
        rest = [call for call in released if not self._offline.release(call.id)]
        if not rest:
            return
        try:
            with transaction.atomic():
                settling.release(rest)
        except (DatabaseError, InterfaceError):
            # The sweeper gives it back when its time has run out.
            logger.warning("gateway.quotas.release_failed", extra={"calls": len(rest)})
            self._lose(now)

    def _lose(self, now: dt.datetime) -> None:
        self._offline.begin(now)
        self._retry_at = time.monotonic() + PAUSE_S
        connection.close()

    def _goodbye(self) -> None:
        self._signs.end()
        connection.close()


def again(what: Callable[[], T]) -> T:
    """Repeat a transaction that PostgreSQL broke off for others' sake."""
    for left in range(MAX_TRIES - 1, -1, -1):
        try:
            return what()
        except OperationalError as error:
            if sqlstate(error) not in _AGAIN or not left:
                raise
    raise AssertionError  # pragma: no cover


def sqlstate(error: BaseException) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """Whether PostgreSQL did not answer, rather than objected."""
    state = sqlstate(error)
    if state.startswith(_AWAY):
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and state not in _BUSY
