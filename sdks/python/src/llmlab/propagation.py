"""W3C trace context: one trace over several processes.

requests.post(url, headers=inject({}))          # the caller
with extract(request.headers): handle(request)  # the called
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from llmlab.context import activate, deactivate, here

if TYPE_CHECKING:
    import contextvars
    from types import TracebackType

    from llmlab.step import Step

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Remote:
    """A span of another process: what starts below it joins its trace and obeys its sampling.

    As a context manager it is the parent of what starts inside.
    """

    __slots__ = ("_token", "sampled", "step_id", "trace_id")

    def __init__(self, trace_id: str, step_id: str, sampled: bool) -> None:
        self.trace_id = trace_id
        self.step_id = step_id
        self.sampled = sampled
        self._token: contextvars.Token[Step | Remote | None] | None = None

    def __enter__(self) -> Remote:
        if self.trace_id:
            self._token = activate(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            deactivate(self._token)
            self._token = None

    async def __aenter__(self) -> Remote:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __bool__(self) -> bool:
        return bool(self.trace_id)


Headers = MutableMapping[str, str]


def inject(headers: Headers | None = None) -> Headers:
    """Put `traceparent` of the current step into the headers of an outgoing request.

    Outside any step nothing is added. Answers the same mapping.
    """
    headers = {} if headers is None else headers
    step = here()
    if step is not None:
        headers["traceparent"] = traceparent(step)
    return headers


def traceparent(step: Step | Remote) -> str:
    """The header's value that names this step as the parent."""
    if isinstance(step, Remote):
        return f"00-{step.trace_id}-{step.step_id}-{'01' if step.sampled else '00'}"
    return f"00-{step.trace.trace_id}-{step.id}-{'01' if step.trace.sampled else '00'}"


def extract(headers: Mapping[Any, Any] | Any) -> Remote:
    """The caller's span from the headers of a request; use it with `with`.

    Names are compared without case, values may be bytes, and a list of pairs (ASGI scopes) is
    taken too. Without a valid `traceparent` the answer is false and `with` changes nothing.
    """
    try:
        found = _TRACEPARENT.fullmatch(_header(headers))
    except Exception:
        found = None
    if not found:
        return Remote("", "", True)
    version, trace_id, step_id, flags, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not int(trace_id, 16)
        or not int(step_id, 16)
    ):
        return Remote("", "", True)
    return Remote(trace_id, step_id, bool(int(flags, 16) & 1))


def _header(headers: Any) -> str:
    if isinstance(headers, str):
        return headers.strip()
    pairs = headers.items() if hasattr(headers, "items") else headers
    for name, value in pairs:
        name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        if name.lower().replace("_", "-") in ("traceparent", "http-traceparent"):
            value = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            return value.strip()
    return ""
