"""A thread pool whose work runs under the step that submitted it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from llmlab.context import propagate

T = TypeVar("T")


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """`ThreadPoolExecutor`, with `propagate` around everything submitted or mapped."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Schedule the call under the step that is current here."""
        return super().submit(propagate(fn), *args, **kwargs)
