"""Reads the rest of a stream whose reader left: the provider bills it anyway, and usage comes last."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

from llmlab.instruments.source import Source

# Beyond these at once a stream is closed as its reader asked.
MAX_DRAINS = 16
_lock = threading.Lock()
_threads: set[Source] = set()
_tasks: set[asyncio.Task[None]] = set()


def _seconds(source: Source) -> float:
    return float(source.recording.client.settings.drain_seconds)


def in_thread(source: Source) -> bool:
    """Read on in a thread of its own, then close; false when that is not wanted or not possible."""
    wait = _seconds(source)
    with _lock:
        if wait <= 0 or len(_threads) >= MAX_DRAINS:
            return False
        _threads.add(source)
    try:
        thread = threading.Thread(target=_read_on, args=(source, wait), name="llmlab-drain")
        thread.daemon = True
        thread.start()
    except RuntimeError:  # the interpreter ends, or there are too many threads
        with _lock:
            _threads.discard(source)
        return False
    return True


def _read_on(source: Source, wait: float) -> None:
    timer = threading.Timer(wait, _give_up, (source,))
    timer.daemon = True
    timer.start()
    try:
        for raw in source.pieces():
            if source.recording.is_over:
                break
            source.recording.add(raw)
    except Exception:
        pass  # closed under us, or broken: what came is what there is
    finally:
        timer.cancel()
        source.finish()
        with _lock:
            _threads.discard(source)
        try:
            source.stream.close()
        except Exception:
            pass


def _give_up(source: Source) -> None:
    """Time is up: end the recording, and the read that waits."""
    source.finish()
    try:
        if source.socket is not None:
            # Of the plain socket: TLS's own goodbye is not for other threads.
            socket.socket.shutdown(source.socket, socket.SHUT_RDWR)
    except (OSError, TypeError):
        pass


def in_task(source: Source) -> bool:
    """Read on in a task of its own, then close; false when that is not wanted or not possible."""
    wait = _seconds(source)
    if wait <= 0 or len(_tasks) >= MAX_DRAINS:
        return False
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio, or no loop any more
        return False
    task = loop.create_task(_read_on_async(source, wait))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return True


def in_task_of(source: Source) -> bool:
    """The same from outside the loop that read so far."""
    if source.loop is None or source.loop.is_closed():
        return False
    try:
        source.loop.call_soon_threadsafe(_start, source)
    except RuntimeError:
        return False
    return True


def _start(source: Source) -> None:
    if not in_task(source):
        source.finish()


async def _read_on_async(source: Source, wait: float) -> None:
    async def rest() -> None:
        async for raw in source.async_pieces():
            source.recording.add(raw)

    try:
        await asyncio.wait_for(rest(), wait)
    except Exception:
        pass
    finally:
        # Before anything that awaits: a loop that ends cancels this task only once.
        source.finish()
        try:
            await source.stream.aclose()
        except Exception:
            pass


def _after_fork() -> None:
    """Threads and loops are the parent's; its lock may have been held."""
    global _lock
    _lock = threading.Lock()
    _threads.clear()
    _tasks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
