"""Recording the calls of other libraries.

| library | how |
|---|---|
| openai 1.x to 3.x, anthropic 0.x to 2.x | `openai`, `anthropic`: own patches, see `stainless` |
| LangChain and LangGraph | `langchain`: its callback, set up for every run |
| LlamaIndex and all others | `otel`: their OpenTelemetry or OpenInference instrumentation |
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from llmlab.config import logger

if TYPE_CHECKING:
    from llmlab.client import LLMLab

_KNOWN = ("openai", "anthropic")


def instrument(client: LLMLab, *names: str) -> list[str]:
    """Record the libraries named, or all known ones that are installed; answers which are."""
    done = []
    for name in names or _KNOWN:
        if name not in _KNOWN:
            logger.warning(
                "LLMLab: %r cannot be instrumented; known: %s. For others see instrument_otel.",
                name,
                ", ".join(_KNOWN),
            )
            continue
        try:
            module = import_module(f"llmlab.instruments.{name}")
            if find_spec(module.MODULE) is not None and module.install(client):
                done.append(name)
        except Exception:
            logger.warning("LLMLab: %s could not be instrumented", name, exc_info=True)
    return done


def uninstrument(*names: str) -> None:
    """Give the libraries named, or all, their own functions back."""
    for name in names or _KNOWN:
        if name in _KNOWN:
            import_module(f"llmlab.instruments.{name}").remove()
