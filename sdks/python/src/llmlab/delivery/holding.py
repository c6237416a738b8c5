"""Steps of unsampled traces wait until the local root ended: any error among them, and all are kept."""

from __future__ import annotations

from llmlab.step import Step, TraceState

MAX_STEPS = 1_000  # of one trace
MAX_TRACES = 1_000


class Holding:
    """Belongs to the encoder thread. Bounded by steps, traces and bytes: the oldest is forgotten."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.forgotten: list[Step] = []
        self._traces: dict[TraceState, list[Step]] = {}
        self._bytes = 0

    def pass_on(self, step: Step) -> list[Step]:
        """The steps to send now that this one ended: none, this one, or the whole trace.

        Those nobody will send any more are added to `forgotten`.
        """
        trace = step.trace
        if trace.sampled:
            return [step]
        if trace.root is not step and trace.root.ended_ns and trace not in self._traces:
            # Its trace was decided already; alone it is kept only for its own error.
            return self._decided([step])
        held = self._traces.setdefault(trace, [])
        held.append(step)
        self._bytes += step.size
        if len(held) > MAX_STEPS:
            self._bytes -= held[0].size
            self.forgotten.append(held.pop(0))
        if trace.root is step:
            return self._decided(self._release(trace))
        while self._traces and (len(self._traces) > MAX_TRACES or self._bytes > self.max_bytes):
            self.forgotten += self._release(next(iter(self._traces)))
        return []

    def _release(self, trace: TraceState) -> list[Step]:
        held = self._traces.pop(trace)
        self._bytes -= sum(step.size for step in held)
        return held

    def _decided(self, steps: list[Step]) -> list[Step]:
        if any(step.status == "error" for step in steps):
            steps[0].trace.sampled = True  # what still comes of it is sent too
            return steps
        self.forgotten += steps
        return []
