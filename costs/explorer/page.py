"""One look at the explorer: the answers a state needs, drawn and put in a table. Pages and e-mails show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from costs.explorer.answers import answer_csv, cached_answer, cached_pivot
from costs.explorer.ask import Answer
from costs.explorer.drawing import chart_of
from costs.explorer.drill import Drill
from costs.explorer.naming import Names, names_for
from costs.explorer.page_state import PIVOT_COLUMNS, PageState
from costs.explorer.pivot import Pivot
from costs.explorer.tables import Table, Tables
from costs.frames import Chart, frame_for
from projects.models import Project

MAX_EXPORT = 10_000


@dataclass(frozen=True)
class Look:
    """`found` is the answer of at most one dimension: of a pivot, its rows."""

    state: PageState
    found: Answer
    before: Answer | None
    names: Names
    chart: Chart
    table: Table

    @property
    def total(self) -> Any:
        return self.found.total

    @property
    def has_calls(self) -> bool:
        return bool(self.found.total["calls"])

    @property
    def unknown_calls(self) -> int:
        """Calls of days of which only sums are left."""
        return sum(calls for _, _, calls in self.found.unknown_days)


def look_at(state: PageState, projects: Sequence[Project], *, has_links: bool = True) -> Look:
    """Everything the page shows. With kept answers one query for each of at most two answers, and one for the names of
    API keys; else those of `answer`."""
    question = state.question
    pivot = cached_pivot(question, columns=PIVOT_COLUMNS) if state.is_pivot else None
    found = pivot.rows if pivot else cached_answer(question)
    earlier = state.before([row.key for row in found.groups if row.key is not None], state.by[:1])
    before = cached_answer(earlier) if earlier else None
    names = _names(state, found, pivot, projects)
    drill = Drill(state, projects) if has_links else None
    tables = Tables(state, names, drill)
    chart = chart_of(state, found, before, names, drill)
    if pivot:
        table = tables.pivot(pivot, before)
    elif state.by:
        table = tables.by_one(found, before)
    else:
        table = tables.by_time(found, before, frame_for(state.period, state.size))
    return Look(state, found, before, names, chart, table)


def csv_of(state: PageState) -> str:
    """The same as CSV, with the groups a page leaves out; queries of at most two answers."""
    question = replace(state.asked.question, limit=MAX_EXPORT)
    if not state.by and not question.bin:
        question = replace(question, bin=state.size)
    asked = replace(state.asked, question=question)
    found = cached_answer(question)
    earlier = asked.before([row.key for row in found.groups if row.key is not None])
    return answer_csv(found, before=cached_answer(earlier) if earlier else None)


def _names(
    state: PageState, found: Answer, pivot: Pivot | None, projects: Sequence[Project]
) -> Names:
    sides = [found, pivot.columns] if pivot else [found]
    values = [
        (name, row.key[0])
        for name, side in zip(state.by, sides, strict=False)
        for row in side.groups
        if row.key
    ]
    values += [(name, value) for name, chosen in state.filters.items() for value in chosen]
    return names_for(
        values,
        project_ids=[one.pk for one in projects],
        projects={str(one.pk): one.name for one in projects},
    )
