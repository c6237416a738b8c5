"""Where finished steps may go instead of the network."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Exporter(Protocol):
    """Takes items and scores as they would be sent: see `llmlab.testing`."""

    def export(self, item: dict[str, Any]) -> None:
        """One item of the wire with one step."""

    def export_score(self, score: dict[str, Any]) -> None:
        """One score."""
