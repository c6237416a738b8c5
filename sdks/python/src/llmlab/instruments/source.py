"""The bytes of a response as the connection gives them, apart from the response object.

A reader may drop a stream without a word. What is needed to read on must then not be part of what the garbage collector
takes: it would close the connection's generators in any order. So it is held here until the recording is over.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from llmlab import endings
from llmlab.instruments.recording import Recording

# Streams that are not over, as far as anyone knows.
_open: set[Source] = set()


class Source:
    """A stream half read. `stream` is httpx's, which knows nothing of its response."""

    __slots__ = ("iterator", "loop", "recording", "socket", "stream")

    def __init__(self, whole: Any, recording: Recording, socket: Any) -> None:
        self.recording = recording
        # httpx binds the transport's stream to the response, to tell it how long it took.
        inner = getattr(whole, "_stream", None)
        self.stream = whole if inner is None else inner
        self.socket = socket
        self.iterator: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        if inner is not None:  # what may know the response must not be held: it would never go
            _open.add(self)

    def pieces(self) -> Iterator[bytes]:
        """The rest of the stream, whoever read before."""
        if self.iterator is None:
            self.iterator = iter(self.stream)
        rest: Iterator[bytes] = self.iterator
        return rest

    def async_pieces(self) -> AsyncIterator[bytes]:
        """The same for those who await."""
        if self.iterator is None:
            self.iterator = self.stream.__aiter__()
            try:
                self.loop = asyncio.get_running_loop()
            except RuntimeError:
                pass  # trio
        rest: AsyncIterator[bytes] = self.iterator
        return rest

    def finish(self) -> None:
        """Hand over what came; nothing more is kept."""
        _open.discard(self)
        self.recording.finish()


def _end_all() -> None:
    """The program ends: nothing is waited for, what came so far is recorded."""
    for source in list(_open):
        source.finish()


endings.before.append(_end_all)


def _after_fork() -> None:
    """The streams are the parent's: it reads and records them."""
    for source in list(_open):
        source.recording.is_over = True
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
