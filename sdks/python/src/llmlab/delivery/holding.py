"""Steps of unsampled traces wait until the local root ended: any error among them, and all are kept."""

from __future__ import annotations

from llmlab.step import Step, TraceState

MAX_STEPS = 1_000  # of one trace
MAX_TRACES = 1_000


class Holding:
    """Belongs to the encoder thread."""

    def __init__(self) -> None:
        self._traces: dict[TraceState, list[Step]] = {}
        self.forgotten = 0

    def pass_on(self, step: Step) -> list[Step]:
        """The steps to send now that this one ended: none, this one, or the whole trace."""
        trace = step.trace
        if trace.sampled:
            return [step]
        if trace.root.ended_ns and trace.root is not step and trace not in self._traces:
            # Its trace was decided already; alone it is kept only for its own error.
            return [step] if step.status == "error" else self._forget(1)
        held = self._traces.setdefault(trace, [])
        held.append(step)
        if len(held) > MAX_STEPS:
            held.pop(0)
            self.forgotten += 1
        if trace.root is step:
            del self._traces[trace]
            return self._decide(trace, held)
        if len(self._traces) > MAX_TRACES:
            self._forget(len(self._traces.pop(next(iter(self._traces)))))
        return []

    def _decide(self, trace: TraceState, held: list[Step]) -> list[Step]:
        if any(step.status == "error" for step in held):
            trace.sampled = True  # what still comes of it is sent too
            return held
        return self._forget(len(held))

    def _forget(self, steps: int) -> list[Step]:
        self.forgotten += steps
        return []
