"""Delivery in the background."""

from __future__ import annotations

from typing import Any, Protocol

from llmlab.config import Settings
from llmlab.step import Step


class Exporter(Protocol):
    """Takes finished steps instead of the network: see `llmlab.testing`."""

    def export(self, item: dict[str, Any]) -> None:
        """One item of the wire with its steps."""

    def export_score(self, score: dict[str, Any]) -> None:
        """One score."""


class Delivery:
    """What waits, and the threads that send it."""

    def __init__(self, settings: Settings, exporter: Exporter | None = None) -> None:
        self.settings = settings
        self.exporter = exporter
        self.is_on = settings.enabled

    def opened(self, step: Step) -> None:
        """A step started; it is announced when it runs for long."""

    def add(self, step: Step) -> None:
        """A step ended."""

    def add_score(self, score: dict[str, Any], size: int) -> None:
        """A score was given."""

    def flush(self, timeout: float) -> bool:
        return True

    def shutdown(self, timeout: float) -> bool:
        return True

    def stats(self) -> dict[str, int]:
        return {}
