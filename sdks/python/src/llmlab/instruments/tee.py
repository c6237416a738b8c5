"""Streams that keep a reference to each piece as the caller reads it.

httpx and httpx2 (which of them depends on the client's version) insist on their own base classes for streams, hence
`tee`, which makes ours from whichever the response came from.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

from llmlab.instruments import drain
from llmlab.instruments.recording import Recording
from llmlab.instruments.usage_chunk import UsageChunkFilter

# A stream that said one of these has nothing more to tell: no need to read on when the reader left.
_ENDS = (b"[DONE]", b"message_stop", b"response.completed", b"response.incomplete", b"response.failed")  # fmt: skip
_TAIL = 64


class Tee:
    """What both kinds share. `inner` is the response's own stream."""

    def __init__(self, inner: Any, recording: Recording, response: Any) -> None:
        self.recording = recording
        self.inner = inner
        self.filter = _filter_for(recording, response)
        self.socket = _socket_of(response)
        self.is_ended = False
        # The caller's own doing (a cancelled task, say), or the connection's: no reading on.
        self.is_broken = False

    def passed(self, raw: bytes) -> bytes:
        """Keep a piece; what of it is for the caller."""
        self.recording.add(raw)
        return raw if self.filter is None else self.filter.feed(raw)

    def ended(self) -> bytes:
        """The stream came to its end; what was held back until now."""
        self.is_ended = True
        self.recording.finish()
        return b"" if self.filter is None else self.filter.end()

    def broke(self, error: BaseException) -> None:
        """Reading raised: an exception of the connection is the call's fault, being cancelled is not."""
        self.is_broken = True
        if isinstance(error, Exception) and not isinstance(error, GeneratorExit):
            self.recording.failed(error)

    def is_done(self) -> bool:
        """Whether nothing is left to learn from the rest of the stream."""
        recording = self.recording
        if self.is_ended or self.is_broken or recording.is_over:
            return True
        tail = b"".join(raw for _, raw in recording.chunks[-2:])[-_TAIL * 64 :]
        return any(end in tail for end in _ENDS)

    def __del__(self) -> None:
        # Never closed, and nobody is left who could.
        self.abandoned()

    def abandoned(self) -> None:
        """The reader is gone without a word."""
        self.recording.finish()


class SyncTee(Tee):
    """For clients that wait."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for raw in self.inner:
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
        if self.is_done():
            self.recording.finish()
            self.inner.close()
        else:
            drain.in_thread(self)

    def abandoned(self) -> None:
        if not self.recording.is_over:
            self.close()


class AsyncTee(Tee):
    """For clients that await."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for raw in self.inner:
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
        if self.is_done() or not drain.in_task(self):
            self.recording.finish()
            await self.inner.aclose()


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
    if recording.headers.get("content-encoding"):
        # What is packed cannot be filtered: unpack it here, with the response's own decoder.
        return _Unpacking(response)
    return UsageChunkFilter()


class _Unpacking(UsageChunkFilter):
    """Filters a compressed stream; the response is left with nothing to unpack."""

    __slots__ = ("decoder",)

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.decoder = response._get_content_decoder()
        response._decoder = _Plain()

    def feed(self, raw: bytes) -> bytes:
        return super().feed(self.decoder.decode(raw))

    def end(self) -> bytes:
        return super().feed(self.decoder.flush()) + super().end()


class _Plain:
    """A decoder that has nothing to do."""

    def decode(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _socket_of(response: Any) -> Any:
    """The connection, so that a read that waits in another thread can be ended; None if unknown."""
    try:
        return response.extensions["network_stream"].get_extra_info("socket")
    except Exception:
        return None
