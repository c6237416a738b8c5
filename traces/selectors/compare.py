"""Two traces side by side: facts with their difference, steps aligned by name and kind, what went in and came out."""

import datetime as dt
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from projects.models import Project
from traces.models import Trace
from traces.selectors import detail
from traces.waterfall import Row, lay_out

MAX_STEPS = 500
HUGE = 10_000
MAX_TEXT = 20_000
MAX_LINES = 400


@dataclass(frozen=True)
class Side:
    """One of the two."""

    trace: Trace
    rows: list[Row]
    step_count: int
    input: str
    output: str
    problem: str


@dataclass(frozen=True)
class StepPair:
    """Two steps that stand for the same, or one without a partner."""

    a: Row | None
    b: Row | None

    @property
    def state(self) -> Literal["same", "removed", "added"]:
        return "removed" if self.b is None else "added" if self.a is None else "same"

    @property
    def extra_ms(self) -> float | None:
        if self.a is None or self.b is None:
            return None
        return self.b.length_ms - self.a.length_ms

    @property
    def faster_ms(self) -> float:
        """How much less time B took, without its sign."""
        return abs(self.extra_ms or 0)

    @property
    def extra_cost(self) -> Decimal | None:
        """None when one side has no known cost."""
        if self.a is None or self.b is None:
            return None
        first, second = self.a.own_cost, self.b.own_cost
        return None if first is None or second is None else second - first


@dataclass(frozen=True)
class Line:
    """One line of a text difference: sign is "+", "-" or " "."""

    sign: str
    text: str


def side_of(project: Project, trace_id: str, *, now: dt.datetime) -> Side | None:
    """One trace with its first 500 steps and what its first step was told and said. Four queries."""
    trace = detail.trace_of(project, trace_id.replace("\x00", ""))
    if trace is None:
        return None
    # A huge one is compared by its facts.
    layout = lay_out(detail.steps_of(trace) if trace.span_count <= HUGE else [], now=now)
    said, problem = _said(project, trace, layout.rows)
    return Side(
        trace,
        list(layout.rows[:MAX_STEPS]),
        max(trace.span_count, len(layout.rows)),
        _text(said.get("input")),
        _text(said.get("output")),
        problem,
    )


def _said(project: Project, trace: Trace, rows: Sequence[Row]) -> tuple[dict[str, Any], str]:
    """What the first step that has both was told and said: the root's, else the first model call's."""
    roots = [row for row in rows if row.level == 1][:1]
    calls = [row for row in rows if row.step.kind == "llm"][:1]
    problem = ""
    for row in [*roots, *calls]:
        span = detail.step_of(trace, row.step.span_id)
        if span is None:
            continue
        found = detail.step_content(project, span)
        problem = problem or found.problem
        if found.content.get("input") or found.content.get("output"):
            return found.content, ""
    return {}, problem


def _text(value: Any) -> str:
    """A payload as lines one can compare."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if (
        isinstance(value, list)
        and value
        and all(isinstance(one, dict) and "role" in one for one in value)
    ):
        # Who said it only matters when there is more than one message.
        said = [(str(one["role"]), _words(one)) for one in value]
        return (
            said[0][1] if len(said) == 1 else "\n".join(f"{who}: {what}" for who, what in said)
        )[:MAX_TEXT]
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()[:MAX_TEXT]


def _words(message: dict[str, Any]) -> str:
    """The text of a message, its other parts as JSON."""
    content = message.get("content", message.get("parts", ""))
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [one.get("text", one.get("content")) if isinstance(one, dict) else one for one in parts]
    return "\n".join(
        text if isinstance(text, str) else msgspec.json.encode(part).decode()
        for text, part in zip(texts, parts, strict=True)
    )


def step_pairs(a: Sequence[Row], b: Sequence[Row]) -> list[StepPair]:
    """The steps of both in order, aligned by name, kind and depth."""
    matcher = difflib.SequenceMatcher(
        None, [_mark(row) for row in a], [_mark(row) for row in b], autojunk=False
    )
    found: list[StepPair] = []
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        left, right = a[a_from:a_to], b[b_from:b_to]
        if [_mark(row) for row in left] == [_mark(row) for row in right]:
            found += [StepPair(one, two) for one, two in zip(left, right, strict=True)]
        else:
            found += [StepPair(one, None) for one in left]
            found += [StepPair(None, one) for one in right]
    return found


def _mark(row: Row) -> tuple[str, str, int]:
    return (row.step.name, row.step.kind, row.level)


def text_lines(a: str, b: str) -> list[Line]:
    """A line difference, at most 400 lines; empty when both are the same."""
    if a == b:
        return []
    lines = difflib.ndiff(a.splitlines(), b.splitlines())
    found = [Line(line[0], line[2:]) for line in lines if line[:1] in "+- "]
    return found[:MAX_LINES]
