"""Reads the rest of a stream whose reader left: the provider bills it anyway, and usage comes last."""

from __future__ import annotations

import asyncio
import atexit
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmlab.instruments.tee import AsyncTee, SyncTee, Tee

# Beyond these at once a stream is closed as its reader asked.
MAX_DRAINS = 16
_lock = threading.Lock()
_threads: set[SyncTee] = set()
_tasks: set[asyncio.Task[None]] = set()


def seconds(tee: Tee) -> float:
    """How long reading on may take."""
    return float(tee.recording.client.settings.drain_seconds)


def in_thread(tee: SyncTee) -> None:
    """Read on in a thread of its own, then close; or close now when that is not wanted."""
    wait = seconds(tee)
    with _lock:
        is_taken = wait > 0 and len(_threads) < MAX_DRAINS
        if is_taken:
            _threads.add(tee)
    if is_taken:
        try:
            threading.Thread(
                target=_read_on, args=(tee, wait), name="llmlab-drain", daemon=True
            ).start()
            return
        except RuntimeError:  # the interpreter ends, or there are too many threads
            with _lock:
                _threads.discard(tee)
    tee.recording.finish()
    tee.inner.close()


def _read_on(tee: SyncTee, wait: float) -> None:
    timer = threading.Timer(wait, _give_up, (tee,))
    timer.daemon = True
    timer.start()
    try:
        for raw in tee.inner:
            if tee.recording.is_over:
                break
            tee.recording.add(raw)
    except Exception:
        pass  # closed under us, or broken: what came is what there is
    finally:
        timer.cancel()
        tee.recording.finish()
        with _lock:
            _threads.discard(tee)
        try:
            tee.inner.close()
        except Exception:
            pass


def _give_up(tee: Tee) -> None:
    """Time is up: end the recording, and the read that waits."""
    tee.recording.finish()
    try:
        if tee.socket is not None:
            # Of the plain socket: TLS has nothing to say goodbye for, and its own shutdown is not for other threads.
            socket.socket.shutdown(tee.socket, socket.SHUT_RDWR)
    except (OSError, TypeError):
        pass


def in_task(tee: AsyncTee) -> bool:
    """Read on in a task of its own, then close; false when that is not wanted or not possible."""
    wait = seconds(tee)
    if wait <= 0 or len(_tasks) >= MAX_DRAINS:
        return False
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio, or no loop any more
        return False
    task = loop.create_task(_read_on_async(tee, wait))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return True


async def _read_on_async(tee: AsyncTee, wait: float) -> None:
    async def rest() -> None:
        async for raw in tee.inner:
            tee.recording.add(raw)

    try:
        await asyncio.wait_for(rest(), wait)
    except Exception:
        pass
    finally:
        # Before anything that awaits: a loop that ends cancels this task only once.
        tee.recording.finish()
        try:
            await tee.inner.aclose()
        except Exception:
            pass


@atexit.register
def _end_all() -> None:
    """The program ends: nothing is waited for, what came so far is recorded."""
    with _lock:
        tees = list(_threads)
    for tee in tees:
        tee.recording.finish()
