"""What the dashboard's controls offer: each choice with the page's address and the panel's (no database)."""

import datetime as dt
from typing import Any

from django.urls import reverse

from core.ranges import PRESETS, parse_range
from costs.dashboard import BINS, DIMENSIONS, MEASURES, RUNNING, DashboardState, fits
from costs.filters import NONE
from costs.labels import label_of
from costs.panels import Question


def bar(question: Question, *, now: dt.datetime) -> dict[str, Any]:
    """The controls above the panels."""
    state = question.state
    chips = [
        (
            name,
            DIMENSIONS[name],
            question.names(name, [value])[value] if value != NONE else label_of(name, ""),
            state.without(name, value).url(),
        )
        for name, value in state.filters.pairs()
    ]
    return {
        "state": state,
        "mark": question.mark,
        "presets": [
            (label, state.with_period(parse_range(key, now=now)).url(), key == state.period.key)
            for key, label in PRESETS.items()
        ],
        "kept": [pair for pair in state.pairs() if pair[0] != "range"],
        "chips": chips,
        "compare_options": _compare_options(state),
        "bin_options": [
            _option(state, "bin", key, label)
            for key, label in BINS.items()
            if fits(key, state.period)
        ],
        "export_url": state.url("costs:dashboard_export"),
        "filters_url": state.url("costs:filters_panel"),
        "arrangement_url": state.url("costs:dashboard_arrangement"),
    }


def _option(state: DashboardState, name: str, key: str, label: str) -> dict[str, Any]:
    return {
        "key": key,
        "label": label,
        "href": state.choose(**{name: key}).url(),
        "current": state.choices[name] == key,
    }


def _compare_options(state: DashboardState) -> list[dict[str, Any]]:
    """Each with the days it would compare with."""
    found = []
    for key, label in (
        ("prev", "Previous period"),
        ("month", "Same days last month"),
        ("none", "Nothing"),
    ):
        option = _option(state, "compare", key, label)
        previous = state.choose(compare=key).previous
        found.append(option | {"note": previous.span_label if previous else ""})
    return found


# The choices of a panel: (name of the choice, its values, whether they are many).
_OF_PANEL: dict[str, list[tuple[str, str, dict[str, str], bool]]] = {
    "spend": [
        ("group", "By", DIMENSIONS, True),
        ("measure", "Show", MEASURES, True),
        ("running", "Bars", RUNNING, False),
    ],
    "mix": [("mix", "By", DIMENSIONS, True)],
    "who": [("who", "By", DIMENSIONS, True)],
}


def of_panel(key: str, state: DashboardState) -> dict[str, Any]:
    """The controls of one panel: menus and pairs of buttons; the models table has its own."""
    address = reverse(f"costs:{key}_panel", args=[state.ref])
    menus = [
        {
            "name": name,
            "title": title,
            "is_menu": is_menu,
            "chosen": labels[state.choices[name]],
            "options": [
                _option(state, name, value, label) | {"panel": f"{address}?{name}={value}"}
                for value, label in labels.items()
            ],
        }
        for name, title, labels, is_menu in _OF_PANEL.get(key, [])
    ]
    found: dict[str, Any] = {"menus": menus}
    if key == "models":
        other = "top" if state.choices["models"] == "all" else "all"
        found |= {"toggle": other, "toggle_url": state.choose(models=other).url()}
    return found
