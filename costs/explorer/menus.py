"""What the explorer's controls offer: every choice is a link to the page as it would then be (no database)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.ranges import MONTH_TO_DATE, PRESETS, TimeRange, floor, make_range
from costs.dashboard import fits
from costs.explorer.ask import BINS
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES
from costs.explorer.naming import Names
from costs.explorer.page_state import MOST_PIVOT_ROWS, MOST_ROWS, PageState, filters_of
from costs.explorer.query import COMPARISONS, DEFAULT_RANGE
from projects.models import Project

COMPARE_LABELS = {
    "none": "Nothing",
    "previous": "Previous period",
    "last_month": "Same days last month",
}
# Sums by the hour do not know minutes.
RANGES = {key: label for key, label in PRESETS.items() if key not in ("15m", "1h")}


@dataclass(frozen=True)
class Option:
    label: str
    href: str
    is_current: bool = False
    note: str = ""


@dataclass(frozen=True)
class Menu:
    """A button that says what is chosen, and the choices behind it."""

    name: str
    title: str
    chosen: str
    options: list[Option]
    icon: str = ""


def bar(
    state: PageState, names: Names, projects: Sequence[Project], *, now: dt.datetime
) -> dict[str, Any]:
    """The controls above the chart."""
    chips = [
        (DIMENSIONS[name], names.of(name, value), state.without(name, value))
        for name, value in filters_of(state)
        if name != "project" or len(state.filters["project"]) > 1
    ]
    return {
        "ranges": _ranges(state, now),
        "kept": [
            (name, value)
            for name, values in state.params.items()
            for value in values
            if name != "range"
        ],
        "chips": chips,
        "menus": [_compare(state), *([_projects(state, projects)] if len(projects) > 1 else [])],
        "view_menus": [_measure(state), _by(state, 0), *([_by(state, 1)] if state.by else []), _bins(state)],
        "columns": _columns(state),
        "filters_url": state.url("costs:explorer_filters"),
        "save_url": state.url("costs:report_create"),
        "export_url": state.url("costs:explorer_export"),
    }  # fmt: skip


def _ranges(state: PageState, now: dt.datetime) -> list[Option]:
    last = _last_month(now)
    options = [
        Option(
            label,
            state.url(range=None if key == DEFAULT_RANGE else key, bin=None),
            key == state.period.key,
        )
        for key, label in RANGES.items()
    ]
    place = list(RANGES).index(MONTH_TO_DATE) + 1
    chosen = Option("Last month", state.url(range=last.key, bin=None), last.key == state.period.key)
    return [*options[:place], chosen, *options[place:]]


def _last_month(now: dt.datetime) -> TimeRange:
    end = floor(now, "month")
    return make_range(floor(end - dt.timedelta(days=1), "month"), end)


def _compare(state: PageState) -> Menu:
    chosen = (state.params["compare"] or ("none",))[0]
    spans = {"previous": state.period.previous, "last_month": state.period.month_before}
    notes = {name: span().whole_hours().span_label for name, span in spans.items()}
    options = [
        Option(COMPARE_LABELS[name], state.url(compare=name), name == chosen, notes.get(name, ""))
        for name in COMPARISONS
    ]
    return Menu("compare", "vs", notes.get(chosen, "nothing"), options)


def _projects(state: PageState, projects: Sequence[Project]) -> Menu:
    wanted = state.filters.get("project", ())
    options = [Option("All projects", state.url(project=None, limit=None), not wanted)]
    options += [
        Option(one.name, state.url(project=str(one.pk), limit=None), wanted == (str(one.pk),))
        for one in projects
    ]
    chosen = next((one.label for one in options if one.is_current), f"{len(wanted)} projects")
    return Menu("project", "", chosen, options, "layers")


def _measure(state: PageState) -> Menu:
    options = []
    for name, one in MEASURES.items():
        rest = [kept for kept in state.measures if kept != name]
        options.append(
            Option(
                one.label,
                state.url(measures=_measures((name, *rest)), sort=None),
                name == state.measure,
            )
        )
    return Menu("measure", "Show", MEASURES[state.measure].label, options)


def _measures(names: tuple[str, ...]) -> tuple[str, ...]:
    """One of the companions gives way, or the table would grow with each choice."""
    return names[:4]


def _by(state: PageState, place: int) -> Menu:
    """The first or the second dimension."""
    other = state.by[1 - place : 2 - place]
    current = state.by[place] if place < len(state.by) else ""
    options = [
        Option(
            "Nothing" if place == 0 else "Nothing else",
            state.url(by=other if place == 0 else state.by[:1], limit=None),
            not current,
        )
    ]
    for name, label in DIMENSIONS.items():
        if name in other:
            continue
        by = (name, *other) if place == 0 else (state.by[0], name)
        options.append(Option(label, state.url(by=by, limit=None), name == current))
    title = "by" if place == 0 else "and"
    return Menu(f"by-{place + 1}", title, DIMENSIONS.get(current, "nothing"), options)


def _bins(state: PageState) -> Menu:
    asked = state.asked.question.bin
    options = [Option("Auto", state.url(bin=None), not asked)]
    options += [
        Option(name.capitalize(), state.url(bin=name), name == asked)
        for name in BINS
        if fits(name, state.period)
    ]
    return Menu("bin", "per", state.size, options)


def _columns(state: PageState) -> list[Option]:
    """More measures beside the first; a click adds or takes away."""
    found = []
    for name, one in MEASURES.items():
        if name == state.measure:
            continue
        has = name in state.measures
        names = tuple(kept for kept in state.measures if kept != name)
        names = names if has else (*names, name)
        sort = None if has else state.params.get("sort")
        found.append(Option(one.label, state.url(measures=names, sort=sort), has))
    return found


def more_url(state: PageState, shown: int, count: int) -> str:
    """The page with more groups listed; empty when all are, or no more can be."""
    most = MOST_PIVOT_ROWS if state.is_pivot else MOST_ROWS
    if shown >= min(count, most):
        return ""
    return state.url(limit=str(min(max(shown * 4, 100), most)))


def narrowed_to(state: PageState, dimension: str, values: Sequence[str]) -> PageState:
    """Without the filter of one dimension, or with another."""
    filters = tuple(one for one in state.asked.question.filters if one[0] != dimension)
    filters += ((dimension, tuple(values)),) if values else ()
    question = replace(state.asked.question, filters=filters)
    params = {name: value for name, value in state.params.items() if name != dimension}
    return replace(state, asked=replace(state.asked, question=question), params=params)
