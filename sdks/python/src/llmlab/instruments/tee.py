"""Streams that keep a reference to each piece as the caller reads it.

httpx and httpx2 (which of them depends on the client's version) insist on their own base classes for streams, hence
`tee`, which makes ours from whichever the response came from.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

from llmlab.capture import decoder_of
from llmlab.instruments import drain
from llmlab.instruments.recording import Recording
from llmlab.instruments.source import Source
from llmlab.instruments.usage_chunk import UsageChunkFilter

# A stream that said one of these has nothing more to tell: no need to read on when the reader left.
_ENDS = (b"[DONE]", b"message_stop", b"response.completed", b"response.incomplete", b"response.failed")  # fmt: skip
_TAIL = 4096


class Tee:
    """What both kinds share: it stands in the response where `inner`, its own stream, stood."""

    def __init__(self, inner: Any, recording: Recording, response: Any) -> None:
        self.inner = inner
        self.source = Source(inner, recording, _socket_of(response))
        self.filter = _filter_for(recording, response)
        self.is_closed = False

    def passed(self, raw: bytes) -> bytes:
        """Keep a piece; what of it is for the caller."""
        self.source.recording.add(raw)
        return raw if self.filter is None else self.filter.feed(raw)

    def ended(self) -> bytes:
        """The stream came to its end; what was held back until now."""
        self.source.finish()
        return b"" if self.filter is None else self.filter.end()

    def broke(self, error: BaseException) -> None:
        """Reading raised, and there is no reading on. Being cancelled is not the call's fault."""
        if isinstance(error, Exception):
            self.source.recording.failed(error)
        self.source.finish()

    def is_done(self) -> bool:
        """Whether nothing is left to learn from the rest of the stream; then what came is handed over."""
        recording = self.source.recording
        if recording.is_over:
            return True
        tail = b"".join(raw for _, raw in recording.chunks[-2:])[-_TAIL:]
        if any(end in tail for end in _ENDS):
            self.source.finish()
        return recording.is_over


class SyncTee(Tee):
    """For clients that wait."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for raw in self.source.pieces():
                seen = self.passed(raw)
                if seen:
                    yield seen
        except GeneratorExit:
            raise
        except BaseException as error:
            self.broke(error)
            raise
        rest = self.ended()
        if rest:
            yield rest

    def close(self) -> None:
        """The reader is done with it; what is not read yet may still be read in the background."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.is_done() or not drain.in_thread(self.source):
            self.source.finish()
            self.inner.close()

    def __del__(self) -> None:
        # The garbage collector may still have the response close us after this.
        was_closed, self.is_closed = self.is_closed, True
        if not was_closed and not self.is_done() and not drain.in_thread(self.source):
            self.source.finish()


class AsyncTee(Tee):
    """For clients that await."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for raw in self.source.async_pieces():
                seen = self.passed(raw)
                if seen:
                    yield seen
        except GeneratorExit:
            raise
        except BaseException as error:
            self.broke(error)
            raise
        rest = self.ended()
        if rest:
            yield rest

    async def aclose(self) -> None:
        """As `SyncTee.close`, in a task of its own."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.is_done() or not drain.in_task(self.source):
            self.source.finish()
            await self.inner.aclose()

    def __del__(self) -> None:
        was_closed, self.is_closed = self.is_closed, True
        if not was_closed and not self.is_done() and not drain.in_task_of(self.source):
            self.source.finish()


def tee(response: Any, recording: Recording, *, is_async: bool) -> None:
    """Read along with whoever reads this response."""
    response_class: Any = type(response)
    make = _tee_class(_module_of(response_class), is_async)
    response.stream = make(response.stream, recording, response)


@lru_cache(maxsize=8)
def _tee_class(module: str, is_async: bool) -> Any:
    package = sys.modules[module]
    ours: Any = AsyncTee if is_async else SyncTee
    theirs = package.AsyncByteStream if is_async else package.SyncByteStream
    return type(ours.__name__, (ours, theirs), {})


@lru_cache(maxsize=32)
def _module_of(response_class: Any) -> str:
    """httpx or httpx2, also for a response class of somebody else derived from theirs."""
    for base in response_class.__mro__:
        package = str(base.__module__).partition(".")[0]
        if base.__name__ == "Response" and hasattr(sys.modules.get(package), "SyncByteStream"):
            return package
    raise TypeError(f"{response_class.__name__} is no response of httpx")


def _filter_for(recording: Recording, response: Any) -> UsageChunkFilter | None:
    if not recording.hides_usage or "event-stream" not in recording.headers["content-type"]:
        return None
    encoding = recording.headers.get("content-encoding")
    if not encoding:
        return UsageChunkFilter()
    # What is packed cannot be filtered: it is unpacked here, and the client told that it is plain.
    decode = decoder_of(encoding)
    if decode is None:
        return None
    del response.headers["content-encoding"]
    return UsageChunkFilter(decode)


def _socket_of(response: Any) -> Any:
    """The connection, so that a read that waits in another thread can be ended; None if unknown."""
    try:
        return response.extensions["network_stream"].get_extra_info("socket")
    except Exception:
        return None
