"""Which traces a project's own scores call solved, told by whoever knows scores (costs knows no trace).

A source answers for many projects at once. It names traces by `hash_of`, as the facts do.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

# SQL of a trace's 64-bit hash in facts.
HASH_SQL = "hashtextextended({column}, 0)"


@dataclass(frozen=True)
class Judged:
    """A judged trace by its hash, and the verdict."""

    trace: int
    is_solved: bool


Source = Callable[[Sequence[UUID], dt.datetime, dt.datetime], Mapping[UUID, Sequence[Judged]]]
_sources: list[Source] = []


def register(source: Source) -> None:
    """Add a source: (projects, start, end of the calls' range) → the judged traces of each project."""
    if source not in _sources:
        _sources.append(source)


@dataclass(frozen=True)
class Verdicts:
    """Sorted hashes of a project's judged traces, and which of them are solved."""

    traces: Any
    solved: Any

    def of(self, hashes: Any) -> tuple[Any, Any]:
        """For each hash: was it judged, was it solved."""
        if not len(self.traces):
            nothing = np.zeros(len(hashes), dtype=bool)
            return nothing, nothing
        places = np.minimum(np.searchsorted(self.traces, hashes), len(self.traces) - 1)
        judged = self.traces[places] == hashes
        return judged, judged & self.solved[places]


def verdicts(
    project_ids: Sequence[UUID], start: dt.datetime, end: dt.datetime
) -> dict[UUID, Verdicts]:
    """Every project's verdicts; a trace that any source calls solved is. As many queries as the sources make."""
    found: dict[UUID, dict[int, bool]] = {project: {} for project in project_ids}
    for source in _sources:
        for project, judged in source(project_ids, start, end).items():
            for one in judged:
                found[project][one.trace] = found[project].get(one.trace, False) or one.is_solved
    made = {}
    for project, by_trace in found.items():
        traces = np.array(sorted(by_trace), dtype=np.int64)
        solved = np.array([by_trace[int(trace)] for trace in traces], dtype=bool)
        made[project] = Verdicts(traces, solved)
    return made
