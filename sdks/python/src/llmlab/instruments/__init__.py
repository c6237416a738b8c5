"""Recording the calls of other libraries.

| library | how |
|---|---|
| openai 1.x to 3.x, anthropic 0.x to 2.x | `openai`, `anthropic`: own patches, see `stainless` |
| LangChain and LangGraph | `langchain`: their callback, set up for every run |
| LlamaIndex and all others | `otel`: their OpenTelemetry or OpenInference instrumentation |
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from llmlab.config import logger

if TYPE_CHECKING:
    from llmlab.client import LLMLab
    from llmlab.instruments.library import Library

_KNOWN = ("openai", "anthropic", "langchain")


def _library(name: str) -> Library:
    library: Library = import_module(f"llmlab.instruments.{name}").LIBRARY
    return library


def instrument(client: LLMLab, *names: str) -> list[str]:
    """Record the libraries named, or all known ones that are installed; answers which are.

    A library is patched as soon as the program imports it. Doing this twice patches once; the client of the last time
    gets the steps.
    """
    done = []
    for name in names or _KNOWN:
        if name not in _KNOWN:
            logger.warning(
                "LLMLab: %r cannot be instrumented; known: %s. Use instrument_otel() for others.",
                name,
                ", ".join(_KNOWN),
            )
            continue
        try:
            if _library(name).install(client):
                done.append(name)
        except Exception:
            logger.warning("LLMLab: %s could not be instrumented", name, exc_info=True)
    return done


def uninstrument(*names: str) -> None:
    """Give the libraries named, or all, their own functions back."""
    for name in names or _KNOWN:
        if name in _KNOWN:
            _library(name).remove()
