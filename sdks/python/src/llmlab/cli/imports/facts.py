"""What the steps of a file take over from its traces: who, where, tags. Read in a first pass over all files."""

from __future__ import annotations

from typing import Any

FACTS = ("name", "user", "session", "tags", "environment", "release")


class TraceFacts:
    """By trace id. Rows of traces and of steps come in any order, also in different files."""

    def __init__(self) -> None:
        self.stated: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, str] = {}
        self.with_root: set[str] = set()
        self.steps: set[tuple[str, str]] = set()
        self.calls: dict[tuple[str, str], dict[str, Any]] = {}

    def trace(self, trace_id: str, facts: dict[str, Any]) -> None:
        """A row of a trace says this."""
        self.stated[trace_id] = facts

    def step(self, trace_id: str, ended_at: str | None, *, is_root: bool) -> None:
        """A row of a step belongs to it; times are compared as text in UTC."""
        if ended_at and ended_at > self.ends.get(trace_id, ""):
            self.ends[trace_id] = ended_at
        if is_root:
            self.with_root.add(trace_id)

    def call(self, key: tuple[str, str], facts: dict[str, Any]) -> None:
        """A cost record says this about a step."""
        self.calls[key] = facts

    def of(self, trace_id: str) -> dict[str, Any]:
        """What a step's item repeats of its trace."""
        return self.stated.get(trace_id, {})

    def has_row(self, trace_id: str) -> bool:
        """Whether the trace itself is a row of the files."""
        return trace_id in self.stated
