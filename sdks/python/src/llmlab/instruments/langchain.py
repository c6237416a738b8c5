"""LangChain and LangGraph, by the callback that LangChain calls for every run. See `langchain_callback`."""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType
from typing import Any

from llmlab.instruments.library import Library


class _LangChain(Library):
    package = "langchain_core"
    module = "langchain_core.tracers.context"

    def __init__(self) -> None:
        super().__init__()
        self.hook: ContextVar[Any] | None = None

    def patch(self, module: ModuleType) -> None:
        """LangChain asks the variable of each hook whom to call; ours has an answer in every thread."""
        if self.hook is not None:
            return
        from llmlab.instruments.langchain_callback import LLMLabCallback

        callback = LLMLabCallback(lambda: self.client)
        self.hook = ContextVar("llmlab_langchain", default=callback)
        module.register_configure_hook(self.hook, True, type(callback))

    def unpatch(self) -> None:
        """Hooks cannot be taken back: without a client the callback ignores every run."""


LIBRARY = _LangChain()


def __getattr__(name: str) -> Any:
    # For those who pass it themselves: `config={"callbacks": [LLMLabCallback()]}`.
    if name == "LLMLabCallback":
        from llmlab.instruments.langchain_callback import LLMLabCallback

        return LLMLabCallback
    raise AttributeError(name)
