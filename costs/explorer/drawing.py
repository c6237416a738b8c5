"""The explorer's answer as a chart: bars for what adds up, lines for what does not (pure)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.charts import Series
from core.charts.base import Value
from core.ranges import TimeRange
from costs.explorer.ask import Answer, Row
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.drill import Drill
from costs.explorer.measures import MEASURES
from costs.explorer.naming import Names, noun, written
from costs.explorer.page_state import STACKED, PageState
from costs.frames import Chart, Frame, frame_for
from costs.labels import slots_for

TOP = 6
LINES = 5


def chart_of(
    state: PageState, found: Answer, before: Answer | None, names: Names, drill: Drill | None
) -> Chart:
    """`found` is of no dimension or one; of a pivot it is the rows."""
    frame, measure = frame_for(state.period, state.size), state.measure
    label, is_line = MEASURES[measure].label, measure not in STACKED
    by = found.question.by[:1]
    series = (
        _groups(state, found, frame, names, drill)
        if by
        else _whole(found, frame, measure, label, is_line=is_line)
    )
    past = _past(state, before, measure, len(frame.bins), is_line=is_line)
    compare = Series("Before", past, "prev") if any(value is not None for value in past) else None
    title = f"{label} by {noun(by[0])} per {state.size}" if by else f"{label} per {state.size}"
    if is_line and compare:
        # Beside the lines of groups, the line of all of them before would be taken for one more.
        series, compare = (series if by else [*series, compare]), None
    return Chart(
        "explorer",
        title,
        frame,
        series if any(value for one in series for value in one.values) else [],
        f"{title}, {frame.period.span_label}: {written(measure, found.total[measure])}.",
        MEASURES[measure].unit,
        is_line,
        compare,
        [drill.url({}, span) for span in frame.spans] if drill else [],
        empty=_why_empty(found, measure),
    )


def _why_empty(found: Answer, measure: str) -> tuple[str, str]:
    label = MEASURES[measure].label
    if measure == "cost_per_solved_task":
        return (
            f"{label} is not known",
            "Score traces as solved, and it is what they cost for each that was.",
        )
    if found.total[measure] == 0:
        return f"{label}: nothing to draw", "It is 0 in every part of this range."
    return f"{label} is not known", "None of these calls has what it is worked out from."


def _whole(found: Answer, frame: Frame, measure: str, label: str, *, is_line: bool) -> list[Series]:
    values = {row.at: row[measure] for row in found.totals}
    nothing = None if is_line else 0
    return [Series(label, [values.get(at, nothing) for at in frame.bins], "c1")]


def _groups(
    state: PageState, found: Answer, frame: Frame, names: Names, drill: Drill | None
) -> list[Series]:
    """The first groups, and of bars all others together."""
    measure, dimension = state.measure, found.question.by[0]
    is_line = measure not in STACKED
    shown = drawn_values(found, measure)
    cells = _by_place(found.rows, measure)
    slots, nothing = slots_for(dimension, shown), None if is_line else 0
    series = [
        Series(
            names.of(dimension, value),
            [cells.get((value, at), nothing) for at in frame.bins],
            slots[value],
            drill.url({dimension: value}) if drill else "",
            [drill.url({dimension: value}, span) for span in frame.spans] if drill else [],
        )
        for value in shown
    ]
    if not is_line and found.group_count > len(shown):
        others = [row for row in found.rows if row.key and row.key[0] not in shown]
        rest = _sums([*others, *found.other_bins], measure)
        label = f"Other ({found.group_count - len(shown)})"
        series.append(Series(label, [rest.get(at, 0) for at in frame.bins], "co"))
    return series


def drawn_values(found: Answer, measure: str) -> list[str]:
    """The groups that have a colour of their own."""
    most = TOP if measure in STACKED else LINES
    return [row.key[0] for row in found.groups if row.key][:most]


def _by_place(rows: Sequence[Row], measure: str) -> dict[tuple[str, dt.datetime], Value]:
    return {(row.key[0], row.at): row[measure] for row in rows if row.key and row.at}


def _sums(rows: Sequence[Row], measure: str) -> dict[dt.datetime, Value]:
    """By bin; unknown only where all is."""
    found: dict[dt.datetime, Value] = {}
    for row in rows:
        if row.at is None:
            continue
        before, more = found.get(row.at), row[measure]
        known = [Decimal(one) for one in (before, more) if one is not None]
        found[row.at] = sum(known, Decimal(0)) if known else None
    return found


def _past(
    state: PageState, before: Answer | None, measure: str, count: int, *, is_line: bool
) -> list[Value]:
    """The period before on this period's bins, by place."""
    previous: TimeRange | None = state.asked.previous
    if before is None or previous is None or not before.totals:
        return []
    values: Mapping[dt.datetime | None, Value] = {row.at: row[measure] for row in before.totals}
    bins = previous.bins(state.size)[:count]
    found = [values.get(at, None if is_line else 0) for at in bins]
    return [*found, *([None] * (count - len(found)))]


def words_of(state: PageState) -> str:
    """What the page shows, in a few words: the name a report is offered."""
    by = " and ".join(noun(name) for name in state.by)
    label = MEASURES[state.measure].label
    filters = ", ".join(DIMENSIONS[name] for name in state.filters)
    return (
        f"{label}{f' by {by}' if by else ''}{f', by chosen {filters.lower()}' if filters else ''}"
    )
