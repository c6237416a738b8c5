"""The `anthropic` client, 0.x to 2.x: messages, their batches, and the clients for Bedrock and Vertex."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from llmlab.instruments.stainless import Stainless

if TYPE_CHECKING:
    from llmlab.client import LLMLab

MODULE = "anthropic"
_patched: list[Stainless] = []


def install(client: LLMLab) -> bool:
    """Record the calls of this library into `client`; false when its version cannot be."""
    if not _patched:
        _patched.append(Stainless(import_module("anthropic._base_client")))
    return _patched[0].install(client)


def remove() -> None:
    """Record no more."""
    if _patched:
        _patched[0].remove()
