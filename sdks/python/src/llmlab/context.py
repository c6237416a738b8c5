"""Where we are: the current step and budget, kept in contextvars.

asyncio tasks and `asyncio.to_thread` carry them by themselves. Plain threads and thread pools start
empty (up to Python 3.13): wrap what they run with `propagate`.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmlab.budgets import Budget
    from llmlab.propagation import Remote
    from llmlab.step import Step

T = TypeVar("T")

# A step of this process, or the span of another one that `extract` read from headers.
current: contextvars.ContextVar[Step | Remote | None] = contextvars.ContextVar(
    "llmlab_current", default=None
)
current_budget: contextvars.ContextVar[Budget | None] = contextvars.ContextVar(
    "llmlab_budget", default=None
)


# Set where OpenTelemetry is joined: its span, if that was entered after the current step.
foreign: Callable[[], Remote | None] | None = None


def here() -> Step | Remote | None:
    """The innermost of what we are in: a step, the span of another process or of OpenTelemetry."""
    if foreign is not None:
        span = foreign()
        if span is not None:
            return span
    return current.get()


def activate(step: Step | Remote | None) -> contextvars.Token[Step | Remote | None]:
    """Make it the parent of what starts from here on; give the token to `deactivate`."""
    return current.set(step)


def deactivate(token: contextvars.Token[Step | Remote | None]) -> None:
    """Back to what was current before. In another context than `activate`'s it does nothing."""
    try:
        current.reset(token)
    except (ValueError, RuntimeError):
        pass  # closed by another task, or twice: that context's own value is right


def current_step() -> Step | None:
    """The innermost open step here, or None."""
    from llmlab.step import Step

    step = current.get()
    return step if isinstance(step, Step) else None


def current_trace_id() -> str | None:
    """The id of the trace we are in, to log or to score it later; None outside any."""
    step = here()
    return step.trace_id if step is not None else None


def propagate(fn: Callable[..., T]) -> Callable[..., T]:
    """`fn`, run under the step and budget that are current now, in whatever thread runs it.

    `executor.submit(propagate(work), 1)`, `Thread(target=propagate(work))`. May run many at once.
    """
    step, budget = current.get(), current_budget.get()

    @functools.wraps(fn)
    def carried(*args: Any, **kwargs: Any) -> T:
        step_token, budget_token = current.set(step), current_budget.set(budget)
        try:
            return fn(*args, **kwargs)
        finally:
            current.reset(step_token)
            current_budget.reset(budget_token)

    return carried
