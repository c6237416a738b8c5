"""What is recorded: a `Step`, and the `TraceState` that all steps of one trace in this process share.

Both are plain records. They are made and ended by the client (`start_step`, `end_step`) and read by
the background thread; whoever holds an open step may fill it with `update`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmlab.snapshot import snapshot

if TYPE_CHECKING:
    from llmlab.budgets import Budget

# Runs in the background thread and answers fields of a step: where bytes are parsed into facts.
Late = Callable[[], Mapping[str, Any]]


class TraceState:
    """One trace as this process sees it: its local root and what holds for all of it."""

    __slots__ = (
        "head",
        "head_version",
        "metadata",
        "name",
        "parent_id",
        "root",
        "root_encoded",
        "sampled",
        "session",
        "tags",
        "trace_id",
        "user",
        "version",
    )

    def __init__(self, trace_id: str, *, sampled: bool, parent_id: str = "") -> None:
        self.trace_id = trace_id
        # The span of another process under which the local root hangs, or "".
        self.parent_id = parent_id
        self.sampled = sampled
        self.name = ""
        self.user = ""
        self.session = ""
        self.tags: tuple[str, ...] = ()
        self.metadata: dict[str, Any] = {}
        self.root: Step
        # Raised with every change, so that the encoded head of the item is made again.
        self.version = 0
        self.head = b""
        self.head_version = (-1, False)
        # Until the root's own step is on its way the item says "running": an ended root never
        # changes on the server, so it must not end before its contents come.
        self.root_encoded = False


class Step:
    """One step. `fields` holds the wire names of the contract (`provider`, `request_model`,
    `usage`, `input`, `output`, …); what was not set is not known.
    """

    __slots__ = (
        "announced",
        "attributes",
        "budget",
        "capture",
        "clock",
        "early",
        "ended_ns",
        "error",
        "fields",
        "id",
        "late",
        "name",
        "parent_id",
        "size",
        "started_ns",
        "status",
        "trace",
        "type",
    )

    def __init__(
        self,
        trace: TraceState,
        step_id: str,
        parent_id: str,
        name: str,
        kind: str,
        started_ns: int,
        clock: int,
    ) -> None:
        self.trace = trace
        self.id = step_id
        self.parent_id = parent_id
        self.name = name
        self.type = kind
        self.started_ns = started_ns
        # perf_counter_ns at the start: a length does not jump when somebody sets the clock.
        self.clock = clock
        self.ended_ns = 0
        # "" while it runs, then "ok" or "error"; "unknown" until `late` tells.
        self.status = ""
        self.error: dict[str, str] | None = None
        self.fields: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}
        self.early: Late | None = None
        self.late: Late | None = None
        self.capture = True
        self.announced = False
        self.budget: Budget | None = None
        # Estimated bytes, so that what waits for the background thread is bounded.
        self.size = 600

    @property
    def trace_id(self) -> str:
        return self.trace.trace_id

    @property
    def is_root(self) -> bool:
        """The step is the top of its trace in this process."""
        return self.trace.root is self

    def update(self, **fields: Any) -> None:
        """Set fields by their wire names; values are copied now. Never raises."""
        attributes = fields.pop("attributes", None)
        for name, value in fields.items():
            self.fields[name], size = snapshot(value)
            self.size += size
        if attributes:
            copied, size = snapshot(attributes)
            self.attributes.update(copied)
            self.size += size
