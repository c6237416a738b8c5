"""A delivery that keeps steps instead of sending them, so that a test sees what an instrument recorded."""

from __future__ import annotations

import time
from typing import Any

from llmlab import LLMLab, Step


class Kept:
    """Stands where `Delivery` stands; `late` runs when a step is looked at."""

    is_on = True

    def __init__(self) -> None:
        self.opened_steps: list[Step] = []
        self.steps: list[Step] = []

    def opened(self, step: Step) -> None:
        self.opened_steps.append(step)

    def add(self, step: Step) -> None:
        self.steps.append(step)

    def flush(self, timeout: float) -> bool:
        return True

    def shutdown(self, timeout: float) -> bool:
        return True

    def taken(self, count: int = 1, within: float = 5.0) -> list[dict[str, Any]]:
        """The steps ended since the last look; waits for so many."""
        until = time.monotonic() + within
        while len(self.steps) < count and time.monotonic() < until:
            time.sleep(0.005)
        steps, self.steps, self.opened_steps = self.steps, [], []
        return [facts(step) for step in steps]


def facts(step: Step) -> dict[str, Any]:
    """A step as it would be sent."""
    found: dict[str, Any] = {
        "id": step.id,
        "trace_id": step.trace_id,
        "parent_id": step.parent_id,
        "name": step.name,
        "type": step.type,
        "status": step.status,
        "error": step.error,
        "started_ns": step.started_ns,
        "duration_ms": (step.ended_ns - step.started_ns) / 1e6,
        **step.fields,
    }
    attributes = dict(step.attributes)
    if step.late is not None:
        late = dict(step.late())
        attributes.update(late.pop("attributes", {}))
        found.update(late)
    found["attributes"] = attributes
    return found


def recording(*names: str, **settings: Any) -> tuple[LLMLab, Kept]:
    """A client that keeps, with these libraries instrumented."""
    llm = LLMLab(api_key="llmlab_sk_test", project="test", **settings)
    llm.delivery = kept = Kept()  # type: ignore[assignment]
    llm.instrument(*names)
    return llm, kept
