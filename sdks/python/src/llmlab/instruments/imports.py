"""Patch a library when the program imports it, so that `instrument()` costs nothing and may come first."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from llmlab.config import logger

Then = Callable[[ModuleType], Any]


class _Finder(MetaPathFinder):
    """Finds what it waits for by asking the others, and is told when it was executed."""

    def __init__(self) -> None:
        self.waiting: dict[str, Then] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        then = self.waiting.pop(name, None)  # popped first: the question below comes here again
        if then is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, then)
        return spec


class _Loader(Loader):
    """The library's own loader, and what comes after it."""

    def __init__(self, inner: Any, then: Then) -> None:
        self.inner = inner
        self.then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self.inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self.inner  # resources and reloads are none of ours
        module.__loader__ = self.inner
        self.inner.exec_module(module)
        run(self.then, module)


_finder = _Finder()


def when_imported(name: str, then: Then) -> None:
    """Call `then` with the module: now if it is there, else as soon as somebody imports it."""
    module = sys.modules.get(name)
    if module is not None:
        run(then, module)
        return
    _finder.waiting[name] = then
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(name: str) -> None:
    """No longer wait for it."""
    _finder.waiting.pop(name, None)


def run(then: Then, module: ModuleType) -> None:
    """A fault of ours is told, and is no fault of the import."""
    try:
        then(module)
    except Exception:
        logger.warning("LLMLab: %s could not be instrumented", module.__name__, exc_info=True)
