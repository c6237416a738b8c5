"""For your own tests: what would have been sent, without network or server.

from llmlab.testing import captured

def test_answer():
    with captured() as record:
        answer("Where is my refund?")
    assert record.step("answer")["output"] == "On its way"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmlab.client import LLMLab, clients

__all__ = ["TestExporter", "captured"]


class TestExporter:
    """Collects what was recorded: `LLMLab(exporter=TestExporter())`, or use `captured()`."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._scores: list[dict[str, Any]] = []
        self.client: LLMLab | None = None

    def export(self, item: dict[str, Any]) -> None:
        """One item of the wire with one step."""
        self.items.append(item)

    def export_score(self, score: dict[str, Any]) -> None:
        """One score."""
        self._scores.append(score)

    def _catch_up(self) -> None:
        if self.client is not None:
            self.client.flush(10)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Ended steps as they would be sent, in the order they ended, each with its `trace_id`."""
        self._catch_up()
        return [
            {"trace_id": item["trace_id"], **step} for item in self.items for step in item["steps"]
        ]

    @property
    def traces(self) -> dict[str, dict[str, Any]]:
        """By trace id: what was last said of the trace (user, session, tags, …) and its steps."""
        self._catch_up()
        found: dict[str, dict[str, Any]] = {}
        for item in self.items:
            earlier = found.get(item["trace_id"], {})
            found[item["trace_id"]] = {
                **earlier,
                **item,
                "steps": [*earlier.get("steps", ()), *item["steps"]],
            }
        return found

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Scores as they would be sent."""
        self._catch_up()
        return list(self._scores)

    def step(self, name: str) -> dict[str, Any]:
        """The one step of this name. Raises LookupError naming those there are."""
        steps = self.steps
        found = [step for step in steps if step["name"] == name]
        if len(found) != 1:
            names = ", ".join(step["name"] for step in steps) or "none"
            raise LookupError(f"{len(found)} steps are called {name!r}; recorded: {names}")
        return found[0]

    def children(self, step: dict[str, Any]) -> list[dict[str, Any]]:
        """The steps right below this one."""
        return [one for one in self.steps if one.get("parent_id") == step["id"]]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self._catch_up()
        self.items.clear()
        self._scores.clear()


@contextmanager
def captured(client: LLMLab | None = None, **settings: Any) -> Iterator[TestExporter]:
    """Divert what the client (default: the newest) records into the exporter while inside.

    Instruments bound to that client are diverted with it. Without any client one is made, with
    these settings, and shut down at the end.
    """
    exporter = TestExporter()
    chosen = client or (clients[-1] if clients and not settings else None)
    if chosen is None:
        chosen = LLMLab(exporter=exporter, **settings)
        exporter.client = chosen
        try:
            yield exporter
        finally:
            chosen.shutdown()
            exporter.client = None
        return
    exporter.client = chosen
    chosen.delivery.divert(exporter)
    try:
        yield exporter
    finally:
        chosen.delivery.divert(None)
        exporter.client = None
