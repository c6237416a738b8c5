"""One run of a made-up agent, step by step, and its JSON form for LLMLab's ingestion door.

A story is decided completely by its seed: ids, times, words and token counts come out the same
every time, so sending it twice changes nothing.
"""

import datetime as dt
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Step:
    """One step; `start` and `seconds` count from the story's start."""

    id: str
    parent_id: str
    kind: str
    name: str
    start: float
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    output: Any = None
    error: dict[str, str] | None = None

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass
class Story:
    """One trace."""

    trace_id: str
    name: str
    started_at: dt.datetime
    facts: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    input: Any = None
    output: Any = None
    has_failed: bool = False

    @property
    def ended_at(self) -> dt.datetime:
        return self.started_at + dt.timedelta(
            seconds=max((step.end for step in self.steps), default=0)
        )


def seeded(*parts: Any) -> random.Random:
    """A generator that depends on nothing but the parts."""
    text = "|".join(str(part) for part in parts)
    return random.Random(hashlib.sha256(f"fernhill|{text}".encode()).digest())


class Recorder:
    """Builds a story: a clock that moves with each step, and a stack of open ones."""

    def __init__(
        self, seed: str, name: str, started_at: dt.datetime, facts: dict[str, Any]
    ) -> None:
        self.chance = seeded(seed)
        self.clock = 0.0
        self._open: list[Step] = []
        trace_id = hashlib.sha256(f"fernhill-trace|{seed}".encode()).hexdigest()[:32]
        self.story = Story(trace_id, name, started_at, facts)

    def begin(self, kind: str, name: str, *, input: Any = None, **facts: Any) -> Step:
        """Opens a step inside the innermost open one."""
        parent = self._open[-1].id if self._open else ""
        number = len(self.story.steps)
        identity = hashlib.sha256(f"{self.story.trace_id}|{number}".encode()).hexdigest()[:16]
        step = Step(identity, parent, kind, name, self.clock, facts=facts, input=input)
        self.story.steps.append(step)
        self._open.append(step)
        return step

    def end(self, step: Step, *, output: Any = None, error: dict[str, str] | None = None) -> Step:
        """Closes a step at the clock's present time."""
        self._open.remove(step)
        step.seconds = self.clock - step.start
        step.output, step.error = output, error
        return step

    def pass_time(self, low: float, high: float) -> None:
        """Moves the clock by a random time, more often short than long."""
        self.clock += low + (high - low) * self.chance.random() ** 2

    def leaf(self, kind: str, name: str, low: float, high: float, **more: Any) -> Step:
        """A step without children that takes between `low` and `high` seconds."""
        output, error = more.pop("output", None), more.pop("error", None)
        step = self.begin(kind, name, **more)
        self.pass_time(low, high)
        return self.end(step, output=output, error=error)


def trace_item(story: Story) -> dict[str, Any]:
    """The story as one item of `POST /api/v1/projects/<project>/traces`."""
    item = {
        "trace_id": story.trace_id,
        "name": story.name,
        "status": "error" if story.has_failed else "ok",
        "started_at": _time(story.started_at),
        "ended_at": _time(story.ended_at),
        **story.facts,
        "steps": [step_item(story, step) for step in story.steps],
    }
    if story.input is not None:
        item["input"] = story.input
    if story.output is not None:
        item["output"] = story.output
    return item


def step_item(story: Story, step: Step, *, is_running: bool = False) -> dict[str, Any]:
    """A step of such an item; a running one has no end, output or usage yet.

    The door makes the trace itself the root step: a step with the trace's id is that root.
    """
    item: dict[str, Any] = {
        "id": step.id if step.parent_id else story.trace_id,
        "type": step.kind,
        "name": step.name,
        "started_at": _time(story.started_at + dt.timedelta(seconds=step.start)),
    }
    if step.parent_id and step.parent_id != story.steps[0].id:
        item["parent_id"] = step.parent_id
    if step.input is not None:
        item["input"] = step.input
    if is_running:
        known = step.facts.keys() & {"model", "provider", "operation", "first_token_ms"}
        return {**item, "status": "running", **{key: step.facts[key] for key in known}}
    item |= step.facts
    item["status"] = "error" if step.error else "ok"
    item["latency_ms"] = round(step.seconds * 1000, 3)
    if step.output is not None:
        item["output"] = step.output
    if step.error:
        item["error"] = step.error
    return item


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
