"""One Redis connection for a whole event loop: what is asked within one turn of the loop leaves in one write.

redis-py's own client spends a task switch, a lock and a timer per command; a gateway process asks thousands of times a
second. Answers come back in the order of the questions. Never send a blocking command here: it would hold up everybody.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

logger = logging.getLogger(__name__)

CONNECT_S = 2.0
# A command that is not answered by then: the connection is broken, whatever TCP says.
ANSWER_S = 10.0
# What may wait for the network before `is_full` asks those who can wait to wait.
FULL_BYTES = 8 * 1024 * 1024
LUA = Path(__file__).parent / "lua"

Argument = bytes | str | int | float
# What a lost Redis looks like to a caller.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)


def pool_of(url: str, name: str) -> Any:
    """Makes connections without redis-py's own time limits and repeats: each user here has its own."""
    return ConnectionPool.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_S,
        socket_keepalive=True,
        client_name=name,
        retry=Retry(NoBackoff(), 0),
    )


class LinkLostError(RedisConnectionError):
    """The connection ended before the answer came; whether Redis did what was asked is unknown."""


class Script:
    """A Lua script and the hash Redis knows it by."""

    def __init__(self, source: str) -> None:
        self.source = source
        # The name Redis gives it (EVALSHA), no secret.
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


@cache
def script(name: str) -> Script:
    """The script of that name in lua/, with what all of them share on top."""
    return Script("\n".join((LUA / f"{part}.lua").read_text() for part in ("shared", name)))


class Link:
    """Connects when first used and again when it was lost. Belongs to the loop it is first used in."""

    def __init__(self, url: str, *, name: str = "llmlab-gateway") -> None:
        self._pool: Any = pool_of(url, name)
        self._connection: Any = None
        self._asked: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]] = []
        self._open: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._is_due = False
        self._reader: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        # Grows with every lost connection: what was counted before means nothing after.
        self.losses = 0

    def send(self, *command: Argument) -> "asyncio.Future[Any]":
        """Ask; the future has the answer, or LinkLostError, or the error Redis answered."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        # Who does not wait need not hear of a loss.
        future.add_done_callback(_seen)
        self._asked.append((command, future))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._flush)
        return future

    async def run(self, name: str, *arguments: Argument) -> Any:
        """Run the script; one that Redis forgot (a flush, a restart) is given to it again."""
        found = script(name)
        try:
            return await self.send("EVALSHA", found.sha, 1, "{gw}", *arguments)
        except NoScriptError:
            return await self.send("EVAL", found.source, 1, "{gw}", *arguments)

    @property
    def is_full(self) -> bool:
        """Whether more is waiting for the network than should be."""
        writer = self._connection._writer if self._connection is not None else None
        waiting = writer.transport.get_write_buffer_size() if writer is not None else 0
        return bool(waiting > FULL_BYTES)

    async def close(self) -> None:
        """End the connection; questions without an answer fail."""
        for task in (self._reader, self._connecting):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._lose(LinkLostError("The connection was closed."))
        await self._pool.disconnect()

    def _flush(self) -> None:
        self._is_due = False
        if self._connection is None:
            if self._connecting is None:
                self._connecting = asyncio.ensure_future(self._connect())
            return
        asked, self._asked = self._asked, []
        if not asked:
            return
        try:
            packed = self._connection.pack_commands([command for command, _ in asked])
        except RedisError as error:  # a value no command can carry: whoever asked must know
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        limit = asyncio.get_running_loop().time() + ANSWER_S
        self._open.extend((future, limit) for _, future in asked)
        try:
            # redis-py's own way of sending waits for the network each time; who can wait asks `is_full`.
            self._connection._writer.writelines(packed)
        except LOST as error:
            self._lose(LinkLostError(str(error)))

    async def _connect(self) -> None:
        connection = self._pool.make_connection()
        try:
            await connection.connect()
        except (*LOST, RedisError) as error:
            self._connecting = None
            self._lose(LinkLostError(f"Redis does not answer: {error}"))
            return
        self._connection, self._connecting = connection, None
        self._reader = asyncio.ensure_future(self._read(connection))
        self._flush()

    async def _read(self, connection: Any) -> None:
        loop = asyncio.get_running_loop()
        watch = loop.call_later(1.0, self._watch, connection)
        try:
            while True:
                try:
                    answer = await connection.read_response(disconnect_on_error=False)
                except ResponseError as error:
                    answer = error
                future, _ = self._open.popleft()
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except (*LOST, RedisError, IndexError) as error:
            if connection is self._connection:
                self._lose(LinkLostError(str(error)))
        finally:
            watch.cancel()
            await connection.disconnect(nowait=True)

    def _watch(self, connection: Any) -> None:
        """Once a second: an answer that is overdue means the other side is gone without a word."""
        if connection is not self._connection:
            return
        loop = asyncio.get_running_loop()
        if self._open and self._open[0][1] < loop.time():
            logger.warning("gateway.link.silent")
            connection._writer.transport.abort()
            return
        loop.call_later(1.0, self._watch, connection)

    def _lose(self, error: LinkLostError) -> None:
        self._connection = None
        self.losses += 1
        asked, self._asked = self._asked, []
        waiting = [future for future, _ in self._open] + [future for _, future in asked]
        self._open.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error)


def _seen(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


def texts(values: Sequence[bytes]) -> list[str]:
    """What Redis answers, as text."""
    return [value.decode() for value in values]
