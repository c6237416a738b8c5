"""One idea of "current" for OpenTelemetry and for the SDK, so that spans and steps nest in each other.

OpenTelemetry keeps its current context in an object that may be exchanged. Ours asks theirs, and writes into each
context that is attached which step was current then. So both sides can tell who was entered last:
- a context that knows the step that is current now is inside it: its span is the parent of what starts;
- otherwise the step was entered after the context: OpenTelemetry is shown a context whose span is that step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from llmlab import context as ours
from llmlab.propagation import Remote
from llmlab.step import Step

IsOwn = Callable[[Any], bool]
_KEY = "llmlab-step"


class _Joined:
    """Stands where OpenTelemetry's runtime context stood; it has the same three methods."""

    def __init__(self, inner: Any, is_own: IsOwn) -> None:
        self.inner = inner
        self.is_own = is_own
        self.trace = import_module("opentelemetry.trace")
        self.make = import_module("opentelemetry.context").Context

    def attach(self, context: Any) -> Any:
        # The token stays theirs: some reset it themselves.
        return self.inner.attach(self.make({**context, _KEY: ours.current.get()}))

    def detach(self, token: Any) -> None:
        self.inner.detach(token)

    def get_current(self) -> Any:
        context = self.inner.get_current()
        step = ours.current.get()
        if not isinstance(step, Step) or context.get(_KEY) is step:
            return context
        flags = self.trace.TraceFlags(1 if step.trace.sampled else 0)
        shown = self.trace.SpanContext(
            int(step.trace_id, 16), int(step.id, 16), is_remote=False, trace_flags=flags
        )
        return self.trace.set_span_in_context(self.trace.NonRecordingSpan(shown), context)

    def span(self) -> Remote | None:
        """The span of OpenTelemetry that was entered after the current step; None if there is none."""
        context = self.inner.get_current()
        if not context:
            return None
        step = ours.current.get()
        if context.get(_KEY) is not step:
            return None
        span = self.trace.get_current_span(context)
        found = span.get_span_context()
        if self.is_own(span):
            # Of a call that is recorded here: what is recorded hangs where that span hangs.
            found = span.parent
        if found is None or not found.is_valid:
            return None
        span_id = f"{found.span_id:016x}"
        if isinstance(step, Step) and step.id == span_id:
            return None
        return Remote(f"{found.trace_id:032x}", span_id, bool(found.trace_flags & 1))


def join_contexts(is_own: IsOwn) -> bool:
    """Exchange OpenTelemetry's runtime context for ours; false when this version has none to exchange."""
    module: Any = import_module("opentelemetry.context")
    inner = getattr(module, "_RUNTIME_CONTEXT", None)
    if isinstance(inner, _Joined):
        return True
    if not all(hasattr(inner, name) for name in ("attach", "detach", "get_current")):
        return False
    module._RUNTIME_CONTEXT = joined = _Joined(inner, is_own)
    ours.foreign = joined.span
    return True


def part_contexts() -> None:
    """Each its own context again."""
    module: Any = import_module("opentelemetry.context")
    joined = getattr(module, "_RUNTIME_CONTEXT", None)
    if isinstance(joined, _Joined):
        module._RUNTIME_CONTEXT = joined.inner
        ours.foreign = None
