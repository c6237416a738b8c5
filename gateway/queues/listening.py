"""Connections that wait: for one blocking answer at a time, or for messages of a channel.

A process that has its channel open is alive: others ask PUBSUB NUMSUB, which Redis knows the moment a killed process's
socket closes.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from gateway.queues.link import LOST, Argument, LinkLostError, pool_of

logger = logging.getLogger(__name__)

# Between two attempts to reach a Redis that does not answer.
AGAIN_S = 0.2
# An open channel says nothing for hours; asked so often, it has to answer.
PING_S = 5.0
SLACK_S = 5.0


def worker_channel(worker: str) -> str:
    """What a worker listens to as long as it lives."""
    return f"gw:w:{worker}"


def reply_channel(stream: str) -> str:
    """What the web process listens to that reads this stream."""
    return f"gw:r:{stream}"


class Blocking:
    """One connection for one blocking command at a time."""

    def __init__(self, url: str, *, name: str = "llmlab-gateway-wait") -> None:
        self._pool = pool_of(url, name)
        self._connection: Any = None

    async def ask(self, *command: Argument, block_s: float) -> Any:
        """The answer; raises LinkLostError when the connection breaks or is silent past the time it may block."""
        try:
            async with asyncio.timeout(block_s + SLACK_S):
                if self._connection is None:
                    connection = self._pool.make_connection()
                    await connection.connect()
                    self._connection = connection
                await self._connection.send_command(*command)
                return await self._connection.read_response()
        except BaseException as error:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.disconnect(nowait=True)
            if isinstance(error, (*LOST, TimeoutError)):
                raise LinkLostError(str(error)) from error
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


class Listener:
    """Keeps a channel open, whatever happens to the connection, and hands on what is said there."""

    def __init__(self, url: str, channel: str, heard: Callable[[bytes], None]) -> None:
        self._pool = pool_of(url, "llmlab-gateway-listen")
        self._channel = channel
        self._heard = heard
        self._task: asyncio.Task[None] | None = None
        self._is_open = asyncio.Event()

    async def start(self) -> None:
        """Returns when the channel is open."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._listen())
        await self._is_open.wait()

    async def close(self) -> None:
        """Not heard any more: to others this process is dead."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen(self) -> None:
        while True:
            connection = self._pool.make_connection()
            try:
                await connection.connect()
                await connection.send_command("SUBSCRIBE", self._channel)
                await self._hear(connection)
            except (*LOST, RedisError, TimeoutError) as error:
                logger.warning("gateway.listener.lost", extra={"why": str(error)[:200]})
            finally:
                self._is_open.clear()
                with suppress(*LOST, RedisError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, connection: Any) -> None:
        pinged = False
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    message = await connection.read_response(disconnect_on_error=False)
            except TimeoutError:
                if pinged:
                    raise
                await connection.send_command("PING")
                pinged = True
                continue
            pinged = False
            if message[0] == b"subscribe":
                self._is_open.set()
            elif message[0] == b"message":
                self._heard(message[2])
