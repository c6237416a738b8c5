"""One logical call of a provider's client, all its attempts included, on its way to becoming a step.

In the caller's path only references are kept; `facts` and `first_facts` run in the background.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmlab.capture import Call, Chunk, Endpoint, request_facts, step_of
from llmlab.config import logger
from llmlab.propagation import traceparent

if TYPE_CHECKING:
    from llmlab.client import LLMLab
    from llmlab.step import Step

# The call that is being made here: what the client's inner functions, a few frames below, belong to.
current_recording: contextvars.ContextVar[Recording | None] = contextvars.ContextVar(
    "llmlab_recording", default=None
)
# Set by whoever records the same call from further out (LangChain's callback): told of each call below.
watchers: contextvars.ContextVar[Callable[[], None] | None] = contextvars.ContextVar(
    "llmlab_watchers", default=None
)
_PORTS = {"http": 80, "https": 443}
_BUDGETED = frozenset(("llm", "embedding"))
# What is kept of one answer: beyond it only the first part is read.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Recording:
    """The bytes and times of a call. Made by `begin`, over after `finish`."""

    __slots__ = (
        "attempts",
        "chunks",
        "client",
        "error",
        "headers",
        "hides_usage",
        "is_over",
        "is_streaming",
        "request",
        "responded_at",
        "sent_at",
        "size",
        "status",
        "step",
    )

    def __init__(self, client: LLMLab, endpoint: Endpoint) -> None:
        self.client = client
        self.request: Any = None
        self.attempts = 0
        self.sent_at = 0.0
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.chunks: list[Chunk] = []
        self.size = 0
        self.error: tuple[str, str] | None = None
        self.responded_at = 0
        # Whether usage was asked for on the caller's behalf: its chunk is not for the caller.
        self.hides_usage = False
        self.is_streaming = False
        self.is_over = False
        # None once it was handed over: the step holds us then, and a circle would keep the bytes.
        self.step: Step | None = client.start_step(
            endpoint.operation, kind_of(endpoint), early=self.first_facts
        )

    def sent(self, request: Any) -> None:
        """An attempt is about to be sent."""
        self.request = request
        self.attempts += 1
        try:
            self._join(request)
        except Exception:
            logger.debug("LLMLab: a call goes without traceparent", exc_info=True)
        self.sent_at = time.perf_counter()

    def _join(self, request: Any) -> None:
        """A call through LLMLab's own gateway is recorded there, too: below this step, so that it is charged once.

        No other host learns of traces.
        """
        step, url = self.step, request.url
        if step is None or not step.trace.sampled or "traceparent" in request.headers:
            return
        port = url.port or _PORTS.get(url.scheme)
        if (url.scheme, url.host, port) == _origin(self.client.settings.base_url):
            request.headers["traceparent"] = traceparent(step)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        """An answer came: whole with its body, else its bytes follow through `add`."""
        self.responded_at = time.perf_counter_ns()
        self.status = status
        self.headers = {"content-type": headers.get("content-type") or ""}
        self.chunks, self.size = [], 0
        if body is None:
            self.headers["content-encoding"] = headers.get("content-encoding") or ""
        else:
            self.add(body)

    def add(self, raw: bytes) -> None:
        """A piece of the answer."""
        if self.size < MAX_ANSWER_BYTES:
            self.chunks.append((time.perf_counter(), raw))
            self.size += len(raw)

    def failed(self, error: BaseException) -> None:
        """The client raised. An answer it brings along tells more than the exception."""
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int) and status >= 400:
            self.answered(status, getattr(response, "headers", {}), body_of(response))
        elif self.status is None or self.status >= 400 or self.is_streaming:
            message, cause = str(error), error.__cause__
            if cause is not None and str(cause) not in message:
                # "Connection error." alone tells nobody anything.
                message = f"{message} ({type(cause).__name__}: {cause})"
            self.error = (type(error).__name__, message[:10_000])

    def finish(self) -> None:
        """Hand the step over. A second time does nothing."""
        if self.is_over:
            return
        self.is_over = True
        step, self.step = self.step, None
        if step is None:
            return
        has_failed = self.error is not None or (self.status or 0) >= 400
        ended_ns = 0
        if not self.is_streaming and self.responded_at and step.clock:
            ended_ns = step.started_ns + self.responded_at - step.clock
        self.client.end_step(
            step,
            late=self.facts,
            late_size=self.size + len(_content(self.request)),
            status="error" if has_failed else "unknown",
            ended_ns=ended_ns,
        )

    def first_facts(self) -> Mapping[str, Any]:
        """What the request alone tells, for a step that still runs."""
        if self.request is None:
            return {}
        return request_facts(self.request.method, str(self.request.url), _content(self.request))

    def facts(self) -> Mapping[str, Any]:
        """All fields of the step; in the background thread."""
        request = self.request
        if request is None:  # nothing was sent: signing or building the request failed
            kind, message = self.error or ("error", "")
            return {"status": "error", "error": {"type": kind, "message": message}}
        call = Call(
            request.method,
            str(request.url),
            _content(request),
            self.status,
            self.headers,
            self.chunks,
            self.sent_at,
            self.error,
            max(0, self.attempts - 1),
        )
        return step_of(call) or {}


@lru_cache(maxsize=16)
def _origin(base_url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(base_url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def kind_of(endpoint: Endpoint) -> str:
    """The type of the step a call to this endpoint becomes."""
    if endpoint.shape == "batches":
        return "span"
    return "embedding" if endpoint.shape == "embeddings" else "llm"


def is_budgeted(endpoint: Endpoint) -> bool:
    """Whether a call to this endpoint costs money at once."""
    return kind_of(endpoint) in _BUDGETED


def begin(client: LLMLab, endpoint: Endpoint) -> Recording:
    """Start recording a call; tells those who watch from further out."""
    watcher = watchers.get()
    if watcher is not None:
        watcher()
    return Recording(client, endpoint)


def body_of(response: Any) -> bytes | None:
    """The body of a response that was read; None of one that was not."""
    try:
        return bytes(response.content)
    except Exception:
        return None


def _content(request: Any) -> bytes:
    """A request's body; empty for one that streams files."""
    try:
        content = request.content
        return content if isinstance(content, bytes) else b""
    except Exception:
        return b""
